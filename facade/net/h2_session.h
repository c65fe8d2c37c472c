// A client's connection and its streams. Thread: its worker's.
// Invariant: the session owns its H2Streams, each H2Stream its StreamEvents (an RpcCall).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "facade/base/pool.h"
#include "facade/net/h2_connection.h"
#include "facade/net/worker.h"

namespace ficus {

// A client's stream: one RPC as the client sees it.
class H2Stream : public H2StreamBase, public Pooled<H2Stream> {
 public:
  // The response's head. With `end_stream` it is the whole answer (trailers-only); otherwise send_data(), send_end() or
  // send_trailers() follow. Once a stream.
  void send_headers(const HeaderBlock& head, bool end_stream);
  bool headers_sent() const noexcept { return head_sent_; }
  // See H2Connection; nothing while earlier bytes of the call wait for the peer's window.
  void time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since);
  // Precondition: open().
  H2Session& session() noexcept { return *session_; }
  Worker& worker() noexcept { return *worker_; }

 private:
  friend class H2Session;
  H2Stream(Worker& worker, H2Session& session);
  Worker* worker_;
  H2Session* session_;
  bool head_sent_ = false;
  std::unique_ptr<StreamEvents> handler_;
};

class H2Session : public H2Connection {
 public:
  // `tls`: null for cleartext.
  H2Session(Worker& worker, tcp::socket socket, const H2Limits& limits,
            const std::shared_ptr<const TlsServerContext>& tls);
  ~H2Session() override;
  void start();

  // RFC 9113 6.8: GOAWAY with the largest id, then, a round trip later (a PING tells), GOAWAY with the last id taken.
  void begin_drain();
  // Tells every open stream that the facade stops; gives how many there are.
  std::size_t abort_streams();
  // Calls in flight; a head that is still coming is none yet.
  std::size_t open_streams() const noexcept { return engine().streams(); }
  // The client's verified certificate; null without one.
  const std::shared_ptr<const TlsPeer>& tls_peer() const noexcept { return tls_peer_; }
  // Names of it that may say who calls, as rpc/ judged them once; borrowed from tls_peer().
  const std::vector<std::string_view>& peer_sans() const noexcept { return peer_sans_; }
  bool peer_sans_known() const noexcept { return peer_sans_known_; }
  void set_peer_sans(std::vector<std::string_view> sans) {
    peer_sans_ = std::move(sans);
    peer_sans_known_ = true;
  }
  // "10.1.2.3:41234", for logs.
  const std::string& peer() const noexcept { return peer_; }

 private:
  H2StreamBase* on_new_stream() override;
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) override;
  void on_settings() override {}
  void on_goaway(std::uint32_t, std::string_view) override {}
  void on_ping_ack(std::uint64_t opaque) override;
  void on_malformed_head() override { worker_.count_malformed_head(); }
  void on_connection_error(H2Error error, std::string_view why) override;
  void on_stream_error(H2Error error) override;
  void on_closing(std::string_view detail) override;
  void on_tls(std::string_view failed) override;
  bool may_close() const override { return drain_ != Drain::kNoticeSent; }
  void finish_drain();

  // If a peer never acknowledges the PING, the second GOAWAY goes out after this long all the same.
  static constexpr std::chrono::milliseconds kDrainNotice{1000};
  enum class Drain : std::uint8_t { kNo, kNoticeSent, kGoawaySent } drain_ = Drain::kNo;
  struct DrainTimer final : Timer {
    explicit DrainTimer(H2Session& s) : session(s) {}
    void on_timer() override;
    H2Session& session;
  } drain_timer_{*this};
  std::string peer_;
  std::shared_ptr<const TlsPeer> tls_peer_;
  std::vector<std::string_view> peer_sans_;
  bool peer_sans_known_ = false;
};

}  // namespace ficus
