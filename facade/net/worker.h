// One event loop on one core: its connections, its buffers, its metrics shard. Whatever belongs to a worker is touched
// by its thread only; everything else reaches it by post().
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "facade/h2/byte_queue.h"
#include "facade/h2/h2_limits.h"
#include "facade/h2/out_buffer.h"
#include "facade/h2/stream_events.h"
#include "facade/metrics/metrics.h"
#include "facade/net/asio.h"
#include "facade/net/client_socket.h"
#include "facade/net/h2_manners.h"
#include "facade/net/once_gate.h"
#include "facade/net/timer_queue.h"

namespace ficus {

class H2Connection;
class H2Session;
class H2Stream;

// Gives the events of a client's new stream; rpc/ makes an RpcCall of it.
using MakeStreamEvents = std::function<std::unique_ptr<StreamEvents>(H2Stream&)>;

// What can wait until the clients' and upstreams' bytes of this turn of the loop are out.
class AfterFlush {
 public:
  // Once for each Worker::after_flush(). What it gives connections to send goes out in the same turn.
  virtual void after_flush() = 0;

 protected:
  ~AfterFlush() = default;
};

class Worker {
 public:
  // All outlive the worker; `once` is shared by all workers.
  Worker(unsigned index, MetricsShard& metrics, const H2Limits& limits, const ClientManners& manners, OnceGate& once);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before run(): what becomes of clients' streams.
  void set_stream_maker(MakeStreamEvents make) { make_events_ = std::move(make); }
  // Before run(): told of each request whose head was malformed, so that no call came to be.
  void set_malformed_head_counter(std::function<void()> count) { count_malformed_head_ = std::move(count); }
  // Runs the loop until stop_loop(). The calling thread becomes the worker's.
  void run();

  // ---- any thread ----
  template <class F>
  void post(F&& work) {
    asio::post(io_, std::forward<F>(work));
  }
  // Clients' connections, for the listener to choose by.
  std::size_t client_connections() const noexcept { return client_connections_.load(std::memory_order_relaxed); }
  // Takes an accepted socket over (its descriptor is owned from now on).
  void adopt_client(ClientSocket socket);
  unsigned index() const noexcept { return index_; }

  // ---- this worker's thread ----
  asio::io_context& io() noexcept { return io_; }
  MetricsShard& metrics() noexcept { return metrics_; }
  const H2Limits& limits() const noexcept { return limits_; }
  const ClientManners& manners() const noexcept { return manners_; }
  ChunkPool& chunks() noexcept { return chunks_; }
  OutBlockPool& out_blocks() noexcept { return out_blocks_; }
  TimerQueue& timers() noexcept { return timers_; }
  // When the bytes that are being handled were read: close enough to now for whatever lasts longer than a turn of the
  // loop, and free.
  std::chrono::steady_clock::time_point now() const noexcept { return now_; }
  // Reads the clock; now() gives that from then on.
  std::chrono::steady_clock::time_point touch_clock() noexcept { return now_ = std::chrono::steady_clock::now(); }
  // What any connection of this worker reads into: what is not handled before the next read is lost.
  std::span<char> read_buffer() noexcept { return {read_buffer_.get(), kReadBytes}; }
  OnceGate& once() noexcept { return once_; }
  // Flushes the connection after everything that is ready now has been read.
  void flush_later(std::shared_ptr<H2Connection> connection);
  // Calls `work` in this turn of the loop, behind the flushing of every connection. Dropped uncalled by stop_loop().
  void after_flush(std::shared_ptr<AfterFlush> work);
  std::unique_ptr<StreamEvents> make_events(H2Stream& stream) { return make_events_(stream); }
  void count_malformed_head() {
    if (count_malformed_head_) count_malformed_head_();
  }
  void add_session(std::shared_ptr<H2Session> session);
  void remove_session(const std::shared_ptr<H2Session>& session);
  // Takes the socket of a client whose connection is over; it counts as a connection until it is closed (see
  // LingeringClose), so that a drain lasts as long.
  void linger(tcp::socket socket);
  // Tells every client to go away (RFC 9113 6.8) and closes each connection when its last stream ended.
  void begin_drain();
  bool draining() const noexcept { return draining_; }
  // Ends every client stream that is still open, since the drain took too long; gives how many there were.
  std::size_t abort_streams();
  std::size_t open_streams() const;
  // What calls hold of their clients' bytes outside chunks(): against H2Limits::held_bytes all the same.
  void count_held(std::ptrdiff_t bytes) {
    held_elsewhere_ += static_cast<std::size_t>(bytes);
    if (holds_too_much()) post_flush();  // which relieves
  }
  // Closes every client's connection now.
  void close_sessions();
  // Writes what every connection has to send, as far as the sockets take it.
  void flush_now();
  // Ends run() after the current handler.
  void stop_loop();

 private:
  void post_flush();
  void flush_all();
  // Over H2Limits::held_bytes: the client that makes us hold the most goes.
  void relieve();
  bool holds_too_much() const noexcept { return chunks_.taken_bytes() + held_elsewhere_ > limits_.held_bytes; }

  const unsigned index_;
  MetricsShard& metrics_;
  const H2Limits& limits_;
  const ClientManners& manners_;
  OnceGate& once_;
  // A turn's worth of a busy connection; larger ones leave the nearer caches.
  static constexpr std::size_t kReadBytes = 64 * 1024;
  std::unique_ptr<char[]> read_buffer_ = std::make_unique<char[]>(kReadBytes);
  ChunkPool chunks_;  // before io_: pending handlers hold queues
  OutBlockPool out_blocks_;
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  MakeStreamEvents make_events_;
  std::function<void()> count_malformed_head_;
  std::atomic<std::size_t> client_connections_{0};
  bool draining_ = false;
  std::size_t held_elsewhere_ = 0;
  std::unordered_set<std::shared_ptr<H2Session>> sessions_;
  std::vector<std::shared_ptr<H2Connection>> dirty_, flushing_;
  std::vector<std::shared_ptr<AfterFlush>> after_flush_, running_;
  bool flush_posted_ = false;
  asio::io_context io_{1};
  TimerQueue timers_{io_};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
};

}  // namespace ficus
