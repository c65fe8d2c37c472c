#include "facade/rpc/client_waits.h"

namespace ficus {
namespace {

using std::chrono::seconds;

// How long a call may stand still before it gives way, where another would be refused in its place. Who sends a message
// has it: a second is several round trips over an ocean. Who reads an answer may be at work on it: that yields to
// clients with fewer calls only, and after half a minute to anyone. A stream that is silent both ways yields as late as
// a message that stands still ends, to clients with fewer calls only: to be refused costs less than to be cut.
constexpr seconds kStalledMessage{1}, kSlowAnswer{5}, kStalledAnswer{30};

ClientWaits::Duration message_limit(const Worker& worker) noexcept {
  const auto timeout = worker.manners().message_timeout;
  return timeout.count() == 0 ? ClientWaits::kNever : ClientWaits::Duration(timeout);
}

}  // namespace

ClientWaits::Patience patience_with_keys(const Worker& worker) noexcept {
  return {message_limit(worker), ClientWaits::kNever, ClientWaits::kNever};
}

UpstreamWaits::UpstreamWaits(Worker& worker) noexcept
    : messages(worker, {message_limit(worker), kStalledMessage, kStalledMessage}),
      silences(worker, {ClientWaits::kNever, ClientWaits::kNever, message_limit(worker), false}),
      answers(worker, {ClientWaits::kNever, kStalledAnswer, kSlowAnswer}) {}

void ClientWaits::arm() { worker_.timers().arm(*this, waits_.front().since_ + patience_.limit); }

bool ClientWaits::gets_on(ClientWait& wait, Time now) {
  const double due = std::chrono::duration<double>(now - wait.since_).count() * double{kBytesPerSecond};
  const auto enough = [&] {
    if (!patience_.by_rate) return wait.moved_ != 0;
    if (static_cast<double>(wait.moved_) >= due) return true;
    const ClientWait::Client client = wait.client();
    return static_cast<double>(client.received - wait.received_at_) >= due * static_cast<double>(client.calls);
  };
  if (!wait.held_back() && !enough()) return false;
  wait.end();
  add(wait, wait.client().received);
  return true;
}

void ClientWaits::on_timer() {
  const Time now = worker_.touch_clock();
  while (!waits_.empty() && now - waits_.front().since_ >= patience_.limit) {
    ClientWait& oldest = waits_.front();
    if (gets_on(oldest, now)) continue;
    oldest.end();
    oldest.give_up(kMessageTime);
  }
  if (!waits_.empty()) arm();
}

bool ClientWaits::make_room(std::size_t places) {
  const Time now = worker_.now();
  for (auto it = waits_.begin(); it != waits_.end() && now - it->since_ >= patience_.greedy;) {
    ClientWait& wait = *it++;
    if (now - wait.since_ < patience_.stalled && wait.client().places <= places + 1) continue;
    if (gets_on(wait, now)) continue;
    wait.end();
    wait.give_up(kStalledCalls);
    return true;
  }
  return false;
}

}  // namespace ficus
