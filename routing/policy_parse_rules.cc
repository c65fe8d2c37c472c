// Where calls go: rules, and the tests that a policy carries.
#include <unordered_map>

#include "routing/policy_parse_sections.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::uint64_t kMostInFlight = 1'000'000;
constexpr std::uint64_t kMostAttempts = 5;
constexpr std::uint64_t kSmallestShadowBytes = 1024;
constexpr std::uint64_t kLargestShadowBytes = 1ull << 30;

const std::vector<std::string_view> kStageWords = {"off",  "dual_write", "shadow",  "canary",
                                                   "live", "rampdown",   "complete"};

auto side_word() { return word_of<Side>(parse_side, {"legacy", "new"}); }

Parsed<PolicyTest::Expect::Serve> parse_serve(std::string_view text) {
  using Serve = PolicyTest::Expect::Serve;
  if (text == "any") return Serve::kAny;
  if (const std::optional<Side> side = parse_side(text)) return *side == Side::kLegacy ? Serve::kLegacy : Serve::kNew;
  return fail(unknown_word(text, {"legacy", "new", "any"}));
}

Parsed<Percent> parse_percent_or_none(std::string_view text) {
  if (text == "none") return Percent{};
  return parse_percent(text);
}

Parsed<GrpcCode> parse_refusal(std::string_view text) {
  const std::optional<GrpcCode> code = parse_grpc_code(text);
  if (code && *code != GrpcCode::kOk) return *code;
  std::vector<std::string_view> names;
  for (int number = 1; number <= 16; ++number) names.push_back(to_string(static_cast<GrpcCode>(number)));
  return fail(unknown_word(text, names));
}

// Names of rules; `none` is what a test expects where no rule takes the call.
Parsed<std::string> parse_rule_name(std::string_view text) {
  if (text == "none") {
    return fail(ValueProblem{&codes::kBadName, "a rule cannot be named none",
                             "tests say `rule: none` where no rule takes a call"});
  }
  return parse_name(text);
}

// Names are unique within one list.
class UniqueNames {
 public:
  void judge(const Value& item, const Text& name) {
    if (name.value.empty()) return;
    const auto [first, inserted] = lines_.emplace(name.value, name.mark.line);
    if (inserted) return;
    item.complain_at(
        name.mark, {&codes::kDuplicateName,
                    in_quotes(name.value) + " is the name of the one at line " + std::to_string(first->second) + " too",
                    "give each a name of its own"});
  }

 private:
  std::unordered_map<std::string, std::uint32_t> lines_;
};

void read_canary(const Value& value, CanarySpec& canary) {
  canary.mark = value.mark();
  Fields fields(value, "canary: {percent: 5, by: tenant}");
  fields.need("percent", canary.percent, parse_percent);
  fields.get("by", canary.by, word_of<ShareBy>(parse_share_by, {"tenant", "consumer", "key"}));
}

void read_shadow(const Value& value, ShadowSpec& shadow) {
  shadow.mark = value.mark();
  Fields fields(value, "shadow: {percent: 10}");
  fields.need("percent", shadow.percent, parse_percent);
  fields.get("by", shadow.by, word_of<ShareBy>(parse_share_by, {"tenant", "consumer", "key", "request"}));
  fields.get("deadline", shadow.deadline,
             [](std::string_view text) { return parse_duration(text, milliseconds(1), minutes(10)); });
  fields.get("max_in_flight", shadow.max_in_flight,
             [](std::string_view text) { return parse_count(text, 1, kMostInFlight); });
  fields.get("max_bytes", shadow.max_bytes,
             [](std::string_view text) { return parse_size(text, kSmallestShadowBytes, kLargestShadowBytes); });
}

// What an upstream answers before it has done anything, or where asking again is what the status asks for.
const std::vector<GrpcCode>& retryable_codes() {
  static const std::vector<GrpcCode> kCodes = {GrpcCode::kResourceExhausted, GrpcCode::kAborted, GrpcCode::kUnavailable};
  return kCodes;
}

// Not OK; not CANCELLED, which is the client's own; and not what denies the caller something, or legacy would be a way
// around what new denies.
const std::vector<GrpcCode>& fallback_codes() {
  static const std::vector<GrpcCode> kCodes = [] {
    std::vector<GrpcCode> codes;
    for (int number = 2; number <= 16; ++number) {
      const auto code = static_cast<GrpcCode>(number);
      if (code != GrpcCode::kPermissionDenied && code != GrpcCode::kUnauthenticated) codes.push_back(code);
    }
    return codes;
  }();
  return kCodes;
}

void read_retry(const Value& value, RetrySpec& retry) {
  retry.mark = value.mark();
  Fields fields(value, "retry: {on: [UNAVAILABLE], budget_percent: 20}");
  if (const auto on = fields.need("on")) read_codes(*on, retryable_codes(), retry.on);
  fields.get("budget_percent", retry.budget_percent, [](std::string_view text) -> Parsed<Percent> {
    Parsed<Percent> percent = parse_percent(text);
    if (!percent || !percent->none()) return percent;
    return problem(codes::kOutOfRange, "a budget of 0 percent never tries again", "above 0; or take `retry` out");
  });
  fields.get("attempts", retry.attempts, [](std::string_view text) { return parse_count(text, 2, kMostAttempts); });
}

