// Policy texts for the e2e tests, and the messages that go with them. Text in, text out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ficus::e2e {

// One upstream called "policy-new" (an address or several) that takes every method as the default upstream.
std::string pass_through_policy(const std::vector<std::string>& endpoints, const std::string& upstream_extra = {});
inline std::string pass_through_policy(const std::string& endpoint) {
  return pass_through_policy(std::vector{endpoint});
}

// Legacy and new sides of the capability "inquiry" (reads GetPolicy, ListPolicies, StreamHistory) and "address" (writes
// EndorseAddress) of insurance.policy.v1.PolicyService, tenant from x-tenant-id, consumer from x-consumer-id, product
// from x-product. What a test cares about is in `rules` (the items of the list, each line indented by two).
struct TwoSided {
  std::string legacy, new_;  // endpoints
  std::string rules;
  std::string inquiry_extra;            // more lines of the capability "inquiry", indented by four
  std::string legacy_extra, new_extra;  // more fields of an upstream's flow mapping: ", metadata: {...}"
  std::string top_extra;                // more top-level keys
  bool schema = true;                   // insurance.pb, see insurance_schema()
  bool default_upstream = true;
  int epoch = 1;
};
std::string two_sided_policy(const TwoSided& parts);
inline constexpr std::string_view kService = "/insurance.policy.v1.PolicyService/";
inline std::string method(std::string_view name) { return std::string(kService) + std::string(name); }
// The FileDescriptorSet of insurance.policy.v1, to stand beside the policy as "insurance.pb".
std::string insurance_schema();
// A GetPolicyRequest for that policy number, in wire format; with `padding` bytes of an unknown field before the key.
std::string get_policy_request(std::string_view number, std::size_t padding = 0);

// Deterministic bytes that do not compress: byte i of stream `seed`.
std::string noise(std::size_t size, std::uint64_t seed = 1);

}  // namespace ficus::e2e
