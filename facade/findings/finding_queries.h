// Questions to the findings' database, and what a person says of a finding. Whoever uses the database; `now` decides
// which acknowledgements still hold.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "facade/findings/finding.h"
#include "facade/findings/sqlite.h"

namespace ficus {

struct FindingPage {
  std::vector<Finding> findings;  // the gravest first, then the last seen
  bool more = false;              // that the filter takes, beyond its limit
};
StoreResult<FindingPage> list_findings(Database& database, const FindingFilter& filter, FindingTime now);

// `id`: hex digits, as many as tell it apart. Error: kInvalid for anything else, kNotFound, kAmbiguous with some of
// those that begin so.
StoreResult<FindingDetail> show_finding(Database& database, std::string_view id, FindingTime now);

// Each finding that the filter takes (its limit too), with everything; in the order of list_findings. `take` may not
// use the database.
StoreResult<void> export_findings(Database& database, const FindingFilter& filter, FindingTime now,
                                  const std::function<void(const FindingDetail&)>& take);

// Replaces an earlier one; `ack.at` becomes `now`. `by` and `why` are required, at most 256 and 1024 bytes of text.
// Error: as show_finding; kInvalid also for an `until` that has passed. A resolved finding may be acknowledged, but
// that ends when it regresses.
StoreResult<Finding> acknowledge_finding(Database& database, std::string_view id, Acknowledgement ack, FindingTime now);
// It is open (or regressed) again. No error where there was none.
StoreResult<Finding> withdraw_acknowledgement(Database& database, std::string_view id, FindingTime now);

}  // namespace ficus
