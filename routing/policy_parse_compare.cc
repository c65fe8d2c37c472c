// How answers are compared: a capability's `compare`, and what one of its methods adds to it.
#include "routing/policy_parse_sections.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::minutes kLongestLatency{60};
constexpr double kLargestRelativeLatency = 1000;

enum class Values { kHashed, kPlain };

Parsed<Values> parse_values_word(std::string_view text) {
  if (text == "hashed") return Values::kHashed;
  if (text == "plain") return Values::kPlain;
  return fail(unknown_word(text, {"hashed", "plain"}));
}

void read_paths(const Value& value, std::vector<PathRule>& rules) {
  RepeatWarning repeats;
  value.each_item("a list: [\"policy.premium.**\"]", [&](const Value& item) {
    auto path = item.read(parse_path_pattern);
    if (!path) return;
    repeats.judge(item);
    PathRule rule;
    rule.mark = item.mark();
    rule.path = *std::move(path);
    rules.push_back(std::move(rule));
  });
}

void read_ignores(const Value& value, std::vector<PathRule>& rules) {
  constexpr std::string_view kLike = "{path: \"**.updated_at\", reason: \"each side stamps its own clock\"}";
  value.each_item("a list: [{path: \"**.updated_at\", reason: why}]", [&](const Value& item) {
    Fields fields(item, kLike);
    PathRule rule;
    rule.mark = item.mark();
    if (const auto path = fields.need("path")) {
      if (auto pattern = path->read(parse_path_pattern)) rule.path = *std::move(pattern);
    }
    if (const auto reason = fields.need("reason")) rule.reason = reason->read(parse_line).value_or("");
    read_expiry(fields, rule.until, rule.contact);
    rules.push_back(std::move(rule));
  });
}

void read_keyed(const Value& value, std::vector<KeyedRule>& rules) {
  value.each_item("a list: [{path: policy.endorsements, by: id}]", [&](const Value& item) {
    Fields fields(item, "{path: policy.endorsements, by: id}");
    KeyedRule rule;
    rule.mark = item.mark();
    if (const auto path = fields.need("path")) {
      if (auto pattern = path->read(parse_path_pattern)) rule.path = *std::move(pattern);
    }
    fields.need("by", rule.by, parse_field_name);
    rules.push_back(std::move(rule));
  });
}

void read_tolerances(const Value& value, std::vector<ToleranceRule>& rules) {
  value.each_item("a list: [{path: policy.premium.amount, absolute: 1}]", [&](const Value& item) {
    Fields fields(item, "{path: policy.premium.amount, absolute: 1}");
    ToleranceRule rule;
    rule.mark = item.mark();
    if (const auto path = fields.need("path")) {
      if (auto pattern = path->read(parse_path_pattern)) rule.path = *std::move(pattern);
    }
    fields.get("absolute", rule.absolute,
               [](std::string_view text) { return parse_decimal(text, kLargestAbsoluteTolerance, Limit::kInclusive); });
    fields.get("relative", rule.relative,
               [](std::string_view text) { return parse_decimal(text, 1, Limit::kExclusive); });
    fields.get("window", rule.window,
               [](std::string_view text) { return parse_duration(text, milliseconds(1), kLongestToleranceWindow); });
    read_expiry(fields, rule.until, rule.contact);
    const int given = fields.has("absolute") + fields.has("relative") + fields.has("window");
    if (fields.is_mapping() && given != 1) {
      item.complain(codes::kExactlyOne, "a tolerance is one of absolute, relative and window",
                    given == 0 ? "add one of them" : "keep one of them; a second entry may name the same path");
    }
    rules.push_back(std::move(rule));
  });
}

void read_compared_metadata(const Value& value, std::vector<Text>& names) {
  RepeatWarning repeats;
  value.each_item("a list: [x-schema-version]", [&](const Value& item) {
    auto name = item.read([](std::string_view text) { return parse_metadata_name(text, MetadataUse::kCompare); });
    if (!name) return;
    repeats.judge(item);
    names.push_back(Text{*std::move(name), item.mark()});
  });
}

void read_latency(const Value& value, LatencyRule& latency) {
  latency.mark = value.mark();
  Fields fields(value, "latency: {absolute: 50ms, relative: 0.5}");
  fields.get("absolute", latency.absolute,
             [](std::string_view text) { return parse_duration(text, milliseconds(1), kLongestLatency); });
  fields.get("relative", latency.relative,
             [](std::string_view text) { return parse_decimal(text, kLargestRelativeLatency, Limit::kInclusive); });
}

void read_compare_rules(Fields& fields, CompareRules& rules) {
  if (const auto ignore = fields.get("ignore")) read_ignores(*ignore, rules.ignore);
  if (const auto unordered = fields.get("unordered")) read_paths(*unordered, rules.unordered);
  if (const auto keyed = fields.get("keyed")) read_keyed(*keyed, rules.keyed);
  if (const auto tolerance = fields.get("tolerance")) read_tolerances(*tolerance, rules.tolerance);
  if (const auto severity = fields.get("severity")) {
    Fields levels(*severity, "severity: {critical: [\"policy.status\"], minor: [\"policy.notes\"]}");
    if (const auto paths = levels.get("critical")) read_paths(*paths, rules.critical);
    if (const auto paths = levels.get("major")) read_paths(*paths, rules.major);
    if (const auto paths = levels.get("minor")) read_paths(*paths, rules.minor);
  }
  if (const auto plain = fields.get("plain")) read_paths(*plain, rules.plain);
  if (const auto redact = fields.get("redact")) read_paths(*redact, rules.redact);
  if (const auto metadata = fields.get("metadata")) read_compared_metadata(*metadata, rules.metadata);
  if (const auto latency = fields.get("latency")) read_latency(*latency, rules.latency.emplace());
}

void read_methods(const Value& value, std::vector<CompareSpec::PerMethod>& methods) {
  value.each_entry("methods: {ListPolicies: {unordered: [policies]}}", [&](const Text& name, const Value& entry) {
    CompareSpec::PerMethod rules;
    rules.mark = entry.mark();
    const Parsed<std::string> method = parse_short_method(name.value);
    if (!method) return entry.complain_at(name.mark, method.error());
    rules.method = {*method, name.mark};
    Fields fields(entry, "ListPolicies: {unordered: [policies]}");
    read_compare_rules(fields, rules);
    methods.push_back(std::move(rules));
  });
}

}  // namespace

void read_compare(const Value& value, CompareSpec& compare) {
  compare.mark = value.mark();
  Fields fields(value, "compare: {ignore: [{path: \"**.updated_at\", reason: why}]}");
  read_compare_rules(fields, compare);
  if (const auto values = fields.get("values")) {
    compare.values_plain = values->read(parse_values_word).value_or(Values::kHashed) == Values::kPlain;
  }
  if (const auto equals = fields.get("absent_equals_default")) {
    compare.absent_equals_default = equals->read(parse_bool).value_or(true);
  }
  if (const auto methods = fields.get("methods")) read_methods(*methods, compare.methods);
  fields.not_yet("recheck", "take it out: mismatches are not read again yet");
  fields.not_yet("noise", "take it out: put fields that differ by themselves under `ignore`");
}

}  // namespace ficus::parsing
