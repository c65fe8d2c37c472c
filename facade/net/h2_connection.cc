#include "facade/net/h2_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "facade/metrics/families.h"
#include "facade/net/recycled_handler.h"
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
  handshaking_ = tls_ != nullptr;
  if (handshaking_) {
    shake_hands();  // a client begins; whatever comes of it, on_readable or a closed connection follows
    if (closed_) return;
  }
  wait_readable();
}

bool H2Connection::shake_hands() {
  const TlsOutcome outcome = tls_->handshake();
  switch (outcome.result) {
    case TlsResult::kDone:
      handshaking_ = false;
      on_tls({});
      schedule_flush();
      return true;
    case TlsResult::kWantRead:
      return false;
    case TlsResult::kWantWrite:
      wait_writable();
      return false;
    case TlsResult::kClosed:
    case TlsResult::kFailed:
      break;
  }
  const std::string_view why = tls_->error_class().empty() ? tls_class::kClosedInHandshake : tls_->error_class();
  on_tls(why);
  // The alert that says why must reach the peer: no reset behind it.
  close_lingering(why);
  return false;
}

H2Connection::Io H2Connection::read_some(std::span<char> into) {
  if (tls_ != nullptr) {
    const TlsOutcome outcome = tls_->read(into.data(), into.size());
    switch (outcome.result) {
      case TlsResult::kDone:
        return {Io::Result::kSome, outcome.bytes, outcome.bytes < into.size() && !tls_->pending(), {}};
      case TlsResult::kWantRead:
        return {Io::Result::kWait, 0, true, {}};
      case TlsResult::kWantWrite:
        wait_writable();
        return {Io::Result::kWait, 0, true, {}};
      case TlsResult::kClosed:
        return {Io::Result::kEnded, 0, true, {}};
      case TlsResult::kFailed:
        break;
    }
    return {Io::Result::kFailed, 0, true, tls_->error_class()};
  }
  const ssize_t n = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
  if (n > 0) {
    return {Io::Result::kSome, static_cast<std::size_t>(n), static_cast<std::size_t>(n) < into.size(), {}};
  }
  if (n == 0) return {Io::Result::kEnded, 0, true, {}};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Io::Result::kWait, 0, true, {}};
  last_error_ = error_code(errno, boost::system::system_category());
  return {Io::Result::kFailed, 0, true, "connection reset"};
}

H2Connection::Io H2Connection::write_some(OutBuffer& out) {
  if (tls_ != nullptr) {
    const TlsOutcome outcome = tls_->write(out.data(), out.size());
    switch (outcome.result) {
      case TlsResult::kDone:
        return {Io::Result::kSome, outcome.bytes, false, {}};
      case TlsResult::kWantRead:
      case TlsResult::kWantWrite:
        out.pop(outcome.bytes);
        out.freeze();
        return {Io::Result::kWait, 0, false, {}};
      case TlsResult::kClosed:
        return {Io::Result::kEnded, 0, false, {}};
      case TlsResult::kFailed:
        break;
    }
    return {Io::Result::kFailed, 0, false, tls_->error_class()};
  }
  for (;;) {
    const ssize_t n = ::send(socket_.native_handle(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n >= 0) return {Io::Result::kSome, static_cast<std::size_t>(n), false, {}};
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Io::Result::kWait, 0, false, {}};
    last_error_ = error_code(errno, boost::system::system_category());
    return {Io::Result::kFailed, 0, false, "connection reset"};
  }
}

void H2Connection::wait_readable() {
  if (std::exchange(reading_, true)) return;
  socket_.async_wait(tcp::socket::wait_read, recycled([self = shared_from_this()](error_code ec) {
                       self->reading_ = false;
                       if (self->closed_) return;
                       if (ec) {
                         self->last_error_ = ec;
                         self->close("connection reset");
                         return;
                       }
                       self->on_readable();
                     }));
}

void H2Connection::on_readable() {
  const auto now = worker_.touch_clock();
  if (handshaking_ && !shake_hands()) {
    if (!closed_) wait_readable();
    return;
  }
  // As often as the socket has more, but other connections get their turn.
  constexpr int kReadsATurn = 4;
  const auto buffer = worker_.read_buffer();
  bool ended = false;
  bool drained = false;
  std::string_view why;
  receiving_ = true;
  for (int i = 0; i < kReadsATurn && !ended && !drained; ++i) {
    const Io io = read_some(buffer);
    drained = io.drained;
    switch (io.result) {
      case Io::Result::kSome:
        on_bytes();
        if (!engine_.receive({buffer.data(), io.bytes}, now)) {
          ended = true;
          why = "protocol error";
        }
        break;
      case Io::Result::kWait:
        break;
      case Io::Result::kEnded:
        ended = true;
        why = "connection closed";
        break;
      case Io::Result::kFailed:
        ended = true;
        why = io.why;
        break;
    }
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
  if (!drained && tls_ != nullptr && tls_->pending()) {
    // The rest lies in TLS, not in the socket: polling would not tell of it.
    worker_.post([self = shared_from_this()] {
      if (!self->closed_) self->on_readable();
    });
    return;
  }
  wait_readable();
}

// The peer broke the protocol: what we have to say about it goes out first, and the socket lingers until the peer had a
// chance to read it (closing at once, with input unread, would make the kernel reset the connection).
void H2Connection::close_politely(std::string_view detail) {
  flush();
  if (closed_) return;
  if (engine_.out().empty()) {
    close_lingering(detail);
  } else {
    close(detail);
  }
}

void H2Connection::close_lingering(std::string_view detail) {
  if (tls_ != nullptr && !handshaking_) tls_->close_notify();
  linger(std::move(socket_));  // first: between the two the worker would seem to have one connection less
  close(detail);
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
  if (closed_ || writing_ || handshaking_) return;
  if (engine_.goaway_sent()) on_flush_going_away();
  OutBuffer& out = engine_.out();
  for (;;) {
    engine_.pump();
    if (out.empty()) break;
    const Io io = write_some(out);
    if (io.result == Io::Result::kWait) {
      wait_writable();
      return;
    }
    if (io.result != Io::Result::kSome) {
      close(io.result == Io::Result::kEnded ? "connection closed" : io.why);
      return;
    }
    if (!pending_times_.empty()) observe_write();
    out.pop(io.bytes);
  }
  out.release_if_empty();
  engine_.reap();
  // Where the engine is over, close_politely() follows. What a peer sent before it read our GOAWAY would meet a closed
  // socket, and the reset could reach it before our words: it could not know that its call was never taken.
  if (!closed_ && !engine_.over() && engine_.goaway_sent() && engine_.streams() == 0 && out.empty() && may_close())
    close_lingering("connection closed");
}

void H2Connection::wait_writable() {
  if (std::exchange(writing_, true)) return;
  socket_.async_wait(tcp::socket::wait_write, recycled([self = shared_from_this()](error_code ec) {
                       self->writing_ = false;
                       if (self->closed_) return;
                       if (ec) {
                         self->close("connection reset");
                         return;
                       }
                       if (self->handshaking_) {
                         // What came with its end may lie in TLS already, where polling does not tell of it.
                         if (self->shake_hands()) self->on_readable();
                         return;
                       }
                       self->flush();
                     }));
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
  if (tls_ != nullptr && !handshaking_ && socket_.is_open() && engine_.out().empty()) tls_->close_notify();
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
