// Which endpoint takes the next call. No socket, no clock: time is what the test says.
#include "facade/net/balancer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace ficus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = Balancer::Time;
using Health = Balancer::Health;
using Verdict = Balancer::Verdict;

Time at(milliseconds since) { return Time{} + std::chrono::hours(1) + since; }
Time at(seconds since) { return at(milliseconds(since)); }

BalanceSettings settings(BalanceSettings::Kind kind, seconds slow_start = seconds(0)) {
  BalanceSettings made;
  made.kind = kind;
  made.slow_start = slow_start;
  return made;
}
constexpr auto kRoundRobin = BalanceSettings::Kind::kRoundRobin;
constexpr auto kLeastRequest = BalanceSettings::Kind::kLeastRequest;

Balancer of(std::vector<Balancer::EndpointId> ids, BalanceSettings how) {
  Balancer balancer;
  balancer.configure(how);
  balancer.set_endpoints(ids, at(seconds(0)));
  return balancer;
}
// The ids picked in `count` turns, each call over at once.
std::vector<Balancer::EndpointId> turns(Balancer& balancer, int count, Time now = at(seconds(0))) {
  std::vector<Balancer::EndpointId> picked;
  for (int i = 0; i < count; ++i) {
    const auto index = balancer.pick(now);
    picked.push_back(index ? balancer.id_at(*index) : 0);
  }
  return picked;
}
std::map<Balancer::EndpointId, int> shares(Balancer& balancer, int count, Time now = at(seconds(0))) {
  std::map<Balancer::EndpointId, int> taken;
  for (const auto id : turns(balancer, count, now)) ++taken[id];
  return taken;
}

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(BalancerTest, WithoutEndpointsThereIsNone) {
  Balancer balancer = of({}, settings(kRoundRobin));
  EXPECT_FALSE(balancer.pick(at(seconds(0))));
}

TEST(BalancerTest, RoundRobinTakesEachInTurn) {
  Balancer balancer = of({7, 8, 9}, settings(kRoundRobin));
  EXPECT_THAT(turns(balancer, 6), ElementsAre(7, 8, 9, 7, 8, 9));
}

TEST(BalancerTest, LeastRequestTakesTheIdlestAndSharesTies) {
  Balancer balancer = of({1, 2, 3}, settings(kLeastRequest));
  balancer.begin(1);
  balancer.begin(1);
  balancer.begin(2);
  EXPECT_THAT(turns(balancer, 3), ElementsAre(3, 3, 3));
  balancer.begin(3);
  balancer.end(1);
  EXPECT_THAT(shares(balancer, 300), ElementsAre(Pair(1, 100), Pair(2, 100), Pair(3, 100)));
}

TEST(BalancerTest, AnUnhealthyEndpointIsPassedOverUntilItIsHealthy) {
  for (const auto kind : {kRoundRobin, kLeastRequest}) {
    Balancer balancer = of({1, 2, 3}, settings(kind));
    EXPECT_TRUE(balancer.set_health(2, Health::kUnhealthy, at(seconds(0))));
    EXPECT_FALSE(balancer.set_health(2, Health::kUnhealthy, at(seconds(0)))) << "it changed nothing";
    EXPECT_THAT(shares(balancer, 10), ElementsAre(Pair(1, 5), Pair(3, 5)));
    balancer.set_health(2, Health::kHealthy, at(seconds(0)));
    EXPECT_THAT(shares(balancer, 9), ElementsAre(Pair(1, 3), Pair(2, 3), Pair(3, 3)));
  }
}

TEST(BalancerTest, AllAreUsedWhileMoreThanHalfAreUnhealthy) {
  Balancer balancer = of({1, 2, 3, 4}, settings(kRoundRobin));
  balancer.set_health(1, Health::kUnhealthy, at(seconds(0)));
  balancer.set_health(2, Health::kUnhealthy, at(seconds(0)));
  EXPECT_THAT(shares(balancer, 8), ElementsAre(Pair(3, 4), Pair(4, 4))) << "half is not more than half";
  balancer.set_health(3, Health::kUnhealthy, at(seconds(0)));
  EXPECT_EQ(shares(balancer, 8).size(), 4u);
}

TEST(BalancerTest, AnUnreachableEndpointIsPassedOverEvenInPanic) {
  Balancer balancer = of({1, 2, 3}, settings(kRoundRobin));
  balancer.set_reachable(1, false, at(seconds(0)));
  EXPECT_THAT(shares(balancer, 4), ElementsAre(Pair(2, 2), Pair(3, 2)));
  balancer.set_health(2, Health::kUnhealthy, at(seconds(0)));
  balancer.set_health(3, Health::kUnhealthy, at(seconds(0)));
  EXPECT_THAT(shares(balancer, 4), ElementsAre(Pair(2, 2), Pair(3, 2)));
  balancer.set_reachable(2, false, at(seconds(0)));
  balancer.set_reachable(3, false, at(seconds(0)));
  EXPECT_EQ(shares(balancer, 9).size(), 3u) << "with none reachable, a call must still find out";
}

