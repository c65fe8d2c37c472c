#include "facade/rpc/shadow_origin.h"

#include "facade/rpc/message_key.h"
#include "routing/rpc_path.h"

namespace ficus {

CallOrigin::CallOrigin(std::shared_ptr<WorkerRoutes> routes, const Plan& plan, const RouteDecision& decision,
                       std::uint64_t draw, const TraceContext& trace)
    : routes_(std::move(routes)),
      decision_(decision),
      draw_(draw),
      trace_(trace),
      rule_(plan.rule),
      method_(plan.method),
      capability_(plan.capability),
      tenant_(plan.who.tenant.value_or("")),
      consumer_(plan.who.consumer.value_or("")) {}

void CallOrigin::name_call(std::string_view path, std::string_view grpc_encoding) {
  path_ = path;
  encoding_ = grpc_encoding;
}

void CallOrigin::name_spans(const std::array<char, 16>& primary, const std::array<char, 16>& shadow) {
  primary_span_ = primary;
  shadow_span_ = shadow;
}

// The key is read once more from the captured request: for a share by key, and for the trace.
bool CallOrigin::settle(std::string_view message, bool compressed) {
  const RouteTable& table = *routes_->table;
  const MethodEntry& method = table.methods()[method_];
  if (!decision_.shadow_needs_key && !method.key_path) return true;
  const auto found =
      key_of_message(message, compressed, encoding_, method, table.capabilities()[capability_].key_limit_bytes);
  if (found) key_ = *found;
  if (!decision_.shadow_needs_key) return true;
  std::optional<KeyDigest> digest;
  if (found) digest = digest_of(DigestKind::kKey, *found);
  const ShareOutcome share = table.shadow_share(capability_, decision_, digest, draw_);
  routes_->metrics.count_share(rule_, true, share.in_share);
  return share.in_share;
}

CompareJob CallOrigin::compare_job() {
  const MethodEntry& method = routes_->table->methods()[method_];
  const auto path = parse_rpc_path(path_);
  CompareJob job;
  job.table = routes_->table;
  job.descriptors = routes_->descriptors;
  job.method = method_;
  job.service = path ? std::string(path->service) : method.service;
  job.method_name = path ? std::string(path->method) : method.method;
  job.rule = rule_;
  job.tenant = std::move(tenant_);
  job.consumer = std::move(consumer_);
  job.key = std::move(key_);
  job.trace_id = trace_.trace();
  if (trace_.continued) job.parent_span_id = trace_.parent();
  job.primary_span_id.assign(primary_span_.data(), primary_span_.size());
  job.shadow_span_id.assign(shadow_span_.data(), shadow_span_.size());
  return job;
}

const std::string& CallOrigin::primary_upstream() const {
  return routes_->table->upstreams()[decision_.upstream].name;
}

void CallOrigin::count_not_shadowed(std::string_view reason) {
  routes_->metrics.count_not_shadowed(capability_, reason);
}
void CallOrigin::count_begun() { routes_->metrics.shadow_begun(capability_).add(); }
void CallOrigin::count_equal() { routes_->metrics.shadow_equal(capability_).add(); }
void CallOrigin::count_shadow(GrpcCode status, std::chrono::nanoseconds latency) {
  routes_->metrics.count_call(method_, capability_, decision_.shadow_side, true, status, latency);
}

}  // namespace ficus
