// Who owns a write, and what that means for reads of the same data. POLICY 2 (a service that new writes to is listed
// whole), 4 (replication, staleness) and 8.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "routing/policy_check_internal.h"

namespace ficus::policy_check {
namespace {

std::string side_name(Side side) { return std::string(to_string(side)); }

bool fed_back(const CapabilitySpec& capability) {
  return capability.reverse_replication_external && capability.reverse_replication_external->value;
}

class OwnershipCheck {
 public:
  OwnershipCheck(const CheckInput& input, const MethodIndex& methods, const Analysis& analysis, Report& report)
      : policy_(input.policy), catalog_(input.catalog), methods_(methods), analysis_(analysis), report_(report) {
    std::unordered_map<std::string_view, std::uint32_t> by_data;
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      const std::optional<Text>& data = policy_.capabilities[c].data;
      if (!data) continue;
      const auto [at, fresh] = by_data.try_emplace(data->value, static_cast<std::uint32_t>(data_groups_.size()));
      if (fresh) data_groups_.emplace_back();
      data_groups_[at->second].push_back(c);
    }
  }

  void run() {
    owner_by_unverified();
    for (const std::vector<std::uint32_t>& group : data_groups_) one_data(group);
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      if (!analysis_.tenants[c].too_many_rules) chains(c);
    }
    complete_services();
    untested_owners();
  }

 private:
  const std::string& name_of_capability(std::uint32_t c) const { return policy_.capabilities[c].name.value; }

  std::string decided_by(std::uint32_t rule) const {
    return rule == kNoIndex32 ? "no rule takes it" : rule_and_line(policy_.rules[rule]);
  }

  std::string example_of(const RuleChain& chain) const { return describe_class(analysis_.classes, chain.example); }

