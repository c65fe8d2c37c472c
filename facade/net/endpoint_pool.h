// One worker's connections to one address of one upstream, and the calls that wait for one.
// Thread: its worker's. Lifetime: the upstream names it; once it does not, the pool keeps itself until its last call
// ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "facade/net/asio.h"
#include "facade/net/balancer.h"
#include "facade/net/upstream_stream.h"
#include "facade/net/upstream_target.h"
#include "facade/net/worker.h"

namespace ficus {

class Upstream;
class UpstreamConnection;
class UpstreamPool;

// What two connections must have in common to stand for one another. An upstream's connections are its own, even where
// another upstream has the same address: limits and health are told apart by upstream.
struct EndpointKey {
  std::string upstream;
  tcp::endpoint address;
  std::string security;  // the identity of the TLS settings and whom they expect; empty: cleartext
  bool operator==(const EndpointKey& that) const {
    return std::tie(upstream, address, security) == std::tie(that.upstream, that.address, that.security);
  }
};

class EndpointPool : public std::enable_shared_from_this<EndpointPool> {
 public:
  // `owner` hears of the pool's birth and death, and outlives it or lets it go.
  EndpointPool(UpstreamPool& owner, Worker& worker, EndpointKey key, Balancer::EndpointId id, const char* role);
  ~EndpointPool();
  const EndpointKey& key() const noexcept { return key_; }
  Balancer::EndpointId id() const noexcept { return id_; }
  // "primary" or "shadow": a metrics label.
  const char* role() const noexcept { return role_; }
  // Whose members it is one of, and what that one says of connections; again with every policy.
  void configure(std::weak_ptr<Upstream> upstream, const UpstreamTarget& target);

  // Gives the stream a connection, now or when there is one. Refuses it where the upstream's limit of waiting calls is
  // reached.
  void take(UpstreamStream& stream);
  // Opens a first connection if there is none, and from now on tries again every kRewarm while there is none; but where
  // the last was closed for idleness, the next call opens one.
  static constexpr std::chrono::milliseconds kRewarm{1000};
  void warm();
  // No longer named: closes each connection when its last call ended, and sends calls that wait elsewhere.
  void retire();
  // Closes its connections and fails what waits.
  void close_all();

 private:
  friend class Upstream;
  friend class UpstreamConnection;
  friend class UpstreamPool;
  struct Connecting;
  void connect();
  void stop_connecting();
  // Whom the upstream's certificate must be for; with TLS, before the first connection.
  void expect(std::string_view server_name);
  void on_connected(tcp::socket socket, std::chrono::nanoseconds settle_within);
  // Whether a connection is on its way: being opened, or open and not heard of yet.
  bool connecting() const noexcept;
  // Connections that take calls; those going away do not count against the limit, or a long stream on one would keep
  // every new call waiting.
  std::size_t live_connections() const noexcept;
  void connect_if_needed();
  void on_connect_failed(std::string_view detail, const std::string& reason);
  void on_settled();
  void rewarm_later();
  // One line a second an endpoint at the most; how many were held back is said with the next.
  void log_trouble(std::string_view event, std::string_view what, std::string_view detail, std::string_view debug);
  std::string address_text() const;
  std::string event_name() const;
  void dispatch_waiting();
  UpstreamConnection* spare_connection();
  void on_connection_closed(UpstreamConnection& connection, std::string_view detail);
  // Retired: closes what is idle, and lets go of itself once nothing is left.
  void wind_up();

  UpstreamPool* owner_;
  Worker& worker_;
  const EndpointKey key_;
  const Balancer::EndpointId id_;
  const char* const role_;
  std::weak_ptr<Upstream> upstream_;
  std::chrono::milliseconds connect_timeout_{2000};
  std::size_t max_connections_ = 32;
  UpstreamConnectionSettings connection_settings_;
  std::shared_ptr<const TlsClientContext> tls_;
  std::optional<TlsPeerName> tls_name_;
  std::vector<std::shared_ptr<UpstreamConnection>> connections_;
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> waiting_;
  std::shared_ptr<Connecting> connecting_;  // at most one attempt at a time: callers share its outcome
  bool refused_ = false;                    // the last attempt failed
  bool keep_warm_ = false;
  bool resting_ = false;  // the last connection was closed for want of calls: the next call opens one, nothing else
  asio::steady_timer warm_timer_;
  std::chrono::steady_clock::time_point trouble_logged_{};
  std::uint64_t trouble_held_back_ = 0;
  bool closed_ = false;
  std::shared_ptr<EndpointPool> retired_;  // itself, while retired and not yet empty
};

}  // namespace ficus
