// A client's connection and its streams. Thread: its worker's.
// Invariant: the session owns its H2Streams, each H2Stream its StreamEvents (an RpcCall).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "facade/base/pool.h"
#include "facade/net/agenda.h"
#include "facade/net/client_places.h"
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
  // Bytes of the peer's that are kept for this call elsewhere than in send_data()'s queues; negative: no longer. They
  // count as the connection's.
  void count_held(std::ptrdiff_t bytes);
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
  // Ends every open stream by force; gives how many there are.
  std::size_t abort_streams(const ForcedEnd& why);
  // See H2Engine; and what its streams counted.
  std::size_t held_bytes() const { return engine().held_bytes() + held_; }
  // Ends the connection, unless it is at its end already, since what it makes us hold is wanted elsewhere.
  void break_off_for_held_bytes();
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
  ClientPlaces& places() noexcept { return places_; }
  // Bytes of all its requests' bodies so far, as their calls count them.
  std::uint64_t body_bytes() const noexcept { return body_bytes_; }
  void count_body(std::size_t bytes) noexcept { body_bytes_ += bytes; }
  // "10.1.2.3:41234", for logs.
  const std::string& peer() const noexcept { return peer_; }

 private:
  friend class H2Stream;
  H2StreamBase* on_new_stream() override;
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) override;
  void on_settings() override {}
  void on_goaway(std::uint32_t, std::string_view) override {}
  void on_ping_ack(std::uint64_t opaque) override;
  void on_malformed_head() override { worker_.count_malformed_head(); }
  void on_bytes() override { keepalive_.heard(worker_.now()); }
  void on_ping() override;
  void on_partial_head() override;
  void on_connection_error(H2Error error, std::string_view why) override;
  void on_stream_error(H2Error error) override;
  void on_closing(std::string_view detail) override;
  void on_tls(std::string_view failed) override;
  bool may_close() const override { return drain_ == Drain::kNo || drain_ == Drain::kGoawaySent; }
  void on_flush_going_away() override;
  void linger(tcp::socket socket) override { worker_.linger(std::move(socket)); }
  void finish_drain();

  // ---- ClientManners (h2_session_manners.cc)
  using TimePoint = std::chrono::steady_clock::time_point;
  void begin_manners();
  // Does what is due, and arms the timer for what is next.
  void look_after();
  // Arms the timer at that time unless it fires earlier anyway.
  void look_again(TimePoint at);
  // Each gives false when the connection is over.
  bool check_slowness(Agenda& agenda);
  bool check_alive(Agenda& agenda);
  bool check_age(Agenda& agenda);
  void check_idleness(Agenda& agenda);
  // Bytes came that a busy worker has not read yet: then it was us who were slow.
  bool unread() const;
  // Says GOAWAY for a fault of the client's against the limit of that name.
  void break_off(std::string_view limit, H2Error error, std::string_view debug);

  // If a peer never acknowledges the PING, the second GOAWAY goes out after this long all the same.
  static constexpr std::chrono::milliseconds kDrainNotice{1000};
  enum class Drain : std::uint8_t { kNo, kNoticeSent, kNoticeHeeded, kGoawaySent } drain_ = Drain::kNo;
  struct MannersTimer final : Timer {
    explicit MannersTimer(H2Session& s) : session(s) {}
    void on_timer() override { session.look_after(); }
    H2Session& session;
  } timer_{*this};
  enum class Age : std::uint8_t { kYoung, kToldToGo, kCut } age_ = Age::kYoung;
  bool pinged_ = false;      // last_ping_ is set
  bool broken_off_ = false;  // for a limit of ours, not a fault in HTTP/2
  unsigned ping_strikes_ = 0;
  std::uint32_t content_at_ping_ = 0;  // H2Engine::content_frames() at the last PING
  TimePoint opened_;
  TimePoint idle_since_;  // while no call is open
  TimePoint drain_since_{};
  TimePoint last_ping_{};
  TimePoint age_at_;  // when the next step of age_ is due; max: never
  Keepalive keepalive_;
  ClientPlaces places_;
  std::size_t held_ = 0;  // as streams counted it
  std::uint64_t body_bytes_ = 0;
  std::string peer_;
  std::shared_ptr<const TlsPeer> tls_peer_;
  std::vector<std::string_view> peer_sans_;
  bool peer_sans_known_ = false;
};

}  // namespace ficus
