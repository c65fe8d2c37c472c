// Calls that wait for their client: for the rest of a message it began, for its next message, or for window to bring an
// answer out. Each holds one of its upstream's calls meanwhile, which others may want: who does not get on with a
// message is ended after a time, and whoever stands still gives way once the upstream's limit is reached.
// Thread: a worker's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/intrusive/list.hpp>

#include "facade/h2/stream_events.h"
#include "facade/net/timer_queue.h"
#include "facade/net/worker.h"

namespace ficus {

// As on_shutdown is told; each is a limit's name in ficus_limit_hits_total.
inline constexpr ForcedEnd kMessageTime{"message_time", "the rest of a message did not come in time"};
inline constexpr ForcedEnd kStalledCalls{
    "stalled_calls", "a call that waited for its client gave way: its upstream's limit was reached"};

// What of a call waits, while it does. Over when destroyed.
class ClientWait : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  bool waiting() const noexcept { return is_linked(); }
  // The call got on by so many bytes: the client sent or took them, or what it had sent went on to the upstream, so
  // that it may send more.
  void moved(std::size_t bytes) noexcept { moved_ += bytes; }
  void end() noexcept {
    if (is_linked()) unlink();
  }

 protected:
  struct Client {
    std::uint64_t received;  // bytes of bodies on its connection, ever
    std::size_t calls;       // open on its connection
    std::size_t places;      // of them, those at the upstream that this call is at
  };
  ClientWait() = default;
  virtual ~ClientWait() = default;

 private:
  friend class ClientWaits;
  virtual Client client() const = 0;
  // Not the client's fault now: we give it no window.
  virtual bool held_back() const = 0;
  // Ends the call.
  virtual void give_up(const ForcedEnd& why) = 0;

  std::chrono::steady_clock::time_point since_{};  // of the time over which moved_ counts
  std::uint64_t received_at_ = 0;                  // Client::received then
  std::size_t moved_ = 0;
};

// Those that wait for the same.
class ClientWaits final : private Timer {
 public:
  using Duration = std::chrono::steady_clock::duration;
  // Below this many bytes a second a client does not get on: what Kestrel asks of request and response bodies (ASP.NET
  // Core, MinRequestBodyDataRate and MinResponseDataRate). Far below any line that is of use, and it keeps who sends a
  // byte now and then from counting as busy. A connection that receives so much for each of its calls gets on with all
  // of them: many uploads that share a slow line take turns.
  static constexpr std::size_t kBytesPerSecond = 240;
  static constexpr Duration kNever = Duration::max();

  struct Patience {
    Duration limit;    // without progress over this, a call ends with kMessageTime; kNever: none does
    Duration stalled;  // over this, it gives way to any other
    Duration greedy;   // over this, it gives way to a client that will still have fewer calls at the upstream than its
                       // own; at most `stalled`
    bool by_rate = true;  // progress is kBytesPerSecond; false: any byte
  };
  // `worker` outlives this.
  ClientWaits(Worker& worker, const Patience& patience) noexcept : worker_(worker), patience_(patience) {}

  // `received`: Client::received now. Nothing where it waits already.
  void begin(ClientWait& wait, std::uint64_t received) {
    if (!wait.waiting()) add(wait, received);
  }
  // Ends the call that has stood still longest, for the sake of one more of a client with so many `places`; false:
  // there is none that has to. Linear in the waits, each looked at once in patience.greedy but for those of small
  // clients.
  bool make_room(std::size_t places);

 private:
  using Time = std::chrono::steady_clock::time_point;
  void add(ClientWait& wait, std::uint64_t received) {
    wait.since_ = worker_.now();
    wait.received_at_ = received;
    wait.moved_ = 0;
    waits_.push_back(wait);
    // Armed for the front alone; it looks on from there.
    if (!armed() && patience_.limit != kNever) arm();
  }
  void arm();
  void on_timer() override;
  // Whether it gets on, or is held back by us. Its time starts again then.
  bool gets_on(ClientWait& wait, Time now);

  Worker& worker_;
  const Patience patience_;
  // By since_, the oldest in front.
  boost::intrusive::list<ClientWait, boost::intrusive::constant_time_size<false>> waits_;
};

// All waits of the calls at one upstream.
struct UpstreamWaits {
  explicit UpstreamWaits(Worker& worker) noexcept;
  bool make_room(std::size_t places) {
    return messages.make_room(places) || answers.make_room(places) || silences.make_room(places);
  }
  ClientWaits messages;  // for the rest of one
  ClientWaits silences;  // for the next one
  ClientWaits answers;   // for window
};

// Of calls that are at no upstream yet, since the key that says which is in a message to come.
ClientWaits::Patience patience_with_keys(const Worker& worker) noexcept;

}  // namespace ficus
