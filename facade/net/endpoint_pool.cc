#include "facade/net/endpoint_pool.h"

#include <algorithm>
#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/upstream.h"
#include "facade/net/upstream_connection.h"
#include "facade/net/upstream_pool.h"

namespace ficus {

// One attempt to connect, within one timeout.
struct EndpointPool::Connecting {
  explicit Connecting(asio::io_context& io) : socket(io), timer(io) {}
  tcp::socket socket;
  asio::steady_timer timer;
  bool done = false;
};

EndpointPool::EndpointPool(UpstreamPool& owner, Worker& worker, EndpointKey key, Balancer::EndpointId id,
                           const char* role)
    : owner_(&owner), worker_(worker), key_(std::move(key)), id_(id), role_(role), warm_timer_(worker.io()) {
  owner_->pools_.insert(this);
}

EndpointPool::~EndpointPool() {
  stop_connecting();
  for (const auto& connection : connections_) connection->retire();
  // Nobody will say that it works again: should a policy name it again, that is a new event.
  if (refused_) worker_.once().end(event_name());
  if (owner_ != nullptr) owner_->pools_.erase(this);
}

void EndpointPool::configure(std::weak_ptr<Upstream> upstream, const UpstreamTarget& target) {
  upstream_ = std::move(upstream);
  connect_timeout_ = target.connect_timeout;
  max_connections_ = target.max_connections;
  connection_settings_ = target.connection;
  tls_ = target.tls;
}

void EndpointPool::expect(std::string_view server_name) {
  if (auto name = TlsPeerName::parse(server_name)) tls_name_ = *std::move(name);
}

void EndpointPool::stop_connecting() {
  if (connecting_ == nullptr) return;
  connecting_->done = true;
  error_code ignored;
  connecting_->socket.close(ignored);
  connecting_->timer.cancel();
  connecting_ = nullptr;
}

UpstreamConnection* EndpointPool::spare_connection() {
  UpstreamConnection* best = nullptr;
  for (const auto& connection : connections_) {
    if (connection->spare() != 0 && (best == nullptr || connection->streams() < best->streams()))
      best = connection.get();
  }
  return best;
}

void EndpointPool::take(UpstreamStream& stream) {
  if (closed_) {
    stream.finish(StreamEnd::kConnectFailed, kConnectError, kFacadeStopped);
    return;
  }
  if (waiting_.empty()) {
    if (UpstreamConnection* connection = spare_connection(); connection != nullptr && stream.attach(*connection)) return;
  }
  if (!stream.begin_waiting(worker_)) return;
  waiting_.push_back(stream);
  stream.waiting_at_ = shared_from_this();
  if (!connecting() && live_connections() >= max_connections_) {
    worker_.metrics().counter(families::kUpstreamLimits, {key_.upstream, role_, "max_connections"}).add();
  }
  connect_if_needed();
}

bool EndpointPool::connecting() const noexcept {
  return connecting_ != nullptr || std::any_of(connections_.begin(), connections_.end(), [](const auto& connection) {
           return !connection->settled() && !connection->closed();
         });
}

std::size_t EndpointPool::live_connections() const noexcept {
  return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(), [](const auto& connection) {
    return !connection->going_away_ && !connection->closed();
  }));
}

void EndpointPool::connect_if_needed() {
  // One attempt at a time: callers share its outcome.
  if (!connecting() && live_connections() < max_connections_) connect();
}

void EndpointPool::close_all() {
  closed_ = true;
  warm_timer_.cancel();
  const auto keep = shared_from_this();
  stop_connecting();
  const auto connections = connections_;
  for (const auto& connection : connections) connection->close(kFacadeStopped);
  while (!waiting_.empty()) {
    UpstreamStream& stream = waiting_.front();
    waiting_.pop_front();
    stream.finish(StreamEnd::kConnectFailed, kConnectError, kFacadeStopped);
  }
  retired_.reset();
}

void EndpointPool::warm() {
  keep_warm_ = true;
  if (!resting_ && !closed_ && retired_ == nullptr && connecting_ == nullptr && connections_.empty()) connect();
}

void EndpointPool::retire() {
  const auto keep = shared_from_this();
  retired_ = keep;
  keep_warm_ = false;
  warm_timer_.cancel();
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> moved;
  moved.swap(waiting_);
  while (!moved.empty()) {
    UpstreamStream& stream = moved.front();
    moved.pop_front();
    stream.upstream_->place(stream);
  }
  wind_up();
}

void EndpointPool::wind_up() {
  if (retired_ == nullptr || !waiting_.empty()) return;
  const auto keep = shared_from_this();
  stop_connecting();
  const auto connections = connections_;
  for (const auto& connection : connections) connection->retire();
  if (connections_.empty()) retired_.reset();
}

void EndpointPool::rewarm_later() {
  // An address that nothing could be reached at is tried again even where connections are not kept: only so is it known
  // to be back before a call pays for the attempt.
  if (!(keep_warm_ || refused_) || resting_ || closed_ || retired_ != nullptr || !connections_.empty()) return;
  warm_timer_.expires_after(kRewarm);
  warm_timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto pool = weak.lock();
    if (ec || pool == nullptr || pool->closed_ || pool->retired_ != nullptr) return;
    if (pool->connecting_ == nullptr && pool->connections_.empty()) pool->connect();
  });
}

