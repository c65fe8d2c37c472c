#include "facade/net/upstream_connection.h"

#include "facade/base/check.h"
#include "facade/metrics/families.h"
#include "facade/net/upstream.h"

namespace ficus {

UpstreamConnection::UpstreamConnection(Worker& worker, tcp::socket socket, std::weak_ptr<EndpointPool> pool,
                                       std::string upstream_name, const UpstreamConnectionSettings& settings)
    : H2Connection(worker, std::move(socket), H2Engine::Role::kClient, worker.limits()),
      pool_(std::move(pool)),
      upstream_name_(std::move(upstream_name)),
      settings_(settings) {}

UpstreamConnection::~UpstreamConnection() = default;

void UpstreamConnection::start(std::chrono::nanoseconds settle_within) {
  worker_.metrics().gauge(families::kConnections, {upstream_name_}).add(1);
  worker_.metrics().counter(families::kConnectionsTotal, {upstream_name_}).add();
  worker_.timers().arm(settle_timer_, std::chrono::steady_clock::now() + settle_within);
  start_session();
}

void UpstreamConnection::use_tls_client(const TlsClientContext& context, const TlsPeerName& name) {
  use_tls(std::make_unique<TlsStream>(context, socket_.native_handle(), name));
}

void UpstreamConnection::on_tls(std::string_view failed) {
  worker_.metrics().counter(families::kTlsHandshakes, {upstream_name_, failed.empty() ? "done" : failed}).add();
}

void UpstreamConnection::SettleTimer::on_timer() {
  if (!connection.settled_) connection.close("connect timeout");
}

std::size_t UpstreamConnection::spare() const noexcept {
  if (closed() || going_away_ || !settled_) return 0;
  const std::size_t most = engine_.peer_max_streams();
  return most > streams() ? most - streams() : 0;
}

void UpstreamConnection::retire() {
  going_away_ = true;
  if (streams() == 0) close("no longer needed");
}

H2StreamBase* UpstreamConnection::on_new_stream() {
  FICUS_CHECK(false) << "an upstream opens no streams";
  return nullptr;
}

void UpstreamConnection::on_settings() {
  settled_ = true;
  settle_timer_.cancel();
  if (const auto pool = pool_.lock()) pool->on_settled();
}

void UpstreamConnection::on_goaway(std::uint32_t error_code, std::string_view debug) {
  going_away_ = true;
  const auto pool = pool_.lock();
  if (error_code != static_cast<std::uint32_t>(H2Error::kNoError)) {
    // The upstream complains of us: say of what, in its own words, which are no caller's data.
    constexpr std::size_t kDebugBytes = 200;
    goaway_ = "going away (" + std::string(h2_error_name(error_code)) + ")";
    if (pool != nullptr) {
      pool->log_trouble("upstream_goaway", "the upstream ended the connection with an error", goaway_,
                        debug.substr(0, kDebugBytes));
    }
  }
  // Streams beyond its last id go elsewhere; calls that wait need a new connection.
  if (streams() == 0) engine_.send_goaway(H2Error::kNoError, "");
  if (pool != nullptr) pool->dispatch_waiting();
}

void UpstreamConnection::end_or_repeat(UpstreamStream& stream, StreamEnd end, std::uint32_t error_code,
                                       std::string_view detail) {
  stream.head_left_ = engine_.head_left(stream);
  if (stream.repeatable(end)) {
    stream.rewind();
    stream.upstream_->place_again(stream);
    return;
  }
  stream.finish(end, error_code, detail);
}

void UpstreamConnection::on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t error_code) {
  auto& stream = static_cast<UpstreamStream&>(base);
  if (end == StreamEnd::kReset) {
    if (const auto pool = pool_.lock()) {
      pool->log_trouble("upstream_reset", "the upstream reset a call", h2_error_name(error_code), "");
    }
  }
  end_or_repeat(stream, end, error_code, going_away_ && end == StreamEnd::kNeverProcessed ? "going away" : "");
  if (closed()) return;
  const auto pool = pool_.lock();
  // A connection whose ids ran out (RFC 9113 5.1.1) takes no more calls.
  if (engine_.ids_used_up()) going_away_ = true;
  if (going_away_ || pool == nullptr) {
    if (streams() == 0 && !engine_.goaway_sent()) engine_.send_goaway(H2Error::kNoError, "");
    return;
  }
  pool->dispatch_waiting();
}

void UpstreamConnection::on_closing(std::string_view detail) {
  worker_.metrics().gauge(families::kConnections, {upstream_name_}).add(-1);
  going_away_ = true;
  settle_timer_.cancel();
  if (!goaway_.empty()) detail = goaway_;
  const auto pool = pool_.lock();
  if (pool != nullptr && streams() != 0) {
    pool->log_trouble("upstream_connection_lost", "the connection ended under calls in flight", detail,
                      last_error().message());
  }
  if (pool != nullptr) pool->on_connection_closed(*this, detail);
  engine_.detach_all([&](H2StreamBase& base) {
    end_or_repeat(static_cast<UpstreamStream&>(base), StreamEnd::kConnectionLost,
                  static_cast<std::uint32_t>(H2Error::kCancel), detail);
  });
}

void UpstreamConnection::on_connection_error(H2Error error, std::string_view why) {
  worker_.metrics().counter(families::kProtocolErrors, {upstream_name_}).add();
  if (const auto pool = pool_.lock()) {
    pool->log_trouble("upstream_protocol_error", "the upstream broke HTTP/2", h2_error_name(error), why);
  }
}

void UpstreamConnection::on_stream_error(H2Error) {
  worker_.metrics().counter(families::kProtocolErrors, {upstream_name_}).add();
}

}  // namespace ficus
