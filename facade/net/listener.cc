#include "facade/net/listener.h"

#include <algorithm>

#include "facade/base/log.h"
#include "facade/metrics/families.h"

namespace ficus {

// One listening socket. The acceptor borrows the descriptor: `socket` owns it, so that it can be handed over.
struct Listener::Door {
  Door(asio::io_context& io, ListenSocket s, ClientSocketKind k)
      : socket(std::move(s)), kind(std::move(k)), acceptor(io), pause(io) {}
  ~Door() { close(); }

  // release() and not close(): a successor may hold the same open file description, which would then stay in our epoll
  // set although our descriptor is gone.
  void close() {
    pause.cancel();
    error_code ignored;
    if (acceptor.is_open()) acceptor.release(ignored);
    socket.fd.reset();
  }

  ListenSocket socket;
  ClientSocketKind kind;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  bool waiting = false;  // an accept or a pause is under way
};

Listener::Listener(std::vector<Worker*> workers, ListenerOptions options)
    : workers_(std::move(workers)), options_(options) {}

Listener::~Listener() = default;

Result<void, std::string> Listener::add(ListenSocket socket, ClientSocketKind kind) {
  auto door = std::make_unique<Door>(workers_.front()->io(), std::move(socket), std::move(kind));
  const bool ipv6 = door->socket.bound.host.find(':') != std::string::npos;
  error_code ec;
  door->acceptor.assign(ipv6 ? tcp::v6() : tcp::v4(), door->socket.fd.get(), ec);
  if (!ec) door->acceptor.non_blocking(true, ec);
  if (ec) return fail("cannot accept on " + to_string(door->socket.bound) + ": " + ec.message());
  doors_.push_back(std::move(door));
  return {};
}

std::vector<const ListenSocket*> Listener::sockets() const {
  std::vector<const ListenSocket*> sockets;
  for (const auto& door : doors_) sockets.push_back(&door->socket);
  return sockets;
}

void Listener::start() {
  accepting_ = true;
  for (const auto& door : doors_) {
    if (!door->waiting) accept_more(*door);
  }
}

void Listener::pause() {
  accepting_ = false;
  for (const auto& door : doors_) {
    error_code ignored;
    door->acceptor.cancel(ignored);
    door->pause.cancel();
  }
}

bool Listener::may_log(std::chrono::steady_clock::time_point& last) const {
  const auto now = std::chrono::steady_clock::now();
  if (now - last < kLogPause) return false;
  last = now;
  return true;
}

std::size_t Listener::clients() const {
  std::size_t count = 0;
  for (const Worker* worker : workers_) count += worker->client_connections();
  return count;
}

void Listener::accept_more(Door& door) {
  door.waiting = true;
  door.acceptor.async_accept([this, &door](error_code ec, tcp::socket socket) {
    door.waiting = false;
    if (!ec) hand_on(door, std::move(socket));
    if (!accepting_ || !door.acceptor.is_open()) return;
    if (ec == asio::error::no_descriptors || ec == boost::system::errc::too_many_files_open_in_system ||
        ec == asio::error::no_memory || ec == asio::error::no_buffer_space) {
      on_accept_failed(door, ec);
      return;
    }
    accept_more(door);
  });
}

void Listener::hand_on(Door& door, tcp::socket socket) {
  error_code ec;
  if (clients() >= options_.max_connections) {
    workers_.front()->metrics().counter(families::kLimits, {"client_connections"}).add();
    if (may_log(full_logged_)) {
      log_event(LogLevel::kWarn, "client_connections_full",
                "new clients are turned away; raise --max-connections, or look who holds so many connections",
                {{"max_connections", options_.max_connections}});
    }
    socket.close(ec);
    return;
  }
  Worker* least = *std::min_element(workers_.begin(), workers_.end(), [](const Worker* a, const Worker* b) {
    return a->client_connections() < b->client_connections();
  });
  const bool ipv6 = socket.local_endpoint(ec).protocol() == tcp::v6();
  const int descriptor = socket.release(ec);
  if (!ec) least->adopt_client({descriptor, ipv6, door.kind});
}

void Listener::on_accept_failed(Door& door, error_code ec) {
  workers_.front()->metrics().counter(families::kLimits, {"file_descriptors"}).add();
  if (may_log(failure_logged_)) {
    log_event(LogLevel::kError, "accept_failed", "cannot accept clients; raise the limit of open files (ulimit -Hn)",
              {{"listen", to_string(door.socket.bound)}, {"errno", ec.message()}});
  }
  door.waiting = true;
  door.pause.expires_after(kAcceptPause);
  door.pause.async_wait([this, &door](error_code) {
    door.waiting = false;
    if (accepting_ && door.acceptor.is_open()) accept_more(door);
  });
}

void Listener::stop() {
  accepting_ = false;
  for (const auto& door : doors_) {
    while (door->acceptor.is_open()) {
      tcp::socket socket(workers_.front()->io());
      error_code ec;
      door->acceptor.accept(socket, ec);
      if (ec) break;
      hand_on(*door, std::move(socket));
    }
    door->close();
  }
}

void Listener::leave() {
  accepting_ = false;
  for (const auto& door : doors_) door->close();
}

}  // namespace ficus
