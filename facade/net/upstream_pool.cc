#include "facade/net/upstream_pool.h"

#include <algorithm>
#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/upstream_connection.h"

namespace ficus {

namespace {

constexpr std::string_view kStopped = "facade stopped";
constexpr auto kConnectError = static_cast<std::uint32_t>(H2Error::kConnectError);

}  // namespace

// ---------------------------------------------------------------- one address

// One attempt to connect: resolve, then each address in turn, within one timeout.
struct EndpointPool::Connecting {
  explicit Connecting(asio::io_context& io) : resolver(io), socket(io), timer(io) {}
  tcp::resolver resolver;
  tcp::socket socket;
  asio::steady_timer timer;
  std::vector<tcp::endpoint> addresses;
  std::size_t next = 0;
  bool done = false;
  error_code last_error;
};

EndpointPool::EndpointPool(Worker& worker, HostPort address, std::string upstream_name, const char* role)
    : worker_(worker),
      address_(std::move(address)),
      upstream_name_(std::move(upstream_name)),
      role_(role),
      warm_timer_(worker.io()) {}

EndpointPool::~EndpointPool() {
  if (connecting_ != nullptr) {
    connecting_->done = true;
    error_code ignored;
    connecting_->socket.close(ignored);
    connecting_->timer.cancel();
  }
  for (const auto& connection : connections_) connection->retire();
  // Nobody will say that it works again: should a policy name it again, that is a new event.
  if (refused_) worker_.once().end(event_name());
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
    stream.finish(StreamEnd::kConnectFailed, kConnectError, kStopped);
    return;
  }
  if (waiting_.empty()) {
    if (UpstreamConnection* connection = spare_connection(); connection != nullptr && stream.attach(*connection))
      return;
  }
  waiting_.push_back(stream);
  stream.waiting_at_ = shared_from_this();
  connect_if_needed(stream.upstream_->connect_timeout_);
}

bool EndpointPool::connecting() const noexcept {
  return connecting_ != nullptr || std::any_of(connections_.begin(), connections_.end(), [](const auto& connection) {
           return !connection->settled() && !connection->closed();
         });
}

void EndpointPool::connect_if_needed(std::chrono::milliseconds timeout) {
  // One attempt at a time: callers share its outcome.
  if (!connecting() && connections_.size() < kMaxConnections) connect(timeout);
}

void EndpointPool::close_all() {
  closed_ = true;
  warm_timer_.cancel();
  const auto keep = shared_from_this();
  if (connecting_ != nullptr) {
    connecting_->done = true;
    error_code ignored;
    connecting_->socket.close(ignored);
    connecting_->resolver.cancel();
    connecting_->timer.cancel();
    connecting_ = nullptr;
  }
  const auto connections = connections_;
  for (const auto& connection : connections) connection->close(kStopped);
  while (!waiting_.empty()) {
    UpstreamStream& stream = waiting_.front();
    waiting_.pop_front();
    stream.finish(StreamEnd::kConnectFailed, kConnectError, kStopped);
  }
}

void EndpointPool::warm(std::chrono::milliseconds connect_timeout) {
  keep_warm_ = true;
  warm_timeout_ = connect_timeout;
  if (!closed_ && connecting_ == nullptr && connections_.empty()) connect(connect_timeout);
}

void EndpointPool::rewarm_later() {
  if (!keep_warm_ || closed_ || !connections_.empty()) return;
  warm_timer_.expires_after(kRewarm);
  warm_timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto pool = weak.lock();
    if (!ec && pool != nullptr) pool->warm(pool->warm_timeout_);
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
            {{"upstream", upstream_name_},
             {"address", to_string(address_)},
             {"role", role_},
             {"class", detail},
             {"debug", debug},
             {"held_back", std::exchange(trouble_held_back_, 0)}});
}

std::string EndpointPool::event_name() const { return upstream_name_ + ' ' + to_string(address_) + ' ' + role_; }

void EndpointPool::on_settled() {
  if (std::exchange(refused_, false) && worker_.once().end(event_name())) {
    log_event(LogLevel::kInfo, "upstream_connected", "the upstream takes connections again",
              {{"upstream", upstream_name_}, {"address", to_string(address_)}, {"role", role_}});
  }
  dispatch_waiting();
}

