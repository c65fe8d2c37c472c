#include "tests/support/random_policy.h"

#include <cmath>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>

#include "routing/built_fields.h"

namespace ficus::test {
namespace {

using std::chrono::milliseconds;

class Maker {
 public:
  Maker(std::uint64_t seed, const RandomPolicyOptions& options) : random_(seed), options_(options) {}

  Policy make() {
    policy_.file = "random.yaml";
    policy_.name.value = name("policy");
    make_upstreams();
    make_callers();
    make_capabilities();
    make_rules();
    if (!checkable()) make_tests();
    policy_.ownership_epoch.value = 1 + below(1'000'000);
    return std::move(policy_);
  }

 private:
  bool checkable() const { return options_.checkable; }
  // std::uniform_int_distribution differs between libraries.
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::string number() { return std::to_string(next_++); }

  std::string name(std::string_view stem) {
    std::string text = std::string(stem) + number();
    if (!checkable() && one_in(4)) text += one_in(2) ? ".x_Y-9" : "-no";
    return text;
  }

  // One line for people, with everything in it that YAML could stumble over.
  std::string line() {
    if (checkable()) return "because " + number();
    static const char* const kParts[] = {"a", " ",  ": ", " #",   "\"", "'",   "\\",   "\\n",      "{",
                                         "]", ",",  "&x", "*",    "!t", "%",   "@",    "`",        "|",
                                         ">", "- ", "? ", "null", "~",  "yes", "0x1f", "\xc3\xa4", "\xf0\x9f\x98\x80"};
    std::string text;
    for (std::size_t left = 1 + below(8); left > 0; --left) text += kParts[below(std::size(kParts))];
    return text;
  }

  // A value that a caller may carry: no comma, no space at an end.
  std::string caller_name(std::string_view stem) {
    std::string text = std::string(stem) + number();
    if (checkable()) return text;
    static const char* const kParts[] = {"x", ": ", "'", "\"",       "\\",     "#",   "no",
                                         "{", "]",  "&", "\xc3\xa4", "group:", "null"};
    for (std::size_t left = below(4); left > 0; --left) text = kParts[1 + below(std::size(kParts) - 1)] + text + 'x';
    const std::size_t first = text.find_first_not_of(' ');
    text = text.substr(first);
    // What begins so would be another form than a name.
    return text.substr(0, 6) == "group:" ? 'x' + text : text;
  }

  NamePattern pattern(std::string_view names, std::string_view prefixes) {
    NamePattern pattern;
    pattern.kind = one_in(3) ? NamePattern::Kind::kPrefix : NamePattern::Kind::kName;
    pattern.text = pattern.kind == NamePattern::Kind::kName ? caller_name(names) : caller_name(prefixes) + '-';
    return pattern;
  }
  std::vector<NamePattern> patterns(std::string_view names, std::string_view prefixes) {
    std::vector<NamePattern> list;
    for (std::size_t left = 1 + below(4); left > 0; --left) list.push_back(pattern(names, prefixes));
    return list;
  }
  static NamePattern special(NamePattern::Kind kind, std::string text = "") {
    NamePattern pattern;
    pattern.kind = kind;
    pattern.text = std::move(text);
    return pattern;
  }

