// One upstream by name, as one worker sees it: the addresses its endpoints resolve to, which of them takes the next
// call, and how many calls it has.
// Thread: its worker's. Lifetime: as long as the pool, a route table in use, or a call names it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "facade/net/asio.h"
#include "facade/net/balancer.h"
#include "facade/net/dns_resolver.h"
#include "facade/net/endpoint_pool.h"
#include "facade/net/endpoint_probe.h"
#include "facade/net/upstream_target.h"

namespace ficus {

class UpstreamPool;

// RFC 9113 7: what a stream that never had a connection ends with.
inline constexpr auto kConnectError = static_cast<std::uint32_t>(H2Error::kConnectError);
inline constexpr std::string_view kFacadeStopped = "facade stopped";

class Upstream : public std::enable_shared_from_this<Upstream> {
 public:
  Upstream(UpstreamPool& owner, Worker& worker, std::string name, const char* role);
  // Of a probe: these limits, this endpoint and no other; seen in no metric.
  Upstream(Worker& worker, std::string name, const char* role, std::shared_ptr<EndpointPool> only);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  const std::string& name() const noexcept { return name_; }
  std::size_t in_flight() const noexcept { return in_flight_; }
  // Of these, calls that wait for a connection.
  std::size_t pending() const noexcept { return pending_; }
  // As balancing has them now.
  Balancer::Counts endpoints() const noexcept { return balancer_.counts(); }

 private:
  friend class UpstreamPool;
  friend class UpstreamStream;
  friend class UpstreamConnection;
  friend class EndpointPool;
  friend class ClientPlaces;
  struct Member {
    std::shared_ptr<EndpointPool> pool;
    std::string written;  // the endpoint as the policy has it
    std::unique_ptr<EndpointProbe> probe;
  };

  // ---- from the policy
  void configure(const UpstreamTarget& target, bool warm);
  // The policy names it no more: nothing is looked up or probed, and connections end with their last call. Calls of
  // older policies are still served.
  void let_go();
  // Everything ends now.
  void close_all();

  // ---- calls
  // Gives the stream an endpoint, or waits for addresses, or ends it.
  void place(UpstreamStream& stream);
  // The stream reached nobody at its endpoint: another one that it has not tried, or its end with `detail`.
  void place_elsewhere(UpstreamStream& stream, std::string_view detail);
  // Sends it again: to an endpoint it has not tried if there is one.
  void place_again(UpstreamStream& stream);
  void on_status(Balancer::EndpointId endpoint, unsigned grpc_status);

  // ---- endpoints
  void on_failure(Balancer::EndpointId endpoint) { on_result(endpoint, true); }
  void on_reachable(Balancer::EndpointId endpoint, bool reachable);
  void on_health(Balancer::EndpointId endpoint, bool healthy);
  void set_health(const Member& member, Balancer::Health health);
  // What the primary's checks found, for a shadow.
  void adopt_health(const tcp::endpoint& address, Balancer::Health health);

  void give(UpstreamStream& stream, std::size_t member);
  std::size_t member_of(Balancer::EndpointId endpoint) const noexcept;
  Balancer::Time now() const noexcept;
  void on_result(Balancer::EndpointId endpoint, bool failed);
  void watch_names();
  void on_names_changed();
  bool asking() const noexcept;  // whether a name's first look-up is under way
  void set_members();
  void set_probes(bool again);
  void wait_for_addresses(UpstreamStream& stream);
  void end_waiting(std::string_view detail);
  void release_later();
  void show_endpoints(Balancer::Counts counts);

  UpstreamPool* owner_;  // null: a probe's, or let go
  Worker& worker_;
  const std::string name_;
  const char* const role_;
  UpstreamTarget target_;
  bool warm_ = false;
  bool closed_ = false;
  std::map<std::string, std::unique_ptr<DnsWatch>> names_;  // by host
  Balancer balancer_;
  std::vector<Member> members_;  // the balancer's order
  std::size_t in_flight_ = 0;
  std::size_t clients_ = 0;  // connections of clients with calls among them
  std::size_t pending_ = 0;
  // Calls that came before the first addresses.
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> waiting_;
  asio::steady_timer addresses_timer_;
  asio::steady_timer release_timer_;
  Balancer::Counts shown_;
};

}  // namespace ficus
