#include "facade/findings/interval.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ficus {
namespace {

using testing::HasSubstr;

constexpr double kFourDecimals = 5e-5;  // what the papers print

// Newcombe 1998 (857-872), table I, method 3.
TEST(RateIntervalTest, AgreesWithNewcombesPrintedExamples) {
  const struct {
    std::uint64_t hits, n;
    double low, high;
  } rows[] = {{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0000, 0.1611}, {1, 29, 0.0061, 0.1718}};
  for (const auto& row : rows) {
    const auto got = rate_interval(row.hits, row.n);
    ASSERT_TRUE(got.has_value());
    EXPECT_NEAR(got->low, row.low, kFourDecimals) << row.hits << " of " << row.n;
    EXPECT_NEAR(got->high, row.high, kFourDecimals) << row.hits << " of " << row.n;
    EXPECT_DOUBLE_EQ(got->estimate, static_cast<double>(row.hits) / static_cast<double>(row.n));
  }
}

// From the formula, in Python's doubles.
TEST(RateIntervalTest, AgreesWithTheFormula) {
  const auto rare = rate_interval(3, 3000);
  EXPECT_NEAR(rare->low, 0.00034014721903916404, 1e-12);
  EXPECT_NEAR(rare->high, 0.002936143808836147, 1e-12);
  const auto one = rate_interval(1, 1);
  EXPECT_NEAR(one->low, 0.20654931437723745, 1e-12);
}

TEST(RateIntervalTest, NeverAndAlwaysEndExactlyAtNoughtAndOne) {
  for (const std::uint64_t n : {1ull, 7ull, 20ull, 1'000'003ull, 1ull << 60}) {
    const auto never = rate_interval(0, n), always = rate_interval(n, n);
    ASSERT_TRUE(never && always);
    EXPECT_EQ(never->low, 0) << n;
    EXPECT_GT(never->high, 0) << "0 of n is not certain";
    EXPECT_EQ(always->high, 1) << n;
    EXPECT_LE(always->low, 1) << n;
    EXPECT_EQ(always->estimate, 1);
  }
}

TEST(RateIntervalTest, HoldsTheEstimateAndMirrorsItself) {
  for (std::uint64_t n = 1; n <= 60; ++n) {
    for (std::uint64_t hits = 0; hits <= n; ++hits) {
      const auto a = rate_interval(hits, n), b = rate_interval(n - hits, n);
      ASSERT_TRUE(a->holds(a->estimate)) << hits << " of " << n;
      ASSERT_GE(a->low, 0);
      ASSERT_LE(a->high, 1);
      ASSERT_NEAR(a->low, 1 - b->high, 1e-12);
    }
  }
}

TEST(RateIntervalTest, NoRateIsRefusedWithTheReason) {
  EXPECT_THAT(rate_interval(0, 0).error(), HasSubstr("no calls"));
  EXPECT_THAT(rate_interval(5, 4).error(), HasSubstr("5 of 4"));
  for (const double z :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(rate_interval(1, 2, z).error(), HasSubstr("quantile")) << z;
  }
}

// 36, 12, 2, 0: Newcombe 1998 (2635-2650), table II, method 10. 14, 5, 0, 22: Altman et al., Statistics with
// confidence (2000), table 6.2: 0.122 (0.011 to 0.226). The other two: Fagerland, Lydersen, Laake, Statistical analysis
// of contingency tables (2017), chapter 8, as its authors' R package prints them.
TEST(PairedDifferenceTest, AgreesWithPrintedExamples) {
  const struct {
    PairedCounts counts;
    double estimate, low, high;
  } rows[] = {{{36, 12, 2, 0}, 0.2000, 0.0569, 0.3404},
              {{59, 6, 16, 80}, -0.0621, -0.1186, -0.0046},
              {{14, 5, 0, 22}, 0.12195, 0.01148, 0.22649},
              {{1, 1, 7, 12}, -0.2857, -0.5069, -0.0256}};
  for (const auto& row : rows) {
    const auto got = paired_difference(row.counts);
    ASSERT_TRUE(got.has_value());
    EXPECT_NEAR(got->estimate, row.estimate, kFourDecimals);
    EXPECT_NEAR(got->low, row.low, kFourDecimals) << row.estimate;
    EXPECT_NEAR(got->high, row.high, kFourDecimals) << row.estimate;
  }
}

// Where a margin is empty there is no correlation; from the formulas, in Python's doubles.
TEST(PairedDifferenceTest, EmptyCellsAreTakenAsTheyAre) {
  const struct {
    PairedCounts counts;
    double low, high;
  } rows[] = {{{0, 0, 0, 10}, -0.2775327998628892, 0.2775327998628892},
              {{10, 0, 0, 0}, -0.2775327998628892, 0.2775327998628892},
              {{5, 0, 0, 5}, -0.16659315708122263, 0.16659315708122263},
              {{0, 10, 0, 0}, 0.6075093504305242, 1.0},
              {{0, 5, 5, 0}, -0.526813818974872, 0.526813818974872}};
  for (const auto& row : rows) {
    const auto got = paired_difference(row.counts);
    ASSERT_TRUE(got.has_value());
    EXPECT_NEAR(got->low, row.low, 1e-9);
    EXPECT_NEAR(got->high, row.high, 1e-9);
  }
}

TEST(PairedDifferenceTest, HoldsTheEstimateAndChangesSignWithTheOrder) {
  for (std::uint64_t both = 0; both <= 6; ++both)
    for (std::uint64_t first = 0; first <= 6; ++first)
      for (std::uint64_t second = 0; second <= 6; ++second)
        for (std::uint64_t neither = 1; neither <= 6; ++neither) {
          const auto a = paired_difference({both, first, second, neither});
          const auto b = paired_difference({both, second, first, neither});
          ASSERT_TRUE(a->holds(a->estimate));
          ASSERT_GE(a->low, -1);
          ASSERT_LE(a->high, 1);
          ASSERT_NEAR(a->low, -b->high, 1e-12);
        }
}

TEST(PairedDifferenceTest, NoCallsAreRefused) {
  EXPECT_THAT(paired_difference({}).error(), HasSubstr("no calls"));
  EXPECT_THAT(paired_difference({1, 1, 1, 1}, 0).error(), HasSubstr("quantile"));
}

// Newcombe 1998 (873-890), table II, method 10.
TEST(UnpairedDifferenceTest, AgreesWithNewcombesPrintedExamples) {
  const struct {
    std::uint64_t a, m, b, n;
    double low, high;
  } rows[] = {{56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090},  {6, 7, 2, 7, 0.0582, 0.8062},
              {5, 56, 0, 29, -0.0381, 0.1926},  {0, 10, 0, 20, -0.1611, 0.2775}, {0, 10, 0, 10, -0.2775, 0.2775},
              {10, 10, 0, 20, 0.6791, 1.0000},  {10, 10, 0, 10, 0.6075, 1.0000}};
  for (const auto& row : rows) {
    const auto got = unpaired_difference(row.a, row.m, row.b, row.n);
    ASSERT_TRUE(got.has_value());
    EXPECT_NEAR(got->low, row.low, kFourDecimals) << row.a << '/' << row.m;
    EXPECT_NEAR(got->high, row.high, kFourDecimals) << row.a << '/' << row.m;
  }
}

TEST(UnpairedDifferenceTest, EitherRateThatIsNoneIsRefused) {
  EXPECT_THAT(unpaired_difference(0, 0, 1, 2).error(), HasSubstr("no calls"));
  EXPECT_THAT(unpaired_difference(1, 2, 0, 0).error(), HasSubstr("no calls"));
  EXPECT_THAT(unpaired_difference(3, 2, 0, 1).error(), HasSubstr("3 of 2"));
  EXPECT_THAT(unpaired_difference(1, 2, 9, 1).error(), HasSubstr("9 of 1"));
}

// By trying every n in turn, in Python.
TEST(SamplesTest, AreTheLeastThatAreEnough) {
  const struct {
    double rate, half_width;
    std::uint64_t want;
  } rows[] = {{0.5, 0.05, 381}, {0.5, 0.03, 1064}, {0.1, 0.02, 868}, {0.0, 0.01, 189}, {0.001, 0.0005, 16251}};
  for (const auto& row : rows) {
    EXPECT_EQ(samples_for_rate(row.rate, row.half_width).value_or(0), row.want) << row.rate;
    EXPECT_EQ(samples_for_rate(1 - row.rate, row.half_width).value_or(0), row.want) << 1 - row.rate;
  }
  const struct {
    PairedShares shares;
    double half_width;
    std::uint64_t want;
  } pairs[] = {{{0.3, 0.01, 0.005}, 0.005, 2398}, {{0, 0.1, 0.1}, 0.05, 316}, {{0, 0, 0}, 0.01, 381}};
  for (const auto& row : pairs) {
    EXPECT_EQ(samples_for_paired_difference(row.shares, row.half_width).value_or(0), row.want) << row.half_width;
  }
}

TEST(SamplesTest, WhatCannotBePlannedIsRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double rate : {-0.1, 1.1, nan})
    EXPECT_THAT(samples_for_rate(rate, 0.1).error(), HasSubstr("rate")) << rate;
  for (const double width : {0.0, -0.1, 1.0, nan}) {
    EXPECT_THAT(samples_for_rate(0.5, width).error(), HasSubstr("half width")) << width;
    EXPECT_THAT(samples_for_paired_difference({0, 0.1, 0.1}, width).error(), HasSubstr("half width")) << width;
  }
  EXPECT_THAT(samples_for_rate(0.5, 1e-9).error(), HasSubstr("more than"));
  EXPECT_THAT(samples_for_rate(0.5, 0.1, 0).error(), HasSubstr("quantile"));
  EXPECT_THAT(samples_for_paired_difference({0.5, 0.4, 0.2}, 0.1).error(), HasSubstr("shares"));
  EXPECT_THAT(samples_for_paired_difference({-0.1, 0, 0}, 0.1).error(), HasSubstr("shares"));
  EXPECT_TRUE(samples_for_paired_difference({0.7, 0.2, 0.1}, 0.1).has_value()) << "0.7 + 0.2 + 0.1 is 1";
}

}  // namespace
}  // namespace ficus
