// A client's connection and its streams. Thread: its worker's.
// Invariant: the session owns its H2Streams, each H2Stream its StreamEvents (an RpcCall).
#pragma once

#include <memory>

#include <boost/intrusive/list.hpp>

#include "facade/net/h2_connection.h"
#include "facade/net/worker.h"

namespace ficus {

// A client's stream: one RPC as the client sees it.
class H2Stream : public H2StreamBase, public boost::intrusive::list_base_hook<> {
 public:
  // The response's head. With `end_stream` it is the whole answer (trailers-only); otherwise send_data(), send_end() or
  // send_trailers() follow. Once a stream.
  void send_headers(HeaderBlock head, bool end_stream);
  bool headers_sent() const noexcept { return head_sent_; }
  H2Session& session();
  Worker& worker() noexcept { return *worker_; }

 private:
  friend class H2Session;
  H2Stream(Worker& worker, H2Connection& connection, std::int32_t id);
  Worker* worker_;
  std::unique_ptr<StreamEvents> handler_;
};

class H2Session : public H2Connection {
 public:
  H2Session(Worker& worker, tcp::socket socket, const H2Limits& limits);
  ~H2Session() override;
  void start();

  // RFC 9113 6.8: GOAWAY with the largest id, then, a round trip later (a PING tells), GOAWAY with the last id taken.
  void begin_drain();
  // Tells every open stream that the facade stops; gives how many there are.
  std::size_t abort_streams();
  // Calls in flight; a head that is still coming is none yet.
  std::size_t open_streams() const noexcept;
  // "10.1.2.3:41234", for logs.
  const std::string& peer() const noexcept { return peer_; }

 private:
  H2StreamBase* on_begin_headers(std::int32_t stream_id, bool is_request) override;
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) override;
  void on_control_frame(const nghttp2_frame& frame) override;
  void on_closing(std::string_view detail) override;
  void on_protocol_error() override;
  bool may_close() const override { return drain_ != Drain::kNoticeSent; }
  void finish_drain();

  // If a peer never acknowledges the PING, the second GOAWAY goes out after this long all the same.
  static constexpr std::chrono::milliseconds kDrainNotice{1000};
  enum class Drain : std::uint8_t { kNo, kNoticeSent, kGoawaySent } drain_ = Drain::kNo;
  asio::steady_timer drain_timer_;
  boost::intrusive::list<H2Stream> streams_;
  std::string peer_;
};

inline H2Session& H2Stream::session() { return static_cast<H2Session&>(*connection_); }

}  // namespace ficus
