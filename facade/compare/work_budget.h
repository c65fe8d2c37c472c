// How much one comparison may still do: elements and time. Once over, everything that asks winds up at once, and the
// comparison is incomparable{reason}. One comparison, one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>

namespace ficus {

class WorkBudget {
 public:
  using Clock = std::chrono::steady_clock;

  // `now` outlives the budget.
  WorkBudget(std::size_t elements, std::chrono::milliseconds time, const std::function<Clock::time_point()>& now)
      : left_(elements), now_(now), deadline_(now() + time) {}

  // Takes `n` elements; false once the budget is over. The clock is read every kClockEvery elements.
  bool spend(std::size_t n = 1) {
    if (stopped()) return false;
    if (n > left_) {
      stop("too_large");
      return false;
    }
    left_ -= n;
    since_clock_ += n;
    if (since_clock_ >= kClockEvery) {
      since_clock_ = 0;
      return check_clock();
    }
    return true;
  }

  // False once the time is over. Called also after a step whose length is unknown (inflating, parsing).
  bool check_clock() {
    if (!stopped() && now_() >= deadline_) stop("timeout");
    return !stopped();
  }

  // `reason` is static text. The first reason stays.
  void stop(std::string_view reason) {
    if (reason_.empty()) reason_ = reason;
  }
  bool stopped() const { return !reason_.empty(); }
  std::string_view reason() const { return reason_; }

 private:
  static constexpr std::size_t kClockEvery = 256;

  std::size_t left_;
  std::size_t since_clock_ = 0;
  const std::function<Clock::time_point()>& now_;
  Clock::time_point deadline_;
  std::string_view reason_;
};

}  // namespace ficus
