// Puts batches into the database, one transaction each, and keeps it within its limits. Whoever uses the database.
#pragma once

#include <cstdint>

#include "facade/findings/finding_batch.h"
#include "facade/findings/sqlite.h"

namespace ficus {

// What a commit did beside adding up.
struct CommitReport {
  std::uint64_t evicted_for_count = 0;  // findings that went by limit "findings_kept"
  std::uint64_t evicted_for_bytes = 0;  // and by "findings_bytes"
  std::uint64_t evicted_for_age = 0;
};

// All of the batch, or (error) nothing of it. States follow: what was resolved and is in the batch regressed; what was
// not seen for long enough among its method's comparisons is resolved. `now` decides on ages alone.
StoreResult<CommitReport> write_batch(Database& database, const FindingBatch& batch, const FindingLimits& limits,
                                      FindingTime now);

// The whole database as one batch, to be written to another: what was kept in memory goes to the file that can be
// written at last.
StoreResult<FindingBatch> read_as_batch(Database& database);

}  // namespace ficus
