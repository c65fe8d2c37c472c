// Names that one place of a policy uses and another must define.
#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

#include "routing/decision.h"
#include "routing/policy_check_internal.h"
#include "routing/spelling.h"

namespace ficus::policy_check {
namespace {

// The names of one kind: a hash of them, and their list for "did you mean".
class Names {
 public:
  template <class Specs>
  explicit Names(const Specs& specs) {
    for (const auto& spec : specs) {
      index_.try_emplace(spec.name.value, static_cast<std::uint32_t>(list_.size()));
      list_.push_back(spec.name.value);
    }
  }
  std::uint32_t find(std::string_view name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? kNoIndex32 : found->second;
  }
  bool has(std::string_view name) const { return find(name) != kNoIndex32; }
  std::string hint(std::string_view name, std::string_view where) const {
    const std::string meant = did_you_mean(name, list_);
    return meant.empty() ? "define it under " + std::string(where) : meant;
  }

 private:
  std::unordered_map<std::string_view, std::uint32_t> index_;
  std::vector<std::string_view> list_;
};

class ReferenceCheck {
 public:
  ReferenceCheck(const CheckInput& input, const PolicyDoubts& doubts, Report& report)
      : policy_(input.policy),
        catalog_(input.catalog),
        doubts_(doubts),
        report_(report),
        upstreams_(policy_.upstreams),
        capabilities_(policy_.capabilities),
        attributes_(policy_.attributes),
        groups_(policy_.tenant_groups),
        rules_(policy_.rules) {}

  std::vector<std::uint32_t> run() {
    room_for_methods();
    if (policy_.default_upstream) upstream(*policy_.default_upstream, "default_upstream");
    for (std::size_t i = 0; i < policy_.schema_reflection.size(); ++i) {
      upstream(policy_.schema_reflection[i], "schemas." + item_path("reflection", i));
    }
    sources(policy_.identity.tenant, "identity.tenant");
    sources(policy_.identity.consumer, "identity.consumer");
    for (const AttributeSpec& attribute : policy_.attributes) {
      sources(attribute.sources, "attributes." + attribute.name.value);
    }
    for (const CapabilitySpec& capability : policy_.capabilities) {
      upstream(capability.legacy, yaml_path(capability) + ".legacy");
      upstream(capability.new_, yaml_path(capability) + ".new");
      overrides(capability);
    }
    std::vector<std::uint32_t> capability_of_rule;
    capability_of_rule.reserve(policy_.rules.size());
    for (std::size_t i = 0; i < policy_.rules.size(); ++i) capability_of_rule.push_back(rule(i));
    for (std::size_t i = 0; i < policy_.tests.size(); ++i) test(i);
    for (const TenantGroup& group : policy_.tenant_groups) {
      if (used_groups_.count(group.name.value) != 0) continue;
      report_.warning(codes::kUnusedGroup, group.name.mark, "tenant_groups." + group.name.value,
                      "no rule names the group \"" + group.name.value + "\"",
                      "write \"group:" + group.name.value + "\" in a rule's tenants, or take the group out");
    }
    return capability_of_rule;
  }

 private:
  // The route table numbers methods in 16 bits, and a star under `reads` becomes its methods one by one. What is written
  // out was bounded by the parser.
  void room_for_methods() {
    if (catalog_ == nullptr) return;
    std::size_t count = policy_.unmanaged.size();
    const MethodRef* star = nullptr;
    for (const CapabilitySpec& capability : policy_.capabilities) {
      count += capability.reads.size() + capability.writes.size();
      for (const MethodRef& ref : capability.reads) {
        if (!ref.star()) continue;
        star = &ref;
        count += catalog_->methods_of(ref.service).size();
      }
    }
    if (star == nullptr || count < kNoIndex) return;
    report_.error(codes::kTooMany, star->mark, "capabilities",
                  "with the methods of its stars the policy has " + std::to_string(count) + " methods",
                  "at most " + std::to_string(kNoIndex - 1));
  }

