// How an upstream is called, and how reads are asked again: from the policy's text to the compiled table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/policy_parse_sections.h"
#include "tests/routing/table_fixture.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::parse_or_die;
using test::table_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string with_upstream(const std::string& settings) {
  return "apiVersion: ficus/v1\nname: t\nupstreams:\n  u: {endpoints: [\"a:1\"]" +
         (settings.empty() ? "" : ", " + settings) + "}\nownership_epoch: 1\n";
}
UpstreamInfo upstream(const std::string& settings, const NamedFiles& files = {}) {
  return table_of(parse_or_die(with_upstream(settings)), nullptr, files)->upstreams().at(0);
}
std::string complaint(const std::string& text) {
  const auto parsed = parse_policy(text, "t.yaml");
  return parsed ? "" : to_string(parsed.error().front());
}

TEST(UpstreamSettingsTest, DefaultsAreWhatTheHandbookSays) {
  const UpstreamInfo info = upstream("");
  EXPECT_FALSE(info.tls);
  EXPECT_EQ(info.settings, UpstreamSettings());
  EXPECT_EQ(info.settings.balance, Balance::kLeastRequest);
  EXPECT_FALSE(info.settings.health_check || info.settings.outlier || info.settings.keepalive);
  EXPECT_FALSE(info.settings.slow_start || info.settings.idle_timeout);
  EXPECT_EQ(info.settings.max_pending, 1024u);
  EXPECT_EQ(info.settings.max_connections, 32u);
  EXPECT_EQ(info.settings.authority, "");
  EXPECT_FALSE(info.settings.forward_peer);
}

TEST(UpstreamSettingsTest, TrueTurnsAFeatureOnWithItsDefaults) {
  const UpstreamInfo info = upstream("health_check: true, outlier: true, keepalive: true, tls: true");
  const HealthCheckSettings check = info.settings.health_check.value();
  EXPECT_EQ(check.service, "");
  EXPECT_EQ(check.interval, seconds(5));
  EXPECT_EQ(check.timeout, seconds(1));
  EXPECT_EQ(check.healthy, 2u);
  EXPECT_EQ(check.unhealthy, 3u);
  const OutlierSettings outlier = info.settings.outlier.value();
  EXPECT_EQ(outlier.consecutive, 5u);
  EXPECT_EQ(outlier.on, GrpcCodeSet{GrpcCode::kUnavailable});
  EXPECT_EQ(outlier.eject, seconds(30));
  EXPECT_EQ(outlier.max_percent, 50u);
  const KeepaliveSettings keepalive = info.settings.keepalive.value();
  EXPECT_EQ(keepalive.interval, seconds(30));
  EXPECT_EQ(keepalive.timeout, seconds(20));
  EXPECT_FALSE(keepalive.idle);
  EXPECT_EQ(info.tls, UpstreamTls()) << "the system's roots, the endpoint's host, no certificate of ours";
}

TEST(UpstreamSettingsTest, EachSettingReachesTheTable) {
  const UpstreamSettings settings =
      upstream(
          "max_pending: 17, max_connections: 3, balance: round_robin, slow_start: 45s, idle_timeout: 10m, "
          "authority: \"orders.internal:443\", forward_peer: true, "
          "health_check: {service: shop.Orders, interval: 2s, timeout: 300ms, healthy: 1, unhealthy: 4}, "
          "outlier: {consecutive: 7, on: [INTERNAL, UNAVAILABLE], eject: 1m, max_percent: 34}, "
          "keepalive: {interval: 15s, timeout: 4s, idle: true}")
          .settings;
  EXPECT_EQ(settings.max_pending, 17u);
  EXPECT_EQ(settings.max_connections, 3u);
  EXPECT_EQ(settings.balance, Balance::kRoundRobin);
  EXPECT_EQ(settings.slow_start, seconds(45));
  EXPECT_EQ(settings.idle_timeout, minutes(10));
  EXPECT_EQ(settings.authority, "orders.internal:443");
  EXPECT_TRUE(settings.forward_peer);
  EXPECT_EQ(settings.health_check, (HealthCheckSettings{"shop.Orders", seconds(2), milliseconds(300), 1, 4}));
  EXPECT_EQ(settings.outlier,
            (OutlierSettings{7, {GrpcCode::kUnavailable, GrpcCode::kInternal}, minutes(1), 34}));
  EXPECT_EQ(settings.keepalive, (KeepaliveSettings{seconds(15), seconds(4), true}));
}

