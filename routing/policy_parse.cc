// The top mapping of a policy, in the order of POLICY section 1; sections stand in policy_parse_*.cc.
#include "routing/policy_parse.h"

#include "routing/policy_parse_sections.h"

namespace ficus {
namespace {

using namespace parsing;

constexpr std::string_view kApiVersion = "ficus/v1";
// The next epoch is one higher, and JSON's readers keep whole numbers exact up to 2^53.
constexpr std::uint64_t kLargestEpoch = (1ull << 53) - 1;

Parsed<std::string> parse_api_version(std::string_view text) {
  if (text == kApiVersion) return std::string(text);
  return fail(ValueProblem{&codes::kApiVersion, "this build reads only " + std::string(kApiVersion),
                           "write apiVersion: " + std::string(kApiVersion)});
}

// The last key of the file, so that a file cut off anywhere has none: POLICY 8.
void read_epoch(Fields& fields, At<std::uint64_t>& epoch) {
  if (!fields.is_mapping()) return;
  if (!fields.has("ownership_epoch")) {
    fields.value().complain(codes::kEpochNotLast, "ownership_epoch is missing: the file may have been cut off",
                            "end the file with ownership_epoch: N");
    return;
  }
  if (fields.last_key() != "ownership_epoch") {
    fields.complain_at_key(codes::kEpochNotLast, "ownership_epoch", "ownership_epoch is not the last key",
                           "move it to the end: a file that was cut off is known by lacking it");
  }
  fields.need("ownership_epoch", epoch, [](std::string_view text) { return parse_count(text, 1, kLargestEpoch); });
}

// What a route table numbers in 16 bits; far above what anybody writes.
constexpr std::size_t kMostUpstreams = 1000;
constexpr std::size_t kMostCapabilities = 10'000;
constexpr std::size_t kMostMethods = 60'000;  // in capabilities and unmanaged, together

void judge_counts(const Fields& fields, const Policy& policy) {
  std::size_t methods = policy.unmanaged.size();
  for (const CapabilitySpec& capability : policy.capabilities) {
    methods += capability.reads.size() + capability.writes.size();
  }
  const auto judge = [&](std::string_view key, const char* what, std::size_t count, std::size_t most) {
    if (count <= most) return;
    fields.complain_at_key(codes::kTooMany, key, "there are " + std::to_string(count) + ' ' + what,
                           "at most " + std::to_string(most));
  };
  judge("upstreams", "upstreams", policy.upstreams.size(), kMostUpstreams);
  judge("capabilities", "capabilities", policy.capabilities.size(), kMostCapabilities);
  judge(fields.has("capabilities") ? "capabilities" : "unmanaged", "methods", methods, kMostMethods);
}

void read_policy(const Value& root, Policy& policy) {
  Fields fields(root, "apiVersion: ficus/v1");
  Text api_version;
  fields.need("apiVersion", api_version, parse_api_version);
  fields.need("name", policy.name, parse_name);
  if (const auto tests = fields.get("tests")) read_tests(*tests, policy.tests);
  if (const auto upstreams = fields.need("upstreams")) read_upstreams(*upstreams, policy.upstreams);
  fields.get("default_upstream", policy.default_upstream, parse_name);
  if (const auto schemas = fields.get("schemas")) read_schemas(*schemas, policy.schemas);
  if (const auto identity = fields.get("identity")) read_identity(*identity, policy.identity);
  if (const auto attributes = fields.get("attributes")) read_attributes(*attributes, policy.attributes);
  if (const auto groups = fields.get("tenant_groups")) read_tenant_groups(*groups, policy.tenant_groups);
  if (const auto capabilities = fields.get("capabilities")) read_capabilities(*capabilities, policy.capabilities);
  if (const auto unmanaged = fields.get("unmanaged")) read_unmanaged(*unmanaged, policy.unmanaged);
  if (const auto rules = fields.get("rules")) read_rules(*rules, policy.rules);
  fields.not_yet("consumers", "take it out: consumers are named in rules as they call");
  fields.not_yet("handover", "take it out: an owner moves by a restart for now");
  fields.not_yet("rollouts", "take it out: raise a share by editing its percent");
  fields.not_yet("translation", "take it out: both sides speak one schema for now");
  fields.not_yet("tls", "take it out: clients connect over cleartext HTTP/2 for now");
  read_epoch(fields, policy.ownership_epoch);
  judge_counts(fields, policy);
}

}  // namespace

Result<ParsedPolicy, std::vector<Diagnostic>> parse_policy(std::string_view text, std::string_view file,
                                                           const PolicyParseLimits& limits) {
  Report report{std::string(file)};
  YamlReading reading = read_yaml(text, limits);
  for (YamlProblem& problem : reading.problems) {
    report.add(*problem.code, problem.mark, "", std::move(problem.message), std::move(problem.hint));
  }
  ParsedPolicy parsed;
  parsed.policy.file = file;
  if (reading.complete) read_policy(Value(reading.tree, report), parsed.policy);
  parsed.diagnostics = report.take();
  if (has_error(parsed.diagnostics)) return fail(std::move(parsed.diagnostics));
  return parsed;
}

}  // namespace ficus
