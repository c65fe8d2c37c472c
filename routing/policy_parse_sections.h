// The sections of a policy: each function reads one top-level value into its struct and reports what is wrong with it.
// In order of the file: policy_parse_upstreams.cc (upstreams), policy_parse_services.cc (schemas, identity, attributes,
// groups), policy_parse_capabilities.cc (capabilities, unmanaged),
// policy_parse_compare.cc (a capability's compare), policy_parse_rules.cc (rules, tests).
#pragma once

#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "routing/policy.h"
#include "routing/policy_parse_fields.h"

namespace ficus::parsing {

void read_upstreams(const Value& value, std::vector<UpstreamSpec>& upstreams);
// A list of files, or {files: [...], reflection: [...]}; `reflection` is an argument so that a test can build it.
void read_schemas(const Value& value, std::vector<Text>& files, std::vector<Text>& upstreams,
                  const LanguageField& reflection = fields::kSchemaReflection);
void read_identity(const Value& value, IdentitySpec& identity);
void read_attributes(const Value& value, std::vector<AttributeSpec>& attributes);
void read_tenant_groups(const Value& value, std::vector<TenantGroup>& groups);
void read_capabilities(const Value& value, std::vector<CapabilitySpec>& capabilities);
void read_unmanaged(const Value& value, std::vector<UnmanagedSpec>& unmanaged);
void read_rules(const Value& value, std::vector<RuleSpec>& rules);
void read_tests(const Value& value, std::vector<PolicyTest>& tests);

// Of one capability.
void read_compare(const Value& value, CompareSpec& compare);

// ---- shared by sections ----
// A list of names, prefixes and what else `forms` takes; warns of one that stands twice.
void read_names(const Value& value, PatternForms forms, std::vector<NamePattern>& names);
// `until` and `contact`, which rules, overrides, ignores and unmanaged entries may carry.
void read_expiry(Fields& fields, std::optional<At<Date>>& until, std::optional<Text>& contact);
// A mapping's key as a name that the policy gives; false: reported.
bool read_given_name(const Text& key, const Value& value, Text& name);

// A list of statuses, of which only `allowed` may stand there; warns of one that stands twice.
void read_codes(const Value& value, const std::vector<GrpcCode>& allowed, std::vector<At<GrpcCode>>& codes);

// Warns of items whose text stands twice in one list. One list, one object.
class RepeatWarning {
 public:
  void judge(const Value& item);

 private:
  std::unordered_set<std::string_view> seen_;
};

}  // namespace ficus::parsing
