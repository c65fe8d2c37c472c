// Compares what two upstreams answered to the same read. Pure: libprotobuf only; no thread, no clock but a deadline.
#pragma once

#include <chrono>
#include <functional>
#include <string_view>

#include "facade/compare/comparison.h"
#include "facade/compare/descriptor_store.h"
#include "facade/compare/observation.h"
#include "routing/policy.h"

namespace ficus {

// Each limit ends a comparison as incomparable{name}.
struct CompareLimits {
  std::size_t inflated_bytes = 8u << 20;    // a message after decompression; "too_large"
  std::size_t elements = 100'000;           // fields and list entries of all messages of both sides; "too_large"
  std::size_t unordered_elements = 20'000;  // entries of one `unordered` field (held in canonical form); "too_large"
  std::chrono::milliseconds time{1000};     // "timeout"
  std::size_t differences = 100;            // kept in a Comparison; the rest are counted, never lost from the verdict
  int recursion = 64;                       // message nesting, through Any too; "too_deep"
};

// POLICY 6. Whether the two may be compared at all is judged first, in the order the policy page gives: primary
// failed in transport or cancelled -> incomparable{primary_failed}; shadow ended in UNAVAILABLE, RESOURCE_EXHAUSTED,
// DEADLINE_EXCEEDED -> abandoned{shadow_<code>}; over the capture limit -> abandoned{...}; else by what differs.
// Rules of that method count beside the capability's. Where the statuses are the same, messages are compared, then the
// metadata and latency that the rules name. Equal bytes are alike without decoding. `store` may be null: bytes equal or
// incomparable{no_schema}. `now` is asked for the time limit. Any thread.
Comparison diff_responses(const Observation& primary, const Observation& shadow, std::string_view service,
                          std::string_view method, const CompareSpec& rules, const DescriptorStore* store,
                          const CompareLimits& limits,
                          const std::function<std::chrono::steady_clock::time_point()>& now);

}  // namespace ficus
