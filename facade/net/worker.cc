#include "facade/net/worker.h"

#include <unistd.h>

#include "facade/base/log.h"
#include "facade/net/h2_session.h"
#include "facade/net/lingering_close.h"
#include "facade/net/recycled_handler.h"

namespace ficus {

Worker::Worker(unsigned index, MetricsShard& metrics, const H2Limits& limits, const ClientManners& manners,
               OnceGate& once)
    : index_(index), metrics_(metrics), limits_(limits), manners_(manners), once_(once) {}

Worker::~Worker() = default;

void Worker::run() { io_.run(); }

void Worker::close_sessions() {
  const auto sessions = sessions_;
  for (const auto& session : sessions) session->close("facade stopped");
}

void Worker::flush_now() { flush_all(); }

void Worker::stop_loop() {
  after_flush_.clear();
  work_.reset();
  io_.stop();
}

void Worker::adopt_client(ClientSocket client) {
  client_connections_.fetch_add(1, std::memory_order_relaxed);
  post([this, client = std::move(client)] {
    tcp::socket socket(io_);
    error_code ec;
    socket.assign(client.ipv6 ? tcp::v6() : tcp::v4(), client.descriptor, ec);
    if (ec) {
      ::close(client.descriptor);
      client_connections_.fetch_sub(1, std::memory_order_relaxed);
      log_event(LogLevel::kWarn, "client_connection_lost", "an accepted connection could not be taken over",
                {{"errno", ec.message()}});
      return;
    }
    auto session = std::make_shared<H2Session>(*this, std::move(socket), limits_,
                                               client.tls == nullptr ? nullptr : client.tls->get());
    add_session(session);
    session->start();
    if (draining_ && !session->closed()) session->begin_drain();
  });
}

void Worker::add_session(std::shared_ptr<H2Session> session) { sessions_.insert(std::move(session)); }

void Worker::remove_session(const std::shared_ptr<H2Session>& session) {
  if (sessions_.erase(session) != 0) client_connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::linger(tcp::socket socket) {
  client_connections_.fetch_add(1, std::memory_order_relaxed);
  LingeringClose::begin(std::move(socket), [this] { client_connections_.fetch_sub(1, std::memory_order_relaxed); });
}

void Worker::flush_later(std::shared_ptr<H2Connection> connection) {
  dirty_.push_back(std::move(connection));
  post_flush();
}

void Worker::after_flush(std::shared_ptr<AfterFlush> work) {
  after_flush_.push_back(std::move(work));
  post_flush();
}

void Worker::post_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  // Behind the handlers of every socket that this turn of the loop found readable.
  asio::post(io_, recycled([this] { flush_all(); }));
}

void Worker::flush_all() {
  // What one flush leads another connection to say goes out in the same turn; nothing is read meanwhile, so it ends.
  for (;;) {
    while (!dirty_.empty()) {
      flushing_.swap(dirty_);
      for (const auto& connection : flushing_) connection->flush();
      flushing_.clear();
    }
    if (after_flush_.empty()) break;
    touch_clock();
    running_.swap(after_flush_);
    for (const auto& work : running_) work->after_flush();
    running_.clear();
  }
  flush_posted_ = false;
  if (holds_too_much()) relieve();
}

void Worker::relieve() {
  // One a turn: its calls' other halves give back what they hold only when they hear of its end. Whoever holds less
  // than one stream may is not what this is for.
  std::size_t most = limits_.stream_window_bytes;
  std::shared_ptr<H2Session> largest;
  for (const auto& session : sessions_) {
    const std::size_t held = session->held_bytes();
    if (held > most) {
      most = held;
      largest = session;
    }
  }
  if (largest != nullptr) largest->break_off_for_held_bytes();
}

void Worker::begin_drain() {
  draining_ = true;
  const auto sessions = sessions_;
  for (const auto& session : sessions) session->begin_drain();
}

std::size_t Worker::abort_streams() {
  std::size_t open = 0;
  const auto sessions = sessions_;
  for (const auto& session : sessions) open += session->abort_streams(kDrainTimeout);
  return open;
}

std::size_t Worker::open_streams() const {
  std::size_t open = 0;
  for (const auto& session : sessions_) open += session->open_streams();
  return open;
}

}  // namespace ficus
