// A policy as canonical YAML: one entry a line where it fits the eye, every text in double quotes, so that nothing in
// it can be read as something else.
#include <functional>

#include "routing/policy_parse.h"
#include "routing/policy_parse_values.h"

namespace ficus {
namespace {

using parsing::print_date;
using parsing::print_decimal;
using parsing::print_duration;
using parsing::print_size;

// Policies hold no control characters; what YAML's double quotes need escaped are the quote and the backslash.
std::string text_of(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}
std::string text_of(const Text& text) { return text_of(text.value); }

std::string text_of(const NamePattern& pattern) {
  switch (pattern.kind) {
    case NamePattern::Kind::kName:
      return text_of(pattern.text);
    case NamePattern::Kind::kPrefix:
      return text_of(pattern.text + '*');
    case NamePattern::Kind::kGroup:
      return text_of("group:" + pattern.text);
    case NamePattern::Kind::kAny:
      return text_of("*");
    case NamePattern::Kind::kNone:
      return "none";
  }
  return {};
}
std::string text_of(const MethodRef& method) { return text_of(method.service + '/' + method.method); }
std::string text_of(const IdentitySource& source) {
  return source.verified() ? "{peer_san: " + text_of(source.peer_san) + '}'
                           : "{metadata: " + text_of(source.metadata) + '}';
}
std::string text_of(const At<GrpcCode>& code) { return std::string(to_string(code.value)); }
std::string text_of(const EndpointSpec& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return text_of((v6 ? '[' + endpoint.host + ']' : endpoint.host) + ':' + std::to_string(endpoint.port));
}
std::string text_of(const PathRule& rule) { return text_of(rule.path.text()); }

template <class T>
std::string list_of(const std::vector<T>& items) {
  std::string out = "[";
  for (const T& item : items) out += (out.size() > 1 ? ", " : "") + text_of(item);
  return out + ']';
}

// "{a: b, c: d}" or, over several lines, the same keys below one another.
class FlowMap {
 public:
  void add(std::string_view key, const std::string& value) {
    text_ += (text_.empty() ? "" : ", ") + std::string(key) + ": " + value;
  }
  template <class T>
  void add_list(std::string_view key, const std::vector<T>& items) {
    if (!items.empty()) add(key, list_of(items));
  }
  void add_expiry(const std::optional<At<Date>>& until, const std::optional<Text>& contact) {
    if (until) add("until", print_date(until->value));
    if (contact) add("contact", text_of(*contact));
  }
  void add_text(std::string_view key, const std::optional<Text>& value) {
    if (value) add(key, text_of(*value));
  }
  void add_duration(std::string_view key, const std::optional<At<std::chrono::milliseconds>>& value) {
    if (value) add(key, print_duration(value->value));
  }
  void add_size(std::string_view key, const std::optional<At<std::uint64_t>>& value) {
    if (value) add(key, print_size(value->value));
  }
  void add_count(std::string_view key, const std::optional<At<std::uint32_t>>& value) {
    if (value) add(key, std::to_string(value->value));
  }
  template <class T>
  void add_word(std::string_view key, const std::optional<At<T>>& value) {
    if (value) add(key, std::string(to_string(value->value)));
  }
  void add_bool(std::string_view key, const std::optional<At<bool>>& value) {
    if (value) add(key, value->value ? "true" : "false");
  }
  bool empty() const { return text_.empty(); }
  // Of a mapping that may leave everything at its default.
  std::string text_or_true() const { return text_.empty() ? "true" : text(); }
  std::string text() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

std::string print_tls(const UpstreamTlsSpec& tls) {
  FlowMap map;
  map.add_text("ca_file", tls.ca_file);
  map.add_text("cert_file", tls.cert_file);
  map.add_text("key_file", tls.key_file);
  map.add_text("server_name", tls.server_name);
  return map.text_or_true();
}

std::string print_health_check(const HealthCheckSpec& check) {
  FlowMap map;
  map.add_text("service", check.service);
  map.add_duration("interval", check.interval);
  map.add_duration("timeout", check.timeout);
  map.add_count("healthy", check.healthy);
  map.add_count("unhealthy", check.unhealthy);
  return map.text_or_true();
}

std::string print_outlier(const OutlierSpec& outlier) {
  FlowMap map;
  map.add_count("consecutive", outlier.consecutive);
  map.add_list("on", outlier.on);
  map.add_duration("eject", outlier.eject);
  map.add_count("max_percent", outlier.max_percent);
  return map.text_or_true();
}

std::string print_keepalive(const KeepaliveSpec& keepalive) {
  FlowMap map;
  map.add_duration("interval", keepalive.interval);
  map.add_duration("timeout", keepalive.timeout);
  map.add_bool("idle", keepalive.idle);
  return map.text_or_true();
}

std::string print_upstream(const UpstreamSpec& upstream) {
  FlowMap map;
  map.add_list("endpoints", upstream.endpoints);
  if (upstream.tls) map.add("tls", print_tls(*upstream.tls));
  map.add_duration("connect_timeout", upstream.connect_timeout);
  map.add_count("max_concurrent_requests", upstream.max_concurrent_requests);
  map.add_count("max_pending", upstream.max_pending);
  map.add_count("max_connections", upstream.max_connections);
  map.add_word("balance", upstream.balance);
  if (upstream.health_check) map.add("health_check", print_health_check(*upstream.health_check));
  if (upstream.outlier) map.add("outlier", print_outlier(*upstream.outlier));
  map.add_duration("slow_start", upstream.slow_start);
  map.add_duration("idle_timeout", upstream.idle_timeout);
  if (upstream.keepalive) map.add("keepalive", print_keepalive(*upstream.keepalive));
  map.add_text("authority", upstream.authority);
  map.add_bool("forward_peer", upstream.forward_peer);
  FlowMap metadata;
  FlowMap set;
  for (const MetadataSet& entry : upstream.metadata_set) {
    set.add(text_of(entry.name), text_of((entry.from_file ? "file:" : "") + entry.value));
  }
  if (!set.empty()) metadata.add("set", set.text());
  metadata.add_list("remove", upstream.metadata_remove);
  if (!metadata.empty()) map.add("metadata", metadata.text());
  return map.text();
}

std::string print_key(const KeySpec& key) {
  FlowMap map;
  map.add_text("request_field", key.request_field);
  map.add_text("metadata", key.metadata);
  FlowMap methods;
  for (const KeySpec::PerMethod& method : key.methods) {
    methods.add(text_of(method.method), method.request_field ? text_of(*method.request_field) : "none");
  }
  if (!methods.empty()) map.add("methods", methods.text());
  return map.text();
}

void add_compare_rules(FlowMap& map, const CompareRules& compare) {
  const auto add_rules = [&map](std::string_view key, const auto& rules, const auto& print) {
    std::string items;
    for (const auto& rule : rules) items += (items.empty() ? "" : ", ") + print(rule);
    if (!items.empty()) map.add(key, '[' + items + ']');
  };
  add_rules("ignore", compare.ignore, [](const PathRule& rule) {
    FlowMap one;
    one.add("path", text_of(rule));
    one.add("reason", text_of(rule.reason));
    one.add_expiry(rule.until, rule.contact);
    return one.text();
  });
  map.add_list("unordered", compare.unordered);
  add_rules("keyed", compare.keyed, [](const KeyedRule& rule) {
    FlowMap one;
    one.add("path", text_of(rule));
    one.add("by", text_of(rule.by));
    return one.text();
  });
  add_rules("tolerance", compare.tolerance, [](const ToleranceRule& rule) {
    FlowMap one;
    one.add("path", text_of(rule));
    if (rule.absolute) one.add("absolute", print_decimal(rule.absolute->value));
    if (rule.relative) one.add("relative", print_decimal(rule.relative->value));
    one.add_duration("window", rule.window);
    one.add_expiry(rule.until, rule.contact);
    return one.text();
  });
  FlowMap severity;
  severity.add_list("critical", compare.critical);
  severity.add_list("major", compare.major);
  severity.add_list("minor", compare.minor);
  if (!severity.empty()) map.add("severity", severity.text());
  map.add_list("plain", compare.plain);
  map.add_list("redact", compare.redact);
  map.add_list("metadata", compare.metadata);
  if (compare.latency) {
    FlowMap latency;
    latency.add_duration("absolute", compare.latency->absolute);
    if (compare.latency->relative) latency.add("relative", print_decimal(compare.latency->relative->value));
    map.add("latency", latency.text());
  }
}

std::string print_compare(const CompareSpec& compare) {
  FlowMap map;
  add_compare_rules(map, compare);
  map.add("values", compare.values_plain ? "plain" : "hashed");
  map.add("absent_equals_default", compare.absent_equals_default ? "true" : "false");
  FlowMap methods;
  for (const CompareSpec::PerMethod& method : compare.methods) {
    FlowMap rules;
    add_compare_rules(rules, method);
    methods.add(text_of(method.method), rules.text());
  }
  if (!methods.empty()) map.add("methods", methods.text());
  return map.text();
}

std::string print_overrides(const OverrideSpec& overrides) {
  FlowMap map;
  map.add("metadata", text_of(overrides.metadata));
  map.add_list("consumers", overrides.consumers);
  if (overrides.token_file) map.add("token", text_of("file:" + overrides.token_file->value));
  map.add_expiry(overrides.until, overrides.contact);
  return map.text();
}

std::string print_capability(const CapabilitySpec& capability) {
  std::string out;
  const auto line = [&](std::string_view key, const std::string& value) {
    out += "    " + std::string(key) + ": " + value + '\n';
  };
  if (capability.data) line("data", text_of(*capability.data));
  line("legacy", text_of(capability.legacy));
  line("new", text_of(capability.new_));
  if (capability.service) line("service", text_of(*capability.service));
  if (!capability.reads.empty()) line("reads", list_of(capability.reads));
  if (!capability.writes.empty()) line("writes", list_of(capability.writes));
  if (capability.key) line("key", print_key(*capability.key));
  if (capability.key_limit_bytes) line("key_limit", print_size(capability.key_limit_bytes->value));
  if (capability.salt) line("salt", text_of(*capability.salt));
  if (capability.staleness) line("staleness", print_duration(capability.staleness->value));
  if (capability.reverse_replication_external) {
    line("reverse_replication", capability.reverse_replication_external->value ? "external" : "none");
  }
  if (capability.compare) line("compare", print_compare(*capability.compare));
  if (capability.overrides) line("overrides", print_overrides(*capability.overrides));
  return out;
}

std::string print_rule(const RuleSpec& rule) {
  FlowMap map;
  map.add("name", text_of(rule.name));
  map.add("capability", text_of(rule.capability));
  map.add_list("tenants", rule.tenants);
  map.add_list("consumers", rule.consumers);
  FlowMap match;
  for (const AttributeMatch& one : rule.match) match.add(text_of(one.attribute), list_of(one.values));
  if (!match.empty()) map.add("match", match.text());
  map.add("stage", std::string(to_string(rule.stage.value)));
  FlowMap reads;
  reads.add_word("serve", rule.reads_serve);
  if (rule.canary) {
    FlowMap canary;
    canary.add("percent", to_string(rule.canary->percent.value));
    canary.add_word("by", rule.canary->by);
    reads.add("canary", canary.text());
  }
  if (rule.shadow) {
    FlowMap shadow;
    shadow.add("percent", to_string(rule.shadow->percent.value));
    shadow.add_word("by", rule.shadow->by);
    shadow.add_duration("deadline", rule.shadow->deadline);
    shadow.add_count("max_in_flight", rule.shadow->max_in_flight);
    shadow.add_size("max_bytes", rule.shadow->max_bytes);
    reads.add("shadow", shadow.text());
  }
  if (rule.retry) {
    FlowMap retry;
    retry.add_list("on", rule.retry->on);
    retry.add_word("budget_percent", rule.retry->budget_percent);
    retry.add_count("attempts", rule.retry->attempts);
    reads.add("retry", retry.text());
  }
  if (rule.fallback) {
    FlowMap fallback;
    fallback.add_list("on", rule.fallback->on);
    fallback.add_expiry(rule.fallback->until, rule.fallback->contact);
    reads.add("fallback", fallback.text());
  }
  if (!reads.empty()) map.add("reads", reads.text());
  if (rule.writes_owner) map.add("writes", "{owner: " + std::string(to_string(rule.writes_owner->value)) + '}');
  map.add_expiry(rule.until, rule.contact);
  return map.text();
}

std::string print_test(const PolicyTest& test) {
  using Serve = PolicyTest::Expect::Serve;
  FlowMap map;
  map.add("name", text_of(test.name));
  map.add("method", text_of(test.method));
  map.add_text("tenant", test.tenant);
  map.add_text("consumer", test.consumer);
  map.add_text("key", test.key);
  FlowMap metadata;
  for (const auto& [name, value] : test.metadata) metadata.add(text_of(name), text_of(value));
  if (!metadata.empty()) map.add("metadata", metadata.text());
  FlowMap expect;
  expect.add_word("owner", test.expect.owner);
  expect.add_text("rule", test.expect.rule);
  if (test.expect.serve) {
    const Serve serve = test.expect.serve->value;
    expect.add("serve", serve == Serve::kAny ? "any" : serve == Serve::kNew ? "new" : "legacy");
  }
  expect.add_word("new_share", test.expect.new_share);
  expect.add_word("shadow", test.expect.shadow);
  expect.add_word("refused", test.expect.refused);
  map.add("expect", expect.text());
  return map.text();
}

// A section of entries below a key; nothing at all for none, since an empty list is an error.
template <class T>
void print_section(std::string& out, std::string_view key, const std::vector<T>& entries,
                   const std::function<std::string(const T&)>& print) {
  if (entries.empty()) return;
  out += '\n' + std::string(key) + ":\n";
  for (const T& entry : entries) out += print(entry);
}

}  // namespace

std::string print_policy(const Policy& policy) {
  std::string out = "apiVersion: ficus/v1\nname: " + text_of(policy.name) + '\n';
  print_section<PolicyTest>(out, "tests", policy.tests, [](const auto& t) { return "  - " + print_test(t) + '\n'; });
  print_section<UpstreamSpec>(out, "upstreams", policy.upstreams,
                              [](const auto& u) { return "  " + text_of(u.name) + ": " + print_upstream(u) + '\n'; });
  if (policy.default_upstream) out += "default_upstream: " + text_of(*policy.default_upstream) + '\n';
  if (!policy.schema_reflection.empty()) {
    FlowMap schemas;
    schemas.add_list("files", policy.schemas);
    schemas.add_list("reflection", policy.schema_reflection);
    out += "\nschemas: " + schemas.text() + '\n';
  } else if (!policy.schemas.empty()) {
    out += "\nschemas: " + list_of(policy.schemas) + '\n';
  }
  const IdentitySpec& identity = policy.identity;
  if (!identity.tenant.empty() || !identity.consumer.empty() || identity.trust_metadata) out += "\nidentity:\n";
  if (!identity.tenant.empty()) out += "  tenant: " + list_of(identity.tenant) + '\n';
  if (!identity.consumer.empty()) out += "  consumer: " + list_of(identity.consumer) + '\n';
  if (identity.trust_metadata) out += "  trust_metadata: true\n";
  print_section<AttributeSpec>(out, "attributes", policy.attributes,
                               [](const auto& a) { return "  " + text_of(a.name) + ": " + list_of(a.sources) + '\n'; });
  print_section<TenantGroup>(out, "tenant_groups", policy.tenant_groups,
                             [](const auto& g) { return "  " + text_of(g.name) + ": " + list_of(g.members) + '\n'; });
  print_section<CapabilitySpec>(out, "capabilities", policy.capabilities,
                                [](const auto& c) { return "  " + text_of(c.name) + ":\n" + print_capability(c); });
  print_section<UnmanagedSpec>(out, "unmanaged", policy.unmanaged, [](const auto& u) {
    FlowMap map;
    map.add("method", text_of(u.method));
    map.add("reason", text_of(u.reason));
    map.add_expiry(u.until, u.contact);
    return "  - " + map.text() + '\n';
  });
  print_section<RuleSpec>(out, "rules", policy.rules, [](const auto& r) { return "  - " + print_rule(r) + '\n'; });
  return out + "\nownership_epoch: " + std::to_string(policy.ownership_epoch.value) + '\n';
}

}  // namespace ficus
