#include "facade/net/h2_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "facade/metrics/families.h"
#include "facade/net/lingering_close.h"
#include "facade/net/worker.h"

namespace ficus {

H2Connection::H2Connection(Worker& worker, tcp::socket socket, H2Engine::Role role, const H2Limits& limits)
    : worker_(worker), limits_(limits), socket_(std::move(socket)), engine_(role, limits, *this, worker.out_blocks()) {}

H2Connection::~H2Connection() = default;

void H2Connection::start_session() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  engine_.start();
  wait_readable();
}

void H2Connection::wait_readable() {
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code ec) {
    if (self->closed_) return;
    if (ec) {
      self->last_error_ = ec;
      self->close("connection reset");
      return;
    }
    self->on_readable();
  });
}

void H2Connection::on_readable() {
  // As often as the socket has more, but other connections get their turn.
  constexpr int kReadsATurn = 4;
  const auto now = worker_.touch_clock();
  const auto buffer = worker_.read_buffer();
  bool ended = false;
  std::string_view why;
  receiving_ = true;
  for (int i = 0; i < kReadsATurn; ++i) {
    const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) break;
      last_error_ = error_code(errno, boost::system::system_category());
      ended = true;
      why = "connection reset";
      break;
    }
    if (n == 0) {
      ended = true;
      why = "connection closed";
      break;
    }
    on_bytes();
    if (!engine_.receive({buffer.data(), static_cast<std::size_t>(n)}, now)) {
      ended = true;
      why = "protocol error";
      break;
    }
    if (static_cast<std::size_t>(n) < buffer.size()) break;
  }
  receiving_ = false;
  if (!close_after_receive_.empty()) {
    close(std::exchange(close_after_receive_, {}));
    return;
  }
  if (ended) {
    if (engine_.over()) {
      close_politely(why);
    } else {
      close(why);
    }
    return;
  }
  engine_.reap();
  wait_readable();
}

// The peer broke the protocol: what we have to say about it goes out first, and the socket lingers until the peer had a
// chance to read it (closing at once, with input unread, would make the kernel reset the connection).
void H2Connection::close_politely(std::string_view detail) {
  flush();
  if (closed_) return;
  const bool all_out = engine_.out().empty();
  tcp::socket socket = all_out ? std::move(socket_) : tcp::socket(worker_.io());
  close(detail);
  if (all_out) LingeringClose::begin(std::move(socket));
}

void H2Connection::schedule_flush() {
  if (flush_scheduled_ || closed_ || writing_) return;
  flush_scheduled_ = true;
  worker_.flush_later(shared_from_this());
}

void H2Connection::flush() {
  flush_scheduled_ = false;
  if (closed_) return;
  engine_.flushed();
  engine_.reap();
  if (closed_ || writing_) return;
  OutBuffer& out = engine_.out();
  for (;;) {
    engine_.pump();
    if (out.empty()) break;
    const ssize_t n = ::send(socket_.native_handle(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        wait_writable();
        return;
      }
      last_error_ = error_code(errno, boost::system::system_category());
      close("connection reset");
      return;
    }
    if (!pending_times_.empty()) observe_write();
    out.pop(static_cast<std::size_t>(n));
  }
  out.release_if_empty();
  engine_.reap();
  if (!closed_ && engine_.goaway_sent() && engine_.streams() == 0 && out.empty() && may_close())
    close("connection closed");
}

void H2Connection::wait_writable() {
  writing_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code ec) {
    self->writing_ = false;
    if (self->closed_) return;
    if (ec) {
      self->close("connection reset");
      return;
    }
    self->flush();
  });
}

void H2Connection::close(std::string_view detail) {
  if (closed_) return;
  if (receiving_) {
    // From inside the engine's events: it is not to lose its streams in mid-frame.
    close_after_receive_ = detail;
    return;
  }
  closed_ = true;
  const auto keep = shared_from_this();
  error_code ignored;
  socket_.close(ignored);
  engine_.out().clear();
  engine_.out().release_if_empty();
  on_closing(detail);
}

void H2Connection::on_limit(std::string_view name) { worker_.metrics().counter(families::kLimits, {name}).add(); }

void H2Connection::time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since) {
  if (!pending_times_.empty() && pending_times_.back().histogram == &histogram &&
      pending_times_.back().since == since) {
    ++pending_times_.back().count;
    return;
  }
  pending_times_.push_back({&histogram, since, 1});
}

void H2Connection::observe_write() {
  const auto now = std::chrono::steady_clock::now();
  for (const PendingTime& pending : pending_times_) pending.histogram->observe(now - pending.since, pending.count);
  pending_times_.clear();
}

}  // namespace ficus
