#include "facade/findings/finding_schema.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "facade/base/unique_fd.h"

namespace ficus {
namespace {

constexpr std::int64_t kApplicationId = 0x46694375;  // "FiCu"
// Long enough for another process's commit, short enough for a shutdown that waits for ours.
constexpr std::chrono::milliseconds kPatience{1000};

// Times are milliseconds since 1970. A finding's id is its 64 bits, read as signed. kind and severity are the trace's
// enums. state: 0 open, 1 resolved, 2 regressed; acknowledged is what is open or regressed and has an ack that holds.
// before_first, at_last: comparisons of the method before the first sighting, and up to the last one's.
// touched.what: 0 tenant, 1 consumer, 2 policy hash.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE traffic(
  capability TEXT NOT NULL, method TEXT NOT NULL, comparisons INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY(capability, method)) STRICT, WITHOUT ROWID;
CREATE TABLE finding(
  id INTEGER PRIMARY KEY,
  capability TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, kind INTEGER NOT NULL, severity INTEGER NOT NULL,
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,
  before_first INTEGER NOT NULL, at_last INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0, state_since INTEGER NOT NULL,
  ack_by TEXT, ack_why TEXT, ack_at INTEGER, ack_until INTEGER,
  tenants_other INTEGER NOT NULL DEFAULT 0, consumers_other INTEGER NOT NULL DEFAULT 0,
  policies_other INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX finding_of_method ON finding(capability, method);
CREATE INDEX finding_by_age ON finding(last_seen);
CREATE TABLE touched(
  finding INTEGER NOT NULL REFERENCES finding ON DELETE CASCADE, what INTEGER NOT NULL, name TEXT NOT NULL,
  count INTEGER NOT NULL, last_seen INTEGER NOT NULL,
  PRIMARY KEY(finding, what, name)) STRICT, WITHOUT ROWID;
CREATE TABLE trace(id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL) STRICT;
CREATE TABLE example(
  finding INTEGER NOT NULL REFERENCES finding ON DELETE CASCADE, trace INTEGER NOT NULL REFERENCES trace,
  PRIMARY KEY(finding, trace)) STRICT, WITHOUT ROWID;
CREATE INDEX example_of_trace ON example(trace);
CREATE TRIGGER example_gone AFTER DELETE ON example
  WHEN NOT EXISTS (SELECT 1 FROM example WHERE trace = OLD.trace)
  BEGIN DELETE FROM trace WHERE id = OLD.trace; END;
)sql";
constexpr const char* kMigrations[] = {kVersion1};

StoreError system_error(StoreFault fault, const std::string& what, int error) {
  return {error == ENOSPC || error == EDQUOT ? StoreFault::kFull
          : error == EROFS                   ? StoreFault::kReadOnly
                                             : fault,
          what + ": " + std::strerror(error)};
}

// Holds the directory's lock while the file is made: so that nobody takes away the write-ahead log of one that another
// process has just made. Closing unlocks.
StoreResult<UniqueFd> lock_directory(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail(system_error(StoreFault::kCannotOpen, "cannot open the state directory", errno));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return fail(system_error(StoreFault::kIo, "cannot lock the state directory", errno));
    }
    if (std::chrono::steady_clock::now() >= end) {
      return fail(StoreError{StoreFault::kBusy, "another program holds the lock of the state directory"});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return fd;
}

// The file is there and of mode 0600, and so will be what SQLite puts beside it. Opened only where it is new: closing
// any descriptor of a file takes away the locks that SQLite holds on it in this process (POSIX).
StoreResult<void> make_file(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) return fail(StoreError{StoreFault::kCannotOpen, "it is no regular file"});
    if ((info.st_mode & 07777) != 0600 && ::chmod(file.c_str(), 0600) != 0) {
      return fail(system_error(StoreFault::kCannotOpen, "cannot make it mode 0600", errno));
    }
    return {};
  }
  if (errno != ENOENT) return fail(system_error(StoreFault::kCannotOpen, "cannot look at it", errno));
  // Of a database that was moved away; applied to a new one they would damage it.
  for (const char* suffix : {"-wal", "-shm"}) {
    if (::unlink((file + suffix).c_str()) != 0 && errno != ENOENT) {
      return fail(system_error(StoreFault::kCannotOpen, std::string("cannot remove what is left of ") + suffix, errno));
    }
  }
  const UniqueFd made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!made) return fail(system_error(StoreFault::kCannotOpen, "cannot make it", errno));
  return {};
}

