// One HTTP/2 connection of either kind: socket, nghttp2 session, output buffer, deferred flush. H2Session (clients'
// connections) and UpstreamConnection (ours) say what its streams mean.
// Thread: its worker's. Invariants: nghttp2 is never entered from inside one of its callbacks except by submit_* and
// consume_*; writing happens only in flush(), which the worker runs after everything that is ready was read, so that
// many frames share one system call. TLS comes between socket and session here, in read_some/write_some, and nowhere
// else.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "facade/net/asio.h"
#include "facade/net/byte_queue.h"
#include "facade/net/header_block.h"

namespace ficus {

class H2Connection;
class Worker;

// Limits of every HTTP/2 connection. Each has a counter ficus_limit_hits_total{limit="..."} where it can be hit.
struct H2Limits {
  // What one stream may have in flight towards us, and so what one call can make us hold a direction: HTTP/2's own
  // default doubled twice, enough for 2 GB/s at 100 us round trip.
  std::uint32_t stream_window_bytes = 256 * 1024;
  // The connection's window is given back at once (the streams' are what is end to end), so it only has to cover a
  // round trip.
  std::uint32_t connection_window_bytes = 4 * 1024 * 1024;
  std::uint32_t max_concurrent_streams = 256;      // offered to clients, so that one of them cannot take a whole upstream's limit
  std::uint32_t header_list_bytes = 64 * 1024;     // limit "header_list_bytes"
  std::size_t output_bytes = 128 * 1024;           // serialized and not yet taken by the socket
  // Resets by a client: as many at once as ten connections' worth of streams, then so many a second.
  std::uint64_t stream_resets_burst = 10'000;
  std::uint64_t stream_resets_per_second = 1'000;
};

// Why a stream came to its end, where the peer's error code alone does not say it.
enum class StreamEnd : std::uint8_t {
  kFinished,         // both halves ended in order
  kReset,            // RST_STREAM by the peer, `error_code` says which
  kNeverProcessed,   // REFUSED_STREAM, or beyond the last id of a GOAWAY: safe to send again
  kConnectionLost,   // the connection ended under it
  kConnectFailed,    // it never had a connection
  kLocal,            // we reset it ourselves
};

// What happens on one stream. Called on the worker, never after on_closed.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  // The request's or response's head; for a response without body `end_stream` is true (trailers-only). The block may
  // be moved from.
  virtual void on_headers(HeaderBlock& block, bool end_stream) = 0;
  // A piece of the body, valid during the call. Its flow-control credit is withheld until H2Stream::consume().
  virtual void on_data(std::string_view bytes) = 0;
  // The peer's half ended in order: with trailers, or (null) without.
  virtual void on_end(HeaderBlock* trailers) = 0;
  // `bytes` of what send_data() took have been put on the connection: as much credit can be given to the other leg.
  virtual void on_sent(std::size_t bytes) = 0;
  // The header list went over the limit and was not kept. Instead of on_headers; the stream is still open.
  virtual void on_headers_too_large() = 0;
  // The stream is gone. The last call. `detail` is a class for people ("connection refused"), never an address.
  virtual void on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) = 0;
  // The facade stops and waits no longer: end the call now, with an answer that says so.
  virtual void on_shutdown() = 0;
};

// nghttp2's view of a block's visible fields. The texts are not copied: they must stay until the frame was written.
boost::container::small_vector<nghttp2_nv, 20> to_nv(const HeaderBlock& block);

// The sending half and the identity of one stream on one connection; the same on either side of the facade.
class H2StreamBase {
 public:
  virtual ~H2StreamBase() = default;
  H2StreamBase(const H2StreamBase&) = delete;
  H2StreamBase& operator=(const H2StreamBase&) = delete;

  // Bytes to send as DATA frames as the peer's windows allow. Queues a copy.
  void send_data(std::string_view bytes);
  // Ends our half after what is queued: with trailers, or without.
  void send_end();
  void send_trailers(HeaderBlock block);
  // RST_STREAM at once; what is queued is dropped. on_closed follows.
  void reset(std::uint32_t error_code);
  // Gives the peer `bytes` of this stream's window back.
  void consume(std::size_t bytes);
  // Queued and not yet put on the connection.
  std::size_t queued() const noexcept { return out_.size(); }
  bool open() const noexcept { return connection_ != nullptr && id_ > 0; }

