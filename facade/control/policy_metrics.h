// The gauges that a scrape computes from the policy in force: generation, configured shares, write owners, what is past
// its `until`. Pure but for the shard it fills.
#pragma once

#include "facade/metrics/metrics.h"
#include "routing/route_table.h"

namespace ficus {

// For Metrics::set_snapshot_gauges(). Tenants are RouteTable::tenant_labels(), "other" (a tenant that the policy does
// not write out) and "none" (a call without one). An owner has a series of value 1 only for the side that owns, and
// only capabilities with writes have any. `today` judges `until`, the last good day.
void collect_policy_gauges(const RouteTable& table, Date today, MetricsShard& shard);

}  // namespace ficus