TEST(BalancerTest, ARetryGoesToAnUntriedEndpointEvenToAnUnhealthyOne) {
  Balancer balancer = of({1, 2, 3}, settings(kRoundRobin));
  balancer.set_health(3, Health::kUnhealthy, at(seconds(0)));
  const Balancer::EndpointId one[] = {1}, two[] = {1, 2}, all[] = {1, 2, 3};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(balancer.pick(at(seconds(0)), one), 1u);
  EXPECT_EQ(balancer.pick(at(seconds(0)), two), 2u);
  EXPECT_FALSE(balancer.pick(at(seconds(0)), all));
  Balancer single = of({5}, settings(kRoundRobin));
  const Balancer::EndpointId five[] = {5};
  EXPECT_FALSE(single.pick(at(seconds(0)), five));
}

// ---- ejection

BalanceSettings ejecting(unsigned after, unsigned max_percent = 50) {
  BalanceSettings made = settings(kRoundRobin);
  made.outlier = EjectionSettings{};
  made.outlier->consecutive_failures = after;
  made.outlier->base_ejection = seconds(10);
  made.outlier->max_ejection = seconds(25);
  made.outlier->max_ejected_percent = max_percent;
  return made;
}
// Fails until something other than kNone is said, at most 100 times; gives what.
Verdict fail_until(Balancer& balancer, Balancer::EndpointId id, Time now) {
  for (int i = 0; i < 100; ++i) {
    const Verdict verdict = balancer.on_result(id, true, now);
    if (verdict != Verdict::kNone) return verdict;
  }
  return Verdict::kNone;
}

TEST(BalancerTest, FailuresInARowEjectAndASuccessBetweenThemDoesNot) {
  Balancer balancer = of({1, 2}, ejecting(3));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(balancer.on_result(1, i % 3 != 2, at(seconds(0))), Verdict::kNone);
  balancer.on_result(1, false, at(seconds(0)));
  EXPECT_EQ(balancer.on_result(1, true, at(seconds(0))), Verdict::kNone);
  EXPECT_EQ(balancer.on_result(1, true, at(seconds(0))), Verdict::kNone);
  EXPECT_EQ(balancer.on_result(1, true, at(seconds(0))), Verdict::kEjected);
  EXPECT_THAT(shares(balancer, 4), ElementsAre(Pair(2, 4)));
  EXPECT_EQ(balancer.counts(), (Balancer::Counts{1, 0, 1}));
}

TEST(BalancerTest, AnEjectionEndsByItselfAndGrowsWithEachFurtherOne) {
  Balancer balancer = of({1, 2}, ejecting(1));
  seconds now(0);
  for (const seconds expected : {seconds(10), seconds(20), seconds(25), seconds(25)}) {
    ASSERT_EQ(balancer.on_result(1, true, at(now)), Verdict::kEjected);
    EXPECT_EQ(balancer.release(at(now)), at(now + expected));
    EXPECT_THAT(shares(balancer, 4, at(now + expected - seconds(1))), ElementsAre(Pair(2, 4)));
    now += expected;
    EXPECT_EQ(shares(balancer, 4, at(now)).size(), 2u);
    EXPECT_EQ(balancer.counts().ejected, 0u);
  }
  // An hour of good conduct and it begins anew.
  now += std::chrono::hours(1);
  ASSERT_EQ(balancer.on_result(1, true, at(now)), Verdict::kEjected);
  EXPECT_EQ(balancer.release(at(now)), at(now + seconds(10)));
}

TEST(BalancerTest, NeverMoreThanTheGivenPercentIsEjected) {
  Balancer balancer = of({1, 2, 3, 4}, ejecting(1, 50));
  EXPECT_EQ(balancer.on_result(1, true, at(seconds(0))), Verdict::kEjected);
  EXPECT_EQ(balancer.on_result(2, true, at(seconds(0))), Verdict::kEjected);
  EXPECT_EQ(balancer.on_result(3, true, at(seconds(0))), Verdict::kSpared);
  EXPECT_EQ(balancer.on_result(3, true, at(seconds(10))), Verdict::kEjected) << "the first two are back";
  Balancer single = of({1}, ejecting(1, 50));
  EXPECT_EQ(fail_until(single, 1, at(seconds(0))), Verdict::kSpared) << "an only endpoint is never ejected";
  Balancer thirds = of({1, 2, 3}, ejecting(1, 33));
  EXPECT_EQ(fail_until(thirds, 1, at(seconds(0))), Verdict::kSpared) << "a third of three is more than 33 %";
}