void EndpointPool::log_trouble(std::string_view event, std::string_view what, std::string_view detail,
                               std::string_view debug) {
  constexpr std::chrono::seconds kPause{1};
  const auto now = std::chrono::steady_clock::now();
  if (now - trouble_logged_ < kPause) {
    ++trouble_held_back_;
    return;
  }
  trouble_logged_ = now;
  log_event(LogLevel::kWarn, event, what,
            {{"upstream", key_.upstream},
             {"address", address_text()},
             {"role", role_},
             {"class", detail},
             {"debug", debug},
             {"held_back", std::exchange(trouble_held_back_, 0)}});
}

std::string EndpointPool::address_text() const {
  return to_string(HostPort{key_.address.address().to_string(), key_.address.port()});
}

std::string EndpointPool::event_name() const { return key_.upstream + ' ' + address_text() + ' ' + role_; }

void EndpointPool::on_settled() {
  if (std::exchange(refused_, false)) {
    if (worker_.once().end(event_name())) {
      log_event(LogLevel::kInfo, "upstream_connected", "the upstream takes connections again",
                {{"upstream", key_.upstream}, {"address", address_text()}, {"role", role_}});
    }
    if (const auto upstream = upstream_.lock()) upstream->on_reachable(id_, true);
  }
  dispatch_waiting();
}

void EndpointPool::dispatch_waiting() {
  const auto keep = shared_from_this();  // the last waiting stream may hold the last reference
  while (!waiting_.empty() && !closed_) {
    UpstreamStream& stream = waiting_.front();
    UpstreamConnection* connection = spare_connection();
    if (connection == nullptr) {
      connect_if_needed();
      return;
    }
    waiting_.pop_front();
    if (!stream.attach(*connection)) {
      waiting_.push_front(stream);
      continue;
    }
  }
  wind_up();
}

void EndpointPool::connect() {
  if (!key_.security.empty() && (tls_ == nullptr || !tls_name_)) {
    // Never in cleartext instead.
    on_connect_failed("TLS settings cannot be used", "see the log of the last policy load");
    return;
  }
  resting_ = false;
  auto attempt = std::make_shared<Connecting>(worker_.io());
  connecting_ = attempt;
  const std::weak_ptr<EndpointPool> weak = weak_from_this();
  const auto fail_with = [weak, attempt](std::string_view detail, const std::string& reason) {
    attempt->done = true;
    attempt->timer.cancel();
    error_code ignored;
    attempt->socket.close(ignored);
    if (const auto pool = weak.lock()) pool->on_connect_failed(detail, reason);
  };
  attempt->timer.expires_after(connect_timeout_);
  attempt->timer.async_wait([attempt, fail_with](error_code ec) {
    if (!ec && !attempt->done) fail_with("connect timeout", "no answer within the connect timeout");
  });
  attempt->socket.async_connect(key_.address, [weak, attempt, fail_with](error_code ec) {
    if (attempt->done) return;
    if (ec) {
      fail_with(ec == asio::error::connection_refused ? "connection refused" : "cannot connect", ec.message());
      return;
    }
    attempt->done = true;
    // What is left of the timeout is for the upstream's first SETTINGS.
    const auto left = attempt->timer.expiry() - std::chrono::steady_clock::now();
    if (const auto alive = weak.lock()) alive->on_connected(std::move(attempt->socket), left);
    attempt->timer.cancel();
  });
}

void EndpointPool::on_connected(tcp::socket socket, std::chrono::nanoseconds settle_within) {
  connecting_ = nullptr;
  auto connection = std::make_shared<UpstreamConnection>(worker_, std::move(socket), weak_from_this(), key_.upstream,
                                                         connection_settings_);
  if (tls_ != nullptr) connection->use_tls_client(*tls_, *tls_name_);
  connections_.push_back(connection);
  connection->start(settle_within);
}

void EndpointPool::on_connect_failed(std::string_view detail, const std::string& reason) {
  const auto keep = shared_from_this();
  connecting_ = nullptr;
  worker_.metrics().counter(families::kConnectFailures, {key_.upstream, detail}).add();
  refused_ = true;
  if (worker_.once().begin(event_name())) {
    // Once until it works again: a dead upstream is one event, not one a call and a worker.
    log_event(LogLevel::kWarn, "upstream_connect_failed", "cannot connect; tried again every second until it works",
              {{"upstream", key_.upstream},
               {"address", address_text()},
               {"role", role_},
               {"class", detail},
               {"reason", reason}});
  }
  const auto upstream = upstream_.lock();
  // Calls go on waiting for the connections there are; only without any is there nothing to wait for.
  const bool others = live_connections() != 0;
  if (upstream != nullptr) {
    if (!others) upstream->on_reachable(id_, false);
    upstream->on_failure(id_);
  }
  if (others) return;
  rewarm_later();
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> failed;
  failed.swap(waiting_);
  while (!failed.empty()) {
    UpstreamStream& stream = failed.front();
    failed.pop_front();
    stream.upstream_->place_elsewhere(stream, detail);  // it reached nobody: another endpoint may take it
  }
  wind_up();
}

void EndpointPool::on_connection_closed(UpstreamConnection& connection, std::string_view detail) {
  std::erase_if(connections_, [&](const auto& held) { return held.get() == &connection; });
  if (!connection.settled() && !closed_ && retired_ == nullptr) {
    // It took the connection and said nothing of HTTP/2: as good as refused.
    on_connect_failed(detail, "closed before the upstream's HTTP/2 SETTINGS");
    return;
  }
  // However many calls it carried: one connection lost is one failure of the endpoint.
  const auto upstream = upstream_.lock();
  if (connection.streams() != 0 && !closed_ && upstream != nullptr) upstream->on_failure(id_);
  if (connection.ended_idle() && connections_.empty()) resting_ = true;
  rewarm_later();
  dispatch_waiting();
}

}  // namespace ficus