  void owner_by_unverified() {
    if (policy_.identity.trust_metadata) return;
    const auto source = std::find_if(policy_.identity.tenant.begin(), policy_.identity.tenant.end(),
                                     [](const IdentitySource& tenant) { return !tenant.verified(); });
    if (source == policy_.identity.tenant.end()) return;
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      if (policy_.capabilities[c].writes.empty() || analysis_.tenants[c].one_owner()) continue;
      const auto index = static_cast<std::size_t>(source - policy_.identity.tenant.begin());
      report_.warning(codes::kOwnerByUnverified, source->mark, "identity." + item_path("tenant", index),
                      "metadata " + source->metadata + ", which any caller can write, decides who owns writes of "
                          "capability \"" + name_of_capability(c) + '"',
                      "if something in front of this facade checks it, say identity: {trust_metadata: true}");
      return;
    }
  }

  // ---- capabilities that touch the same entities ----

  void one_data(const std::vector<std::uint32_t>& group) {
    const CapabilitySpec& first = policy_.capabilities[group.front()];
    for (std::size_t i = 1; i < group.size(); ++i) {
      const CapabilitySpec& capability = policy_.capabilities[group[i]];
      if (fed_back(first) != fed_back(capability)) {
        const auto& written = capability.reverse_replication_external;
        report_.error(codes::kReplicationUnlike, written ? written->mark : capability.mark,
                      yaml_path(capability) + ".reverse_replication",
                      "capability \"" + capability.name.value + "\" says reverse_replication: " +
                          (fed_back(capability) ? "external" : "none") + ", but capability \"" + first.name.value +
                          "\" (line " + std::to_string(first.mark.line) + ") of the same data \"" + first.data->value +
                          "\" says " + (fed_back(first) ? "external" : "none"),
                      "the same entities are replicated one way: write it alike in both");
      }
      for (std::size_t j = 0; j < i; ++j) same_sides(policy_.capabilities[group[j]], capability);
      if (!analysis_.tenants[group.front()].too_many_rules && !analysis_.tenants[group[i]].too_many_rules) {
        same_owners(group.front(), group[i]);
      }
    }
  }

  // The same side would be another upstream: an owner by side then says nothing of who owns the entity.
  void same_sides(const CapabilitySpec& first, const CapabilitySpec& second) {
    if (first.legacy.value == first.new_.value || second.legacy.value == second.new_.value) return;
    if (first.legacy.value != second.new_.value && first.new_.value != second.legacy.value) return;
    const bool is_new_here = first.legacy.value == second.new_.value;
    const Text& here = is_new_here ? second.new_ : second.legacy;
    report_.error(codes::kDataSidesSwapped, here.mark, yaml_path(second) + (is_new_here ? ".new" : ".legacy"),
                  "upstream \"" + here.value + "\" is the " + (is_new_here ? "new" : "legacy") + " side here, but the " +
                      (is_new_here ? "legacy" : "new") + " side of capability \"" + first.name.value + "\" (line " +
                      std::to_string(first.mark.line) + ") of the same data \"" + second.data->value + '"',
                  "one entity has one owner: both capabilities must call the same upstream legacy, and the same one new");
  }

  void same_owners(std::uint32_t a, std::uint32_t b) {
    const CapabilityTenants& tenants_a = analysis_.tenants[a];
    const CapabilityTenants& tenants_b = analysis_.tenants[b];
    std::vector<std::uint32_t> classes;
    classes.reserve(tenants_a.by_class.size() + tenants_b.by_class.size() + 2);
    for (const auto& entry : tenants_a.by_class) classes.push_back(entry.first);
    for (const auto& entry : tenants_b.by_class) classes.push_back(entry.first);
    classes.push_back(kOtherClass);
    classes.push_back(kNoneClass);
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    std::set<std::pair<std::uint32_t, std::uint32_t>> reported;
    for (const std::uint32_t id : classes) {
      const RuleChain& chain_a = tenants_a.chain_of(id);
      const RuleChain& chain_b = tenants_b.chain_of(id);
      if (chain_a.owner == chain_b.owner) continue;
      if (!reported.emplace(chain_a.write_rule, chain_b.write_rule).second) continue;
      // At the later of the two rules; where one capability has none, at the other's.
      const bool at_a = chain_b.write_rule == kNoIndex32 ||
                        (chain_a.write_rule != kNoIndex32 && chain_a.write_rule > chain_b.write_rule);
      const std::uint32_t rule = at_a ? chain_a.write_rule : chain_b.write_rule;
      const RuleChain& here = at_a ? chain_a : chain_b;
      const RuleChain& there = at_a ? chain_b : chain_a;
      report_.error(codes::kDataOwners, policy_.rules[rule].mark, rule_path(rule),
                    rule_and_line(policy_.rules[rule]) + " gives writes of data \"" +
                        policy_.capabilities[a].data->value + "\" for " + describe_class(analysis_.classes, id) +
                        " to " + side_name(here.owner) + ", but in capability \"" + name_of_capability(at_a ? b : a) +
                        "\" they belong to " + side_name(there.owner) + ": " + decided_by(there.write_rule),
                    there.write_rule == kNoIndex32 ? "give that capability a rule for the same tenants"
                                                   : "one entity has one owner: bring the two rules into line");
    }
  }

  // ---- one capability, rule by rule ----

  void chains(std::uint32_t c) {
    const CapabilitySpec& capability = policy_.capabilities[c];
    if (capability.reads.empty()) return;  // narrowed rules are errors there, and the others are the owners' own
    const bool legacy_is_kept_current = data_is_fed_back(capability);
    std::set<std::uint32_t> narrowed, fallen_back, shadowed, served;  // rules reported already
    bool stale = false;
    const std::vector<RuleChain>& all = analysis_.tenants[c].chains;
    for (std::size_t at = 0; at < all.size(); ++at) {
      const RuleChain& chain = all[at];
      for (std::size_t i = 0; i < chain.rules.size(); ++i) {
        if ((analysis_.reach[c][at].reached >> i & 1) == 0) continue;
        const std::uint32_t r = chain.rules[i];
        const StageFacts facts = stage_facts(&policy_.rules[r]);
        if (policy_.rules[r].narrowed() && facts.owner != chain.owner && narrowed.insert(r).second) {
          narrowed_owner(r, facts.owner, chain);
        }
        if (chain.owner == Side::kNew && !facts.fallback.empty() && fallen_back.insert(r).second) {
          stale_fallback(r, c, chain);
        }
        if (chain.owner == Side::kNew && !legacy_is_kept_current) {
          if (!facts.shadow.none() && !facts.new_share.none() && shadowed.insert(r).second) stale_shadow(r, c, chain);
          if (!facts.new_share.all() && served.insert(r).second) stale_reads(r, c, chain, facts);
        } else if (!stale && !capability.staleness &&
                   (chain.owner == Side::kNew ? !facts.new_share.all() : !facts.new_share.none())) {
          stale = true;
          no_staleness(r, c, chain);
        }
      }
    }
  }

  // By the capability or by another of the same data: unlike settings are one error, not two.
  bool data_is_fed_back(const CapabilitySpec& capability) const {
    if (fed_back(capability) || !capability.data) return fed_back(capability);
    return std::any_of(policy_.capabilities.begin(), policy_.capabilities.end(), [&](const CapabilitySpec& that) {
      return that.data == capability.data && fed_back(that);
    });
  }

  void narrowed_owner(std::uint32_t r, Side owner, const RuleChain& chain) {
    const RuleSpec& rule = policy_.rules[r];
    const bool fixed = rule.stage.value == Stage::kOff || rule.stage.value == Stage::kComplete;
    report_.error(codes::kNarrowedOwner, rule.mark, rule_path(r),
                  rule_and_line(rule) + " says that " + side_name(owner) + " owns writes for " + example_of(chain) +
                      ", but " + (rule.consumers.empty() ? "match" : "consumers") + " cannot decide that, and they belong to " +
                      side_name(chain.owner) + ": " + decided_by(chain.write_rule),
                  fixed ? "use a stage whose writes belong to " + side_name(chain.owner)
                        : "add writes: {owner: " + side_name(chain.owner) + "} to it, or move the owner by a rule for tenants");
  }

  static constexpr const char* kFeedBack =
      "keep legacy current and say reverse_replication: external in every capability of the data";

  // Fed back or not: new has the last word on its own writes, and a NOT_FOUND of its owner is an answer.
  void stale_fallback(std::uint32_t r, std::uint32_t c, const RuleChain& chain) {
    const RuleSpec& rule = policy_.rules[r];
    report_.error(codes::kFallbackToStaleLegacy, rule.fallback->mark, rule_path(r) + ".reads.fallback",
                  rule_and_line(rule) + " falls back to legacy for reads of capability \"" + name_of_capability(c) +
                      "\" for " + example_of(chain) + ", where new owns the writes: " + decided_by(chain.write_rule),
                  "take the fallback out, or leave the writes to legacy: writes: {owner: legacy}");
  }

  void stale_shadow(std::uint32_t r, std::uint32_t c, const RuleChain& chain) {
    const RuleSpec& rule = policy_.rules[r];
    report_.error(codes::kShadowOnStaleLegacy, rule.shadow ? rule.shadow->percent.mark : rule.mark,
                  rule_path(r) + ".reads.shadow.percent",
                  rule_and_line(rule) + " shadows reads of capability \"" + name_of_capability(c) + "\" for " +
                      example_of(chain) + " on legacy, where new owns the writes and nothing keeps legacy current",
                  std::string("write shadow: {percent: 0}; or ") + kFeedBack);
  }

  void stale_reads(std::uint32_t r, std::uint32_t c, const RuleChain& chain, const StageFacts& facts) {
    const RuleSpec& rule = policy_.rules[r];
    const bool by_serve = rule.reads_serve.has_value();
    const bool by_canary = !by_serve && rule.canary.has_value();
    report_.error(codes::kReadsFromStaleLegacy,
                  by_serve ? rule.reads_serve->mark : by_canary ? rule.canary->percent.mark : rule.stage.mark,
                  rule_path(r) + (by_serve ? ".reads.serve" : by_canary ? ".reads.canary.percent" : ".stage"),
                  rule_and_line(rule) + " serves " + (facts.new_share.none() ? "" : "part of the ") + "reads of capability \"" +
                      name_of_capability(c) + "\" for " + example_of(chain) +
                      " from legacy, where new owns the writes (" + decided_by(chain.write_rule) +
                      ") and nothing keeps legacy current",
                  std::string("serve them from new; or ") + kFeedBack);
  }

  void no_staleness(std::uint32_t r, std::uint32_t c, const RuleChain& chain) {
    const CapabilitySpec& capability = policy_.capabilities[c];
    report_.warning(codes::kNoStaleness, capability.mark, yaml_path(capability) + ".staleness",
                    "reads of capability \"" + capability.name.value + "\" for " + example_of(chain) + " come from " +
                        side_name(other(chain.owner)) + " (" + rule_and_line(policy_.rules[r]) + ") while " +
                        side_name(chain.owner) + " owns the writes, and nothing says how old an answer may be",
                    "write staleness: 2s, or what its readers bear");
  }

  // ---- a service that new writes to ----

  void complete_services() {
    if (catalog_ == nullptr) return;
    std::set<std::string_view> judged;
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      const CapabilitySpec& capability = policy_.capabilities[c];
      if (!new_owns_some(analysis_.tenants[c])) continue;
      for (const MethodRef& write : capability.writes) {
        if (!judged.insert(write.service).second) continue;
        std::string missing;
        std::size_t count = 0;
        for (const std::string& method : catalog_->methods_of(write.service)) {
          if (methods_.resolve(write.service, method, catalog_) != nullptr) continue;
          if (++count <= 5) missing += (count == 1 ? "" : ", ") + method;
        }
        if (count == 0) continue;
        if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
        report_.error(codes::kServiceIncomplete, capability.mark, yaml_path(capability),
                      "new owns writes of " + write.service + ", but the policy does not say whose " + missing +
                          (count == 1 ? " is" : " are"),
                      "name each in a capability, or under unmanaged: [{method: SERVICE/METHOD, reason: WHY}]");
      }
    }
  }

  void untested_owners() {
    std::set<const MethodPlace*> tested;
    for (const PolicyTest& test : policy_.tests) {
      if (test.expect.owner) tested.insert(methods_.resolve(test.method.service, test.method.method, catalog_));
    }
    for (std::uint32_t c = 0; c < policy_.capabilities.size(); ++c) {
      const CapabilitySpec& capability = policy_.capabilities[c];
      if (!new_owns_some(analysis_.tenants[c])) continue;
      for (std::size_t i = 0; i < capability.writes.size(); ++i) {
        const MethodRef& write = capability.writes[i];
        const MethodPlace* place = methods_.named(write.service, write.method);
        if (place == nullptr || place->capability != c || tested.count(place) != 0) continue;
        report_.warning(codes::kUntestedOwner, write.mark, yaml_path(capability) + '.' + item_path("writes", i),
                        "new owns " + name_of(write) + " for some tenants, and no test says for whom",
                        "add to tests: {name: TEXT, method: " +
                            (write.star() ? write.service + "/METHOD" : name_of(write)) +
                            ", tenant: TENANT, expect: {owner: new}}");
      }
    }
  }

  const Policy& policy_;
  const MethodCatalog* catalog_;
  const MethodIndex& methods_;
  const Analysis& analysis_;
  Report& report_;
  std::vector<std::vector<std::uint32_t>> data_groups_;  // capabilities of one `data`, in order
};

}  // namespace

void check_ownership(const CheckInput& input, const MethodIndex& methods, const Analysis& analysis, Report& report) {
  OwnershipCheck(input, methods, analysis, report).run();
}

}  // namespace ficus::policy_check
