// The insurer's book of policies: what each policy went through, made from a seed, and how each side reads that.
// Pure values and functions; the same seed and index give the same policy on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "insurance/policy/v1/policy_service.pb.h"

namespace insurer {

namespace pb = insurance::policy::v1;

inline constexpr std::uint64_t kDemoSeed = 20'240'229;

// Which system answers. The new one was filled by a migration that made three mistakes; see derive_policy.
enum class Side { kLegacy, kNew };
std::string_view to_string(Side side);
std::optional<Side> parse_side(std::string_view text);

// One line of a policy's life, as the legacy system recorded it.
struct Event {
  std::string kind;          // "issued", "endorsed", "lapsed", "reinstated", "cancelled"
  std::string on;            // ISO 8601 date on which it was entered
  std::string effective_on;  // ISO 8601 date from which it holds; before `on`: backdated
  std::optional<pb::Endorsement> endorsement;  // only of "endorsed"
  std::optional<pb::Address> moved_to;         // only of an endorsement that is a change of address
};

// A policy's record: facts that both sides agree on.
struct Record {
  pb::Policy issued;                    // as at its beginning: no premium, no endorsement, no status yet
  std::int64_t premium_thousandths = 0; // of the currency's unit: a tenth of a minor unit; each side rounds it
  std::vector<Event> events;            // oldest first, at least "issued"
};

// "P-1000000" for index 0, and so on.
std::string policy_number(std::size_t index);
std::optional<std::size_t> policy_index(std::string_view number);

// The record of one policy. In every thousand, whatever the seed, exactly 5 policies were reinstated, 4 were cancelled
// with effect from an earlier day and 4 have a premium whose rounding the two sides disagree on; no policy is two of
// these, so that the mistakes below show up in exact, separate counts.
Record make_record(std::uint64_t seed, std::size_t index);

// The policy as `side` derives it from the first `events` events (at least one).
// Legacy is right. The new side's migration
//   - knows no "reinstated" event: such a policy stays lapsed;
//   - takes the day a cancellation was entered for the day it took effect;
//   - rounds half a minor unit to the even neighbour instead of up;
// and keeps endorsements newest first, which is no mistake: their order means nothing.
// `updated_at` is left unset; each side stamps its own.
pb::Policy derive_policy(const Record& record, std::size_t events, Side side);

}  // namespace insurer
