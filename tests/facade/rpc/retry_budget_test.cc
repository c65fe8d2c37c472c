#include "facade/rpc/retry_budget.h"

#include <gtest/gtest.h>

#include "facade/rpc/read_repeat.h"

namespace ficus {
namespace {

using namespace std::chrono_literals;
using Time = RetryBudget::Time;

constexpr Percent kTwenty{200'000};
// Any time but zero, on a whole second.
constexpr Time kStart = Time(1000s);

int take_all(RetryBudget& budget, Time now, Percent share) {
  int taken = 0;
  while (taken < 1'000'000 && budget.take(now, share)) ++taken;
  return taken;
}

TEST(RetryBudgetTest, GivesTheLeastWhereThereAreFewReads) {
  RetryBudget budget;
  EXPECT_EQ(take_all(budget, kStart, kTwenty), 3);
  for (int i = 0; i < 10; ++i) budget.add_read(kStart);
  EXPECT_EQ(take_all(budget, kStart, kTwenty), 0) << "the least comes on top of the share";
}

TEST(RetryBudgetTest, GivesTheShareOfTheReadsAndNotOneMore) {
  struct Case {
    int reads;
    Percent share;
    int expected;
  };
  constexpr Case kCases[] = {{100, kTwenty, 20},        {104, kTwenty, 20},           {105, kTwenty, 21},
                             {1000, Percent{5'000}, 5}, {50, Percent{1'000'000}, 50}, {1000, Percent{1}, 3}};
  for (const auto& [reads, share, expected] : kCases) {
    RetryBudget budget;
    for (int i = 0; i < reads; ++i) budget.add_read(kStart);
    EXPECT_EQ(take_all(budget, kStart, share), expected) << reads << " reads, " << to_string(share) << " %";
  }
}

TEST(RetryBudgetTest, ForgetsReadsAndRepeatsAfterTheWindow) {
  RetryBudget budget;
  for (int i = 0; i < 100; ++i) budget.add_read(kStart);
  EXPECT_EQ(take_all(budget, kStart + 9s, kTwenty), 20);
  EXPECT_EQ(take_all(budget, kStart + 9s + 999ms, kTwenty), 0);
  // The reads are gone, what was taken for them is not.
  EXPECT_EQ(take_all(budget, kStart + 10s, kTwenty), 0);
  EXPECT_EQ(take_all(budget, kStart + 18s + 999ms, kTwenty), 0);
  EXPECT_EQ(take_all(budget, kStart + 19s, kTwenty), 3);
}

TEST(RetryBudgetTest, StandsStillForHoursAndGoesOn) {
  RetryBudget budget;
  for (int i = 0; i < 100; ++i) budget.add_read(kStart);
  EXPECT_EQ(take_all(budget, kStart + 24h, kTwenty), 3);
  EXPECT_EQ(take_all(budget, kStart + 24h, kTwenty), 0);
}

TEST(PushbackTest, IsANumberOfMillisecondsOrNever) {
  EXPECT_FALSE(parse_pushback(std::nullopt).never);
  EXPECT_EQ(parse_pushback("0").wait, 0ms);
  EXPECT_EQ(parse_pushback("1500").wait, 1500ms);
  for (const std::string_view never : {"-1", "", "1.5", " 5", "5 ", "0x5", "9999999999", "+5", "many"})
    EXPECT_TRUE(parse_pushback(never).never) << never;
}

}  // namespace
}  // namespace ficus
