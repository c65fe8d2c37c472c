#include "facade/rpc/upstream_targets.h"

#include "facade/net/upstream_target.h"
#include "routing/route_table.h"

namespace ficus {

UpstreamTarget target_of(const UpstreamInfo& info, unsigned workers) {
  const UpstreamSettings& settings = info.settings;
  UpstreamTarget target;
  target.name = info.name;
  for (const EndpointSpec& endpoint : info.endpoints) target.endpoints.push_back({endpoint.host, endpoint.port});
  target.connect_timeout = info.connect_timeout;
  target.max_concurrent_requests = share_of_limit(info.max_concurrent_requests, workers);
  target.max_pending = share_of_limit(settings.max_pending, workers);
  target.max_connections = share_of_limit(settings.max_connections, workers);
  target.balance.kind = settings.balance == Balance::kRoundRobin ? BalanceSettings::Kind::kRoundRobin
                                                                 : BalanceSettings::Kind::kLeastRequest;
  if (settings.slow_start) target.balance.slow_start = *settings.slow_start;
  if (settings.outlier) {
    EjectionSettings ejection;
    ejection.consecutive_failures = settings.outlier->consecutive;
    ejection.failure_statuses = 0;
    for (unsigned code = 0; code <= static_cast<unsigned>(GrpcCode::kUnauthenticated); ++code) {
      if (settings.outlier->on.has(static_cast<GrpcCode>(code))) ejection.failure_statuses |= 1u << code;
    }
    ejection.base_ejection = settings.outlier->eject;
    ejection.max_ejected_percent = settings.outlier->max_percent;
    target.balance.outlier = ejection;
  }
  if (settings.health_check) {
    target.health_check =
        ProbeSettings{settings.health_check->service, settings.health_check->interval, settings.health_check->timeout,
                      settings.health_check->unhealthy, settings.health_check->healthy};
  }
  if (settings.keepalive) {
    target.connection.keepalive_interval = settings.keepalive->interval;
    target.connection.keepalive_timeout = settings.keepalive->timeout;
    target.connection.keepalive_without_calls = settings.keepalive->idle;
  }
  if (settings.idle_timeout) target.connection.idle_timeout = *settings.idle_timeout;
  target.authority = settings.authority;
  return target;
}

}  // namespace ficus
