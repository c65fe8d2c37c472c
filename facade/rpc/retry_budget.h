// How many reads one worker may send again to spare its clients an upstream's failures, without adding to an outage:
// a part of the reads of the last ten seconds.
// Thread: the worker's. Time is an argument.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "routing/vocabulary.h"

namespace ficus {

class RetryBudget {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // Long enough to have a share of something, short enough to follow the load. Finagle's RetryBudget counts over 10 s.
  static constexpr std::chrono::seconds kWindow{10};
  // May be sent again in a window whatever the share says: with few reads no share is ever a whole one.
  static constexpr std::uint32_t kLeast = 3;

  // A read that might be sent again was sent for the first time. A few nanoseconds.
  void add_read(Time now) noexcept { ++slot(now).reads; }
  // Whether one more may be sent again; if so it is counted. Limit "retry_budget" (counted by the caller).
  bool take(Time now, Percent share) noexcept;

 private:
  static constexpr std::size_t kSlots = kWindow.count();  // of a second each
  struct Slot {
    std::int64_t second = -1;
    std::uint64_t reads = 0, repeats = 0;
  };
  static std::int64_t second_of(Time now) noexcept {
    return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  }
  Slot& slot(Time now) noexcept;

  std::array<Slot, kSlots> slots_{};
};

}  // namespace ficus
