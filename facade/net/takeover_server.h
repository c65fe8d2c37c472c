// The running facade's side of a takeover: waits at its door for a successor, hands the sockets over, and says when the
// successor serves. Until then nothing is given up: whatever goes wrong, this process goes on as before.
// Thread: the control io_context's, but for the constructor.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "facade/net/asio.h"
#include "facade/net/takeover_channel.h"
#include "facade/net/takeover_path.h"
#include "routing/result.h"

namespace ficus {

struct TakeoverHooks {
  // A successor asks. Empty: it may begin; else the sentence it is refused with ("draining already").
  std::function<std::string()> refusal;
  // What is handed over. From now on until resume() or leave() the policy in force must not change: the successor
  // checks its own against it.
  std::function<std::vector<const ListenSocket*>()> sockets;
  std::function<std::string()> policy;
  // The successor is ready: accept no more, but keep the sockets.
  std::function<void()> yield;
  // The successor is lost: accept again (also called when nothing was yielded), let policies change again.
  std::function<void()> resume;
  // The successor serves: drain and end.
  std::function<void()> leave;
};

class TakeoverServer {
 public:
  // How long a successor may take from its hello until it serves. A start takes as long as loading the policy and its
  // schemas (0.2 s for 100,000 tenants) and warming connections (2 s at the most): a minute is thirty times that, and a
  // successor that hangs costs nothing but the policy's freeze. Flag --takeover-timeout.
  static constexpr std::chrono::milliseconds kReadyTimeout{60'000};

  TakeoverServer(asio::io_context& control, TakeoverDoor door, TakeoverHooks hooks,
                 std::chrono::milliseconds ready_timeout = kReadyTimeout);
  ~TakeoverServer();
  // Begins to wait for successors.
  void start();
  // Takes no more successors and removes the path's name; one that is starting still gets its answers. For a drain that
  // nobody takes over from.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ficus
