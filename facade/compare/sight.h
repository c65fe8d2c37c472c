// What needs no comparing: two small answers that are the same byte for byte. Pure.
#pragma once

#include <cstddef>

#include "facade/compare/observation.h"
#include "routing/policy.h"

namespace ficus {

// Messages of one answer, and their bytes, that are looked at on the worker itself. Comparing this much costs at most
// half a microsecond; handing a job to another thread costs several (tests/bench/README.md, "Shadows").
inline constexpr std::size_t kSightBytes = 16 * 1024;
inline constexpr std::size_t kSightMessages = 16;

// True: diff_responses would say kMatch and nothing else, whatever the schema and the rules, as long as `latency` is
// what CompareSpec::latency_of() says of them. False: it must be asked. Any thread.
bool equal_at_sight(const Observation& primary, const Observation& shadow, const LatencyRule* latency = nullptr);

}  // namespace ficus
