#include "facade/control/status_report.h"

#include <gmock/gmock.h>

#include "facade/metrics/families.h"
#include "tests/facade/control/policy_store_fixture.h"

namespace ficus::testing {
namespace {

namespace v1 = control::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class StatusReportTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.store.load_first()); }
  v1::GetStatusResponse report(const ProcessFacts& facts = {}) {
    return report_status(facts, store_.store.state(), store_.metrics, std::chrono::system_clock::now());
  }
  const v1::Capability& capability(const v1::GetStatusResponse& status, const std::string& name) {
    for (const v1::Capability& found : status.capabilities()) {
      if (found.name() == name) return found;
    }
    ADD_FAILURE() << "no capability " << name;
    return v1::Capability::default_instance();
  }
  static std::vector<std::pair<std::string, std::uint64_t>> counts(
      const google::protobuf::RepeatedPtrField<v1::ReasonCount>& from) {
    std::vector<std::pair<std::string, std::uint64_t>> list;
    for (const v1::ReasonCount& count : from) list.emplace_back(count.reason(), count.count());
    return list;
  }

  const TempDir dir_;
  const std::string path_ = write_sample(dir_.path());
  Store store_{path_};
  MetricsShard& shard_ = store_.metrics.add_shard();
};

TEST_F(StatusReportTest, SaysWhatTheProcessIs) {
  using namespace std::chrono_literals;
  const std::chrono::system_clock::time_point started{1'700'000'000s + 250ms};
  ProcessFacts facts{"9.8.7",
                     4242,
                     started,
                     false,
                     {{ProcessFacts::Listener::Kind::kCleartext, "127.0.0.1:8080"},
                      {ProcessFacts::Listener::Kind::kTls, "[::]:8443"},
                      {ProcessFacts::Listener::Kind::kAdmin, "127.0.0.1:9901"}},
                     {3, 0}};
  v1::GetStatusResponse status = report(facts);
  EXPECT_EQ(status.process().version(), "9.8.7");
  EXPECT_EQ(status.process().pid(), 4242u);
  EXPECT_EQ(status.process().state(), v1::Process::READY);
  EXPECT_EQ(status.process().started_at().seconds(), 1'700'000'000);
  EXPECT_EQ(status.process().started_at().nanos(), 250'000'000);
  EXPECT_GT(status.process().now().seconds(), 1'700'000'000);
  ASSERT_EQ(status.listeners_size(), 3);
  EXPECT_EQ(status.listeners(1).kind(), v1::Listener::TLS);
  EXPECT_EQ(status.listeners(1).address(), "[::]:8443");
  ASSERT_EQ(status.workers_size(), 2);
  EXPECT_EQ(status.workers(0).client_connections(), 3u);
  EXPECT_EQ(status.workers(1).index(), 1u);
  facts.draining = true;
  EXPECT_EQ(report(facts).process().state(), v1::Process::DRAINING);
}

TEST_F(StatusReportTest, SaysThePolicyInForceAndWhatBecameOfAReload) {
  v1::GetStatusResponse status = report();
  EXPECT_EQ(status.policy().name(), "sample");
  EXPECT_EQ(status.policy().hash(), store_.in_force().hash());
  EXPECT_EQ(status.policy().generation(), store_.in_force().generation());
  EXPECT_GT(status.policy().loaded_at().seconds(), 0);
  ASSERT_GT(status.policy().files_size(), 0);
  EXPECT_THAT(status.policy().files(0), HasSubstr("policy.yaml"));
  EXPECT_FALSE(status.has_last_reload()) << "there was none";

  EXPECT_EQ(store_.reload(), "unchanged");
  EXPECT_EQ(report().last_reload().outcome(), v1::Reload::UNCHANGED);
  EXPECT_EQ(report().last_reload().trigger(), "signal");

  write_file(path_, sample_policy_with("stage: canary", "stage: canray"));
  ASSERT_EQ(store_.reload(), "refused");
  status = report();
  EXPECT_EQ(status.last_reload().outcome(), v1::Reload::REFUSED);
  ASSERT_GT(status.last_reload().diagnostics_size(), 0);
  const v1::Diagnostic& first = status.last_reload().diagnostics(0);
  EXPECT_EQ(first.level(), v1::Diagnostic::ERROR);
  EXPECT_THAT(first.message(), HasSubstr("canray"));
  EXPECT_GT(first.line(), 0u);
  EXPECT_EQ(status.policy().hash(), store_.in_force().hash()) << "a refused policy is shown as if it were in force";
}

TEST_F(StatusReportTest, OfManyDiagnosticsTheErrorsComeFirstAndTheRestIsCounted) {
  PolicyState state = store_.store.state();
  PolicyReload reload{"refused", "signal", std::chrono::system_clock::now(), {}};
  for (std::size_t i = 0; i < kShownReloadDiagnostics; ++i) {
    reload.diagnostics.push_back({"W001", DiagnosticLevel::kWarning, "p.yaml", {1, 1}, "", "a warning", ""});
  }
  reload.diagnostics.push_back({"P001", DiagnosticLevel::kError, "p.yaml", {9, 2}, "x", "the error", "a hint"});
  state.last_reload = reload;
  const auto status = report_status({}, state, store_.metrics, std::chrono::system_clock::now());
  ASSERT_EQ(status.last_reload().diagnostics_size(), static_cast<int>(kShownReloadDiagnostics));
  EXPECT_EQ(status.last_reload().diagnostics(0).message(), "the error");
  EXPECT_EQ(status.last_reload().diagnostics(0).hint(), "a hint");
  EXPECT_EQ(status.last_reload().diagnostics_more(), 1u);
}

TEST_F(StatusReportTest, SharesAreThoseOfTheRulesWithWhatFellIntoThem) {
  shard_.counter(families::kShareEligible, {"inquiry", "inquiry-eu", "canary"}).add(200);
  shard_.counter(families::kShareIn, {"inquiry", "inquiry-eu", "canary"}).add(3);
  store_.metrics.add_shard().counter(families::kShareIn, {"inquiry", "inquiry-eu", "canary"}).add(2);
  shard_.counter(families::kShareIn, {"inquiry", "inquiry-eu", "shadow"}).add(50);
  shard_.counter(families::kShareIn, {"inquiry", "another", "canary"}).add(1000);
  const auto status = report();
  const v1::Capability& inquiry = capability(status, "inquiry");
  EXPECT_EQ(inquiry.legacy_upstream(), "legacy");
  EXPECT_EQ(inquiry.new_upstream(), "new");
  ASSERT_GE(inquiry.rules_size(), 2);
  const v1::Rule& acme = inquiry.rules(0);
  EXPECT_EQ(acme.name(), "inquiry-acme");
  EXPECT_EQ(acme.stage(), "live");
  EXPECT_EQ(acme.new_reads().percent_millionths(), 1'000'000u);
  EXPECT_EQ(acme.new_reads().by(), "") << "nothing is drawn for all";
  EXPECT_EQ(acme.shadowed_reads().percent_millionths(), 125'000u);
  EXPECT_EQ(acme.shadowed_reads().by(), "request");
  const v1::Rule& eu = inquiry.rules(1);
  EXPECT_EQ(eu.name(), "inquiry-eu");
  EXPECT_GT(eu.line(), acme.line());
  EXPECT_EQ(eu.new_reads().percent_millionths(), 25u);
  EXPECT_EQ(eu.new_reads().by(), "tenant");
  EXPECT_EQ(eu.new_reads().eligible(), 200u);
  EXPECT_EQ(eu.new_reads().in(), 5u);
  EXPECT_EQ(eu.shadowed_reads().in(), 50u);
  EXPECT_EQ(capability(status, "address").rules(0).write_owner(), "new");
}

TEST_F(StatusReportTest, ShadowsAreCountedByCapabilityVerdictAndReason) {
  const auto verdict = [&](const char* of, const char* what, const char* reason, std::uint64_t count) {
    shard_.counter(families::kVerdicts, {of, what, reason}).add(count);
  };
  shard_.counter(families::kShadowBegun, {"inquiry"}).add(40);
  verdict("inquiry", "match", "", 20);
  verdict("inquiry", "ignored", "", 5);
  verdict("inquiry", "noise", "", 2);
  verdict("inquiry", "lag", "", 1);
  verdict("inquiry", "mismatch", "", 3);
  verdict("inquiry", "incomparable", "too_large", 1);
  verdict("inquiry", "abandoned", "overflow", 2);
  verdict("inquiry", "abandoned", "deadline", 4);
  verdict("address", "match", "", 7);
  shard_.counter(families::kMismatches, {"inquiry", "critical"}).add(1);
  shard_.counter(families::kMismatches, {"inquiry", "minor"}).add(2);
  shard_.counter(families::kNotShadowed, {"inquiry", "pressure"}).add(9);
  const auto status = report();
  const v1::ShadowCounts& shadows = capability(status, "inquiry").shadows();
  EXPECT_EQ(shadows.begun(), 40u);
  EXPECT_EQ(shadows.match(), 20u);
  EXPECT_EQ(shadows.ignored(), 5u);
  EXPECT_EQ(shadows.noise(), 2u);
  EXPECT_EQ(shadows.lag(), 1u);
  EXPECT_EQ(shadows.mismatch(), 3u);
  EXPECT_EQ(shadows.incomparable(), 1u);
  EXPECT_EQ(shadows.abandoned(), 6u);
  using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
  EXPECT_EQ(counts(shadows.mismatch_severities()), (Counts{{"critical", 1}, {"major", 0}, {"minor", 2}}));
  EXPECT_EQ(counts(shadows.abandoned_reasons()), (Counts{{"deadline", 4}, {"overflow", 2}})) << "most first";
  EXPECT_EQ(counts(shadows.incomparable_reasons()), (Counts{{"too_large", 1}}));
  EXPECT_EQ(counts(shadows.not_shadowed()), (Counts{{"pressure", 9}}));
  EXPECT_EQ(capability(status, "address").shadows().match(), 7u);
  EXPECT_THAT(capability(status, "address").shadows().not_shadowed(), IsEmpty());
}

TEST_F(StatusReportTest, UpstreamsHaveTheirEndpointsByStateAndRole) {
  const auto endpoints = [&](const char* role, const char* state, int count) {
    shard_.gauge(families::kEndpoints, {"new", role, state}).add(count);
  };
  endpoints("primary", "healthy", 4);
  endpoints("primary", "ejected", 1);
  endpoints("shadow", "unhealthy", 2);
  shard_.gauge(families::kConnections, {"new"}).add(5);
  shard_.gauge(families::kConnections, {"client"}).add(77);
  shard_.counter(families::kConnectFailures, {"new", "refused"}).add(2);
  shard_.counter(families::kConnectFailures, {"new", "timeout"}).add(1);
  shard_.counter(families::kUpstreamFailures, {"new", "primary", "reset"}).add(6);
  shard_.gauge(families::kStreams, {"primary"}).add(8);
  shard_.gauge(families::kStreams, {"shadow"}).add(-1);
  const auto status = report();
  ASSERT_EQ(status.upstreams_size(), 2);
  EXPECT_EQ(status.upstreams(0).name(), "legacy");
  EXPECT_EQ(status.upstreams(0).connections(), 0u);
  const v1::Upstream& upstream = status.upstreams(1);
  EXPECT_THAT(upstream.endpoints(), ElementsAre("127.0.0.1:50052"));
  EXPECT_FALSE(upstream.tls());
  EXPECT_EQ(upstream.primary().healthy(), 4u);
  EXPECT_EQ(upstream.primary().ejected(), 1u);
  EXPECT_EQ(upstream.primary().unhealthy(), 0u);
  EXPECT_EQ(upstream.shadow().unhealthy(), 2u);
  EXPECT_EQ(upstream.connections(), 5u);
  EXPECT_EQ(upstream.connect_failures(), 3u);
  EXPECT_EQ(upstream.call_failures(), 6u);
  EXPECT_EQ(status.load().primary_calls(), 8u);
  EXPECT_EQ(status.load().shadow_calls(), 0u) << "a gauge read between two changes is no huge number";
}

TEST_F(StatusReportTest, NoValueOfMetadataIsInIt) {
  const std::string text = report().DebugString();
  EXPECT_THAT(text, Not(HasSubstr("inline-value")));
  EXPECT_THAT(text, Not(HasSubstr("x-api-key")));
  EXPECT_THAT(text, Not(HasSubstr(read_file(dir_ / "new.key"))));
}

}  // namespace
}  // namespace ficus::testing