void EndpointPool::dispatch_waiting() {
  const auto keep = shared_from_this();  // the last waiting stream may hold the last reference
  while (!waiting_.empty() && !closed_) {
    UpstreamStream& stream = waiting_.front();
    UpstreamConnection* connection = spare_connection();
    if (connection == nullptr) {
      connect_if_needed(stream.upstream_->connect_timeout_);
      return;
    }
    waiting_.pop_front();
    if (!stream.attach(*connection)) {
      waiting_.push_front(stream);
      continue;
    }
  }
}

void EndpointPool::connect(std::chrono::milliseconds timeout) {
  auto attempt = std::make_shared<Connecting>(worker_.io());
  connecting_ = attempt;
  const std::weak_ptr<EndpointPool> weak = weak_from_this();
  const auto fail_with = [weak, attempt](std::string_view detail, const std::string& reason) {
    if (attempt->done) return;
    attempt->done = true;
    attempt->timer.cancel();
    error_code ignored;
    attempt->socket.close(ignored);
    if (const auto pool = weak.lock()) pool->on_connect_failed(detail, reason);
  };
  attempt->timer.expires_after(timeout);
  attempt->timer.async_wait([attempt, fail_with](error_code ec) {
    if (!ec) {
      attempt->resolver.cancel();
      fail_with("connect timeout", "no answer within the connect timeout");
    }
  });
  // Tries the addresses one after the other; the function keeps itself alive through the handlers.
  struct Try {
    static void next(const std::weak_ptr<EndpointPool>& pool, const std::shared_ptr<Connecting>& at,
                     const std::function<void(std::string_view, const std::string&)>& give_up) {
      if (at->done) return;
      if (at->next == at->addresses.size()) {
        const bool refused = at->last_error == asio::error::connection_refused;
        give_up(refused ? "connection refused" : "cannot connect", at->last_error.message());
        return;
      }
      const tcp::endpoint to = at->addresses[at->next++];
      error_code ignored;
      at->socket.close(ignored);
      at->socket.async_connect(to, [pool, at, give_up](error_code ec) {
        if (at->done) return;
        if (ec) {
          at->last_error = ec;
          next(pool, at, give_up);
          return;
        }
        at->done = true;
        // What is left of the timeout is for the upstream's first SETTINGS.
        const auto left = at->timer.expiry() - std::chrono::steady_clock::now();
        if (const auto alive = pool.lock()) alive->on_connected(std::move(at->socket), left);
        at->timer.cancel();
      });
    }
  };
  error_code not_numeric;
  const auto numeric = asio::ip::make_address(address_.host, not_numeric);
  if (!not_numeric) {
    attempt->addresses.emplace_back(numeric, address_.port);
    Try::next(weak, attempt, fail_with);
    return;
  }
  attempt->resolver.async_resolve(address_.host, std::to_string(address_.port),
                                  [weak, attempt, fail_with](error_code ec, const tcp::resolver::results_type& found) {
                                    if (attempt->done) return;
                                    if (ec || found.empty()) {
                                      fail_with("host not found", ec.message());
                                      return;
                                    }
                                    for (const auto& entry : found) attempt->addresses.push_back(entry.endpoint());
                                    Try::next(weak, attempt, fail_with);
                                  });
}

void EndpointPool::on_connected(tcp::socket socket, std::chrono::nanoseconds settle_within) {
  connecting_ = nullptr;
  auto connection = std::make_shared<UpstreamConnection>(worker_, std::move(socket), weak_from_this(), upstream_name_);
  connections_.push_back(connection);
  connection->start(settle_within);
}