  At<Percent> percent() {
    static constexpr std::uint32_t kOften[] = {0, 1, 10'000, 2500, 50'000, 999'999, 1'000'000};
    const std::uint32_t value =
        one_in(2) ? kOften[below(std::size(kOften))] : static_cast<std::uint32_t>(below(Percent::kFull + 1));
    return {Percent{value}, {}};
  }
  template <class T>
  std::optional<At<T>> maybe(T value) {
    if (one_in(2)) return std::nullopt;
    return At<T>{std::move(value), {}};
  }
  std::optional<Text> maybe_line() { return maybe(line()); }
  std::optional<At<Date>> maybe_date() {
    const Date date{std::chrono::year(2024 + static_cast<int>(below(10))),
                    std::chrono::month(1 + static_cast<unsigned>(below(12))),
                    std::chrono::day(1 + static_cast<unsigned>(below(28)))};
    return maybe(date);
  }
  // The order in which operands are computed is the compiler's: one draw a statement.
  milliseconds duration() {
    const auto count = 1 + static_cast<std::int64_t>(below(999));
    return milliseconds(one_in(2) ? count : count * 500);
  }
  std::uint64_t size() {
    const std::uint64_t count = 1 + below(1000);
    return one_in(2) ? count : count * 1024;
  }

  static IdentitySource source(std::string metadata) {
    IdentitySource source;
    source.metadata = std::move(metadata);
    return source;
  }

  static IdentitySource verified(std::string peer_san) {
    IdentitySource source;
    source.peer_san = std::move(peer_san);
    return source;
  }

  std::optional<At<milliseconds>> maybe_duration(milliseconds least) { return maybe(least + duration()); }
  std::optional<At<std::uint32_t>> maybe_count(std::size_t most) {
    return maybe(1 + static_cast<std::uint32_t>(below(most)));
  }
  std::optional<Text> maybe_file(const char* end) { return maybe("certs/" + number() + end); }
  std::vector<At<GrpcCode>> some_codes(std::initializer_list<GrpcCode> from) {
    std::vector<At<GrpcCode>> codes;
    for (const GrpcCode code : from) {
      if (one_in(2)) codes.push_back({code, {}});
    }
    if (codes.empty()) codes.push_back({*from.begin(), {}});
    return codes;
  }

  // Each setting by itself is right; files are named only where nothing reads them.
  void make_settings(UpstreamSpec& upstream) {
    upstream.max_pending = maybe_count(5000);
    upstream.max_connections = maybe_count(100);
    upstream.balance = maybe(one_in(2) ? Balance::kRoundRobin : Balance::kLeastRequest);
    if (one_in(3)) {
      HealthCheckSpec& check = upstream.health_check.emplace();
      check.service = maybe(one_in(2) ? std::string() : line());
      check.interval = At<milliseconds>{milliseconds(1000) + duration(), {}};
      check.timeout = maybe(milliseconds(1 + below(1000)));
      check.healthy = maybe_count(100);
      check.unhealthy = maybe_count(100);
      if (one_in(4)) check = {};
    }
    if (one_in(3)) {
      OutlierSpec& outlier = upstream.outlier.emplace();
      outlier.consecutive = maybe_count(1000);
      if (one_in(2)) outlier.on = some_codes({GrpcCode::kUnavailable, GrpcCode::kInternal, GrpcCode::kUnknown});
      outlier.eject = maybe_duration(milliseconds(100));
      outlier.max_percent = maybe_count(100);
    }
    upstream.slow_start = maybe_duration({});
    upstream.idle_timeout = maybe_duration(milliseconds(100));
    if (one_in(3)) {
      KeepaliveSpec& keepalive = upstream.keepalive.emplace();
      keepalive.interval = maybe_duration(kLeastKeepalive);
      keepalive.timeout = maybe_duration(milliseconds(100));
      keepalive.idle = maybe(one_in(2));
    }
    static const char* const kAuthorities[] = {"policy.internal", "policy.internal:443", "10.0.0.1", "[::1]:50051"};
    upstream.authority = maybe(std::string(kAuthorities[below(std::size(kAuthorities))]));
    upstream.forward_peer = maybe(one_in(2));
    if (!one_in(3)) return;
    static const char* const kNames[] = {"policy.internal", "10.0.0.1", "2001:db8::1"};
    UpstreamTlsSpec& tls = upstream.tls.emplace();
    tls.server_name = maybe(std::string(kNames[below(std::size(kNames))]));
    if (checkable()) return;
    tls.ca_file = maybe_file(".pem");
    tls.cert_file = maybe_file(".pem");
    if (tls.cert_file) tls.key_file = Text{"certs/" + number() + ".key", {}};
  }

  void make_upstreams() {
    for (std::size_t left = 2 + below(3); left > 0; --left) {
      UpstreamSpec upstream;
      upstream.name.value = name("upstream");
      static const char* const kHosts[] = {"127.0.0.1", "::1", "policy.internal", "fe80::1:2", "10.0.0.1", "a_b-c"};
      for (std::size_t endpoints = 1 + below(3); endpoints > 0; --endpoints) {
        EndpointSpec endpoint;
        endpoint.host = kHosts[below(std::size(kHosts))];
        endpoint.port = static_cast<std::uint16_t>(1 + next_++ % 65535);
        upstream.endpoints.push_back(std::move(endpoint));
      }
      upstream.connect_timeout = maybe(duration());
      upstream.max_concurrent_requests = maybe<std::uint32_t>(1 + static_cast<std::uint32_t>(below(5000)));
      make_settings(upstream);
      for (std::size_t sets = below(3); sets > 0; --sets) {
        MetadataSet set;
        set.name = "x-set-" + number();
        set.from_file = !checkable() && one_in(2);
        set.value = set.from_file ? "secrets/" + number() + ".key" : "value: \"" + number() + "\"";
        upstream.metadata_set.push_back(std::move(set));
      }
      if (one_in(3)) upstream.metadata_remove.push_back({"x-remove-" + number(), {}});
      policy_.upstreams.push_back(std::move(upstream));
    }
    if (one_in(2)) policy_.default_upstream = Text{policy_.upstreams[0].name.value, {}};
    if (!checkable() && one_in(2)) policy_.schemas.push_back({"schemas/" + number() + ".pb", {}});
    if constexpr (fields::kSchemaReflection.built) {
      if (!checkable() && one_in(4)) policy_.schema_reflection.push_back({policy_.upstreams[0].name.value, {}});
    }
  }

  void make_callers() {
    if (one_in(2)) policy_.identity.tenant.push_back(verified("spiffe://corp/tenant/*"));
    if (one_in(4)) policy_.identity.tenant.push_back(verified("*.tenants.corp"));
    if (one_in(2)) policy_.identity.consumer.push_back(verified("spiffe://corp/client/*"));
    if (checkable() || !one_in(3)) policy_.identity.tenant.push_back(source("x-tenant-id"));
    if (checkable() || !one_in(3)) policy_.identity.consumer.push_back(source("x-consumer-id"));
    policy_.identity.trust_metadata = one_in(2);
    for (std::size_t i = 0, count = checkable() ? 2 : below(5); i < count; ++i) {
      AttributeSpec attribute;
      attribute.name.value = "attribute" + std::to_string(i);
      if (one_in(4)) attribute.sources.push_back(verified("*@" + std::to_string(i) + ".corp"));
      attribute.sources.push_back(source("x-attribute-" + std::to_string(i)));
      if (one_in(4)) attribute.sources.push_back(source("x-other-" + number()));
      policy_.attributes.push_back(std::move(attribute));
    }
    for (std::size_t left = below(4); left > 0; --left) {
      TenantGroup group;
      group.name.value = name("group");
      group.members = patterns("t", "p");
      policy_.tenant_groups.push_back(std::move(group));
    }
  }

  MethodRef method(std::string service, std::string method) {
    MethodRef ref;
    ref.service = std::move(service);
    ref.method = std::move(method);
    return ref;
  }

  void make_capabilities() {
    for (std::size_t i = 0, count = 1 + below(options_.max_capabilities); i < count; ++i) {
      CapabilitySpec capability;
      capability.name.value = name("capability");
      if (!checkable()) capability.data = maybe("data" + std::to_string(below(2)));
      capability.legacy.value = policy_.upstreams[0].name.value;
      capability.new_.value = policy_.upstreams[1].name.value;
      const std::string service = "random.v1.Service" + std::to_string(i);
      if (one_in(2)) capability.service = Text{service, {}};
      const std::size_t kinds = below(3);  // reads, writes, both
      if (kinds != 1) {
        for (std::size_t m = 0; m <= below(3); ++m)
          capability.reads.push_back(method(service, "Read" + std::to_string(m)));
      }
      if (kinds != 0) {
        for (std::size_t m = 0; m <= below(3); ++m) {
          capability.writes.push_back(method(service, "Write" + std::to_string(m)));
        }
        if (one_in(4)) capability.writes.push_back(method(service, "*"));
      }
      capability.key = make_key();
      capability.key_limit_bytes = maybe<std::uint64_t>(size());
      capability.salt = maybe_line();
      capability.staleness = maybe(duration());
      capability.reverse_replication_external = maybe(one_in(2));
      if (checkable()) capability.reverse_replication_external = At<bool>{true, {}};
      // A comparison's paths are those of reads.
      if (!capability.reads.empty() && one_in(2)) capability.compare = make_compare(capability.reads);
      if (one_in(4)) capability.overrides = make_overrides();
      policy_.capabilities.push_back(std::move(capability));
    }
    if (policy_.default_upstream && one_in(2)) {
      UnmanagedSpec unmanaged;
      unmanaged.method = method("random.v1.Unmanaged", "Call" + number());
      unmanaged.reason = line();
      unmanaged.until = maybe_date();
      unmanaged.contact = maybe_line();
      policy_.unmanaged.push_back(std::move(unmanaged));
    }
  }

  KeySpec make_key() {
    KeySpec key;
    if (checkable() || one_in(2)) {
      key.metadata = Text{"x-key", {}};
    } else {
      key.request_field = Text{"policy.number", {}};
    }
    if (!checkable() && one_in(2)) {
      KeySpec::PerMethod none;
      none.method.value = "Read0";
      KeySpec::PerMethod other;
      other.method.value = "Read1";
      other.request_field = Text{"order_id", {}};
      key.methods = {none, other};
    }
    return key;
  }

  PathRule path() {
    static const char* const kPaths[] = {
        "**.updated_at", "policy.premium.**", "policy.*.id", "**", "policy.labels[a.b c]", "id"};
    PathRule rule;
    rule.path = *PathPattern::parse(std::string(kPaths[below(std::size(kPaths))]));
    return rule;
  }

  double decimal() { return static_cast<double>(1 + below(1'000'000)) / (one_in(2) ? 1'000'003 : 3'000'000); }

  void fill_compare(CompareRules& compare) {
    for (std::size_t left = below(3); left > 0; --left) {
      PathRule rule = path();
      rule.reason = line();
      rule.until = maybe_date();
      rule.contact = maybe_line();
      compare.ignore.push_back(std::move(rule));
    }
    for (auto* list :
         {&compare.unordered, &compare.critical, &compare.major, &compare.minor, &compare.plain, &compare.redact}) {
      if (one_in(3)) list->push_back(path());
    }
    if (one_in(3)) compare.keyed.push_back({path(), Text{one_in(2) ? "id" : "order_id", {}}});
    for (std::size_t left = below(3); left > 0; --left) {
      ToleranceRule rule{path(), {}, {}, {}};
      rule.until = maybe_date();
      rule.contact = maybe_line();
      switch (below(3)) {
        case 0:
          rule.absolute = At<double>{std::round(decimal() * 1e12) / 1e12, {}};
          break;
        case 1:
          rule.relative = At<double>{(std::round(decimal() * 1e9) + 1) / 1e12, {}};
          break;
        default:
          rule.window = At<std::chrono::milliseconds>{duration(), {}};
      }
      compare.tolerance.push_back(std::move(rule));
    }
    if (one_in(3)) compare.metadata = {Text{"x-schema", {}}, Text{"x-proof-bin", {}}};
    if (one_in(3)) {
      LatencyRule& latency = compare.latency.emplace();
      if (one_in(2)) latency.absolute = At<std::chrono::milliseconds>{duration(), {}};
      if (!latency.absolute || one_in(2)) latency.relative = At<double>{static_cast<double>(1 + below(400)) / 8, {}};
    }
  }

  CompareSpec make_compare(const std::vector<MethodRef>& reads) {
    CompareSpec compare;
    fill_compare(compare);
    if (one_in(3) && !reads.front().star()) {
      CompareSpec::PerMethod& method = compare.methods.emplace_back();
      method.method = Text{reads.front().method, {}};
      fill_compare(method);
      if (method == CompareSpec::PerMethod{{}, method.method}) compare.methods.clear();  // empty: an error
    }
    compare.values_plain = one_in(2);
    compare.absent_equals_default = one_in(2);
    return compare;
  }

  OverrideSpec make_overrides() {
    OverrideSpec overrides;
    overrides.metadata.value = "x-side";
    const bool consumers = checkable() ? policy_.identity.consumer[0].verified() && one_in(2) : one_in(2);
    if (!consumers) {
      overrides.token_file = Text{"qa.token", {}};
    } else {
      overrides.consumers = patterns("c", "q");
    }
    overrides.until = maybe_date();
    overrides.contact = maybe_line();
    return overrides;
  }

  ShadowSpec make_shadow() {
    ShadowSpec shadow;
    shadow.percent = percent();
    shadow.by = maybe(static_cast<ShareBy>(below(4)));
    shadow.deadline = maybe(duration());
    shadow.max_in_flight = maybe<std::uint32_t>(1 + static_cast<std::uint32_t>(below(1000)));
    shadow.max_bytes = maybe<std::uint64_t>(1024 * (1 + below(5000)));
    return shadow;
  }
  CanarySpec make_canary() {
    CanarySpec canary;
    canary.percent = percent();
    canary.by = At<ShareBy>{static_cast<ShareBy>(below(3)), {}};
    return canary;
  }

  RetrySpec make_retry() {
    RetrySpec retry;
    retry.on = some_codes({GrpcCode::kUnavailable, GrpcCode::kAborted, GrpcCode::kResourceExhausted});
    retry.budget_percent = maybe(Percent{1 + static_cast<std::uint32_t>(below(Percent::kFull))});
    retry.attempts = maybe(2 + static_cast<std::uint32_t>(below(4)));
    return retry;
  }
  FallbackSpec make_fallback() {
    FallbackSpec fallback;
    fallback.on = some_codes({GrpcCode::kNotFound, GrpcCode::kUnavailable, GrpcCode::kUnimplemented});
    fallback.until = maybe_date();
    fallback.contact = maybe_line();
    return fallback;
  }

  std::vector<AttributeMatch> make_match() {
    std::vector<AttributeMatch> match;
    for (const AttributeSpec& attribute : policy_.attributes) {
      if (one_in(2)) continue;
      AttributeMatch one;
      one.attribute.value = attribute.name.value;
      one.values = patterns("v", "w");
      if (one_in(4)) one.values = {special(NamePattern::Kind::kAny)};
      match.push_back(std::move(one));
    }
    return match;
  }

  void make_rules() {
    for (std::size_t left = below(options_.max_rules + 1); left > 0; --left) {
      const CapabilitySpec& capability = policy_.capabilities[below(policy_.capabilities.size())];
      policy_.rules.push_back(checkable() ? coherent_rule(capability) : odd_rule(capability));
    }
  }

  RuleSpec begin_rule(const CapabilitySpec& capability) {
    RuleSpec rule;
    rule.name.value = name("rule");
    rule.capability.value = capability.name.value;
    rule.until = maybe_date();
    rule.contact = maybe_line();
    return rule;
  }

  RuleSpec odd_rule(const CapabilitySpec& capability) {
    RuleSpec rule = begin_rule(capability);
    if (one_in(2)) rule.tenants = patterns("t", "p");
    if (one_in(6)) rule.tenants.push_back(special(NamePattern::Kind::kGroup, name("group")));
    if (one_in(6)) rule.tenants.push_back(special(NamePattern::Kind::kAny));
    if (one_in(6)) rule.tenants.push_back(special(NamePattern::Kind::kNone));
    if (one_in(4)) rule.consumers = patterns("c", "q");
    if (one_in(4)) rule.match = make_match();
    rule.stage.value = static_cast<Stage>(below(7));
    if (one_in(4)) rule.reads_serve = At<Side>{one_in(2) ? Side::kNew : Side::kLegacy, {}};
    if (one_in(2)) rule.canary = make_canary();
    if (rule.canary && one_in(4)) rule.canary->by.reset();
    if (one_in(2)) rule.shadow = make_shadow();
    if (one_in(4)) rule.retry = make_retry();
    if (one_in(4)) rule.fallback = make_fallback();
    if (one_in(4)) rule.writes_owner = At<Side>{one_in(2) ? Side::kNew : Side::kLegacy, {}};
    return rule;
  }

  // Every name and prefix is new, so that no rule above takes them all. A narrowed rule is skipped for writes, so its
  // tenants fall through to legacy: it must not say otherwise.
  RuleSpec coherent_rule(const CapabilitySpec& capability) {
    RuleSpec rule = begin_rule(capability);
    rule.tenants = patterns("t", "p");
    const bool reads = !capability.reads.empty();
    if (reads && one_in(4)) rule.consumers = patterns("c", "q");
    if (reads && one_in(4)) rule.match = make_match();
    static constexpr Stage kLegacyOwns[] = {Stage::kOff, Stage::kShadow, Stage::kCanary};
    static constexpr Stage kAll[] = {Stage::kOff,  Stage::kShadow,   Stage::kCanary,
                                     Stage::kLive, Stage::kRampdown, Stage::kComplete};
    rule.stage.value = rule.narrowed() ? kLegacyOwns[below(3)] : kAll[below(6)];
    if (!reads) return rule;
    const Stage stage = rule.stage.value;
    if (one_in(4)) rule.retry = make_retry();
    if ((stage == Stage::kShadow || stage == Stage::kCanary) && one_in(3)) rule.fallback = make_fallback();
    if (stage == Stage::kCanary) rule.canary = make_canary();
    if (stage == Stage::kShadow || stage == Stage::kCanary || stage == Stage::kLive) rule.shadow = make_shadow();
    return rule;
  }

  void make_tests() {
    using Serve = PolicyTest::Expect::Serve;
    for (std::size_t left = below(4); left > 0; --left) {
      PolicyTest test;
      test.name.value = "test " + number() + line();
      test.method = method("random.v1.Service0", "Read0");
      test.tenant = maybe(caller_name("t"));
      test.consumer = maybe(caller_name("c"));
      test.key = maybe_line();
      for (std::size_t entries = below(3); entries > 0; --entries) {
        const std::string tag = number();
        test.metadata.emplace_back("x-test-" + tag, "v: '" + tag + "'");
      }
      test.expect.owner = maybe(one_in(2) ? Side::kNew : Side::kLegacy);
      test.expect.rule = maybe(std::string(one_in(2) ? "none" : "rule1"));
      test.expect.serve = maybe(static_cast<Serve>(below(3)));
      test.expect.new_share = maybe(percent().value);
      test.expect.shadow = At<Percent>{percent().value, {}};
      test.expect.refused = maybe(static_cast<GrpcCode>(1 + below(16)));
      policy_.tests.push_back(std::move(test));
    }
  }

  std::mt19937_64 random_;
  const RandomPolicyOptions& options_;
  Policy policy_;
  std::size_t next_ = 0;
};

}  // namespace

Policy random_policy(std::uint64_t seed, const RandomPolicyOptions& options) { return Maker(seed, options).make(); }

}  // namespace ficus::test
