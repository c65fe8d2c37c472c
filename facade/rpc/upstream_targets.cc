#include "facade/rpc/upstream_targets.h"

#include "facade/base/log.h"
#include "facade/h2/header_text.h"
#include "facade/net/tls_context.h"
#include "facade/net/upstream_target.h"
#include "facade/rpc/upstream_tls.h"
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

void secure_target(UpstreamTarget& target, const UpstreamInfo& info, const TlsContexts& known, TlsContexts& kept) {
  if (!info.tls) return;
  const UpstreamTls& tls = *info.tls;
  // A digest, since it lives on in keys of maps where nobody expects a secret.
  std::uint64_t digest = header_hash(tls.ca_pem, tls.cert_pem);
  digest ^= header_hash(tls.key_pem, tls.ca_file.empty() ? "system" : "file") * 0x9e3779b97f4a7c15;
  target.security = "tls " + std::to_string(digest);
  target.server_name = tls.server_name;
  auto& context = kept[target.security];
  if (const auto found = known.find(target.security); found != known.end()) context = found->second;
  if (context == nullptr) {
    auto made = TlsClientContext::make(client_settings_of(tls));
    if (made) {
      context = *std::move(made);
      for (const std::string& warning : context->warnings()) {
        log_event(LogLevel::kWarn, "upstream_tls", warning, {{"upstream", info.name}});
      }
    } else {
      log_event(LogLevel::kError, "upstream_tls_unusable", "calls to this upstream fail until its `tls` is mended",
                {{"upstream", info.name}, {"reason", made.error()}});
    }
  }
  target.tls = context;
}

}  // namespace ficus
