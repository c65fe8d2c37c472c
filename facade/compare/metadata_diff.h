// What answers can differ in beside their messages: metadata and latency. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "facade/compare/comparison.h"
#include "facade/compare/observation.h"
#include "facade/compare/path_rules.h"

namespace ficus {

// In the policy's order, a name once. Values of one name are compared in their order, wherever they stand: an answer of
// trailers only has no other place for what another answer says in its headers. A list of values and one value with
// commas are one (gRPC PROTOCOL-HTTP2.md, "Custom-Metadata"); binary values are compared as bytes, padded or not.
std::vector<Difference> metadata_differences(const Observation& legacy, const Observation& fresh,
                                             const PathRules& rules);

// google.rpc.Status, which gRPC servers say more of a failure with than its code.
inline constexpr std::string_view kStatusDetails = "grpc-status-details-bin";
// The bytes of a binary name's one value; absent: it came never or several times, or is no base64.
std::optional<std::string> binary_value(const Observation& side, std::string_view name);

// Whether new was slower than legacy by more than the rule allows; null: whatever it was, it is allowed.
bool too_slow(std::chrono::nanoseconds legacy, std::chrono::nanoseconds fresh, const LatencyRule* rule) noexcept;
std::optional<Difference> latency_difference(const Observation& legacy, const Observation& fresh,
                                             const PathRules& rules);

}  // namespace ficus
