// Connections to upstreams: per worker, per address, kept across policies. One pool for primaries, another for shadows,
// so that a shadow never waits in front of a primary.
// Thread: its worker's.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "facade/net/asio.h"
#include "facade/net/listener.h"
#include "facade/net/upstream_stream.h"
#include "facade/net/worker.h"

namespace ficus {

// An upstream as the pool needs it; made from the policy.
struct UpstreamTarget {
  std::string name;
  std::vector<HostPort> endpoints;
  std::chrono::milliseconds connect_timeout{2000};
  // This worker's share of the upstream's limit; calls beyond it are refused, not queued.
  std::size_t max_concurrent_requests = 1024;
};

class EndpointPool;

// One upstream by name: its endpoints, and how many calls it has here. Lives as long as a call or the pool names it.
class Upstream {
 public:
  const std::string& name() const noexcept { return name_; }
  std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  friend class UpstreamPool;
  friend class UpstreamStream;
  friend class EndpointPool;
  std::string name_;
  std::vector<std::shared_ptr<EndpointPool>> endpoints_;
  std::chrono::milliseconds connect_timeout_{2000};
  std::size_t max_concurrent_requests_ = 1024;
  std::size_t in_flight_ = 0;
  std::size_t next_endpoint_ = 0;
};

// The connections to one address.
class EndpointPool : public std::enable_shared_from_this<EndpointPool> {
 public:
  // Connections to one address from one worker. Each carries as many calls as the upstream allows (usually 100 or
  // more).
  static constexpr std::size_t kMaxConnections = 32;

  EndpointPool(Worker& worker, HostPort address, std::string upstream_name, const char* role);
  ~EndpointPool();
  // Gives the stream a connection, now or when there is one.
  void take(UpstreamStream& stream);
  // Opens a first connection if there is none, and from now on tries again every kRewarm while there is none.
  static constexpr std::chrono::milliseconds kRewarm{1000};
  void warm(std::chrono::milliseconds connect_timeout);
  // Closes its connections and fails what waits.
  void close_all();

 private:
  friend class UpstreamConnection;
  struct Connecting;
  void connect(std::chrono::milliseconds timeout);
  void on_connected(tcp::socket socket, std::chrono::nanoseconds settle_within);
  // Whether a connection is on its way: being opened, or open and not heard of yet.
  bool connecting() const noexcept;
  void connect_if_needed(std::chrono::milliseconds timeout);
  void on_connect_failed(std::string_view detail, const std::string& reason);
  void on_settled();
  void rewarm_later();
  // One line a second an endpoint at the most; how many were held back is said with the next.
  void log_trouble(std::string_view event, std::string_view what, std::string_view detail, std::string_view debug);
  std::string event_name() const;
  void dispatch_waiting();
  UpstreamConnection* spare_connection();
  void on_connection_closed(UpstreamConnection& connection, std::string_view detail);

  Worker& worker_;
  const HostPort address_;
  const std::string upstream_name_;  // the first that named the address; for metrics and logs
  const char* const role_;
  std::vector<std::shared_ptr<UpstreamConnection>> connections_;
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> waiting_;
  std::shared_ptr<Connecting> connecting_;  // at most one attempt at a time: callers share its outcome
  bool refused_ = false;                    // the last attempt failed
  bool keep_warm_ = false;
  std::chrono::milliseconds warm_timeout_{};
  asio::steady_timer warm_timer_;
  std::chrono::steady_clock::time_point trouble_logged_{};
  std::uint64_t trouble_held_back_ = 0;
  bool closed_ = false;
};

class UpstreamPool {
 public:
  // `role` is a metrics label: "primary" or "shadow".
  UpstreamPool(Worker& worker, const char* role);
  ~UpstreamPool();

  // The upstreams of a new policy. Connections to addresses that remain are kept; the others close when their last call
  // ended. `warm`: opens a connection to each address now.
  void configure(const std::vector<UpstreamTarget>& targets, bool warm);
  // Ends everything in flight with kConnectionLost or kConnectFailed ("facade stopped") and takes no more.
  void close_all();
  // Null where the policy never named it.
  std::shared_ptr<Upstream> find(const std::string& name) const;

  // A new stream to the upstream; on_closed(kConnectFailed) if no endpoint takes it. Null: the upstream's limit of
  // calls is reached (counted). `events` must stay until on_closed or abandon().
  UpstreamStream* open(const std::shared_ptr<Upstream>& upstream, StreamEvents& events);

 private:
  Worker& worker_;
  const char* const role_;
  std::map<std::string, std::shared_ptr<Upstream>> upstreams_;    // by name
  std::map<std::string, std::weak_ptr<EndpointPool>> endpoints_;  // by "host:port"
};

}  // namespace ficus