TEST(UpstreamSettingsTest, ACheckNeverTakesLongerThanItsInterval) {
  EXPECT_EQ(upstream("health_check: {interval: 400ms}").settings.health_check->timeout, milliseconds(400))
      << "the default of the timeout gives way";
  EXPECT_THAT(complaint(with_upstream("health_check: {interval: 400ms, timeout: 1s}")),
              HasSubstr("error[P037]: the timeout of a check is longer than the interval (at most 400ms)"));
}

TEST(UpstreamSettingsTest, KeepaliveSaysWhyItHasAFloor) {
  EXPECT_THAT(complaint(with_upstream("keepalive: {interval: 1s}")), HasSubstr("ENHANCE_YOUR_CALM"));
  EXPECT_THAT(complaint(with_upstream("keepalive: {interval: 61m}")), Not(HasSubstr("more pings than")))
      << "the other end has none";
}

// ---- TLS ----

TEST(UpstreamTlsTest, FilesComeWithTheirNamesAndContents) {
  const NamedFiles files = {{"ca.pem", "CA\n"}, {"certs/me.pem", "CHAIN\n"}, {"certs/me.key", "KEY\n"}};
  const UpstreamTls tls =
      upstream("tls: {ca_file: ca.pem, cert_file: certs/me.pem, key_file: certs/me.key, server_name: orders.internal}",
               files)
          .tls.value();
  EXPECT_EQ(tls.ca_file, "ca.pem");
  EXPECT_EQ(tls.ca_pem, "CA\n") << "PEM is passed on as it was read";
  EXPECT_EQ(tls.cert_file, "certs/me.pem");
  EXPECT_EQ(tls.cert_pem, "CHAIN\n");
  EXPECT_EQ(tls.key_file, "certs/me.key");
  EXPECT_EQ(tls.key_pem, "KEY\n");
  EXPECT_EQ(tls.server_name, "orders.internal");
}

TEST(UpstreamTlsTest, ACertificateAndItsKeyComeTogether) {
  EXPECT_THAT(complaint(with_upstream("tls: {cert_file: me.pem}")),
              HasSubstr("error[P012]: cert_file is given without key_file (add it: key_file: NAME)"));
  EXPECT_THAT(complaint(with_upstream("tls: {key_file: me.key}")),
              HasSubstr("error[P012]: key_file is given without cert_file (add it: cert_file: NAME)"));
}

TEST(UpstreamTlsTest, FalseIsNoWayToTurnItOff) {
  EXPECT_THAT(complaint(with_upstream("tls: false")),
              HasSubstr("error[P016]: \"false\" may not stand here (leave the key out; or write true, or tls: {"));
}

// ---- retry and fallback ----

std::string rule_text(const std::string& reads) {
  return "identity: {tenant: [{metadata: x-tenant}]}\ncapabilities: {a: {legacy: old, new: fresh, reads: [p.S/Get]}}\n"
         "rules:\n  - {name: r, capability: a, stage: canary, reads: {canary: {percent: 100, by: tenant}, shadow: "
         "{percent: 0}" +
         reads + "}}\n";
}