TEST(BalancerTest, WithoutTheSettingNothingIsEjected) {
  Balancer balancer = of({1, 2}, settings(kRoundRobin));
  EXPECT_EQ(fail_until(balancer, 1, at(seconds(0))), Verdict::kNone);
  EXPECT_FALSE(balancer.is_failure(14));
  Balancer never = of({1, 2}, ejecting(0));
  EXPECT_EQ(fail_until(never, 1, at(seconds(0))), Verdict::kNone);
}

TEST(BalancerTest, OnlyTheGivenStatusesAreFailures) {
  BalanceSettings some = ejecting(1);
  some.outlier->failure_statuses = 1u << 14 | 1u << 4;
  const Balancer balancer = of({1}, some);
  for (unsigned status = 0; status < 40; ++status)
    EXPECT_EQ(balancer.is_failure(status), status == 14 || status == 4) << status;
}

// ---- slow start

TEST(BalancerTest, ANewEndpointBeginsWithATenthAndComesToItsShareLinearly) {
  for (const auto kind : {kRoundRobin, kLeastRequest}) {
    Balancer balancer = of({1}, settings(kind, seconds(100)));
    const Balancer::EndpointId both[] = {1, 2};
    balancer.set_endpoints(both, at(seconds(0)));
    // Least request weighs what is in flight: keep the first busy enough to compare.
    if (kind == kLeastRequest) {
      for (int i = 0; i < 4; ++i) balancer.begin(1);
      EXPECT_THAT(shares(balancer, 11, at(seconds(0))), ElementsAre(Pair(1, 11))) << "(0 + 1) / 0.1 is more than 5 / 1";
      EXPECT_THAT(shares(balancer, 11, at(seconds(50))), ElementsAre(Pair(2, 11)));
      continue;
    }
    EXPECT_NEAR(shares(balancer, 110, at(seconds(0))).at(2), 10, 1);
    const auto half = shares(balancer, 155, at(seconds(50)));
    EXPECT_NEAR(half.at(2), 55, 1) << "a tenth and half of the rest";
    const auto whole = shares(balancer, 200, at(seconds(100)));
    EXPECT_NEAR(whole.at(2), 100, 1);
  }
}

TEST(BalancerTest, AtTheBeginningAllAreNewAndNoneIsSlow) {
  Balancer balancer = of({1, 2}, settings(kRoundRobin, seconds(100)));
  EXPECT_THAT(shares(balancer, 10), ElementsAre(Pair(1, 5), Pair(2, 5)));
}

TEST(BalancerTest, WhoComesBackStartsSlowly) {
  const std::function<void(Balancer&)> ways[] = {
      [](Balancer& b) {
        b.set_health(2, Health::kUnhealthy, at(seconds(0)));
        b.set_health(2, Health::kHealthy, at(seconds(0)));
      },
      [](Balancer& b) {
        b.set_reachable(2, false, at(seconds(0)));
        b.set_reachable(2, true, at(seconds(0)));
      },
      [](Balancer& b) {
        b.on_result(2, true, at(seconds(-10)));
        b.release(at(seconds(0)));
      },
  };
  for (const auto& way : ways) {
    BalanceSettings how = ejecting(1);
    how.slow_start = seconds(100);
    Balancer balancer = of({1, 2}, how);
    way(balancer);
    EXPECT_NEAR(shares(balancer, 110).at(2), 10, 1);
  }
}

// ---- the set changes

TEST(BalancerTest, WhatIsKnownOfEndpointsThatRemainIsKept) {
  Balancer balancer = of({1, 2, 3}, ejecting(1));
  balancer.set_health(1, Health::kUnhealthy, at(seconds(0)));
  balancer.on_result(2, true, at(seconds(0)));
  const Balancer::EndpointId next[] = {4, 2, 1, 5, 6};
  balancer.set_endpoints(next, at(seconds(1)));
  EXPECT_EQ(balancer.counts(), (Balancer::Counts{3, 1, 1}));
  EXPECT_EQ(balancer.health(1), Health::kUnhealthy);
  EXPECT_EQ(balancer.index_of(2), 1u);
  EXPECT_FALSE(balancer.index_of(3));
  const auto taken = shares(balancer, 9, at(seconds(1)));
  EXPECT_THAT(taken, ElementsAre(Pair(4, 3), Pair(5, 3), Pair(6, 3)));
}

TEST(BalancerTest, AnEndpointThatHasGoneIsIgnored) {
  Balancer balancer = of({1}, ejecting(1));
  balancer.begin(9);
  balancer.end(9);
  EXPECT_EQ(balancer.on_result(9, true, at(seconds(0))), Verdict::kNone);
  EXPECT_FALSE(balancer.set_health(9, Health::kUnhealthy, at(seconds(0))));
  balancer.set_reachable(9, false, at(seconds(0)));
  balancer.end(1);  // of a call from before it left and came back
  EXPECT_EQ(balancer.counts(), (Balancer::Counts{1, 0, 0}));
}

}  // namespace
}  // namespace ficus