  // Whether no `section` of the file declares the name. An empty one is what could not be read.
  bool is_unknown(std::string_view name, const Names& names, std::string_view section) const {
    return !name.empty() && !names.has(name) && !doubts_.about_name(section, name);
  }

  void upstream(const Text& name, std::string path) {
    if (!is_unknown(name.value, upstreams_, "upstreams")) return;
    report_.error(codes::kUnknownUpstream, name.mark, std::move(path), "no upstream named " + in_quotes(name.value),
                  upstreams_.hint(name.value, "upstreams"));
  }

  // POLICY 3: what is verified is consulted first, and the order of the file is the order of consulting.
  void sources(const std::vector<IdentitySource>& list, const std::string& path) {
    bool unverified = false;
    for (std::size_t i = 0; i < list.size(); ++i) {
      unverified = unverified || !list[i].verified();
      if (!unverified || !list[i].verified()) continue;
      report_.error(codes::kVerifiedBehindUnverified, list[i].mark, item_path(path, i),
                    "peer_san " + in_quotes(list[i].peer_san) + " stands behind metadata, which anyone can write",
                    "move it to the front: verified sources come first");
    }
  }

  void overrides(const CapabilitySpec& capability) {
    if (!capability.overrides || capability.overrides->consumers.empty() || doubts_.about("identity")) return;
    const std::vector<IdentitySource>& sources = policy_.identity.consumer;
    if (std::any_of(sources.begin(), sources.end(), [](const IdentitySource& source) { return source.verified(); })) {
      return;
    }
    report_.error(codes::kOverrideUnverified, capability.overrides->consumers.front().mark,
                  yaml_path(capability) + ".overrides.consumers",
                  "an override for consumers, but no verified source yields a consumer: anyone could claim to be one",
                  "use a token instead: overrides: {metadata: " + capability.overrides->metadata.value +
                      ", token: \"file:NAME\"}");
  }

  std::uint32_t rule(std::size_t index) {
    const RuleSpec& rule = policy_.rules[index];
    const std::string path = rule_path(index);
    std::uint32_t capability = capabilities_.find(rule.capability.value);
    if (is_unknown(rule.capability.value, capabilities_, "capabilities")) {
      report_.error(codes::kUnknownCapability, rule.capability.mark, path + ".capability",
                    "no capability named " + in_quotes(rule.capability.value),
                    capabilities_.hint(rule.capability.value, "capabilities"));
    }
    if (!tenants(rule, path)) capability = kNoIndex32;
    const auto asks = std::find_if(rule.consumers.begin(), rule.consumers.end(), [](const NamePattern& pattern) {
      return pattern.kind != NamePattern::Kind::kNone;
    });
    if (asks != rule.consumers.end() && policy_.identity.consumer.empty() && !doubts_.about("identity")) {
      report_.error(codes::kConsumersWithoutIdentity, asks->mark, path + ".consumers",
                    rule_and_line(rule) + " asks for consumers, but nothing says who calls",
                    "add identity: {consumer: [{metadata: NAME}]}");
      capability = kNoIndex32;
    }
    for (const AttributeMatch& match : rule.match) {
      if (attributes_.has(match.attribute.value)) continue;
      capability = kNoIndex32;
      if (!is_unknown(match.attribute.value, attributes_, "attributes")) continue;
      report_.error(codes::kUnknownAttribute, match.attribute.mark, path + ".match." + match.attribute.value,
                    "no attribute named " + in_quotes(match.attribute.value),
                    attributes_.hint(match.attribute.value, "attributes"));
    }
    return capability;
  }

