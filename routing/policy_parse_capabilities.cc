// What can migrate: capabilities with their keys, comparing and overrides; unmanaged methods.
#include "routing/policy_parse_sections.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::uint64_t kLargestKeyLimitBytes = 16ull << 20;
constexpr hours kLongestStaleness{24 * 7};

enum class Replication { kExternal };
enum class Reverse { kExternal, kNone };

Parsed<Reverse> parse_reverse(std::string_view text) {
  if (text == "external") return Reverse::kExternal;
  if (text == "none") return Reverse::kNone;
  return fail(unknown_word(text, {"external", "none"}));
}

Parsed<Replication> parse_replication(std::string_view text) {
  if (text == "external") return Replication::kExternal;
  if (text == "facade") {
    return fail(ValueProblem{&codes::kNotSupportedYet, "replication by the facade is not supported yet",
                             "write external, or leave it out: something else moves the data"});
  }
  return fail(unknown_word(text, {"external"}));
}

void read_key(const Value& value, KeySpec& key) {
  key.mark = value.mark();
  Fields fields(value, "key: {request_field: policy_number}");
  fields.get("request_field", key.request_field, parse_request_field);
  fields.get("metadata", key.metadata,
             [](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRead); });
  if (const auto methods = fields.get("methods")) {
    methods->each_entry("methods: {ListPolicies: none}", [&](const Text& name, const Value& entry) {
      KeySpec::PerMethod per_method;
      per_method.mark = entry.mark();
      const Parsed<std::string> method = parse_short_method(name.value);
      if (!method) return entry.complain_at(name.mark, method.error());
      per_method.method = {*method, name.mark};
      const std::optional<std::string_view> text = entry.text();
      if (!text) return;
      if (*text != "none") {
        const Parsed<std::string> field = parse_request_field(*text);
        if (!field) return entry.complain(field.error());
        per_method.request_field = Text{*field, entry.mark()};
      }
      key.methods.push_back(std::move(per_method));
    });
  }
  if (!fields.is_mapping() || fields.has("request_field") != fields.has("metadata")) return;
  value.complain(codes::kExactlyOne, "a key is one of request_field and metadata",
                 fields.has("metadata") ? "take one of them out" : "add one of them");
}

void read_methods(const Value& value, std::string_view service, std::vector<MethodRef>& methods) {
  RepeatWarning repeats;
  value.each_item("a list: [GetPolicy, pkg.Service/Method]", [&](const Value& item) {
    auto method = item.read([service](std::string_view text) { return parse_method(text, service); });
    if (!method) return;
    repeats.judge(item);
    method->mark = item.mark();
    methods.push_back(*std::move(method));
  });
}

void read_overrides(const Value& value, OverrideSpec& overrides) {
  overrides.mark = value.mark();
  Fields fields(value, "overrides: {metadata: x-side, consumers: [qa-suite]}");
  fields.need("metadata", overrides.metadata,
              [](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRead); });
  if (const auto consumers = fields.get("consumers")) {
    read_names(*consumers, PatternForms::kNames, overrides.consumers);
  }
  fields.get("token", overrides.token_file, parse_file_reference);
  read_expiry(fields, overrides.until, overrides.contact);
  if (!fields.is_mapping() || fields.has("consumers") != fields.has("token")) return;
  value.complain(codes::kExactlyOne, "an override is open to one of consumers and token",
                 fields.has("token") ? "take one of them out" : "add one of them: nobody else may force a side");
}

void read_capability(const Value& value, CapabilitySpec& capability) {
  Fields fields(value, "{legacy: policy-legacy, new: policy-new, service: pkg.Service, reads: [GetPolicy]}");
  fields.get("data", capability.data, parse_name);
  fields.need("legacy", capability.legacy, parse_name);
  fields.need("new", capability.new_, parse_name);
  fields.get("service", capability.service, parse_service);
  // A service that is wrong is reported once, not again at each short name.
  const std::string service = capability.service      ? capability.service->value
                              : fields.has("service") ? std::string("unknown.Service")
                                                      : std::string();
  const auto reads = fields.get("reads");
  const auto writes = fields.get("writes");
  if (reads) read_methods(*reads, service, capability.reads);
  if (writes) read_methods(*writes, service, capability.writes);
  if (fields.is_mapping() && !fields.has("reads") && !fields.has("writes")) {
    value.complain(codes::kMissingKey, "this capability has no method", "add `reads`, `writes` or both");
  }
  if (const auto key = fields.get("key")) read_key(*key, capability.key.emplace());
  fields.get("key_limit", capability.key_limit_bytes,
             [](std::string_view text) { return parse_size(text, 1, kLargestKeyLimitBytes); });
  fields.get("salt", capability.salt, parse_line);
  fields.get("staleness", capability.staleness,
             [](std::string_view text) { return parse_duration(text, milliseconds(1), kLongestStaleness); });
  if (const auto reverse = fields.get("reverse_replication")) {
    if (const auto word = reverse->read(parse_reverse)) {
      capability.reverse_replication_external = At<bool>{*word == Reverse::kExternal, reverse->mark()};
    }
  }
  if (const auto replication = fields.get("replication")) replication->read(parse_replication);
  if (const auto compare = fields.get("compare")) read_compare(*compare, capability.compare.emplace());
  if (const auto overrides = fields.get("overrides")) read_overrides(*overrides, capability.overrides.emplace());
  fields.not_yet("handover", "take it out: an owner moves by a restart for now");
  fields.not_yet("translation", "take it out: both sides speak one schema for now");
}

}  // namespace

void read_capabilities(const Value& value, std::vector<CapabilitySpec>& capabilities) {
  value.each_entry("capabilities: {policy-inquiry: {legacy: ..., new: ..., service: ..., reads: [...]}}",
                   [&](const Text& key, const Value& entry) {
                     CapabilitySpec capability;
                     capability.mark = entry.mark();
                     read_given_name(key, entry, capability.name);
                     read_capability(entry, capability);
                     capabilities.push_back(std::move(capability));
                   });
}

void read_unmanaged(const Value& value, std::vector<UnmanagedSpec>& unmanaged) {
  value.each_item("unmanaged: [{method: pkg.Service/Method, reason: why}]", [&](const Value& item) {
    Fields fields(item, "{method: pkg.Service/Method, reason: why}");
    UnmanagedSpec entry;
    entry.mark = item.mark();
    if (const auto method = fields.need("method")) {
      if (auto ref = method->read([](std::string_view text) { return parse_method(text, ""); })) {
        entry.method = *std::move(ref);
        entry.method.mark = method->mark();
      }
    }
    if (const auto reason = fields.need("reason")) entry.reason = reason->read(parse_line).value_or("");
    read_expiry(fields, entry.until, entry.contact);
    unmanaged.push_back(std::move(entry));
  });
}

}  // namespace ficus::parsing