// Whether it is ours, and of which version. 0: an empty database.
StoreResult<std::int64_t> version_of(Database& database, std::size_t known) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  const std::int64_t application = database.integer("PRAGMA application_id");
  const std::int64_t objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (auto error = database.take_error()) return fail(*error);
  if (application != kApplicationId && (application != 0 || version != 0 || objects != 0)) {
    return fail(StoreError{StoreFault::kForeign, "it is a database of another program; nothing in it was changed"});
  }
  if (version < 0 || version > static_cast<std::int64_t>(known)) {
    return fail(StoreError{StoreFault::kNewer, "its schema is version " + std::to_string(version) +
                                                   ", written by a newer ficus; this one knows up to " +
                                                   std::to_string(known) + " and changed nothing"});
  }
  return version;
}

StoreResult<void> migrate(Database& database, Migrations migrations) {
  const auto before = version_of(database, migrations.size());
  if (!before) return fail(before.error());
  if (*before == static_cast<std::int64_t>(migrations.size())) return {};
  Transaction transaction(database);
  // Read again under the lock: another process may have done it.
  const std::int64_t from = database.integer("PRAGMA user_version");
  for (std::size_t i = static_cast<std::size_t>(from); i < migrations.size(); ++i) database.run(migrations[i]);
  if (from < static_cast<std::int64_t>(migrations.size())) {
    database.run("PRAGMA user_version = " + std::to_string(migrations.size()));
    database.run("PRAGMA application_id = " + std::to_string(kApplicationId));
  }
  return transaction.commit();
}

void set_limits(Database& database, const FindingLimits& limits) {
  const std::int64_t page = database.integer("PRAGMA page_size");
  const std::uint64_t bytes = 2 * limits.bytes;
  const std::uint64_t pages = bytes / static_cast<std::uint64_t>(page > 0 ? page : 4096);
  database.run("PRAGMA max_page_count = " + std::to_string(pages > 0 ? pages : 1));
}

StoreResult<void> check_pages(Database& database) {
  SqlStatement rows = database.statement("PRAGMA quick_check(1)");
  const bool any = rows.step();
  const std::string said = any ? rows.bytes(0) : "";
  if (auto error = database.take_error()) return fail(*error);
  if (said != "ok") return fail(StoreError{StoreFault::kCorrupt, "it is damaged: " + said});
  return {};
}

}  // namespace

std::string findings_file(const std::string& directory) { return directory + "/findings.db"; }

Migrations finding_migrations() { return kMigrations; }

StoreResult<std::unique_ptr<Database>> open_findings(const std::string& directory, const FindingLimits& limits,
                                                     Migrations migrations) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(system_error(StoreFault::kCannotOpen, "cannot make the state directory", errno));
  }
  const auto lock = lock_directory(directory);
  if (!lock) return fail(lock.error());
  const std::string file = findings_file(directory);
  if (const auto made = make_file(file); !made) return fail(made.error());
  auto opened = Database::open(file, Database::Access::kReadWrite, kPatience);
  if (!opened) return opened;
  Database& database = **opened;
  // Refused before anything is written: WAL is a mark in the file, too.
  if (const auto version = version_of(database, migrations.size()); !version) return fail(version.error());
  if (const auto checked = check_pages(database); !checked) return fail(checked.error());
  // NORMAL: a killed process loses nothing that was committed, a machine without power the last commits; neither
  // damages. The log is cut back to 4 MiB after a large commit.
  database.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;");
  database.run("PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON;");
  set_limits(database, limits);
  if (auto error = database.take_error()) return fail(*error);
  if (const auto migrated = migrate(database, migrations); !migrated) return fail(migrated.error());
  return opened;
}

StoreResult<std::unique_ptr<Database>> open_findings_to_read(const std::string& directory, Database::Access access) {
  auto opened = Database::open(findings_file(directory), access, kPatience);
  if (!opened) return opened;
  const auto version = version_of(**opened, std::size(kMigrations));
  if (!version) return fail(version.error());
  if (*version == 0) return fail(StoreError{StoreFault::kCannotOpen, "there are no findings in it yet"});
  if (*version < static_cast<std::int64_t>(std::size(kMigrations))) {
    return fail(StoreError{StoreFault::kCannotOpen, "its schema is version " + std::to_string(*version) +
                                                        "; the next `ficus serve` of this version renews it"});
  }
  (*opened)->run("PRAGMA foreign_keys = ON");
  if (auto error = (*opened)->take_error()) return fail(*error);
  return opened;
}

StoreResult<std::unique_ptr<Database>> findings_in_memory(const FindingLimits& limits) {
  auto opened = Database::in_memory();
  if (!opened) return opened;
  (*opened)->run("PRAGMA foreign_keys = ON");
  set_limits(**opened, limits);
  if (auto error = (*opened)->take_error()) return fail(*error);
  if (const auto migrated = migrate(**opened, kMigrations); !migrated) return fail(migrated.error());
  return opened;
}

}  // namespace ficus
