// A finding: the differences of one signature, over all calls. Plain values, and the limits on how many are kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "facade/findings/interval.h"
#include "facade/findings/signature.h"
#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

// Whole milliseconds since 1970, UTC: what the database holds.
using FindingTime = std::chrono::sys_time<std::chrono::milliseconds>;

enum class FindingState : std::uint8_t {
  kOpen,
  kAcknowledged,  // a person knows of it, until a day if they said so
  kResolved,      // not seen for so many comparisons that it must have become much rarer; see FindingLimits
  kRegressed,     // seen again after that; what was acknowledged before no longer counts
};
std::string_view to_string(FindingState state);  // "open", ...
std::optional<FindingState> parse_finding_state(std::string_view word);

struct Acknowledgement {
  std::string by;  // who; as the system knows them, or as they say
  std::string why;
  std::optional<FindingTime> until;  // the last moment it holds; none: until the finding regresses
  FindingTime at{};                  // when it was given
};

struct Finding {
  FindingId id;
  FindingSignature signature;
  FindingTime first_seen{}, last_seen{};
  std::uint64_t count = 0;        // calls that showed it
  std::uint64_t comparisons = 0;  // of its capability and method since it was first seen, that call included
  // count / comparisons. None: the method's comparisons are not told apart (limit "finding_methods"). It begins with a
  // hit, so that it is a little high while the count is small.
  std::optional<Interval> rate;
  FindingState state = FindingState::kOpen;
  FindingTime state_since{};                       // when it opened, was resolved, or came back
  std::optional<Acknowledgement> acknowledgement;  // also an expired one, and that of a resolved finding
  std::uint64_t tenants = 0;                       // how many are told apart; see FindingDetail
};

// A tenant, consumer or policy hash that a finding was seen with.
struct Touched {
  std::string name;
  std::uint64_t count = 0;
  FindingTime last_seen{};
};
// The most recently seen, up to FindingLimits::names; `other`: calls of those that gave way.
struct TouchedList {
  std::vector<Touched> names;
  std::uint64_t other = 0;
};

struct FindingDetail {
  Finding finding;
  TouchedList tenants, consumers, policies;               // latest first
  std::vector<ficus::trace::v1::MismatchTrace> examples;  // the first that was seen, then the latest; oldest first
};

struct FindingFilter {
  std::optional<std::string> capability;
  std::optional<FindingSeverity> at_least;  // of this severity or graver
  std::optional<FindingState> state;
  std::optional<FindingTime> since;  // seen at or after
  std::size_t limit = 1000;
};

// Each is counted in ficus_limit_hits_total by the name in its comment when it acts.
struct FindingLimits {
  // "findings_kept": a person reads dozens; thousands happen when a release goes wrong all over. Beyond, the resolved
  // one that was not seen for longest goes, and after these any.
  std::size_t findings = 10'000;
  // "findings_bytes": used in the database; beyond, as above. A quarter of it while findings are kept in memory. The
  // file may be larger by what a commit needs before it makes room; twice this is its hard end.
  std::uint64_t bytes = 64ull << 20;
  // Findings not seen for so long go: a migration that stands still for a quarter begins anew.
  std::chrono::hours age{24 * 90};
  // Tenants, consumers and policy hashes each, told apart by a finding: enough to see "all of them" or "only these".
  std::size_t names = 20;
  // Example traces of a finding: the first and the latest.
  std::size_t examples = 5;
  // "finding_example_bytes": a larger trace is no example. 100 differences take some 20 KiB hashed.
  std::size_t example_bytes = 64 << 10;
  // "finding_methods": pairs of capability and method whose comparisons are told apart. Stars let callers name methods.
  std::size_t methods = 4096;
  // "findings_pending": distinct findings between two commits; sightings of more are dropped. One that is pending
  // already always finds its place, so a storm of one bug costs nothing here.
  std::size_t pending = 1000;
  // "findings_pending_bytes": of examples between two commits; beyond, sightings count and give no example.
  std::size_t pending_bytes = 8 << 20;
  // Comparisons without a finding after which it is resolved: by the rule of three, its rate is then below 0.3 % with
  // 95 % confidence. One that was rarer must be missed for three times its mean distance.
  std::uint64_t resolved_after = 1000;
};

}  // namespace ficus
