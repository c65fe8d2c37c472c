// The findings' database: where it is, how it is opened, which schema it has. Any thread; one at a time per database.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "facade/findings/finding.h"
#include "facade/findings/sqlite.h"

namespace ficus {

// "DIRECTORY/findings.db". Beside it SQLite keeps "-wal" and "-shm".
std::string findings_file(const std::string& directory);

// finding.state as it is stored. Acknowledged is no state of its own: it is what an acknowledgement that holds makes of
// an open or regressed one.
enum class StoredState : std::int64_t { kOpen = 0, kResolved = 1, kRegressed = 2 };
constexpr std::int64_t number_of(StoredState state) { return static_cast<std::int64_t>(state); }

// What brings the schema from version i to i + 1, in SQL. The span's size is the version this program writes.
using Migrations = std::span<const char* const>;
Migrations finding_migrations();

// Opens the database for the one who fills it: makes the directory (0700; only its last part) and the file (0600) where
// they are missing, brings the file back to 0600, migrates, and looks through every page (PRAGMA quick_check), so that
// damage is found now and not at some commit. Two processes may do so at once, and go on side by side.
// Error: kNewer for a schema of a newer ficus and kForeign for another program's database (both stay untouched),
// kCorrupt, kCannotOpen, kReadOnly, kFull, kBusy, kIo.
StoreResult<std::unique_ptr<Database>> open_findings(const std::string& directory, const FindingLimits& limits,
                                                     Migrations migrations = finding_migrations());

// For one who asks, beside a running facade or without one: makes, migrates and checks nothing. Error: as above, and
// kCannotOpen where there is no database yet.
StoreResult<std::unique_ptr<Database>> open_findings_to_read(const std::string& directory, Database::Access access);

// Of this process only, with the same schema.
StoreResult<std::unique_ptr<Database>> findings_in_memory(const FindingLimits& limits);

}  // namespace ficus
