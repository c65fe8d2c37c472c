// How a starting `ficus serve` comes by its sockets when another one may be running: finds it, takes its sockets and
// learns its policy, and takes over when everything else is ready.
// Main thread, before the control loop runs; blocks (bounded).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "facade/net/socket_plan.h"
#include "facade/net/takeover_client.h"
#include "facade/net/takeover_path.h"
#include "routing/policy.h"
#include "routing/result.h"

namespace ficus {

class Succession {
 public:
  // Looks at `path` (empty: does nothing at all). If a facade runs there, `plan` is filled with its sockets; else the
  // path is ours from now on. Error: a sentence; the other facade goes on.
  static Result<Succession, std::string> begin(const std::string& path, SocketPlan& plan);

  // Whether there is a predecessor.
  bool succeeds() const noexcept { return client_.has_value(); }
  // What it serves by; null without one.
  const std::shared_ptr<const Policy>& policy() const noexcept { return policy_; }
  // Everything but the accepting is ready. After this the predecessor accepts no more, and the path is ours. Error: a
  // sentence; the predecessor goes on, and we must not accept.
  Result<void, std::string> take_over();
  // There will be no successor; the predecessor is told why.
  void give_up(const std::string& why);

  // Where our own successor will come; empty if it could not be made (logged) or no path was given.
  TakeoverDoor take_door() noexcept { return std::move(door_); }
  // Ends (end of file) when the predecessor does; empty if there is none any more.
  UniqueFd take_connection() noexcept { return client_ ? client_->take_connection() : UniqueFd(); }
  pid_t predecessor_pid() const noexcept { return client_ ? client_->predecessor().pid : 0; }

 private:
  std::string path_;
  std::optional<TakeoverClient> client_;
  std::shared_ptr<const Policy> policy_;
  TakeoverDoor door_;
};

}  // namespace ficus
