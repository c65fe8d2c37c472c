#include "facade/net/upstream_connection.h"

#include <algorithm>

#include "facade/metrics/families.h"

namespace ficus {

UpstreamConnection::UpstreamConnection(Worker& worker, tcp::socket socket, std::weak_ptr<EndpointPool> pool,
                                       std::string upstream_name)
    : H2Connection(worker, std::move(socket), worker.limits()),
      pool_(std::move(pool)),
      upstream_name_(std::move(upstream_name)),
      settle_timer_(worker.io()) {}

UpstreamConnection::~UpstreamConnection() = default;

void UpstreamConnection::start(std::chrono::nanoseconds settle_within) {
  worker_.metrics().gauge(families::kConnections, {upstream_name_}).add(1);
  worker_.metrics().counter(families::kConnectionsTotal, {upstream_name_}).add();
  start_session(false, {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window_bytes},
                        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list_bytes}});
  settle_timer_.expires_after(settle_within);
  settle_timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = std::static_pointer_cast<UpstreamConnection>(weak.lock());
    if (!ec && self != nullptr && !self->settled_) self->close("connect timeout");
  });
  start_reading();
}

std::size_t UpstreamConnection::spare() const noexcept {
  if (closed() || going_away_ || !settled_) return 0;
  return max_streams_ > count_ ? max_streams_ - count_ : 0;
}

void UpstreamConnection::retire() {
  going_away_ = true;
  if (count_ == 0) close("no longer needed");
}

void UpstreamConnection::on_control_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_SETTINGS && (frame.hd.flags & NGHTTP2_FLAG_ACK) == 0) {
    settled_ = true;
    settle_timer_.cancel();
    max_streams_ = nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (const auto pool = pool_.lock()) pool->on_settled();
  } else if (frame.hd.type == NGHTTP2_GOAWAY) {
    going_away_ = true;
    if (frame.goaway.error_code != NGHTTP2_NO_ERROR) {
      // The upstream complains of us: say of what, in its own words, which are no caller's data.
      constexpr std::size_t kDebugBytes = 200;
      goaway_ = "going away (" + std::string(nghttp2_http2_strerror(frame.goaway.error_code)) + ")";
      const std::string debug(reinterpret_cast<const char*>(frame.goaway.opaque_data),
                              std::min(frame.goaway.opaque_data_len, kDebugBytes));
      if (const auto pool = pool_.lock()) {
        pool->log_trouble("upstream_goaway", "the upstream ended the connection with an error", goaway_, debug);
      }
    }
    // Streams beyond its last id are closed by nghttp2 with REFUSED_STREAM and go elsewhere; calls that wait need a
    // new connection.
    if (const auto pool = pool_.lock()) pool->dispatch_waiting();
  }
}

void UpstreamConnection::end_or_repeat(UpstreamStream& stream, StreamEnd end, std::uint32_t error_code,
                                       std::string_view detail) {
  const auto pool = pool_.lock();
  if (pool != nullptr && stream.repeatable(end)) {
    worker_.metrics().counter(families::kRetried, {stream.upstream_->name()}).add();
    stream.prepare_repeat();
    pool->take(stream);
    return;
  }
  stream.finish(end, error_code, detail);
}

void UpstreamConnection::on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t error_code) {
  auto& stream = static_cast<UpstreamStream&>(base);
  streams_.erase(streams_.iterator_to(stream));
  --count_;
  if (end == StreamEnd::kReset && pool_.lock() != nullptr) {
    pool_.lock()->log_trouble("upstream_reset", "the upstream reset a call", nghttp2_http2_strerror(error_code), "");
  }
  end_or_repeat(stream, end, error_code, going_away_ && end == StreamEnd::kNeverProcessed ? "going away" : "");
  const auto pool = pool_.lock();
  if (going_away_ || pool == nullptr) {
    if (count_ == 0) nghttp2_session_terminate_session(session_, NGHTTP2_NO_ERROR), schedule_flush();
    return;
  }
  if (nghttp2_session_get_next_stream_id(session_) > kLastStreamId) {
    going_away_ = true;
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
  if (pool != nullptr && count_ != 0) {
    pool->log_trouble("upstream_connection_lost", "the connection ended under calls in flight", detail,
                      last_error().message());
  }
  if (pool != nullptr) pool->on_connection_closed(*this, detail);
  while (!streams_.empty()) {
    UpstreamStream& stream = streams_.front();
    streams_.pop_front();
    --count_;
    stream.connection_ = nullptr;
    end_or_repeat(stream, StreamEnd::kConnectionLost, NGHTTP2_CANCEL, detail);
  }
}

void UpstreamConnection::on_protocol_error() {
  worker_.metrics().counter(families::kProtocolErrors, {upstream_name_}).add();
  if (const auto pool = pool_.lock()) {
    pool->log_trouble("upstream_protocol_error", "the upstream broke HTTP/2", "protocol error", "");
  }
}

}  // namespace ficus
