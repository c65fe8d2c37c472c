#include "facade/net/upstream_connection.h"

#include <utility>

#include "facade/base/check.h"
#include "facade/metrics/families.h"
#include "facade/net/lingering_close.h"
#include "facade/net/upstream.h"

namespace ficus {
namespace {

constexpr std::uint64_t kKeepalivePing = 0x66'69'63'75'73'6b'65'70;  // "ficuskep"
// After a look that came to nothing because bytes were waiting to be read.
constexpr std::chrono::milliseconds kLookAgain{50};

}  // namespace

UpstreamConnection::UpstreamConnection(Worker& worker, tcp::socket socket, std::weak_ptr<EndpointPool> pool,
                                       std::string upstream_name, const UpstreamConnectionSettings& settings)
    : H2Connection(worker, std::move(socket), H2Engine::Role::kClient, worker.limits()),
      pool_(std::move(pool)),
      upstream_name_(std::move(upstream_name)),
      settings_(settings),
      idle_since_(worker.touch_clock()),
      keepalive_(idle_since_) {}

UpstreamConnection::~UpstreamConnection() = default;

void UpstreamConnection::start(std::chrono::nanoseconds settle_within) {
  worker_.metrics().gauge(families::kConnections, {upstream_name_}).add(1);
  worker_.metrics().counter(families::kConnectionsTotal, {upstream_name_}).add();
  settle_by_ = std::chrono::steady_clock::now() + std::chrono::duration_cast<TimePoint::duration>(settle_within);
  worker_.timers().arm(timer_, settle_by_);
  start_session();
}

void UpstreamConnection::use_tls_client(const TlsClientContext& context, const TlsPeerName& name) {
  use_tls(std::make_unique<TlsStream>(context, socket_.native_handle(), name));
}

void UpstreamConnection::on_tls(std::string_view failed) {
  worker_.metrics().counter(families::kTlsHandshakes, {upstream_name_, failed.empty() ? "done" : failed}).add();
}

void UpstreamConnection::look_after() {
  if (closed()) return;
  const auto keep = shared_from_this();
  Agenda agenda(worker_.touch_clock());
  if (!settled_) {
    if (agenda.due(settle_by_)) return close("connect timeout");
    worker_.timers().arm(timer_, agenda.next());
    return;
  }
  const bool busy = streams() != 0;
  switch (keepalive_.look(agenda, settings_.keepalive_interval, settings_.keepalive_timeout,
                          busy || settings_.keepalive_without_calls)) {
    case Keepalive::Verdict::kFine:
      break;
    case Keepalive::Verdict::kPing:
      engine_.send_ping(kKeepalivePing);
      break;
    case Keepalive::Verdict::kDead:
      if (error_code ignored; socket_.available(ignored) == 0) {
        on_limit("keepalive");
        return close("keepalive timeout");
      }
      agenda.note(agenda.now() + kLookAgain);  // it spoke, and we were too busy to read it
      break;
  }
  if (settings_.idle_timeout.count() != 0 && !going_away_ &&
      agenda.due((busy ? agenda.now() : idle_since_) + settings_.idle_timeout)) {
    on_limit("idle_timeout");
    going_away_ = true;
    ended_idle_ = true;
    engine_.send_goaway(H2Error::kNoError, "");  // closed when it is out
  }
  if (agenda.next() != TimePoint::max()) worker_.timers().arm(timer_, agenda.next());
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
  if (!std::exchange(settled_, true)) {
    // What is due from now on is another matter.
    idle_since_ = worker_.now();
    look_after();
  }
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
  if (streams() == 0) idle_since_ = worker_.now();
  const auto pool = pool_.lock();
  // A connection whose ids ran out (RFC 9113 5.1.1) takes no more calls.
  if (engine_.ids_used_up()) going_away_ = true;
  if (going_away_ || pool == nullptr) {
    if (streams() == 0 && !engine_.goaway_sent()) engine_.send_goaway(H2Error::kNoError, "");
    return;
  }
  pool->dispatch_waiting();
}

void UpstreamConnection::on_limit(std::string_view name) {
  const auto pool = pool_.lock();
  const std::string_view role = pool != nullptr ? pool->role() : "";
  worker_.metrics().counter(families::kUpstreamLimits, {upstream_name_, role, name}).add();
}

void UpstreamConnection::linger(tcp::socket socket) {
  LingeringClose::begin(std::move(socket), [] {});
}

void UpstreamConnection::on_closing(std::string_view detail) {
  worker_.metrics().gauge(families::kConnections, {upstream_name_}).add(-1);
  going_away_ = true;
  timer_.cancel();
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
