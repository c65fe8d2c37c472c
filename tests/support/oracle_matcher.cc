#include "tests/support/oracle_matcher.h"

#include <algorithm>

#include "routing/bucket.h"

namespace ficus::test {
namespace {

using Value = std::optional<std::string>;

// POLICY 3: an identity or attribute value that is repeated, empty, longer than 256 bytes, or holds a comma or control
// character, or (stricter than POLICY) begins or ends with a blank. Empty text: nothing is wrong.
std::string fault_of(const std::vector<std::string>& values) {
  if (values.size() > 1) return "repeated";
  const std::string& value = values.front();
  if (value.empty()) return "empty";
  if (value.size() > 256) return "too_long";
  for (const char c : value) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "control";
  }
  if (value.find(',') != std::string::npos) return "comma";
  if (value.front() == ' ' || value.back() == ' ') return "blank";
  return "";
}

std::vector<std::string> all_values(const OracleCall& call, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : call.metadata) {
    if (key == name) values.push_back(value);
  }
  return values;
}

// "uri", "email" or "dns", as a SAN's or a pattern's text shows it.
std::string kind_of(const std::string& san) {
  if (san.find("://") != std::string::npos) return "uri";
  return san.find('@') != std::string::npos ? "email" : "dns";
}

// Every different value that some SAN yields by a pattern: what '*' stands for, tried at every length.
std::vector<std::string> san_values(const OracleCall& call, const std::string& pattern) {
  std::vector<std::string> values;
  const std::size_t star = pattern.find('*');
  for (const std::string& san : call.peer_sans) {
    if (kind_of(san) != kind_of(pattern)) continue;
    for (std::size_t length = 0; star + length <= san.size(); ++length) {
      const std::string value = san.substr(star, length);
      if (pattern.substr(0, star) + value + pattern.substr(star + 1) != san) continue;
      if (value.find('/') != std::string::npos) continue;
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
  }
  return values;
}

// The verified sources up to the first that yields, then the unverified ones likewise; only those are judged, and what
// both say must be the same.
Value consult(const OracleCall& call, const std::vector<IdentitySource>& sources, std::string& refused,
              bool* is_verified = nullptr) {
  Value verified, unverified;
  for (const bool by_certificate : {true, false}) {
    for (const IdentitySource& source : sources) {
      if (source.verified() != by_certificate) continue;
      const std::vector<std::string> values =
          by_certificate ? san_values(call, source.peer_san) : all_values(call, source.metadata);
      if (values.empty()) continue;
      if (by_certificate && values.size() > 1) {
        refused = "PERMISSION_DENIED identity_conflict";
        return std::nullopt;
      }
      const std::string fault = fault_of(values);
      if (!fault.empty()) {
        refused = "INVALID_ARGUMENT identity_" + fault;
        return std::nullopt;
      }
      (by_certificate ? verified : unverified) = values.front();
      break;
    }
  }
  if (verified && unverified && verified != unverified) {
    refused = "PERMISSION_DENIED identity_conflict";
    return std::nullopt;
  }
  if (is_verified != nullptr) *is_verified = verified.has_value();
  return verified ? verified : unverified;
}

bool takes(const Policy& policy, const std::vector<NamePattern>& patterns, const Value& value) {
  for (const NamePattern& pattern : patterns) {
    switch (pattern.kind) {
      case NamePattern::Kind::kName:
        if (value == pattern.text) return true;
        break;
      case NamePattern::Kind::kPrefix:
        if (value && value->substr(0, pattern.text.size()) == pattern.text) return true;
        break;
      case NamePattern::Kind::kAny:
        if (value) return true;
        break;
      case NamePattern::Kind::kNone:
        if (!value) return true;
        break;
      case NamePattern::Kind::kGroup:
        for (const TenantGroup& group : policy.tenant_groups) {
          if (group.name.value == pattern.text && takes(policy, group.members, value)) return true;
        }
        break;
    }
  }
  return false;
}

struct Caller {
  Value tenant, consumer;
  std::vector<Value> attributes;
  bool consumer_verified = false;
};

bool rule_takes(const Policy& policy, const RuleSpec& rule, const Caller& who, bool write) {
  if (!rule.tenants.empty() && !takes(policy, rule.tenants, who.tenant)) return false;
  if (rule.consumers.empty() && rule.match.empty()) return true;
  if (write) return false;  // narrowed rules are skipped for writes
  if (!rule.consumers.empty() && !takes(policy, rule.consumers, who.consumer)) return false;
  for (const AttributeMatch& match : rule.match) {
    for (std::size_t i = 0; i < policy.attributes.size(); ++i) {
      if (policy.attributes[i].name.value == match.attribute.value && !takes(policy, match.values, who.attributes[i])) {
        return false;
      }
    }
  }
  return true;
}

const RuleSpec* first_rule(const Policy& policy, const CapabilitySpec& capability, const Caller& who, bool write) {
  for (const RuleSpec& rule : policy.rules) {
    if (rule.capability.value == capability.name.value && rule_takes(policy, rule, who, write)) return &rule;
  }
  return nullptr;
}

// One tenant of every kind the policy can tell apart: each name, each prefix with something behind it that no longer
// prefix has, a name nobody wrote, and none.
std::vector<Value> every_kind_of_tenant(const Policy& policy) {
  std::vector<Value> tenants{std::nullopt, "\x01nobody wrote this"};
  const auto add = [&](const std::vector<NamePattern>& patterns) {
    for (const NamePattern& pattern : patterns) {
      if (pattern.kind == NamePattern::Kind::kName) tenants.emplace_back(pattern.text);
      if (pattern.kind == NamePattern::Kind::kPrefix) tenants.emplace_back(pattern.text + "\x01");
    }
  };
  for (const TenantGroup& group : policy.tenant_groups) add(group.members);
  for (const RuleSpec& rule : policy.rules) add(rule.tenants);
  return tenants;
}

Side owner_of(const Policy& policy, const CapabilitySpec& capability, const Value& tenant) {
  return stage_facts(first_rule(policy, capability, {tenant, std::nullopt, {}, false}, true)).owner;
}

bool owners_differ(const Policy& policy, const CapabilitySpec& capability) {
  bool legacy = false, new_side = false;
  for (const Value& tenant : every_kind_of_tenant(policy)) {
    (owner_of(policy, capability, tenant) == Side::kLegacy ? legacy : new_side) = true;
  }
  return legacy && new_side;
}

bool new_owns_a_write_of(const Policy& policy, const std::string& service) {
  for (const CapabilitySpec& capability : policy.capabilities) {
    for (const MethodRef& write : capability.writes) {
      if (write.service != service) continue;
      for (const Value& tenant : every_kind_of_tenant(policy)) {
        if (owner_of(policy, capability, tenant) == Side::kNew) return true;
      }
    }
  }
  return false;
}

struct Place {
  const CapabilitySpec* capability = nullptr;  // null: in none
  bool write = false;
  bool listed = false;
};

Place place_of(const Policy& policy, const OracleCall& call) {
  for (const std::string& method : {call.method, std::string("*")}) {  // a name goes before the star
    for (const CapabilitySpec& capability : policy.capabilities) {
      for (const MethodRef& ref : capability.reads) {
        if (ref.service == call.service && ref.method == method) return {&capability, false, true};
      }
      for (const MethodRef& ref : capability.writes) {
        if (ref.service == call.service && ref.method == method) return {&capability, true, true};
      }
    }
    for (const UnmanagedSpec& unmanaged : policy.unmanaged) {
      if (unmanaged.method.service == call.service && unmanaged.method.method == method) return {nullptr, false, true};
    }
  }
  return {};
}

void judge_override(const Policy& policy, const CapabilitySpec& capability, const OracleCall& call,
                    const RuleSpec* rule, const Caller& who, bool write, std::string_view token, OracleAnswer& answer,
                    std::optional<Side>& forced) {
  if (!capability.overrides) return;
  const std::vector<std::string> values = all_values(call, capability.overrides->metadata.value);
  if (values.empty()) return;
  const Stage stage = rule == nullptr ? Stage::kOff : rule->stage.value;
  const std::string& value = values.front();
  const std::string secret(token);
  const bool by_token = capability.overrides->token_file.has_value();
  if (values.size() > 1) {
    answer.override_ignored = "repeated";
  } else if (write) {
    answer.override_ignored = "write";
  } else if (call.marked) {
    answer.override_ignored = "marked";
  } else if (by_token ? !value.starts_with("legacy;") && !value.starts_with("new;")
                      : value != "legacy" && value != "new") {
    answer.override_ignored = "bad_value";
  } else if (!by_token && (!who.consumer_verified || !takes(policy, capability.overrides->consumers, who.consumer))) {
    answer.override_ignored = "not_allowed";
  } else if (by_token && (secret.empty() || (value != "legacy;" + secret && value != "new;" + secret))) {
    answer.override_ignored = "bad_token";
  } else if (stage == Stage::kOff || stage == Stage::kComplete) {
    answer.override_ignored = "stage";
  } else {
    forced = value.starts_with("new") ? Side::kNew : Side::kLegacy;
  }
}

std::optional<Digest> digest_by(ShareBy by, const Caller& who, const Value& key) {
  if (by == ShareBy::kTenant && who.tenant) return digest_of(DigestKind::kTenant, *who.tenant);
  if (by == ShareBy::kConsumer && who.consumer) return digest_of(DigestKind::kConsumer, *who.consumer);
  if (by == ShareBy::kKey && key) return digest_of(DigestKind::kKey, *key);
  return std::nullopt;
}

}  // namespace

