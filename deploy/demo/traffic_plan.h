// The fixed set of calls the demo plays: the same for the same number of policies, so that what Ficus reports can be
// checked against exact numbers. Pure.
//
// Every policy belongs to one tenant's business (by the last digit of its number) and is read by it exactly once with
// GetPolicy; so the shadowed reads see each seeded mistake exactly once. Of n policies (n a multiple of 1000):
//   acme      live     n/5  policies      globex  canary  3n/10 policies
//   initech   shadow   n/2  policies      northwind  off  none of its own; reads 3n/10 of initech's, without a shadow
// The first n/10 policies' histories are streamed by their tenant, initech and northwind list the first 100 policies
// in pages of five, and each tenant moves n/500 policies to another address before the reads begin.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

namespace insurer {

struct Tenant {
  std::string_view name;
  std::string_view stage;  // what policy.yaml says; here only for people
};
inline constexpr std::array<Tenant, 4> kTenants = {{{"northwind", "off"}, {"initech", "shadow"}, {"globex", "canary"}, {"acme", "live"}}};
inline constexpr std::size_t kNorthwind = 0, kInitech = 1, kGlobex = 2, kAcme = 3;

enum class Method { kGetPolicy, kListPolicies, kStreamHistory, kEndorseAddress };
std::string_view to_string(Method method);

inline constexpr std::size_t kPageSize = 5;

struct PlannedCall {
  Method method = Method::kGetPolicy;
  std::size_t index = 0;  // of the policy; of a page's first policy
};

struct TrafficPlan {
  std::array<std::vector<std::size_t>, kTenants.size()> writes;  // policies to move, by tenant
  // Policies that are read three times in turn, to see what Ficus and its shadows cost: from legacy directly, through
  // Ficus by northwind (no shadow), through Ficus by initech (shadowed).
  std::vector<std::size_t> latency;
  std::array<std::vector<PlannedCall>, kTenants.size()> reads;  // the rest, in the order they are sent
};

TrafficPlan make_plan(std::size_t policies);

}  // namespace insurer
