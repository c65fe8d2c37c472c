#include "facade/rpc/client_waits.h"

namespace ficus {

void ClientWaits::add(ClientWait& wait) {
  wait.since_ = worker_.now();
  wait.moved_ = 0;
  waits_.push_back(wait);
  // Armed for the front alone; it looks on from there.
  if (patience_.count() != 0 && !armed()) worker_.timers().arm(*this, wait.since_ + patience_);
}

bool ClientWaits::gets_on(ClientWait& wait, std::chrono::steady_clock::time_point now) {
  const std::chrono::duration<double> seconds = now - wait.since_;
  const bool fine = wait.held_back() || static_cast<double>(wait.moved_) >= seconds.count() * double{kBytesPerSecond};
  if (!fine) return false;
  wait.end();
  add(wait);
  return true;
}

void ClientWaits::on_timer() {
  const auto now = worker_.touch_clock();
  while (!waits_.empty() && waits_.front().since_ + patience_ <= now) {
    ClientWait& oldest = waits_.front();
    if (gets_on(oldest, now)) continue;
    oldest.end();
    oldest.give_up(kMessageTime);
  }
  if (!waits_.empty()) worker_.timers().arm(*this, waits_.front().since_ + patience_);
}

bool ClientWaits::make_room(const Upstream& upstream) {
  const auto now = worker_.now();
  for (auto it = waits_.begin(); it != waits_.end() && it->since_ + stalled_ <= now;) {
    ClientWait& wait = *it++;
    if (wait.upstream() != &upstream || gets_on(wait, now)) continue;
    wait.end();
    wait.give_up(kStalledCalls);
    return true;
  }
  return false;
}

}  // namespace ficus