Side oracle_owner(const Policy& policy, const CapabilitySpec& capability, std::optional<std::string_view> tenant) {
  return owner_of(policy, capability, tenant ? Value(std::string(*tenant)) : std::nullopt);
}

OracleAnswer oracle_route(const Policy& policy, const OracleCall& call, std::string_view token) {
  OracleAnswer answer;
  const Place place = place_of(policy, call);
  if (place.capability == nullptr) {
    if (!place.listed && new_owns_a_write_of(policy, call.service)) {
      answer.refused = "FAILED_PRECONDITION unlisted_method";
    } else if (call.marked) {
      answer.refused = "FAILED_PRECONDITION marked_unmanaged";
    } else if (!policy.default_upstream) {
      answer.refused = "UNIMPLEMENTED no_such_method";
    } else {
      answer.kind = "pass";
      answer.upstream = policy.default_upstream->value;
    }
    return answer;
  }

  const CapabilitySpec& capability = *place.capability;
  if (place.write && call.marked) {
    answer.refused = "FAILED_PRECONDITION marked_write";
    return answer;
  }
  Caller who;
  std::string fault;
  who.tenant = consult(call, policy.identity.tenant, fault);
  if (fault.empty()) who.consumer = consult(call, policy.identity.consumer, fault, &who.consumer_verified);
  for (const AttributeSpec& attribute : policy.attributes) {
    if (fault.empty()) who.attributes.push_back(consult(call, attribute.sources, fault));
  }
  if (!fault.empty()) {
    answer.refused = fault;
    return answer;
  }

  const RuleSpec* rule = first_rule(policy, capability, who, place.write);
  if (place.write && !who.tenant && owners_differ(policy, capability)) {
    bool lists_none = false;
    for (const NamePattern& pattern : rule == nullptr ? std::vector<NamePattern>{} : rule->tenants) {
      lists_none = lists_none || pattern.kind == NamePattern::Kind::kNone;
    }
    if (!lists_none) {
      answer.refused = "FAILED_PRECONDITION tenant_missing";
      return answer;
    }
  }

  const StageFacts facts = stage_facts(rule);
  answer.kind = place.write ? "write" : "read";
  answer.rule = rule == nullptr ? "none" : rule->name.value;
  answer.owner = facts.owner;
  std::optional<Side> forced;
  judge_override(policy, capability, call, rule, who, place.write, token, answer, forced);
  const auto upstream_of = [&](Side side) { return side == Side::kNew ? capability.new_.value : capability.legacy.value; };
  if (place.write) {
    answer.side = facts.owner;
    answer.upstream = upstream_of(facts.owner);
    return answer;
  }

  Value key;
  if (capability.key && capability.key->metadata) {
    const std::vector<std::string> values = all_values(call, capability.key->metadata->value);
    if (!values.empty() && fault_of(values).empty()) key = values.front();
  }
  const std::string salt = capability.salt ? capability.salt->value : capability.name.value;
  answer.side = facts.new_share.all() ? Side::kNew : Side::kLegacy;
  if (forced) {
    answer.side = forced;
    answer.forced = true;
  } else if (facts.new_share.between()) {
    if (const auto digest = digest_by(*facts.new_share_by, who, key)) {
      answer.canary_bucket = bucket_of(*digest, share_seed_of(salt, SharePurpose::kCanary));
      if (*answer.canary_bucket < facts.new_share.millionths) answer.side = Side::kNew;
    } else {
      answer.unkeyed = true;
    }
  }
  answer.upstream = upstream_of(*answer.side);

  if (facts.shadow.none() || forced || call.marked) return answer;
  answer.shadow_possible = true;
  answer.shadow_upstream = upstream_of(other(*answer.side));
  if (facts.shadow.all()) {
    answer.shadow_in_share = true;
    return answer;
  }
  const auto digest = digest_by(facts.shadow_by, who, key);
  answer.shadow_bucket = digest ? bucket_of(*digest, share_seed_of(salt, SharePurpose::kShadow))
                                : static_cast<std::uint32_t>(call.draw % 1'000'000);
  answer.shadow_in_share = *answer.shadow_bucket < facts.shadow.millionths;
  return answer;
}

std::string to_string(const OracleAnswer& answer) {
  if (!answer.refused.empty()) return "refused " + answer.refused;
  const auto number = [](std::optional<std::uint32_t> value) { return value ? std::to_string(*value) : std::string("-"); };
  std::string text = answer.kind + " to " + answer.upstream + " by rule " + answer.rule;
  if (answer.owner) text += ", owner " + std::string(to_string(*answer.owner));
  if (answer.forced) text += ", forced";
  if (!answer.override_ignored.empty()) text += ", override ignored: " + answer.override_ignored;
  if (answer.unkeyed) text += ", unkeyed";
  text += ", canary bucket " + number(answer.canary_bucket);
  text += answer.shadow_possible ? ", shadow on " + answer.shadow_upstream + " bucket " + number(answer.shadow_bucket) +
                                       (answer.shadow_in_share ? " in" : " out")
                                 : ", no shadow";
  return text;
}

}  // namespace ficus::test
