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
    if (used_ == 0) {
      since_ = now;  // a full bucket gains nothing
    } else if (now > since_) {
      give_back(limit, now);
    }
    if (used_ >= limit.burst) return false;
    ++used_;
    return true;
  }

  // So many of those counted were asked for.
  void forgive(std::uint32_t count) noexcept { used_ -= std::min(used_, count); }

 private:
  void give_back(const FloodLimit& limit, std::chrono::steady_clock::time_point now) noexcept {
    const std::int64_t passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_).count();
    const std::int64_t back = passed * std::int64_t{limit.per_second} / 1000;
    if (back == 0) return;
    if (back >= std::int64_t{used_}) {
      used_ = 0;
      since_ = now;
      return;
    }
    used_ -= static_cast<std::uint32_t>(back);
    // Only the time that was worth whole ones is spent: however often we are asked, per_second is what comes back.
    since_ += std::chrono::milliseconds(back * 1000 / limit.per_second);
  }

  std::uint32_t used_ = 0;
  std::chrono::steady_clock::time_point since_{};  // what came back until here is taken off used_
};

}  // namespace ficus
