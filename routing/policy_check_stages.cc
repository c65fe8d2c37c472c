// Whether a rule's stage and its fields agree, and its shares can be counted. POLICY 4 and 5; one rule at a time.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "routing/policy_check_internal.h"
#include "routing/spelling.h"

namespace ficus::policy_check {
namespace {

class StageCheck {
 public:
  StageCheck(const CheckInput& input, Report& report) : policy_(input.policy), catalog_(input.catalog), report_(report) {
    for (const TenantGroup& group : policy_.tenant_groups) groups_.try_emplace(group.name.value, &group);
  }

  void run(std::size_t index, const CapabilitySpec* capability) {
    const RuleSpec& rule = policy_.rules[index];
    path_ = rule_path(index);
    const Stage stage = rule.stage.value;
    if (capability != nullptr && capability->reads.empty()) without_reads(rule, *capability);
    if (stage == Stage::kDualWrite) {
      report_.error(codes::kDualWriteWithoutFacade, rule.stage.mark, path_ + ".stage",
                    "stage dual_write means that the facade repeats writes, and no capability has replication: facade",
                    "until that is built, move the data by CDC or events and use stage shadow");
    }
    if (stage == Stage::kOff || stage == Stage::kComplete) {
      fixed(rule);
      return;
    }
    if (rule.reads_serve && rule.canary) {
      report_.error(codes::kServeAndCanary, rule.canary->mark, path_ + ".reads.canary",
                    rule_and_line(rule) + " has both reads.serve and reads.canary",
                    "serve is short for a share of 0 or 100: keep one of the two");
    }
    if (capability != nullptr && !capability->reads.empty()) percents(rule);
    if (rule.canary) {
      if (!rule.canary->by) {
        report_.error(codes::kCanaryByMissing, rule.canary->mark, path_ + ".reads.canary",
                      "reads.canary does not say what its share is counted by",
                      "write by: tenant, by: consumer or by: key");
      }
      share(rule, rule.canary->percent.value, rule.canary->by, "canary", capability);
    }
    if (rule.shadow) share(rule, rule.shadow->percent.value, rule.shadow->by, "shadow", capability);
  }

 private:
  void fixed(const RuleSpec& rule) {
    const std::string stage(to_string(rule.stage.value));
    const auto refuse = [&](Mark mark, const char* field) {
      report_.error(codes::kFixedStageOverridden, mark, path_ + '.' + field,
                    "stage " + stage + " cannot be overridden: it means " +
                        (rule.stage.value == Stage::kOff ? "legacy" : "new") + " for everything",
                    rule.stage.value == Stage::kOff ? "take it out, or use stage shadow, canary or live"
                                                    : "take it out, or use stage live or rampdown");
    };
    if (rule.reads_serve) refuse(rule.reads_serve->mark, "reads.serve");
    if (rule.canary) refuse(rule.canary->mark, "reads.canary");
    if (rule.shadow) refuse(rule.shadow->mark, "reads.shadow");
    if (rule.fallback) refuse(rule.fallback->mark, "reads.fallback");
    if (rule.writes_owner) refuse(rule.writes_owner->mark, "writes.owner");
  }

  // A write is never asked twice: who writes `retry` or `fallback` beside writes only expects something that never comes.
  void without_reads(const RuleSpec& rule, const CapabilitySpec& capability) {
    const auto refuse = [&](Mark mark, const std::string& field) {
      report_.error(codes::kReadsOfWritesOnly, mark, path_ + ".reads." + field,
                    rule_and_line(rule) + " has reads." + field + ", and capability \"" + capability.name.value +
                        "\" has no reads",
                    "take it out: a write is never asked again");
    };
    if (rule.retry) refuse(rule.retry->mark, "retry");
    if (rule.fallback) refuse(rule.fallback->mark, "fallback");
  }

