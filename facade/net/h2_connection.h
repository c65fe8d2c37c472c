// One HTTP/2 connection of either kind: socket, engine, deferred flush. H2Session (clients' connections) and
// UpstreamConnection (ours) say what its streams mean.
// Thread: its worker's. Invariants: writing happens only in flush(), which the worker runs after everything that is
// ready was read, so that many frames share one system call; an idle connection holds no buffer. TLS comes between
// socket and engine here, in read_some/write_some, and nowhere else.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "facade/h2/h2_engine.h"
#include "facade/net/asio.h"
#include "facade/net/tls_stream.h"

namespace ficus {

class Histogram;
class Worker;

class H2Connection : public std::enable_shared_from_this<H2Connection>, protected H2Engine::Owner {
 public:
  ~H2Connection() override;
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  // Asks the worker to flush this connection once everything ready has been read.
  void schedule_flush();
  // Writes what there is to send, as far as the socket takes it.
  void flush();
  // Ends the connection now: every stream gets on_closed(kConnectionLost, detail).
  void close(std::string_view detail);
  bool closed() const noexcept { return closed_; }
  // The socket's last error, for logs; none where the peer closed in order.
  const error_code& last_error() const noexcept { return last_error_; }
  H2Engine& engine() noexcept { return engine_; }
  const H2Engine& engine() const noexcept { return engine_; }
  Worker& worker() noexcept { return worker_; }
  // Observes, in the histogram, the time from `since` to the next write on this connection.
  void time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since);

 protected:
  H2Connection(Worker& worker, tcp::socket socket, H2Engine::Role role, const H2Limits& limits);
  // TLS on this connection; before start_session().
  void use_tls(std::unique_ptr<TlsStream> tls) { tls_ = std::move(tls); }
  const TlsStream* tls() const noexcept { return tls_.get(); }
  // Shakes hands where TLS is used, sends our preface and begins to read.
  void start_session();
  // Ends a connection whose engine is over: what there is to say goes out first, as far as the socket takes it, and the
  // peer gets a chance to read it. Not from inside the engine's events: there the reading loop does it.
  void close_politely(std::string_view detail);

  // Closes, but leaves what was written to be read by the peer; see LingeringClose.
  void close_lingering(std::string_view detail);

  // ---- what the two kinds do differently, beside H2Engine::Owner ----
  // The connection is being closed: give every stream its on_closed.
  virtual void on_closing(std::string_view detail) = 0;
  // Whether a connection without streams, on which GOAWAY was said, may be closed now.
  virtual bool may_close() const = 0;
  // All that came in this turn is taken, and what was said is about to go out; only once GOAWAY was said.
  virtual void on_flush_going_away() {}
  // Takes the socket of a connection that is over but whose peer must still read our last words.
  virtual void linger(tcp::socket socket) = 0;
  // Bytes came.
  virtual void on_bytes() {}
  // The handshake of TLS is over. `failed`: its class (tls_class), and the connection is closed next; empty: it is
  // good.
  virtual void on_tls(std::string_view failed) = 0;

  void on_output() override { schedule_flush(); }
  void on_limit(std::string_view name) override;

  Worker& worker_;
  const H2Limits& limits_;
  tcp::socket socket_;
  H2Engine engine_;

 private:
  // What one read or write of the socket (or of TLS on it) came to.
  struct Io {
    enum class Result : std::uint8_t { kSome, kWait, kEnded, kFailed } result = Result::kFailed;
    std::size_t bytes = 0;
    bool drained = false;  // read: the next one would wait
    std::string_view why;  // kFailed
  };
  Io read_some(std::span<char> into);
  Io write_some(OutBuffer& out);
  // Goes on with the handshake; true once it is over.
  bool shake_hands();
  void wait_readable();
  void on_readable();
  void wait_writable();
  void observe_write();

  struct PendingTime {
    Histogram* histogram;
    std::chrono::steady_clock::time_point since;
    std::uint64_t count;
  };
  std::vector<PendingTime> pending_times_;
  std::unique_ptr<TlsStream> tls_;
  bool handshaking_ = false;
  bool receiving_ = false;
  bool reading_ = false;  // waits for the socket to have more
  bool writing_ = false;  // waits for the socket to take more
  bool flush_scheduled_ = false;
  bool closed_ = false;
  std::string close_after_receive_;  // a close asked for from inside the engine's events
  error_code last_error_;
};

}  // namespace ficus
