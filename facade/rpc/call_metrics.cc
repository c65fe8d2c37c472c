#include "facade/rpc/call_metrics.h"

#include "facade/metrics/families.h"

namespace ficus {
namespace {

constexpr std::string_view kSideNames[] = {"legacy", "new", "none"};
constexpr std::string_view kRoleNames[] = {"primary", "shadow"};
constexpr std::string_view kShareNames[] = {"canary", "shadow"};

std::size_t side_index(std::optional<Side> side) { return side ? static_cast<std::size_t>(*side) : 2; }

}  // namespace

CallMetrics::CallMetrics(const RouteTable& table, MetricsShard& shard)
    : table_(table),
      shard_(shard),
      methods_(table.methods().size() + 1),
      capabilities_(table.capabilities().size() + 1),
      rules_(table.rules().size() + table.capabilities().size()) {
  method_names_.reserve(methods_.size());
  for (const MethodEntry& method : table.methods()) method_names_.push_back(method.service + "/" + method.method);
  method_names_.push_back("other");
}

std::string_view CallMetrics::capability_name(std::uint16_t capability) const {
  return capability < table_.capabilities().size() ? std::string_view(table_.capabilities()[capability].name) : "none";
}

void CallMetrics::count_call(std::uint16_t method, std::uint16_t capability, std::optional<Side> side, bool shadow,
                             GrpcCode status, std::chrono::nanoseconds latency) {
  const std::size_t m = std::min<std::size_t>(method, methods_.size() - 1);
  const std::size_t c = std::min<std::size_t>(capability, capabilities_.size() - 1);
  const std::size_t s = side_index(side) * 2 + (shadow ? 1 : 0);
  Counter*& calls = methods_[m].calls[s * kCodes + static_cast<std::size_t>(status)];
  if (calls == nullptr) {
    calls =
        &shard_.counter(families::kCalls, {capability_name(capability), method_names_[m], kSideNames[side_index(side)],
                                           kRoleNames[shadow ? 1 : 0], to_string(status)});
  }
  calls->add();
  Histogram*& seconds = capabilities_[c].seconds[s];
  if (seconds == nullptr) {
    seconds = &shard_.histogram(families::kCallSeconds, {capability_name(capability), kSideNames[side_index(side)],
                                                         kRoleNames[shadow ? 1 : 0]});
  }
  seconds->observe(latency);
}

void CallMetrics::count_routed(const Plan& plan, const RouteDecision& decision) {
  if (plan.capability == kNoIndex || !decision.side) return;
  const std::size_t side = static_cast<std::size_t>(*decision.side);
  const std::size_t kind = plan.kind == PlanKind::kWrite ? 1 : 0;
  const bool ruled = plan.rule != kNoRule;
  const Stage stage = ruled ? table_.rules()[plan.rule].stage : Stage::kOff;

  RuleCounters& rule = rules_[ruled ? plan.rule : table_.rules().size() + plan.capability];
  if (rule.sides[side] == nullptr) {
    rule.sides[side] = &shard_.counter(
        families::kRuleCalls, {capability_name(plan.capability),
                               ruled ? std::string_view(table_.rules()[plan.rule].name) : "none", kSideNames[side]});
  }
  rule.sides[side]->add();

  // Tenants the policy names, then "other", then none at all.
  const std::size_t named = table_.tenant_labels().size();
  std::size_t tenant = named + 1;
  if (plan.who.tenant) {
    const std::uint16_t label = table_.tenant_label(*plan.who.tenant);
    tenant = label == kNoIndex ? named : label;
  }
  std::vector<Counter*>& tenants = capabilities_[plan.capability].tenants;
  if (tenants.empty()) tenants.resize((named + 2) * kStages * 4);
  Counter*& calls = tenants[((tenant * kStages + static_cast<std::size_t>(stage)) * 2 + kind) * 2 + side];
  if (calls == nullptr) {
    const std::string_view name = tenant < named    ? std::string_view(table_.tenant_labels()[tenant])
                                  : tenant == named ? "other"
                                                    : "none";
    calls = &shard_.counter(families::kTenantCalls, {capability_name(plan.capability), name, to_string(stage),
                                                     kind == 1 ? "write" : "read", kSideNames[side]});
  }
  calls->add();
}

void CallMetrics::count_share(std::uint32_t rule, bool shadow_share, bool in_share) {
  if (rule >= table_.rules().size()) return;
  const std::size_t share = shadow_share ? 1 : 0;
  RuleCounters& counters = rules_[rule];
  if (counters.eligible[share] == nullptr) {
    const RuleInfo& info = table_.rules()[rule];
    counters.eligible[share] =
        &shard_.counter(families::kShareEligible, {capability_name(info.capability), info.name, kShareNames[share]});
    counters.in[share] =
        &shard_.counter(families::kShareIn, {capability_name(info.capability), info.name, kShareNames[share]});
  }
  counters.eligible[share]->add();
  if (in_share) counters.in[share]->add();
}

void CallMetrics::count_refused(std::uint16_t capability, std::string_view reason) {
  shard_.counter(families::kRefused, {capability_name(capability), reason}).add();
}

void CallMetrics::count_unkeyed(std::uint16_t capability, std::string_view reason) {
  shard_.counter(families::kUnkeyed, {capability_name(capability), reason}).add();
}

void CallMetrics::count_override(std::uint16_t capability, std::string_view outcome) {
  shard_.counter(families::kForced, {capability_name(capability), outcome}).add();
}

void CallMetrics::count_not_shadowed(std::uint16_t capability, std::string_view reason) {
  shard_.counter(families::kNotShadowed, {capability_name(capability), reason}).add();
}

void CallMetrics::count_retry(std::uint32_t rule, std::string_view outcome) {
  const RuleInfo& info = table_.rules()[rule];
  shard_.counter(families::kReadRetries, {capability_name(info.capability), info.name, outcome}).add();
}

void CallMetrics::count_fallback(std::uint16_t capability, std::string_view outcome) {
  shard_.counter(families::kFallbacks, {capability_name(capability), outcome}).add();
}

Counter& CallMetrics::shadow_begun(std::uint16_t capability) {
  CapabilityCounters& counters = capabilities_[capability];
  if (counters.begun == nullptr)
    counters.begun = &shard_.counter(families::kShadowBegun, {capability_name(capability)});
  return *counters.begun;
}

Counter& CallMetrics::shadow_equal(std::uint16_t capability) {
  CapabilityCounters& counters = capabilities_[capability];
  if (counters.equal == nullptr)
    counters.equal = &shard_.counter(families::kVerdicts, {capability_name(capability), "match", ""});
  return *counters.equal;
}

}  // namespace ficus
