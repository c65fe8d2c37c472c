// How much of something a peer may do: so much at once, then so much a second (a token bucket). Pure: time is an
// argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ficus {

struct FloodLimit {
  std::uint32_t burst = 0;
  std::uint32_t per_second = 0;
};

class FloodGauge {
 public:
  // Counts one more. False: over the limit.
  bool take(const FloodLimit& limit, std::chrono::steady_clock::time_point now) noexcept {
    if (used_ < limit.burst) {
      ++used_;
      return true;
    }
    // What the time since `since_` has given back.
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_).count();
    const std::int64_t back = passed * static_cast<std::int64_t>(limit.per_second) / 1000;
    if (back <= 0) return false;
    since_ = now;
    used_ -= static_cast<std::uint32_t>(std::min<std::int64_t>(back, used_));
    ++used_;
    return true;
  }

 private:
  std::uint32_t used_ = 0;
  std::chrono::steady_clock::time_point since_{};
};

}  // namespace ficus