TEST(RetryTest, DefaultsAndValuesReachTheRule) {
  EXPECT_FALSE(table_of(rule_text(""))->rules()[0].retry);
  const RetrySettings least = table_of(rule_text(", retry: {on: [UNAVAILABLE]}"))->rules()[0].retry.value();
  EXPECT_EQ(least.on, GrpcCodeSet{GrpcCode::kUnavailable});
  EXPECT_EQ(least.attempts, 2u);
  EXPECT_EQ(least.budget, Percent{200'000});
  const RetrySettings all =
      table_of(rule_text(", retry: {on: [ABORTED, UNAVAILABLE, RESOURCE_EXHAUSTED], budget_percent: 0.5, attempts: 5}"))
          ->rules()[0]
          .retry.value();
  EXPECT_EQ(all.on, (GrpcCodeSet{GrpcCode::kUnavailable, GrpcCode::kAborted, GrpcCode::kResourceExhausted}));
  EXPECT_EQ(all.attempts, 5u);
  EXPECT_EQ(all.budget, Percent{5'000});
}

TEST(FallbackTest, IsAFactOfTheRule) {
  EXPECT_TRUE(table_of(rule_text(""))->rules()[0].facts.fallback.empty());
  const auto table = table_of(rule_text(", fallback: {on: [NOT_FOUND, UNAVAILABLE]}"));
  EXPECT_EQ(table->rules()[0].facts.fallback, (GrpcCodeSet{GrpcCode::kNotFound, GrpcCode::kUnavailable}));
  test::Call call{"p.S", "Get", {{"x-tenant", "acme"}}};
  const Plan plan = table->plan(call.head());
  const RouteDecision decision = table->decide(plan, std::nullopt, 0);
  EXPECT_EQ(decision.side, Side::kNew);
  EXPECT_EQ(decision.owner, Side::kLegacy);
}

TEST(FallbackTest, TakesEveryFailureButTheClientsOwnAndADenial) {
  for (int number = 0; number <= 16; ++number) {
    const auto code = static_cast<GrpcCode>(number);
    const std::string said =
        complaint(test::policy_text(rule_text(", fallback: {on: [" + std::string(to_string(code)) + "]}")));
    const bool refused = code == GrpcCode::kOk || code == GrpcCode::kCancelled || code == GrpcCode::kPermissionDenied ||
                         code == GrpcCode::kUnauthenticated;
    EXPECT_EQ(!said.empty(), refused) << to_string(code) << ": " << said;
  }
}

// ---- which fields are built ----

// What one mapping says of a field that is built or not.
std::vector<std::string> read_field(const std::string& text, bool built, bool& given) {
  parsing::Report report("t.yaml");
  const parsing::YamlReading reading = parsing::read_yaml(text, {});
  {
    parsing::Fields fields(parsing::Value(reading.tree, report), "{}");
    given = fields.get(LanguageField{"later", built, "wait for it"}).has_value();
    fields.get("now");
  }
  std::vector<std::string> said;
  for (const Diagnostic& diagnostic : report.take()) said.push_back(to_string(diagnostic));
  return said;
}

TEST(BuiltFieldsTest, AFieldThatIsNotBuiltIsRefusedByNameAndNeverSuggested) {
  bool given = false;
  EXPECT_THAT(read_field("later: 1\n", false, given),
              ElementsAre("t.yaml:1:1: error[P013]: \"later\" is not supported yet (wait for it)"));
  EXPECT_FALSE(given);
  EXPECT_THAT(read_field("latre: 1\n", false, given),
              ElementsAre("t.yaml:1:1: error[P010]: unknown key \"latre\" (known here: now)"));
  EXPECT_THAT(read_field("now: 1\n", false, given), ElementsAre());
  EXPECT_THAT(read_field("later: 1\n", true, given), ElementsAre());
  EXPECT_TRUE(given);
  EXPECT_THAT(read_field("latre: 1\n", true, given),
              ElementsAre("t.yaml:1:1: error[P010]: unknown key \"latre\" (did you mean \"later\"?)"));
}

// `reflection` is read whole, though this build refuses it.
TEST(BuiltFieldsTest, SchemasCanBeFilesAndUpstreamsToAsk) {
  const auto read = [](const std::string& text, bool built, std::vector<std::string>& said) {
    parsing::Report report("t.yaml");
    const parsing::YamlReading reading = parsing::read_yaml(text, {});
    std::vector<Text> files, upstreams;
    parsing::read_schemas(parsing::Value(reading.tree, report), files, upstreams, {"reflection", built, "wait"});
    said.clear();
    for (const Text& file : files) said.push_back("file " + file.value);
    for (const Text& upstream : upstreams) said.push_back("ask " + upstream.value);
    for (const Diagnostic& diagnostic : report.take()) said.push_back(diagnostic.code);
  };
  std::vector<std::string> said;
  read("[a.pb, b.pb]\n", true, said);
  EXPECT_THAT(said, ElementsAre("file a.pb", "file b.pb"));
  read("{files: [a.pb], reflection: [new, old]}\n", true, said);
  EXPECT_THAT(said, ElementsAre("file a.pb", "ask new", "ask old"));
  read("{reflection: [new]}\n", true, said);
  EXPECT_THAT(said, ElementsAre("ask new"));
  read("{reflection: [new, new, \"a b\"], files: []}\n", true, said);
  EXPECT_THAT(said, ElementsAre("ask new", "ask new", "W001", "P020", "P015"));
  read("{files: [a.pb], reflection: [new]}\n", false, said);
  EXPECT_THAT(said, ElementsAre("file a.pb", "P013"));
  read("{}\n", true, said);
  EXPECT_THAT(said, ElementsAre("P015"));
}

}  // namespace
}  // namespace ficus
