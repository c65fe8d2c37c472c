// The successor's side of a takeover, in blocking steps: greets the running facade and gets its sockets; says when it
// is ready; serves when the other accepts no more. Main thread, before the control loop runs.
#pragma once

#include <chrono>
#include <string>

#include "facade/base/unique_fd.h"
#include "facade/base/unix_door.h"
#include "facade/net/takeover_channel.h"
#include "routing/result.h"

namespace ficus {

class TakeoverClient {
 public:
  // The running facade answers between two events of its control loop; the longest is loading a policy, well below a
  // second. Longer than this: it hangs, and a person must look.
  static constexpr std::chrono::milliseconds kAnswerTimeout{10'000};

  // Greets whoever is at the other end of `connection` (takeover_path.h). Error: a sentence: the process is another
  // user's, another version's, refuses, does not answer, or ended.
  static Result<TakeoverClient, std::string> begin(UniqueFd connection,
                                                   std::chrono::milliseconds limit = kAnswerTimeout);

  // What the running facade gave. The caller moves out of it.
  TakeoverOffer& offer() noexcept { return offer_; }
  const PeerProcess& predecessor() const noexcept { return peer_; }

  // Everything is ready but the accepting. True: the predecessor accepts no more; false: it is gone (it was stopped
  // meanwhile, or died), and the sockets are ours alone. Error: a sentence; it goes on serving.
  Result<bool, std::string> ready(std::chrono::milliseconds limit = kAnswerTimeout);
  // To be called when nothing can fail any more, just before accepting. Error: the predecessor no longer waits for us,
  // and goes on serving.
  Result<void, std::string> serving();
  // Tells the predecessor why there will be no successor.
  void give_up(const std::string& why);
  // Readable (end of file) when the predecessor has ended.
  UniqueFd take_connection() noexcept { return std::move(connection_); }

 private:
  UniqueFd connection_;
  PeerProcess peer_;
  TakeoverOffer offer_;
};

}  // namespace ficus
