#include "facade/shadow/shadow_pressure.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

using namespace std::chrono_literals;
const PressureRule::TimePoint kStart{1h};

TEST(PressureRuleTest, NothingHoldsAtFirst) {
  EXPECT_FALSE(PressureRule(5ms).holds(PressureRule::TimePoint{}));
  EXPECT_FALSE(PressureRule(5ms).holds(kStart));
}

TEST(PressureRuleTest, ALoopThatIsLateByTheLimitIsInTime) {
  PressureRule rule(5ms);
  EXPECT_FALSE(rule.on_lag(0ns, kStart));
  EXPECT_FALSE(rule.on_lag(5ms, kStart));
  EXPECT_FALSE(rule.holds(kStart));
  EXPECT_TRUE(rule.on_lag(5ms + 1ns, kStart));
  EXPECT_TRUE(rule.holds(kStart));
}

TEST(PressureRuleTest, PressureHoldsUntilItHasBeenGoneForASecond) {
  PressureRule rule(5ms);
  rule.on_lag(6ms, kStart);
  EXPECT_TRUE(rule.holds(kStart + 999ms));
  EXPECT_FALSE(rule.holds(kStart + 1000ms));
  rule.on_lag(6ms, kStart + 500ms);
  rule.on_lag(1ms, kStart + 900ms);  // in time again; that does not shorten it
  EXPECT_TRUE(rule.holds(kStart + 1499ms));
  EXPECT_FALSE(rule.holds(kStart + 1500ms));
}

TEST(PressureRuleTest, BytesOverTheBudgetHoldAsLagDoes) {
  PressureRule rule(0ms);
  rule.press(kStart);
  EXPECT_TRUE(rule.holds(kStart + 999ms));
  EXPECT_FALSE(rule.holds(kStart + 1000ms));
}

TEST(PressureRuleTest, ZeroJudgesNoLag) {
  PressureRule rule(0ms);
  EXPECT_FALSE(rule.on_lag(1h, kStart));
  EXPECT_FALSE(rule.holds(kStart));
}

}  // namespace
}  // namespace ficus