void EndpointPool::on_connect_failed(std::string_view detail, const std::string& reason) {
  connecting_ = nullptr;
  worker_.metrics().counter(families::kConnectFailures, {upstream_name_, detail}).add();
  refused_ = true;
  if (worker_.once().begin(event_name())) {
    // Once until it works again: a dead upstream is one event, not one a call and a worker.
    log_event(LogLevel::kWarn, "upstream_connect_failed", "cannot connect; calls get UNAVAILABLE until it works again",
              {{"upstream", upstream_name_},
               {"address", to_string(address_)},
               {"role", role_},
               {"class", detail},
               {"reason", reason}});
  }
  // Calls go on waiting for the connections there are; only without any is there nothing to wait for.
  if (std::any_of(connections_.begin(), connections_.end(),
                  [](const auto& connection) { return !connection->going_away_ && !connection->closed(); })) {
    return;
  }
  const auto keep = shared_from_this();
  rewarm_later();
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> failed;
  failed.swap(waiting_);
  while (!failed.empty()) {
    UpstreamStream& stream = failed.front();
    failed.pop_front();
    const auto& endpoints = stream.upstream_->endpoints_;
    // It reached nobody: another endpoint may take it.
    if (stream.endpoint_ < 64) stream.tried_endpoints_ |= std::uint64_t{1} << stream.endpoint_;
    std::size_t other = endpoints.size();
    for (std::size_t i = 0; i < endpoints.size() && i < 64; ++i) {
      const std::size_t candidate = (stream.endpoint_ + 1 + i) % endpoints.size();
      if (candidate < 64 && (stream.tried_endpoints_ >> candidate & 1) == 0) {
        other = candidate;
        break;
      }
    }
    if (other == endpoints.size()) {
      stream.finish(StreamEnd::kConnectFailed, kConnectError, detail);
      continue;
    }
    worker_.metrics().counter(families::kRetried, {stream.upstream_->name()}).add();
    stream.endpoint_ = other;
    endpoints[other]->take(stream);
  }
}

void EndpointPool::on_connection_closed(UpstreamConnection& connection, std::string_view detail) {
  std::erase_if(connections_, [&](const auto& held) { return held.get() == &connection; });
  if (!connection.settled() && !closed_) {
    // It took the connection and said nothing of HTTP/2: as good as refused.
    on_connect_failed(detail, "closed before the upstream's HTTP/2 SETTINGS");
    return;
  }
  rewarm_later();
  dispatch_waiting();
}

// ---------------------------------------------------------------- all upstreams

UpstreamPool::UpstreamPool(Worker& worker, const char* role) : worker_(worker), role_(role) {}

UpstreamPool::~UpstreamPool() = default;

void UpstreamPool::configure(const std::vector<UpstreamTarget>& targets, bool warm) {
  std::map<std::string, std::shared_ptr<Upstream>> named;
  for (const UpstreamTarget& target : targets) {
    auto found = upstreams_.find(target.name);
    auto upstream = found != upstreams_.end() ? found->second : std::make_shared<Upstream>();
    upstream->name_ = target.name;
    upstream->connect_timeout_ = target.connect_timeout;
    upstream->max_concurrent_requests_ = target.max_concurrent_requests;
    std::vector<std::shared_ptr<EndpointPool>> endpoints;
    for (const HostPort& address : target.endpoints) {
      std::weak_ptr<EndpointPool>& known = endpoints_[to_string(address)];
      auto pool = known.lock();
      if (pool == nullptr) {
        pool = std::make_shared<EndpointPool>(worker_, address, target.name, role_);
        known = pool;
      }
      if (warm) pool->warm(target.connect_timeout);
      endpoints.push_back(std::move(pool));
    }
    upstream->endpoints_ = std::move(endpoints);
    named.emplace(target.name, std::move(upstream));
  }
  upstreams_ = std::move(named);
  std::erase_if(endpoints_, [](const auto& entry) { return entry.second.expired(); });
}

void UpstreamPool::close_all() {
  for (const auto& [address, weak] : endpoints_) {
    if (const auto pool = weak.lock()) pool->close_all();
  }
}

std::shared_ptr<Upstream> UpstreamPool::find(const std::string& name) const {
  const auto found = upstreams_.find(name);
  return found == upstreams_.end() ? nullptr : found->second;
}

UpstreamStream* UpstreamPool::open(const std::shared_ptr<Upstream>& upstream, StreamEvents& events) {
  if (upstream->in_flight_ >= upstream->max_concurrent_requests_) {
    worker_.metrics().counter(families::kLimits, {"max_concurrent_requests"}).add();
    return nullptr;
  }
  return new UpstreamStream(upstream, &events, worker_.chunks());
}

}  // namespace ficus
