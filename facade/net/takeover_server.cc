#include "facade/net/takeover_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "facade/base/log.h"

namespace ficus {

using Descriptor = asio::posix::stream_descriptor;

struct TakeoverServer::Impl : std::enable_shared_from_this<TakeoverServer::Impl> {
  // One process that came to the door.
  struct Visitor {
    Visitor(asio::io_context& io, int fd) : socket(io), peer(peer_process(fd)), timer(io) {}
    Descriptor socket;
    const PeerProcess peer;
    asio::steady_timer timer;
    enum class State { kCame, kOffered, kYielded, kServes } state = State::kCame;
  };

  Impl(asio::io_context& io, TakeoverDoor given, TakeoverHooks h, std::chrono::milliseconds timeout)
      : control(io),
        path(given.path()),
        door(std::move(given)),
        listening(io),
        hooks(std::move(h)),
        ready_timeout(timeout) {}

  asio::io_context& control;
  const std::string path;
  TakeoverDoor door;
  Descriptor listening;  // the door's descriptor, watched; owned by the door
  TakeoverHooks hooks;
  const std::chrono::milliseconds ready_timeout;
  std::shared_ptr<Visitor> successor;         // the one that was offered the sockets
  std::set<std::shared_ptr<Visitor>> others;  // those that have not said hello
  bool closed = false;

  static constexpr std::chrono::milliseconds kHelloTimeout{5000};
  static constexpr std::size_t kMaxOthers = 16;

  void watch_door() {
    error_code ec;
    listening.assign(door.fd().get(), ec);
    if (ec) {
      log_event(LogLevel::kError, "takeover_unavailable", "no successor can take over", {{"errno", ec.message()}});
      return;
    }
    wait_at_door();
  }

  void wait_at_door() {
    listening.async_wait(Descriptor::wait_read, [self = shared_from_this()](error_code ec) {
      if (ec || self->closed || !self->listening.is_open()) return;
      const int fd = ::accept4(self->listening.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) self->welcome(fd);
      self->wait_at_door();
    });
  }

  void welcome(int fd) {
    const auto visitor = std::make_shared<Visitor>(control, fd);
    error_code ec;
    visitor->socket.assign(fd, ec);
    if (ec) {
      ::close(fd);
      return;
    }
    if (!visitor->peer.trusted()) {
      log_event(LogLevel::kWarn, "takeover_refused", "a process of another user asked to take over",
                {{"pid", visitor->peer.pid}, {"uid", visitor->peer.uid}});
      refuse(*visitor, "only the user that runs ficus, or root, may take over");
      return;
    }
    if (others.size() >= kMaxOthers) {
      refuse(*visitor, "too many processes want to take over; try again");
      return;
    }
    others.insert(visitor);
    visitor->timer.expires_after(kHelloTimeout);
    visitor->timer.async_wait([self = shared_from_this(), visitor](error_code late) {
      if (!late && self->others.erase(visitor) != 0) self->hang_up(*visitor);
    });
    listen_to(visitor);
  }

  void listen_to(const std::shared_ptr<Visitor>& visitor) {
    visitor->socket.async_wait(Descriptor::wait_read, [self = shared_from_this(), visitor](error_code ec) {
      if (ec || self->closed || !visitor->socket.is_open()) return;
      const TakeoverMessage message = receive_takeover(visitor->socket.native_handle());
      if (message.what == TakeoverMessage::What::kNotYet || self->on_message(visitor, message)) {
        self->listen_to(visitor);
      }
    });
  }

  // False: the visitor is done with.
  bool on_message(const std::shared_ptr<Visitor>& visitor, const TakeoverMessage& message) {
    using What = TakeoverMessage::What;
    const bool word = message.what == What::kWord;
    switch (visitor->state) {
      case Visitor::State::kCame:
        visitor->timer.cancel();
        others.erase(visitor);
        if (message.what == What::kOtherVersion) {
          const std::string why = "the running facade speaks version " + std::to_string(kTakeoverVersion) +
                                  " of the takeover and its successor version " + std::to_string(message.version) +
                                  "; stop the running one (SIGTERM), then start the new one";
          log_event(LogLevel::kWarn, "takeover_refused", why, {{"pid", visitor->peer.pid}});
          return refuse(*visitor, why);
        }
        if (!word || message.word != TakeoverWord::kHello) return hang_up(*visitor);
        return begin(visitor);
      case Visitor::State::kOffered:
        if (word && message.word == TakeoverWord::kReady) return yield(visitor);
        break;
      case Visitor::State::kYielded:
        if (word && message.word == TakeoverWord::kServing) return finish(visitor);
        break;
      case Visitor::State::kServes:
        return false;  // it ended before we did; what we drain goes on
    }
    if (word && message.word == TakeoverWord::kRefused) {
      lose(visitor, "the successor gave up: " + message.body);
    } else if (message.what == What::kGone) {
      lose(visitor, "the successor ended before it served");
    } else {
      lose(visitor, "the successor said something that was not expected");
    }
    return false;
  }

