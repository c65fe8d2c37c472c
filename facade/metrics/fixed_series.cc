#include "facade/metrics/fixed_series.h"

#include "facade/metrics/families.h"

namespace ficus {

void add_fixed_series(MetricsShard& shard) {
  for (const std::string_view limit : kLimitNames) shard.counter(families::kLimits, {limit});
  for (const std::string_view outcome : kDnsOutcomes) shard.counter(families::kDnsLookups, {outcome});
  for (const std::string_view reason : kTraceDrops) shard.counter(families::kTraces, {"dropped", reason});
  shard.counter(families::kTraces, {"written", ""});
  // Reloads of the policy are the policy store's.
  for (const std::string_view outcome : {"reloaded", "kept"}) shard.counter(families::kTlsReloads, {outcome});
  shard.gauge(families::kConnections, {"client"});
  shard.counter(families::kConnectionsTotal, {"client"});
  shard.counter(families::kProtocolErrors, {"client"});
}

}  // namespace ficus
