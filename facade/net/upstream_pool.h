// All upstreams of one worker by name, kept across policies. One pool for primaries, another for shadows, so that a
// shadow never waits in front of a primary.
// Thread: its worker's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "facade/net/dns_resolver.h"
#include "facade/net/endpoint_probe.h"
#include "facade/net/upstream.h"
#include "facade/net/upstream_target.h"
#include "facade/net/worker.h"

namespace ficus {

class ClientPlaces;

// Limits of an upstream, as its metrics name them.
inline constexpr const char* kMaxConcurrentRequests = "max_concurrent_requests";
inline constexpr const char* kConnectionShare = "connection_share";

class UpstreamPool {
 public:
  // `role` is a metrics label: "primary" or "shadow". `worker` and `dns` outlive the pool.
  UpstreamPool(Worker& worker, DnsResolver& dns, const char* role);
  ~UpstreamPool();
  UpstreamPool(const UpstreamPool&) = delete;
  UpstreamPool& operator=(const UpstreamPool&) = delete;

  // Before configure(). Without a maker, nothing is probed.
  void set_probe_maker(MakeProbe make) { make_probe_ = std::move(make); }
  // This pool probes nothing and takes over what `leader`'s probes find, endpoint by endpoint. Before either is
  // configured; the leader must live as long, and is to be configured first.
  void follow(UpstreamPool& leader);

  // The upstreams of a new policy. Connections to addresses that remain are kept; the others close when their last call
  // ended. `warm`: opens a connection to each address now.
  void configure(const std::vector<UpstreamTarget>& targets, bool warm);
  // Ends everything in flight with kConnectionLost or kConnectFailed ("facade stopped") and takes no more.
  void close_all();
  // Null where the policy never named it.
  std::shared_ptr<Upstream> find(const std::string& name) const;

  // The limit that keeps another call from this upstream, by this client; null: there is room. The last eighth of
  // max_concurrent_requests is for connections that have no more than their part of that eighth ("connection_share"),
  // so that those with many calls do not shut out those with few.
  const char* limit_reached(const Upstream& upstream, const ClientPlaces& client) const noexcept;
  void count_limit(const Upstream& upstream, const char* limit);
  // A new stream to the upstream; on_closed(kConnectFailed) if no endpoint takes it. Null: the upstream's limit of
  // calls is reached (counted). `events` must stay until on_closed or abandon().
  // `client`: in whose places it counts; it outlives the stream's events.
  UpstreamStream* open(const std::shared_ptr<Upstream>& upstream, StreamEvents& events, ClientPlaces* client = nullptr);

 private:
  friend class Upstream;
  friend class EndpointPool;
  DnsResolver& dns() noexcept { return dns_; }
  const MakeProbe& probe_maker() const noexcept { return make_probe_; }
  std::shared_ptr<EndpointPool> make_endpoint(const EndpointKey& key);
  // What the leader's probes know.
  Balancer::Health known_health(const std::string& upstream, const tcp::endpoint& address) const;
  void tell_follower(const std::string& upstream, const tcp::endpoint& address, Balancer::Health health);

  Worker& worker_;
  DnsResolver& dns_;
  const char* const role_;
  MakeProbe make_probe_;
  UpstreamPool* leader_ = nullptr;
  UpstreamPool* follower_ = nullptr;
  std::map<std::string, std::shared_ptr<Upstream>> upstreams_;  // by name
  std::unordered_set<EndpointPool*> pools_;                     // every one that lives, the retired ones too
  Balancer::EndpointId last_endpoint_ = 0;
};

}  // namespace ficus