void read_fallback(const Value& value, FallbackSpec& fallback) {
  fallback.mark = value.mark();
  Fields fields(value, "fallback: {on: [NOT_FOUND, UNAVAILABLE], until: 2027-03-31}");
  if (const auto on = fields.need("on")) read_codes(*on, fallback_codes(), fallback.on);
  read_expiry(fields, fallback.until, fallback.contact);
}

void read_rule_reads(const Value& value, RuleSpec& rule) {
  Fields fields(value, "reads: {shadow: {percent: 10}}");
  fields.get("serve", rule.reads_serve, side_word());
  if (const auto canary = fields.get("canary")) read_canary(*canary, rule.canary.emplace());
  if (const auto shadow = fields.get("shadow")) read_shadow(*shadow, rule.shadow.emplace());
  if (const auto retry = fields.get(fields::kRetry)) read_retry(*retry, rule.retry.emplace());
  if (const auto fallback = fields.get(fields::kFallback)) read_fallback(*fallback, rule.fallback.emplace());
}

void read_match(const Value& value, std::vector<AttributeMatch>& match) {
  value.each_entry("match: {product: [personal-auto]}", [&](const Text& key, const Value& entry) {
    AttributeMatch one;
    one.mark = entry.mark();
    read_given_name(key, entry, one.attribute);
    read_names(entry, PatternForms::kValues, one.values);
    match.push_back(std::move(one));
  });
}

void read_expect(const Value& value, PolicyTest::Expect& expect) {
  expect.mark = value.mark();
  Fields fields(value, "expect: {serve: legacy, shadow: none}");
  fields.get("owner", expect.owner, side_word());
  fields.get("rule", expect.rule, parse_name);
  fields.get("serve", expect.serve, parse_serve);
  fields.get("new_share", expect.new_share, parse_percent);
  fields.get("shadow", expect.shadow, parse_percent_or_none);
  fields.get("refused", expect.refused, parse_refusal);
}

void read_test_metadata(const Value& value, PolicyTest& test) {
  value.each_entry("metadata: {x-product: personal-auto}", [&](const Text& key, const Value& entry) {
    const Parsed<std::string> name = parse_metadata_name(key.value, MetadataUse::kTest);
    if (!name) return entry.complain_at(key.mark, name.error());
    if (auto text = entry.read(parse_metadata_value)) test.metadata.emplace_back(*name, *std::move(text));
  });
}

}  // namespace

void read_rules(const Value& value, std::vector<RuleSpec>& rules) {
  UniqueNames names;
  value.each_item("rules: [{name: acme-reads, capability: policy-inquiry, stage: off}]", [&](const Value& item) {
    Fields fields(item, "{name: acme-reads, capability: policy-inquiry, tenants: [acme], stage: off}");
    RuleSpec rule;
    rule.mark = item.mark();
    fields.need("name", rule.name, parse_rule_name);
    names.judge(item, rule.name);
    fields.need("capability", rule.capability, parse_name);
    if (const auto tenants = fields.get("tenants")) read_names(*tenants, PatternForms::kTenants, rule.tenants);
    if (const auto consumers = fields.get("consumers"))
      read_names(*consumers, PatternForms::kConsumers, rule.consumers);
    if (const auto match = fields.get("match")) read_match(*match, rule.match);
    fields.need("stage", rule.stage, word_of<Stage>(parse_stage, kStageWords));
    if (const auto reads = fields.get("reads")) read_rule_reads(*reads, rule);
    if (const auto writes = fields.get("writes")) {
      Fields settings(*writes, "writes: {owner: legacy}");
      settings.need("owner", rule.writes_owner.emplace(), side_word());
    }
    read_expiry(fields, rule.until, rule.contact);
    fields.not_yet("rollout", "take it out: raise a share by editing its percent");
    rules.push_back(std::move(rule));
  });
}

void read_tests(const Value& value, std::vector<PolicyTest>& tests) {
  UniqueNames names;
  value.each_item("tests: [{name: ..., method: pkg.Service/Method, expect: {serve: legacy}}]", [&](const Value& item) {
    Fields fields(item, "{name: strangers stay, method: pkg.Service/Method, expect: {serve: legacy}}");
    PolicyTest test;
    test.mark = item.mark();
    fields.need("name", test.name, parse_line);
    names.judge(item, test.name);
    if (const auto method = fields.need("method")) {
      if (auto ref = method->read([](std::string_view text) { return parse_method(text, ""); })) {
        if (ref->star()) method->complain(codes::kBadMethod, "a test calls one method", "name it instead of '*'");
        test.method = *std::move(ref);
        test.method.mark = method->mark();
      }
    }
    fields.get("tenant", test.tenant, parse_identity_value);
    fields.get("consumer", test.consumer, parse_identity_value);
    fields.get("key", test.key, parse_line);
    if (const auto metadata = fields.get("metadata")) read_test_metadata(*metadata, test);
    if (const auto expect = fields.need("expect")) read_expect(*expect, test.expect);
    tests.push_back(std::move(test));
  });
}

}  // namespace ficus::parsing
