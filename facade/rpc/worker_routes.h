// One route table as one worker uses it: with the worker's upstreams and counters found beforehand. A call keeps the
// one it was born with. Thread: the worker's.
#pragma once

#include <memory>
#include <vector>

#include "facade/compare/descriptor_store.h"
#include "facade/net/upstream_pool.h"
#include "facade/rpc/call_metrics.h"
#include "facade/rpc/client_waits.h"
#include "facade/rpc/retry_budget.h"
#include "routing/route_table.h"

namespace ficus {

struct WorkerRoutes {
  WorkerRoutes(std::shared_ptr<const RouteTable> t, std::shared_ptr<const DescriptorStore> d, MetricsShard& shard)
      : table(std::move(t)), descriptors(std::move(d)), metrics(*table, shard) {}

  std::shared_ptr<const RouteTable> table;
  std::shared_ptr<const DescriptorStore> descriptors;  // may be null
  std::vector<std::shared_ptr<Upstream>> primary;      // by RouteTable::upstreams() index
  std::vector<std::shared_ptr<Upstream>> shadow;
  std::vector<std::shared_ptr<std::size_t>> rule_in_flight;  // shadows in flight by rule, kept across policies by name
  std::vector<std::shared_ptr<RetryBudget>> retry_budgets;   // by upstream, kept across policies by name
  std::vector<std::shared_ptr<UpstreamWaits>> waits;         // likewise
  CallMetrics metrics;
};

}  // namespace ficus
