// What one worker's calls share: the routes in force, the connections to upstreams, the shadow lane, random numbers.
// Thread: the worker's, but for the constructor.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "facade/net/dns_resolver.h"
#include "facade/net/upstream_pool.h"
#include "facade/net/worker.h"
#include "facade/rpc/client_waits.h"
#include "facade/rpc/upstream_targets.h"
#include "facade/rpc/worker_routes.h"
#include "facade/shadow/shadow_tap.h"

namespace ficus {

struct RpcServerOptions {
  unsigned workers = 1;                   // limits of the whole facade are split over them
  std::size_t shadow_bytes = 256u << 20;  // of the whole facade: limit "shadow_bytes"
  std::chrono::milliseconds shadow_max_lag = PressureRule::kMaxLag;  // limit "event_loop_lag"; 0: not judged
  DnsOptions dns;                         // checked
};

class RpcServer {
 public:
  // All outlive the server.
  RpcServer(Worker& worker, CompareQueue& compare, RpcServerOptions options, std::uint64_t random_seed);
  ~RpcServer();

  // Calls born from now on use this table. The first use() warms connections.
  void use(std::shared_ptr<const RouteTable> table, std::shared_ptr<const DescriptorStore> descriptors);
  // Closes every connection to upstreams: what is in flight ends now, shadows with a verdict. Before the loop stops.
  void shutdown();
  std::unique_ptr<StreamEvents> new_call(H2Stream& stream);

  // Null before the first use().
  const std::shared_ptr<WorkerRoutes>& routes() const noexcept { return routes_; }
  UpstreamPool& pool() noexcept { return primary_pool_; }
  ShadowLane& shadow_lane() noexcept { return lane_; }
  Worker& worker() noexcept { return worker_; }
  // SplitMix64: for sampling and trace ids, not for secrets.
  std::uint64_t random() noexcept;
  // A part of a facade-wide limit: rounded up, so that no worker is left without.
  std::size_t share_of(std::size_t limit) const noexcept { return share_of_limit(limit, options_.workers); }
  Gauge& streams() noexcept { return streams_; }
  // What the facade adds to a call on the way to the upstream, and on the way back.
  Histogram& own_request_seconds() noexcept { return own_request_seconds_; }
  Histogram& own_answer_seconds() noexcept { return own_answer_seconds_; }
  // Of calls that are at no upstream yet.
  ClientWaits& key_waits() noexcept { return key_waits_; }

 private:
  Worker& worker_;
  const RpcServerOptions options_;
  DnsResolver dns_;
  UpstreamPool primary_pool_, shadow_pool_;
  ShadowLane lane_;
  Gauge& streams_;
  Histogram& own_request_seconds_;
  Histogram& own_answer_seconds_;
  ClientWaits key_waits_;
  std::shared_ptr<WorkerRoutes> routes_;
  TlsContexts tls_contexts_;
  std::map<std::string, std::shared_ptr<std::size_t>> rule_in_flight_;  // by rule name
  std::map<std::string, std::shared_ptr<RetryBudget>> retry_budgets_;   // by upstream name
  std::map<std::string, std::shared_ptr<UpstreamWaits>> waits_;         // likewise
  std::uint64_t random_state_;
};

}  // namespace ficus