  // Whether what the rule says of tenants can be judged.
  bool tenants(const RuleSpec& rule, const std::string& path) {
    bool judged = true;
    bool identity_reported = !policy_.identity.tenant.empty() || doubts_.about("identity");
    for (std::size_t i = 0; i < rule.tenants.size(); ++i) {
      const NamePattern& pattern = rule.tenants[i];
      if (pattern.kind != NamePattern::Kind::kNone && !identity_reported) {
        identity_reported = true;
        judged = false;
        report_.error(codes::kTenantsWithoutIdentity, pattern.mark, path + '.' + item_path("tenants", i),
                      rule_and_line(rule) + " asks for tenants, but nothing says on whose behalf a call is made",
                      "add identity: {tenant: [{metadata: NAME}]}");
      }
      if (pattern.kind != NamePattern::Kind::kGroup) continue;
      if (groups_.has(pattern.text)) {
        used_groups_.insert(pattern.text);
        continue;
      }
      judged = false;
      if (!is_unknown(pattern.text, groups_, "tenant_groups")) continue;
      report_.error(codes::kUnknownGroup, pattern.mark, path + '.' + item_path("tenants", i),
                    "no tenant group named " + in_quotes(pattern.text), groups_.hint(pattern.text, "tenant_groups"));
    }
    return judged;
  }

  void test(std::size_t index) {
    const std::optional<Text>& rule = policy_.tests[index].expect.rule;
    if (!rule || rule->value == "none" || !is_unknown(rule->value, rules_, "rules")) return;
    report_.error(codes::kUnknownRule, rule->mark, item_path("tests", index) + ".expect.rule",
                  "no rule named " + in_quotes(rule->value), rules_.hint(rule->value, "rules"));
  }

  const Policy& policy_;
  const MethodCatalog* catalog_;
  const PolicyDoubts& doubts_;
  Report& report_;
  const Names upstreams_, capabilities_, attributes_, groups_, rules_;
  std::unordered_set<std::string_view> used_groups_;
};

std::string written(Date date) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

}  // namespace

std::vector<std::uint32_t> check_references(const CheckInput& input, const PolicyDoubts& doubts, Report& report) {
  return ReferenceCheck(input, doubts, report).run();
}

void check_expiry(const CheckInput& input, Report& report) {
  const auto judge = [&](const std::optional<At<Date>>& until, const std::string& what, std::string path,
                         const std::optional<Text>& contact) {
    if (!until || until->value >= input.today) return;
    std::string hint = "take it out, or give it another day";
    if (contact) hint += "; contact: " + contact->value;
    report.warning(codes::kExpired, until->mark, std::move(path),
                   what + " was good until " + written(until->value) + " and still applies; today is " +
                       written(input.today),
                   std::move(hint));
  };
  for (std::size_t i = 0; i < input.policy.rules.size(); ++i) {
    const RuleSpec& rule = input.policy.rules[i];
    judge(rule.until, "rule \"" + rule.name.value + '"', rule_path(i) + ".until", rule.contact);
    if (!rule.fallback) continue;
    judge(rule.fallback->until, "the fallback of rule \"" + rule.name.value + '"', rule_path(i) + ".reads.fallback.until",
          rule.fallback->contact ? rule.fallback->contact : rule.contact);
  }
  for (std::size_t i = 0; i < input.policy.unmanaged.size(); ++i) {
    const UnmanagedSpec& entry = input.policy.unmanaged[i];
    judge(entry.until, "the unmanaged entry of " + name_of(entry.method), item_path("unmanaged", i) + ".until",
          entry.contact);
  }
  for (const CapabilitySpec& capability : input.policy.capabilities) {
    if (capability.overrides) {
      judge(capability.overrides->until, "the override", yaml_path(capability) + ".overrides.until",
            capability.overrides->contact);
    }
    if (!capability.compare) continue;
    const auto judge_rules = [&](const CompareRules& rules, const std::string& where) {
      rules.each_list([&](const char* list, const auto& paths) {
        for (std::size_t i = 0; i < paths.size(); ++i) {
          judge(paths[i].until, std::string(list) + " of " + paths[i].path.text(),
                where + '.' + item_path(list, i) + ".until", paths[i].contact);
        }
      });
    };
    const std::string where = yaml_path(capability) + ".compare";
    judge_rules(*capability.compare, where);
    for (const CompareSpec::PerMethod& method : capability.compare->methods) {
      judge_rules(method, where + ".methods." + method.method.value);
    }
  }
}

}  // namespace ficus::policy_check
