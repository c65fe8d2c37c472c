// Why the rules above the one that matched did not: for people, not for calls. Walks the policy as written instead of
// the indexes, so that what it says is readable against the file.
#include <algorithm>

#include "routing/route_table_impl.h"

namespace ficus {
namespace {

constexpr std::size_t kMaxListed = 8;

std::string text_of(const NamePattern& pattern) {
  switch (pattern.kind) {
    case NamePattern::Kind::kName: return pattern.text;
    case NamePattern::Kind::kPrefix: return pattern.text + "*";
    case NamePattern::Kind::kGroup: return "group:" + pattern.text;
    case NamePattern::Kind::kAny: return "*";
    case NamePattern::Kind::kNone: return "none";
  }
  return {};
}

// "[globex, initech]"; of a long list the first few and how many are left.
std::string text_of(const std::vector<NamePattern>& patterns) {
  std::string text = "[";
  for (std::size_t i = 0; i < patterns.size() && i < kMaxListed; ++i) {
    if (i > 0) text += ", ";
    text += text_of(patterns[i]);
  }
  if (patterns.size() > kMaxListed) text += ", and " + std::to_string(patterns.size() - kMaxListed) + " more";
  return text + "]";
}

bool takes(const Policy& policy, const std::vector<NamePattern>& patterns, std::optional<std::string_view> value) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const NamePattern& pattern) {
    switch (pattern.kind) {
      case NamePattern::Kind::kName: return value && *value == pattern.text;
      case NamePattern::Kind::kPrefix: return value && value->starts_with(pattern.text);
      case NamePattern::Kind::kAny: return value.has_value();
      case NamePattern::Kind::kNone: return !value;
      case NamePattern::Kind::kGroup:
        return std::any_of(policy.tenant_groups.begin(), policy.tenant_groups.end(), [&](const TenantGroup& group) {
          return group.name.value == pattern.text && takes(policy, group.members, value);
        });
    }
    return false;
  });
}

// "tenant acme is not in [globex, initech]", "the call has no tenant, and the rule asks for one of [globex]".
std::string miss_text(const std::string& what, std::optional<std::string_view> value,
                      const std::vector<NamePattern>& patterns) {
  if (!value) return "the call has no " + what + "; the rule takes " + text_of(patterns);
  return what + " " + std::string(*value) + " is not in " + text_of(patterns);
}

std::string why_missed(const Policy& policy, const RuleSpec& rule, const Plan& plan, MethodKind kind) {
  const CallerIdentity& who = plan.who;
  if (!rule.tenants.empty() && !takes(policy, rule.tenants, who.tenant)) {
    return miss_text("tenant", who.tenant, rule.tenants);
  }
  if (kind == MethodKind::kWrite && rule.narrowed()) {
    return rule.consumers.empty() ? "it has match, and writes skip such rules"
                                  : "it has consumers, and writes skip such rules";
  }
  if (!rule.consumers.empty() && !takes(policy, rule.consumers, who.consumer)) {
    return miss_text("consumer", who.consumer, rule.consumers);
  }
  for (const AttributeMatch& match : rule.match) {
    for (std::size_t i = 0; i < policy.attributes.size() && i < kMaxAttributes; ++i) {
      if (policy.attributes[i].name.value != match.attribute.value) continue;
      if (!takes(policy, match.values, who.attributes[i])) {
        return miss_text("attribute " + match.attribute.value, who.attributes[i], match.values);
      }
    }
  }
  return "it takes the call, but a rule above it was first";
}

}  // namespace

std::vector<RuleMiss> RouteTable::explain_misses(const Plan& plan) const {
  if (plan.capability == kNoIndex) return {};
  // A call refused for its identity or its marker never came to the rules.
  if (plan.refusal && plan.refusal->reason != "tenant_missing") return {};
  const MethodKind kind = impl_->methods[plan.method].kind;
  std::vector<RuleMiss> misses;
  for (std::uint32_t number = 0; number < impl_->rules.size() && number != plan.rule; ++number) {
    if (impl_->rules[number].capability != plan.capability) continue;
    misses.push_back({number, why_missed(impl_->policy, impl_->policy.rules[number], plan, kind)});
  }
  return misses;
}

}  // namespace ficus
