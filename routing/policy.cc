#include "routing/policy.h"

#include <unordered_set>

namespace ficus {

StageFacts stage_facts(const RuleSpec* rule) {
  StageFacts facts;
  if (rule == nullptr) return facts;
  const Stage stage = rule->stage.value;
  const bool on_new = stage == Stage::kLive || stage == Stage::kRampdown || stage == Stage::kComplete;
  facts.new_share = Percent{on_new ? Percent::kFull : 0};
  facts.owner = on_new ? Side::kNew : Side::kLegacy;
  // The two ends of a migration are what they are: nothing may be set beside them (an error in policy_check.h).
  if (stage == Stage::kOff || stage == Stage::kComplete) return facts;

  if (rule->reads_serve) {
    facts.new_share = Percent{rule->reads_serve->value == Side::kNew ? Percent::kFull : 0};
  } else if (rule->canary) {
    facts.new_share = rule->canary->percent.value;
    if (facts.new_share.between() && rule->canary->by) facts.new_share_by = rule->canary->by->value;
  }
  if (rule->shadow) {
    facts.shadow = rule->shadow->percent.value;
    if (rule->shadow->by) facts.shadow_by = rule->shadow->by->value;
  }
  if (rule->fallback) {
    for (const At<GrpcCode>& code : rule->fallback->on) facts.fallback.add(code.value);
  }
  if (rule->writes_owner) facts.owner = rule->writes_owner->value;
  return facts;
}

std::vector<std::string> files_named(const Policy& policy) {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::string& name) {
    if (seen.insert(name).second) names.push_back(name);
  };
  for (const Text& schema : policy.schemas) add(schema.value);
  for (const UpstreamSpec& upstream : policy.upstreams) {
    if (upstream.tls) {
      for (const auto* file : {&upstream.tls->ca_file, &upstream.tls->cert_file, &upstream.tls->key_file}) {
        if (*file) add((*file)->value);
      }
    }
    for (const MetadataSet& set : upstream.metadata_set) {
      if (set.from_file) add(set.value);
    }
  }
  for (const CapabilitySpec& capability : policy.capabilities) {
    if (capability.overrides && capability.overrides->token_file) add(capability.overrides->token_file->value);
  }
  return names;
}

}  // namespace ficus
