// One of our connections to an upstream. Thread: its worker's.
#pragma once

#include <memory>

#include "facade/net/agenda.h"
#include "facade/net/endpoint_pool.h"
#include "facade/net/h2_connection.h"

namespace ficus {

class UpstreamConnection : public H2Connection {
 public:
  UpstreamConnection(Worker& worker, tcp::socket socket, std::weak_ptr<EndpointPool> pool, std::string upstream_name,
                     const UpstreamConnectionSettings& settings);
  ~UpstreamConnection() override;
  // Over TLS; before start().
  void use_tls_client(const TlsClientContext& context, const TlsPeerName& name);
  // Begins to speak; closes ("connect timeout") if no SETTINGS came within `settle_within`.
  void start(std::chrono::nanoseconds settle_within);

  // How many more calls it may take now: 0 while it is going away.
  std::size_t spare() const noexcept;
  std::size_t streams() const noexcept { return engine().streams(); }
  // Takes no more calls, and closes when the last ended.
  void retire();
  // Whether the upstream's first SETTINGS came. Before, no call is put on the connection: how many at once the upstream
  // takes is not known yet, and some count one too many as a broken connection.
  bool settled() const noexcept { return settled_; }
  // Whether it ends because no call needed it for UpstreamConnectionSettings::idle_timeout.
  bool ended_idle() const noexcept { return ended_idle_; }

 private:
  friend class EndpointPool;
  friend class UpstreamStream;
  H2StreamBase* on_new_stream() override;
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) override;
  void on_settings() override;
  void on_goaway(std::uint32_t error_code, std::string_view debug) override;
  void on_ping_ack(std::uint64_t) override {}
  void on_bytes() override { keepalive_.heard(worker_.now()); }
  void on_malformed_head() override {}
  void on_connection_error(H2Error error, std::string_view why) override;
  void on_stream_error(H2Error error) override;
  void on_closing(std::string_view detail) override;
  void on_tls(std::string_view failed) override;
  void on_limit(std::string_view name) override;
  bool may_close() const override { return true; }
  void linger(tcp::socket socket) override;
  void end_or_repeat(UpstreamStream& stream, StreamEnd end, std::uint32_t error_code, std::string_view detail);

  std::weak_ptr<EndpointPool> pool_;
  const std::string upstream_name_;
  const UpstreamConnectionSettings settings_;
  std::string goaway_;  // the class of a GOAWAY with an error, for the calls it ends
  bool settled_ = false;
  bool going_away_ = false;
  // Does what is due, and arms the timer for what is next.
  void look_after();
  using TimePoint = std::chrono::steady_clock::time_point;
  bool ended_idle_ = false;
  TimePoint settle_by_{};
  TimePoint idle_since_;  // while no call is open
  Keepalive keepalive_;
  struct MannersTimer final : Timer {
    explicit MannersTimer(UpstreamConnection& c) : connection(c) {}
    void on_timer() override { connection.look_after(); }
    UpstreamConnection& connection;
  } timer_{*this};
};

}  // namespace ficus
