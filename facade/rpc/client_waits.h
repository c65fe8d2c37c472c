// Calls that wait for their client: for the rest of a message it began, or for window to bring an answer out. Each
// holds one of its upstream's calls meanwhile, which others may want: who does not get on is ended after a time, or
// gives way once its upstream's limit is reached. A client that is silent between two messages is none of these: long
// streams are.
// Thread: a worker's.
#pragma once

#include <chrono>
#include <cstddef>

#include <boost/intrusive/list.hpp>

#include "facade/h2/stream_events.h"
#include "facade/net/timer_queue.h"
#include "facade/net/worker.h"

namespace ficus {

class Upstream;

// As on_shutdown is told; each is a limit's name in ficus_limit_hits_total.
inline constexpr ForcedEnd kMessageTime{"message_time", "the rest of a message did not come in time"};
inline constexpr ForcedEnd kStalledCalls{
    "stalled_calls", "a call that waited for its client gave way: its upstream's limit was reached"};

// What of a call waits, while it does. Over when destroyed.
class ClientWait : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  bool waiting() const noexcept { return is_linked(); }
  // The client sent or took so many bytes.
  void moved(std::size_t bytes) noexcept { moved_ += bytes; }
  void end() noexcept {
    if (is_linked()) unlink();
  }

 protected:
  ClientWait() = default;
  virtual ~ClientWait() = default;

 private:
  friend class ClientWaits;
  // Whose limit the call counts against; null: nobody's yet.
  virtual const Upstream* upstream() const = 0;
  // Not the client's fault now: we give it no window.
  virtual bool held_back() const = 0;
  // Ends the call.
  virtual void give_up(const ForcedEnd& why) = 0;

  std::chrono::steady_clock::time_point since_{};  // of the time over which moved_ counts
  std::size_t moved_ = 0;
};

class ClientWaits final : private Timer {
 public:
  using Duration = std::chrono::steady_clock::duration;
  // Below this many bytes a second a client does not get on: what Kestrel asks of request and response bodies (ASP.NET
  // Core, MinRequestBodyDataRate and MinResponseDataRate). Far below any line that is of use, and it keeps who sends a
  // byte now and then from counting as busy.
  static constexpr std::size_t kBytesPerSecond = 240;

  // A wait without progress over `patience` ends its call with kMessageTime; zero: none does. One that made none for
  // `stalled` gives way where another call wants its place. `worker` outlives this.
  ClientWaits(Worker& worker, Duration patience, Duration stalled) noexcept
      : worker_(worker), patience_(patience), stalled_(stalled) {}

  // Nothing where it waits already.
  void begin(ClientWait& wait) {
    if (!wait.waiting()) add(wait);
  }
  // Ends the call that has waited longest, of those to this upstream that made no progress; false: there is none.
  // Linear in the waits that are older than `stalled`, of other upstreams.
  bool make_room(const Upstream& upstream);

 private:
  void add(ClientWait& wait);
  void on_timer() override;
  // Whether it gets on, or is held back by us. Its time starts again then.
  bool gets_on(ClientWait& wait, std::chrono::steady_clock::time_point now);

  Worker& worker_;
  const Duration patience_, stalled_;
  // By since_, the oldest in front.
  boost::intrusive::list<ClientWait, boost::intrusive::constant_time_size<false>> waits_;
};

}  // namespace ficus