  // A percentage is always written where the stage has one: there is no silent 100.
  void percents(const RuleSpec& rule) {
    const Stage stage = rule.stage.value;
    const auto missing = [&](const char* field, const char* hint) {
      report_.error(codes::kPercentMissing, rule.mark, path_ + '.' + field,
                    rule_and_line(rule) + " is in stage " + std::string(to_string(stage)) + " and does not say " +
                        field,
                    hint);
    };
    if (stage == Stage::kCanary && !rule.canary && !rule.reads_serve) {
      missing("reads.canary", "write reads: {canary: {percent: 1, by: tenant}}, with your own share");
    }
    if ((stage == Stage::kShadow || stage == Stage::kCanary || stage == Stage::kLive) && !rule.shadow) {
      missing("reads.shadow", "write reads: {shadow: {percent: 0}} for none");
    }
  }

  void share(const RuleSpec& rule, Percent percent, const std::optional<At<ShareBy>>& by, const char* kind,
             const CapabilitySpec* capability) {
    if (!by) return;
    const std::string path = path_ + ".reads." + kind + ".by";
    if (by->value == ShareBy::kKey && capability != nullptr) {
      if (!capability->key) {
        report_.error(codes::kByKeyWithoutKey, by->mark, path,
                      "by: key, but capability \"" + capability->name.value + "\" has no key",
                      "add key: {request_field: FIELD} or key: {metadata: NAME} to the capability");
      } else if (catalog_ == nullptr && names_request_field(*capability->key)) {
        report_.warning(codes::kKeyNeedsSchema, by->mark, path,
                        "the key is a field of the request, and without a schema no request has one",
                        "add the service's descriptors to schemas");
      }
    }
    if (by->value == ShareBy::kTenant) few_tenants(rule, percent, *by, path);
  }

  static bool names_request_field(const KeySpec& key) {
    return key.request_field || std::any_of(key.methods.begin(), key.methods.end(),
                                            [](const KeySpec::PerMethod& entry) { return entry.request_field; });
  }

  // Where a finite list is cut so small that not one tenant is to be expected in the share.
  void few_tenants(const RuleSpec& rule, Percent percent, const At<ShareBy>& by, const std::string& path) {
    if (!percent.between() || rule.tenants.empty()) return;
    std::unordered_set<std::string_view> names;
    const auto enough = [&] { return std::uint64_t{percent.millionths} * names.size() >= Percent::kFull; };
    for (const NamePattern& pattern : rule.tenants) {
      if (pattern.kind == NamePattern::Kind::kGroup) {
        const auto group = groups_.find(pattern.text);
        if (group == groups_.end()) return;
        for (const NamePattern& member : group->second->members) {
          if (member.kind != NamePattern::Kind::kName || enough()) return;
          names.insert(member.text);
        }
      } else if (pattern.kind == NamePattern::Kind::kName) {
        names.insert(pattern.text);
      } else if (pattern.kind != NamePattern::Kind::kNone) {
        return;  // a prefix or '*': no finite list
      }
    }
    if (enough()) return;
    report_.warning(codes::kShareBelowOne, by.mark, path,
                    to_string(percent) + " % of " + std::to_string(names.size()) +
                        (names.size() == 1 ? " tenant" : " tenants") +
                        " is less than one of them: most likely none is in the share, or one is wholly",
                    "count by key or consumer, or name the tenants you mean in a rule of their own");
  }

  const Policy& policy_;
  const MethodCatalog* catalog_;
  Report& report_;
  std::string path_;
  std::unordered_map<std::string_view, const TenantGroup*> groups_;
};

}  // namespace

void check_stages(const CheckInput& input, const std::vector<std::uint32_t>& capability_of_rule, Report& report) {
  StageCheck check(input, report);
  for (std::size_t i = 0; i < input.policy.rules.size(); ++i) {
    const std::uint32_t capability = capability_of_rule[i];
    check.run(i, capability == kNoIndex32 ? nullptr : &input.policy.capabilities[capability]);
  }
}

}  // namespace ficus::policy_check
