#include "facade/control/policy_metrics.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "facade/metrics/families.h"

namespace ficus {
namespace {

double in_percent(Percent percent) { return percent.millionths / 10'000.0; }

void collect_shares(const RouteTable& table, MetricsShard& shard) {
  // Shares are of reads: a capability that only writes has none to show.
  std::vector<bool> has_reads(table.capabilities().size());
  for (const MethodEntry& method : table.methods()) {
    if (method.capability != kNoIndex && method.kind == MethodKind::kRead) has_reads[method.capability] = true;
  }
  for (const RuleInfo& rule : table.rules()) {
    if (!has_reads[rule.capability]) continue;
    const std::string& capability = table.capabilities()[rule.capability].name;
    shard.gauge(families::kShareConfigured, {capability, rule.name, "canary"}).set(in_percent(rule.facts.new_share));
    shard.gauge(families::kShareConfigured, {capability, rule.name, "shadow"}).set(in_percent(rule.facts.shadow));
  }
}

// A tenant name that the policy neither writes out nor covers by a prefix: one byte that begins none of them.
std::string name_of_any_other(const Policy& policy) {
  std::array<bool, 256> taken{};
  const auto take = [&](const std::vector<NamePattern>& patterns) {
    for (const NamePattern& pattern : patterns) {
      if (!pattern.text.empty()) taken[static_cast<unsigned char>(pattern.text.front())] = true;
    }
  };
  for (const TenantGroup& group : policy.tenant_groups) take(group.members);
  for (const RuleSpec& rule : policy.rules) take(rule.tenants);
  // Control characters are in no tenant's name, so there is always one left.
  std::size_t byte = 1;
  while (byte < 255 && taken[byte]) ++byte;
  return std::string(1, static_cast<char>(byte));
}

void collect_owners(const RouteTable& table, MetricsShard& shard) {
  std::map<std::string_view, bool> has_writes;
  for (const CapabilitySpec& spec : table.policy().capabilities) has_writes[spec.name.value] = !spec.writes.empty();
  const std::string any_other = name_of_any_other(table.policy());
  for (std::size_t i = 0; i < table.capabilities().size(); ++i) {
    const std::string& name = table.capabilities()[i].name;
    if (!has_writes[name]) continue;
    const auto report = [&](std::string_view label, std::optional<std::string_view> tenant) {
      const Side owner = table.write_owner(static_cast<std::uint16_t>(i), tenant);
      shard.gauge(families::kWriteOwner, {name, label, to_string(owner)}).set(1);
    };
    for (const std::string& tenant : table.tenant_labels()) report(tenant, tenant);
    report("other", any_other);
    if (!table.write_needs_tenant(static_cast<std::uint16_t>(i))) report("none", std::nullopt);
  }
}

void collect_expired(const Policy& policy, Date today, MetricsShard& shard) {
  std::map<std::string_view, std::int64_t> expired = {{"rule", 0}, {"override", 0}, {"compare", 0}, {"unmanaged", 0}};
  const auto judge = [&](std::string_view what, const std::optional<At<Date>>& until) {
    if (until && until->value < today) ++expired[what];
  };
  for (const RuleSpec& rule : policy.rules) judge("rule", rule.until);
  for (const UnmanagedSpec& entry : policy.unmanaged) judge("unmanaged", entry.until);
  for (const CapabilitySpec& capability : policy.capabilities) {
    if (capability.overrides) judge("override", capability.overrides->until);
    if (!capability.compare) continue;
    const auto judge_rules = [&](const CompareRules& rules) {
      rules.each_list([&](const char*, const auto& paths) {
        for (const auto& rule : paths) judge("compare", rule.until);
      });
    };
    judge_rules(*capability.compare);
    for (const CompareSpec::PerMethod& method : capability.compare->methods) judge_rules(method);
  }
  for (const auto& [what, count] : expired) shard.gauge(families::kExpired, {what}).set(static_cast<double>(count));
}

}  // namespace

void collect_policy_gauges(const RouteTable& table, Date today, MetricsShard& shard) {
  shard.gauge(families::kPolicyGeneration, {}).set(static_cast<double>(table.generation()));
  shard.gauge(families::kPolicyInfo, {table.name(), table.hash()}).set(1);
  collect_shares(table, shard);
  collect_owners(table, shard);
  collect_expired(table.policy(), today, shard);
}

}  // namespace ficus
