// The slow, obvious reading of POLICY 2, 3, 4, 5 and 8: what RouteTable must answer, found by walking the policy from top
// to bottom for each call. It shares only buckets and stage facts with routing/, which have tests of their own. For
// differential tests; nothing here is fast or clever on purpose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/policy.h"

namespace ficus::test {

struct OracleCall {
  std::string service, method;
  std::vector<std::pair<std::string, std::string>> metadata;
  bool marked = false;
  std::uint64_t draw = 0;
  std::vector<std::string> peer_sans{};
};

struct OracleAnswer {
  std::string refused;          // "FAILED_PRECONDITION marked_write"; empty: not refused
  std::string kind;             // "pass", "read", "write"
  std::string upstream;
  std::string rule;             // "none"
  std::optional<Side> side, owner;
  bool forced = false;
  std::string override_ignored; // reason
  bool unkeyed = false;
  std::optional<std::uint32_t> canary_bucket;
  bool shadow_possible = false, shadow_in_share = false;
  std::string shadow_upstream;
  std::optional<std::uint32_t> shadow_bucket;
  bool operator==(const OracleAnswer&) const = default;
};
std::string to_string(const OracleAnswer& answer);

// A policy without a schema: keys come from metadata only, no star under reads. `token` is what the policy's token file
// holds, the same for every capability.
OracleAnswer oracle_route(const Policy& policy, const OracleCall& call, std::string_view token);

// The owner of the capability's writes, one rule after another. Absent tenant: a call without one.
Side oracle_owner(const Policy& policy, const CapabilitySpec& capability, std::optional<std::string_view> tenant);

}  // namespace ficus::test
