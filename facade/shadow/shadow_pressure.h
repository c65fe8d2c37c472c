// Whether a worker is under pressure, so that new shadows wait: its event loop ran late, or its shadows hold all the
// bytes they may. A shadow costs about as much as the call it copies, and nobody waits for it: it goes first.
// Thread: the worker's.
#pragma once

#include <chrono>

#include "facade/metrics/metrics.h"
#include "facade/net/timer_queue.h"

namespace ficus {

class Worker;

// The rule without a clock or a loop.
class PressureRule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // How long pressure must be gone before shadows are begun again: long enough that one burst is not met with
  // shadows that switch on and off within it, short enough that coverage hardly shows it.
  static constexpr std::chrono::milliseconds kCalm{1000};
  // A loop that is this late adds more to a call than anything else the facade does (a full turn of 256 calls takes
  // about 1 ms).
  static constexpr std::chrono::milliseconds kMaxLag{5};

  // 0 judges no lag.
  explicit PressureRule(std::chrono::milliseconds max_lag) : max_lag_(max_lag) {}
  // The loop did something `lag` after its time. Returns whether that is pressure.
  bool on_lag(std::chrono::nanoseconds lag, TimePoint now) noexcept {
    if (max_lag_.count() == 0 || lag <= max_lag_) return false;
    press(now);
    return true;
  }
  // Pressure of another kind.
  void press(TimePoint now) noexcept { until_ = now + kCalm; }
  bool holds(TimePoint now) const noexcept { return now < until_; }

 private:
  const std::chrono::milliseconds max_lag_;
  TimePoint until_ = TimePoint::min();
};

// Feeds the rule: measures how late the loop runs a timer of its own, every 10 ms while calls are in a shadow share and
// for a second after the last one. A worker without shadows is never woken by it.
class ShadowPressure : private Timer {
 public:
  // `worker` outlives it.
  ShadowPressure(Worker& worker, std::chrono::milliseconds max_lag);

  // A call may be shadowed soon.
  void watch();
  // The budget of bytes is used up.
  void on_over_budget();
  // New shadows wait.
  bool holds() const noexcept;

 private:
  void on_timer() override;

  Worker& worker_;
  PressureRule rule_;
  TimePoint due_{};          // of the probe
  TimePoint watch_until_{};  // the probe goes on till then
};

}  // namespace ficus
