// What a connection looks at when its one timer fires: each thing that may be due says when, and the earliest that is
// not due yet is when to look again. So nothing re-arms a timer for every read or call. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ficus {

class Agenda {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit Agenda(TimePoint now) : now_(now) {}
  TimePoint now() const noexcept { return now_; }
  // Whether the time has come; if not, it is noted.
  bool due(TimePoint at) noexcept {
    if (at <= now_) return true;
    note(at);
    return false;
  }
  void note(TimePoint at) noexcept { next_ = std::min(next_, at); }
  // The earliest noted; TimePoint::max(): nothing is to come.
  TimePoint next() const noexcept { return next_; }

 private:
  TimePoint now_;
  TimePoint next_ = TimePoint::max();
};

// Whether the peer is still there: a PING after a silence, and an end if nothing at all comes for so long after it.
class Keepalive {
 public:
  using TimePoint = Agenda::TimePoint;
  enum class Verdict : std::uint8_t { kFine, kPing, kDead };
  explicit Keepalive(TimePoint now) : heard_(now) {}
  // Bytes came, of whatever kind.
  void heard(TimePoint now) noexcept { heard_ = now; }
  // kPing: send one now. Interval 0: never. `wanted` false: no PING for the time being, and a silence is no fault.
  Verdict look(Agenda& agenda, std::chrono::milliseconds interval, std::chrono::milliseconds timeout, bool wanted) {
    if (interval.count() == 0) return Verdict::kFine;
    if (asked_ && heard_ > asked_at_) asked_ = false;
    if (asked_) return agenda.due(asked_at_ + timeout) ? Verdict::kDead : Verdict::kFine;
    if (!wanted) {
      // Looked at again, since nobody tells when it is wanted.
      agenda.note(agenda.now() + interval);
      return Verdict::kFine;
    }
    if (!agenda.due(heard_ + interval)) return Verdict::kFine;
    asked_ = true;
    asked_at_ = agenda.now();
    agenda.note(asked_at_ + timeout);
    return Verdict::kPing;
  }

 private:
  TimePoint heard_;
  TimePoint asked_at_{};
  bool asked_ = false;
};

}  // namespace ficus
