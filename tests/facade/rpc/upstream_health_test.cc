// Active checks and passive ejection over real sockets: who gets calls.
#include <gmock/gmock.h>

#include "tests/facade/rpc/upstream_fixture.h"

namespace ficus {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Eq;
using Health = SelfServing::Health;

class UpstreamHealthTest : public UpstreamPoolTest {
 protected:
  // Checks that come fast; one failure or success decides.
  UpstreamTarget checked(const std::vector<std::string>& addresses,
                         std::chrono::milliseconds timeout = e2e::kPatience) {
    UpstreamTarget made = target(addresses);
    made.health_check = ProbeSettings{"", std::chrono::milliseconds(20), timeout, 1, 1};
    return made;
  }
  UpstreamTarget ejecting(const std::vector<std::string>& addresses, std::chrono::milliseconds base) {
    UpstreamTarget made = target(addresses);
    made.balance.outlier = EjectionSettings{};
    made.balance.outlier->consecutive_failures = 2;
    made.balance.outlier->base_ejection = base;
    return made;
  }
};

TEST_F(UpstreamHealthTest, AnEndpointThatDoesNotServeGetsNoCallsUntilItDoes) {
  SelfServing one, two;
  two.set_health(Health::kNotServing);
  configure(checked({one.address(), two.address()}));
  ASSERT_TRUE(wait_endpoints("unhealthy", 1));
  const std::size_t before = two.calls();
  EXPECT_THAT(run(10), Each(Eq("0")));
  EXPECT_EQ(two.calls(), before);
  EXPECT_GE(counter(families::kHealthChecks, {"up", "not_serving"}), 1u);
  two.set_health(Health::kServing);
  ASSERT_TRUE(wait_endpoints("healthy", 2));
  run(10);
  EXPECT_GE(two.calls(), before + 4);
}

TEST_F(UpstreamHealthTest, EachWayNotToServeIsUnhealthyAndCountedByName) {
  const struct {
    Health health;
    const char* outcome;
  } table[] = {{Health::kServiceUnknown, "service_unknown"},
               {Health::kNotFound, "service_unknown"},
               {Health::kUnimplemented, "unimplemented"},
               {Health::kGarbage, "malformed"}};
  SelfServing one, two;
  configure(checked({one.address(), two.address()}));
  for (const auto& [health, outcome] : table) {
    ASSERT_TRUE(wait_endpoints("unhealthy", 0));
    const auto before = counter(families::kHealthChecks, {"up", outcome});
    two.set_health(health);
    EXPECT_TRUE(wait_endpoints("unhealthy", 1)) << outcome;
    EXPECT_GT(counter(families::kHealthChecks, {"up", outcome}), before) << outcome;
    two.set_health(Health::kServing);
  }
}

TEST_F(UpstreamHealthTest, AnEndpointThatNeverAnswersIsUnhealthyAfterTheTimeout) {
  SelfServing one, two;
  two.set_health(Health::kSilent);
  configure(checked({one.address(), two.address()}, std::chrono::seconds(1)));
  EXPECT_TRUE(wait_endpoints("unhealthy", 1));
  EXPECT_GE(counter(families::kHealthChecks, {"up", "timeout"}), 1u);
}

TEST_F(UpstreamHealthTest, AnEndpointThatRefusesIsUnhealthyAndUnreachableIsCounted) {
  SelfServing one;
  configure(checked({one.address(), e2e::refusing_address()}));
  EXPECT_TRUE(wait_endpoints("unhealthy", 1));
  EXPECT_GE(counter(families::kHealthChecks, {"up", "unreachable"}), 1u);
  EXPECT_THAT(run(10), Each(Eq("0")));
}

TEST_F(UpstreamHealthTest, AnUpstreamWithoutAHealthyEndpointIsUsedAllTheSame) {
  SelfServing one, two;
  one.set_health(Health::kUnimplemented);
  two.set_health(Health::kUnimplemented);
  configure(checked({one.address(), two.address()}));
  ASSERT_TRUE(wait_endpoints("unhealthy", 2));
  EXPECT_THAT(run(10), Each(Eq("0")));
  EXPECT_EQ(one.calls(), 5u);
  EXPECT_EQ(two.calls(), 5u);
}

TEST_F(UpstreamHealthTest, AFailureBelowTheThresholdChangesNothing) {
  SelfServing one, two;
  UpstreamTarget patient = checked({one.address(), two.address()});
  patient.health_check->unhealthy_threshold = 1'000'000;
  configure(patient);
  ASSERT_TRUE(e2e::wait_until([&] { return two.checks() >= 2; }))
      << "the second check comes after the first one's answer";
  two.set_health(Health::kNotServing);
  ASSERT_TRUE(e2e::wait_until([&] { return counter(families::kHealthChecks, {"up", "not_serving"}) >= 3; }));
  EXPECT_EQ(endpoints("unhealthy"), 0);
}

TEST_F(UpstreamHealthTest, ShadowsGoByWhatThePrimarysChecksFind) {
  SelfServing one, two;
  two.set_health(Health::kNotServing);
  configure(checked({one.address(), two.address()}));
  ASSERT_TRUE(wait_endpoints("unhealthy", 1, "shadow"));
  EXPECT_THAT(run(10, *shadow_), Each(Eq("0")));
  EXPECT_EQ(two.calls(), 0u);
  // A shadow's endpoint that comes later learns it too.
  on_worker([&] {
    shadow_->configure({}, false);
    shadow_->configure({checked({one.address(), two.address()})}, false);
  });
  EXPECT_EQ(endpoints("unhealthy", "shadow"), 1);
}

TEST_F(UpstreamHealthTest, ChecksThatThePolicyTakesOutLeaveEveryEndpointInUse) {
  SelfServing one, two;
  two.set_health(Health::kNotServing);
  configure(checked({one.address(), two.address()}));
  ASSERT_TRUE(wait_endpoints("unhealthy", 1));
  configure(target({one.address(), two.address()}));
  EXPECT_EQ(endpoints("unhealthy"), 0);
  EXPECT_EQ(endpoints("unhealthy", "shadow"), 0);
  run(10);
  EXPECT_EQ(two.calls(), 5u);
}

TEST_F(UpstreamHealthTest, ACheckNamesServiceAndAuthority) {
  SelfServing one;
  UpstreamTarget named = checked({one.address()});
  named.health_check->service = "insurance.policy.v1.PolicyService";
  named.authority = "policy.internal";
  configure(named);
  ASSERT_TRUE(e2e::wait_until([&] { return one.checks() >= 1; }));
  EXPECT_EQ(e2e::find_header(one.last_check(), ":authority"), "policy.internal");
  EXPECT_EQ(e2e::find_header(one.last_check(), "te"), "trailers");
  EXPECT_EQ(e2e::find_header(one.last_check(), "content-type"), "application/grpc");
  EXPECT_TRUE(e2e::find_header(one.last_check(), "grpc-timeout"));
}

TEST_F(UpstreamHealthTest, ChecksAreOutsideTheLimitsOfCalls) {
  SelfServing one;
  UpstreamTarget none = checked({one.address()});
  none.max_concurrent_requests = 0;
  none.max_pending = 0;
  configure(none);
  EXPECT_TRUE(e2e::wait_until([&] { return counter(families::kHealthChecks, {"up", "serving"}) >= 3; }));
}

// ---- passive

TEST_F(UpstreamHealthTest, FailuresInARowEjectAnEndpointAndItComesBack) {
  SelfServing one, two;
  two.set_status(14);
  configure(ejecting({one.address(), two.address()}, std::chrono::seconds(5)));
  ASSERT_TRUE(e2e::wait_until([&] {
    run(1);
    return endpoints("ejected") == 1;
  }));
  EXPECT_EQ(counter(families::kEjections, {"up", "primary"}), 1u);
  EXPECT_EQ(two.calls(), 2u) << "ejected after the second failure in a row, not later";
  two.set_status(0);
  ASSERT_TRUE(wait_endpoints("ejected", 0)) << "never let in again";
  const std::size_t before = two.calls();
  EXPECT_THAT(run(10), Each(Eq("0")));
  EXPECT_GE(two.calls(), before + 4);
}

TEST_F(UpstreamHealthTest, AStatusThatIsNoFailureEjectsNobody) {
  SelfServing one, two;
  two.set_status(5);
  configure(ejecting({one.address(), two.address()}, std::chrono::hours(1)));
  EXPECT_THAT(run(20), Contains(Eq("5")).Times(10));
  EXPECT_EQ(endpoints("ejected"), 0);
}

TEST_F(UpstreamHealthTest, ConnectionsThatAreRefusedEject) {
  SelfServing one;
  configure(ejecting({one.address(), e2e::refusing_address()}, std::chrono::hours(1)));
  EXPECT_TRUE(wait_endpoints("ejected", 1)) << "the attempts to keep it warm failed twice";
}

TEST_F(UpstreamHealthTest, AnOnlyEndpointIsSparedAndThatIsCounted) {
  SelfServing one;
  one.set_status(14);
  configure(ejecting({one.address()}, std::chrono::hours(1)));
  run(4);
  EXPECT_EQ(endpoints("ejected"), 0);
  EXPECT_EQ(counter(families::kUpstreamLimits, {"up", "primary", "outlier_max_percent"}), 2u);
}

TEST_F(UpstreamHealthTest, AnEndpointThatStaysKeepsItsEjectionAcrossAReload) {
  SelfServing one, two, three;
  two.set_status(14);
  configure(ejecting({one.address(), two.address()}, std::chrono::hours(1)));
  ASSERT_TRUE(e2e::wait_until([&] {
    run(1);
    return endpoints("ejected") == 1;
  }));
  configure(ejecting({three.address(), two.address(), one.address()}, std::chrono::hours(1)));
  EXPECT_EQ(endpoints("ejected"), 1);
  EXPECT_EQ(endpoints("healthy"), 2);
  const std::size_t before = two.calls();
  EXPECT_THAT(run(10), Each(Eq("0")));
  EXPECT_EQ(two.calls(), before);
}

}  // namespace
}  // namespace ficus
