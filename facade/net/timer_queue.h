// Many timers on one: intrusive, so that arming and cancelling allocate nothing. Thread: its worker's.
#pragma once

#include <chrono>
#include <functional>

#include <boost/intrusive/set.hpp>

#include "facade/net/asio.h"
#include "facade/net/recycled_handler.h"

namespace ficus {

// One thing that happens at a time. Cancelled when destroyed.
class Timer : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual void on_timer() = 0;
  bool armed() const noexcept { return is_linked(); }
  // Precondition: armed().
  TimePoint at() const noexcept { return at_; }
  void cancel() noexcept {
    if (is_linked()) unlink();
  }
  bool operator<(const Timer& that) const noexcept { return at_ < that.at_; }

 protected:
  Timer() = default;
  virtual ~Timer() = default;

 private:
  friend class TimerQueue;
  TimePoint at_{};
};

// Timers fire in order, none before its time; a millisecond late at the most while the loop is idle. About 100 ns to
// arm or cancel among a thousand.
class TimerQueue {
 public:
  explicit TimerQueue(asio::io_context& io) : timer_(io) {}

  // Arms it, anew if it was armed. `timer` must be cancelled or destroyed before the queue.
  void arm(Timer& timer, Timer::TimePoint at) {
    timer.cancel();
    timer.at_ = at;
    timers_.insert(timer);
    // The system's timer stays where it is when something earlier is cancelled: it then finds nothing due, and moves
    // on.
    if (at < wakes_at_) wake_at(at);
  }

 private:
  void wake_at(Timer::TimePoint at) {
    wakes_at_ = at;
    timer_.expires_at(at);
    timer_.async_wait(recycled([this](error_code ec) {
      if (!ec) on_wake();
    }));
  }
  void on_wake() {
    wakes_at_ = Timer::TimePoint::max();
    const auto now = std::chrono::steady_clock::now();
    while (!timers_.empty() && timers_.begin()->at_ <= now) {
      Timer& due = *timers_.begin();
      due.cancel();
      due.on_timer();
    }
    if (!timers_.empty() && timers_.begin()->at_ < wakes_at_) wake_at(timers_.begin()->at_);
  }

  asio::steady_timer timer_;
  Timer::TimePoint wakes_at_ = Timer::TimePoint::max();
  boost::intrusive::multiset<Timer, boost::intrusive::constant_time_size<false>> timers_;
};

}  // namespace ficus
