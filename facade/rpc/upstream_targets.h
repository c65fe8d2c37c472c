// A policy's upstream as one worker's pools take it: plain values in, plain values out.
#pragma once

#include <cstddef>

namespace ficus {

struct UpstreamInfo;
struct UpstreamTarget;

// A worker's part of a facade-wide limit: rounded up, so that no worker is left without.
constexpr std::size_t share_of_limit(std::size_t limit, unsigned workers) noexcept {
  return (limit + workers - 1) / workers;
}

// Pure; any thread. `workers` is at least 1.
UpstreamTarget target_of(const UpstreamInfo& info, unsigned workers);

}  // namespace ficus
