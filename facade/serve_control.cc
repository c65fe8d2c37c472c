#include "facade/serve_control.h"

#include <sys/socket.h>

#include <utility>

#include "facade/base/log.h"

namespace ficus {
namespace {

// A door of ours at `path`, in place of what a dead process left there, or, if `in_its_place`, of the predecessor's.
// None if that listens there and keeps it. Whoever else listens there is an error.
Result<UnixDoor, std::string> claim_door(const std::string& path, pid_t predecessor, bool in_its_place) {
  const std::string what = "--control " + path;
  const auto lock = lock_door_directory(path);
  if (!lock) return fail(what + ": " + lock.error());
  if (path.size() <= longest_door_path()) {
    const auto seen = look_at_door(path, SOCK_STREAM);
    if (!seen) return fail(what + " " + seen.error());
    if (*seen) {
      const pid_t other = peer_process(seen->get()).pid;
      if (other != predecessor || predecessor == 0) {
        return fail(what + ": another process (pid " + std::to_string(other) +
                    ") listens there; stop it, name another path, or replace it with --takeover");
      }
      if (!in_its_place) return UnixDoor();
    }
  }
  auto door = put_door(path, SOCK_STREAM);
  if (!door) return fail(what + " " + door.error());
  return *std::move(door);
}

}  // namespace

ProcessFacts::Listener listener_facts(const ListenSocket& socket) {
  using Kind = ProcessFacts::Listener::Kind;
  switch (socket.kind) {
    case ListenKind::kPlain:
      return {Kind::kCleartext, to_string(socket.bound)};
    case ListenKind::kTls:
      return {Kind::kTls, to_string(socket.bound)};
    case ListenKind::kAdmin:
      break;
  }
  return {Kind::kAdmin, to_string(socket.bound)};
}

Result<void, std::string> ServeControl::claim(const std::string& path, pid_t predecessor) {
  if (path.empty()) return {};
  auto door = claim_door(path, predecessor, false);
  if (!door) return fail(door.error());
  path_ = path;
  predecessor_ = predecessor;
  door_ = *std::move(door);
  return {};
}

void ServeControl::serve(ControlSources sources) {
  if (path_.empty()) return;
  const auto unavailable = [](const std::string& why) {
    log_event(LogLevel::kError, "control_unavailable", "nobody can ask this process until a restart: " + why);
  };
  if (!door_) {
    auto door = claim_door(path_, predecessor_, true);
    if (!door) return unavailable(door.error());
    door_ = *std::move(door);
  }
  server_ = std::make_unique<ControlServer>(control_, std::move(sources), metrics_);
  if (const auto started = server_->start(); !started) {
    server_.reset();
    door_.close();
    return unavailable(started.error());
  }
  server_->accept(std::move(door_));
}

void ServeControl::drain() {
  if (server_ != nullptr) server_->set_serving(false);
}

void ServeControl::stop() {
  if (server_ != nullptr) server_->stop();
  door_.close();
}

}  // namespace ficus