 protected:
  friend class H2Connection;
  H2StreamBase(ChunkPool& pool) : out_(pool) {}
  void resume();
  ssize_t read_source(std::size_t length, std::uint32_t* flags);
  nghttp2_data_provider provider();

  H2Connection* connection_ = nullptr;
  std::int32_t id_ = 0;
  StreamEvents* events_ = nullptr;
  ByteQueue out_;
  std::size_t sent_ = 0;           // bytes of the body put on this connection
  std::size_t credited_ = 0;       // bytes that on_sent reported
  bool end_queued_ = false;        // nothing follows what is in out_ (but trailers, if any)
  bool has_trailers_ = false;
  bool deferred_ = false;          // nghttp2 waits for resume()
  bool head_sent_ = false;         // client: the request's HEADERS were serialized; server: submitted
  bool end_sent_ = false;          // our END_STREAM was serialized
  bool peer_ended_ = false;
  bool too_large_ = false;
  bool reset_when_ended_ = false;  // server: RST_STREAM(NO_ERROR) behind our END_STREAM, the client need send no more
  bool reset_sent_ = false;
  HeaderBlock in_block_;           // being received
  bool in_head_done_ = false;      // the head came, a further header list is trailers
  HeaderBlock out_head_, out_trailers_;  // alive until nghttp2 wrote them, which is not later than the stream's end
};

class H2Connection : public std::enable_shared_from_this<H2Connection> {
 public:
  virtual ~H2Connection();
  H2Connection(const H2Connection&) = delete;
  H2Connection& operator=(const H2Connection&) = delete;

  // Asks the worker to flush this connection once everything ready has been read.
  void schedule_flush();
  // Writes what nghttp2 has to send, as far as the socket takes it.
  void flush();
  // Ends the connection now: every stream gets on_closed(kConnectionLost, detail).
  void close(std::string_view detail);
  bool closed() const noexcept { return closed_; }
  // The socket's last error, for logs; none where the peer closed in order.
  const error_code& last_error() const noexcept { return last_error_; }
  nghttp2_session* session() noexcept { return session_; }
  Worker& worker() noexcept { return worker_; }

 protected:
  H2Connection(Worker& worker, tcp::socket socket, const H2Limits& limits);
  // Makes the nghttp2 session, sends our SETTINGS and begins to read.
  void start_session(bool server, const std::vector<nghttp2_settings_entry>& settings);
  void start_reading();

  // ---- what the two kinds do differently ----
  // A header list begins. Server: a new stream for a request. Null: ignore it.
  virtual H2StreamBase* on_begin_headers(std::int32_t stream_id, bool is_request) = 0;
  // The stream ended: tell its events, forget it. Called once a stream; it is no longer attached.
  virtual void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) = 0;
  // Frames that matter to the kind: SETTINGS, GOAWAY, PING acknowledged.
  virtual void on_control_frame(const nghttp2_frame& frame) = 0;
  // The connection is being closed: give every stream its on_closed.
  virtual void on_closing(std::string_view detail) = 0;
  // The peer broke HTTP/2; the connection or one stream of it will be closed.
  virtual void on_protocol_error() = 0;
  // Whether a connection on which nghttp2 expects nothing more may be closed now.
  virtual bool may_close() const = 0;

  Worker& worker_;
  const H2Limits& limits_;
  tcp::socket socket_;
  nghttp2_session* session_ = nullptr;

 private:
  friend class H2StreamBase;
  struct Callbacks;
  static nghttp2_session_callbacks* callbacks();
  void read_more();
  void write_more();
  void on_read(std::size_t bytes);
  void end_stream(H2StreamBase& stream, std::uint32_t error_code);
  H2StreamBase* stream_of(std::int32_t stream_id);

  static constexpr std::size_t kReadBytes = 32 * 1024;
  std::unique_ptr<std::array<std::uint8_t, kReadBytes>> in_;
  std::vector<std::uint8_t> out_;
  std::size_t out_written_ = 0;
  bool writing_ = false;
  bool flush_scheduled_ = false;
  bool closed_ = false;
  error_code last_error_;
};

}  // namespace ficus
