// Small policies, by hand and at random, for tests that hold fast code against slow, obvious code. Not valid in every
// respect (no upstream has an endpoint): what is tested here does not ask.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "routing/policy.h"

namespace ficus::test {

// "acme", "eu-*", "group:pilot", "*", "none".
inline NamePattern pattern(std::string_view text) {
  NamePattern pattern;
  if (text == "*") {
    pattern.kind = NamePattern::Kind::kAny;
  } else if (text == "none") {
    pattern.kind = NamePattern::Kind::kNone;
  } else if (text.substr(0, 6) == "group:") {
    pattern.kind = NamePattern::Kind::kGroup;
    pattern.text = text.substr(6);
  } else if (!text.empty() && text.back() == '*') {
    pattern.kind = NamePattern::Kind::kPrefix;
    pattern.text = text.substr(0, text.size() - 1);
  } else {
    pattern.text = text;
  }
  return pattern;
}

inline std::vector<NamePattern> patterns(const std::vector<std::string>& texts) {
  std::vector<NamePattern> list;
  for (const std::string& text : texts) list.push_back(pattern(text));
  return list;
}

// Whether a list takes a name ("" stands for a call without one), pattern by pattern: the slow truth.
inline bool slowly_takes(const std::vector<NamePattern>& list, const std::vector<TenantGroup>& groups,
                         std::string_view name) {
  if (list.empty()) return true;
  for (const NamePattern& pattern : list) {
    switch (pattern.kind) {
      case NamePattern::Kind::kNone:
        if (name.empty()) return true;
        break;
      case NamePattern::Kind::kAny:
        if (!name.empty()) return true;
        break;
      case NamePattern::Kind::kName:
        if (!name.empty() && name == pattern.text) return true;
        break;
      case NamePattern::Kind::kPrefix:
        if (!name.empty() && name.substr(0, pattern.text.size()) == pattern.text) return true;
        break;
      case NamePattern::Kind::kGroup:
        for (const TenantGroup& group : groups) {
          if (group.name.value == pattern.text && slowly_takes(group.members, {}, name)) return true;
        }
        break;
    }
  }
  return false;
}

// Every name of up to three letters of {a, b}, names outside all random lists ("zzz", "azz", ...), and "" for none.
inline std::vector<std::string> tenant_universe() {
  std::vector<std::string> names = {"", "zzz"};
  std::vector<std::string> last = {""};
  for (int length = 1; length <= 3; ++length) {
    std::vector<std::string> longer;
    for (const std::string& stem : last) {
      for (const char letter : {'a', 'b'}) longer.push_back(stem + letter);
    }
    names.insert(names.end(), longer.begin(), longer.end());
    for (const std::string& name : longer) names.push_back(name + "zz");
    last = longer;
  }
  return names;
}

class RandomPolicy {
 public:
  explicit RandomPolicy(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }

  std::string name() {
    std::string text;
    for (std::size_t i = 0, length = 1 + below(2); i < length; ++i) text += one_in(2) ? 'a' : 'b';
    return text;
  }

  std::vector<NamePattern> names_and_prefixes() {
    std::vector<NamePattern> list;
    for (std::size_t i = 0, count = 1 + below(3); i < count; ++i) list.push_back(pattern(one_in(2) ? name() : name() + '*'));
    return list;
  }

  std::vector<NamePattern> tenants() {
    if (one_in(6)) return {};
    std::vector<NamePattern> list;
    for (std::size_t i = 0, count = 1 + below(2); i < count; ++i) {
      switch (below(8)) {
        case 0: list.push_back(pattern("*")); break;
        case 1: list.push_back(pattern("none")); break;
        case 2: list.push_back(pattern(one_in(2) ? "group:g0" : "group:g1")); break;
        case 3:
        case 4: list.push_back(pattern(name() + '*')); break;
        default: list.push_back(pattern(name()));
      }
    }
    return list;
  }

  RuleSpec rule(const std::string& rule_name, const std::string& capability) {
    RuleSpec rule;
    rule.name.value = rule_name;
    rule.capability.value = capability;
    rule.tenants = tenants();
    rule.stage.value = one_in(2) ? Stage::kLive : Stage::kOff;
    if (one_in(4)) rule.consumers = names_and_prefixes();
    return rule;
  }

  std::vector<TenantGroup> groups() {
    std::vector<TenantGroup> groups(2);
    groups[0].name.value = "g0";
    groups[1].name.value = "g1";
    for (TenantGroup& group : groups) group.members = names_and_prefixes();
    return groups;
  }

  // Two capabilities over the methods A..D of service "s", some of them unmanaged or unnamed, now and then a star.
  Policy policy() {
    Policy policy;
    for (const char* upstream : {"u0", "u1", "u2"}) policy.upstreams.emplace_back().name.value = upstream;
    if (!one_in(4)) policy.default_upstream = Text{one_in(4) ? "u1" : "u0", {}};
    policy.identity.tenant.emplace_back().metadata = one_in(6) ? "x-account" : "x-tenant";
    policy.tenant_groups = groups();
    for (const char* name : {"c0", "c1"}) {
      CapabilitySpec& capability = policy.capabilities.emplace_back();
      capability.name.value = name;
      capability.legacy.value = one_in(6) ? "u2" : "u0";
      capability.new_.value = "u1";
    }
    for (const char* method : {"A", "B", "C", "D", "*"}) {
      MethodRef ref;
      ref.service = "s";
      ref.method = method;
      CapabilitySpec& capability = policy.capabilities[below(2)];
      switch (below(5)) {
        case 0: capability.reads.push_back(ref); break;
        case 1:
        case 2: capability.writes.push_back(ref); break;
        case 3:
          if (!ref.star()) policy.unmanaged.emplace_back().method = ref;
          break;
        default: break;
      }
    }
    for (std::size_t i = 0, count = below(5); i < count; ++i) {
      policy.rules.push_back(rule("r" + std::to_string(i), one_in(2) ? "c0" : "c1"));
    }
    return policy;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace ficus::test