  bool begin(const std::shared_ptr<Visitor>& visitor) {
    std::string why = hooks.refusal();
    if (why.empty() && successor != nullptr) {
      why = "another successor (pid " + std::to_string(successor->peer.pid) + ") is starting already";
    }
    if (!why.empty()) {
      log_event(LogLevel::kWarn, "takeover_refused", why, {{"pid", visitor->peer.pid}});
      return refuse(*visitor, why);
    }
    successor = visitor;
    visitor->state = Visitor::State::kOffered;
    log_event(LogLevel::kInfo, "takeover_begun",
              "a successor is starting; this process serves until it is ready, and keeps its policy as it is",
              {{"pid", visitor->peer.pid}, {"timeout_ms", static_cast<std::int64_t>(ready_timeout.count())}});
    visitor->timer.expires_after(ready_timeout);
    visitor->timer.async_wait([self = shared_from_this(), visitor](error_code ec) {
      if (ec || self->successor != visitor || visitor->state == Visitor::State::kServes) return;
      const std::string late =
          "the successor was not ready within " + std::to_string(self->ready_timeout.count()) + " ms";
      self->refuse(*visitor, late + " (--takeover-timeout)");
      self->lose(visitor, late);
    });
    const auto sent = send_offer(visitor->socket.native_handle(), hooks.sockets(), hooks.policy());
    if (sent) return true;
    refuse(*visitor, sent.error());
    lose(visitor, sent.error());
    return false;
  }

  bool yield(const std::shared_ptr<Visitor>& visitor) {
    visitor->state = Visitor::State::kYielded;
    hooks.yield();
    if (send_takeover(visitor->socket.native_handle(), TakeoverWord::kYielded)) return true;
    lose(visitor, "the successor ended before it served");
    return false;
  }

  // The connection stays open: its end tells the successor that we are gone.
  bool finish(const std::shared_ptr<Visitor>& visitor) {
    visitor->state = Visitor::State::kServes;
    visitor->timer.cancel();
    log_event(LogLevel::kInfo, "taken_over", "the successor serves; what is in flight here ends here",
              {{"pid", visitor->peer.pid}});
    close_door();
    hooks.leave();
    return false;
  }

  void lose(const std::shared_ptr<Visitor>& visitor, const std::string& why) {
    if (successor != visitor) return;
    const PeerProcess peer = visitor->peer;
    const bool yielded = visitor->state == Visitor::State::kYielded;
    hang_up(*visitor);
    successor = nullptr;
    log_event(LogLevel::kError, "takeover_failed", why + "; this process goes on serving", {{"pid", peer.pid}});
    hooks.resume();
    // It may have put its own socket in the door's place before it failed.
    if (!yielded || !listening.is_open() || door.named()) return;
    close_door();
    auto again = claim_from(path, peer);
    if (!again) {
      log_event(LogLevel::kError, "takeover_unavailable",
                "no successor can take over until a restart: " + again.error());
      return;
    }
    door = *std::move(again);
    watch_door();
  }

  bool refuse(Visitor& visitor, const std::string& why) {
    send_takeover(visitor.socket.native_handle(), TakeoverWord::kRefused, why);
    return hang_up(visitor);
  }

  bool hang_up(Visitor& visitor) {
    visitor.timer.cancel();
    error_code ignored;
    visitor.socket.close(ignored);
    return false;
  }

  void close_door() {
    if (listening.is_open()) listening.release();
    door.close();
  }

  void close() {
    closed = true;
    close_door();
    for (const auto& visitor : others) hang_up(*visitor);
    others.clear();
    if (successor != nullptr) hang_up(*successor);
    successor = nullptr;
  }
};

TakeoverServer::TakeoverServer(asio::io_context& control, TakeoverDoor door, TakeoverHooks hooks,
                               std::chrono::milliseconds ready_timeout)
    : impl_(std::make_shared<Impl>(control, std::move(door), std::move(hooks), ready_timeout)) {}

TakeoverServer::~TakeoverServer() { impl_->close(); }

void TakeoverServer::start() { impl_->watch_door(); }

void TakeoverServer::stop() { impl_->close_door(); }

}  // namespace ficus
