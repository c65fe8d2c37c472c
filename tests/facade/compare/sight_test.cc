// What is found equal at sight is what the whole comparison calls a match, and nothing else is.
#include "facade/compare/sight.h"

#include <gtest/gtest.h>

#include <random>

#include "facade/compare/response_diff.h"
#include "tests/facade/compare/schema_fixture.h"

namespace ficus {
namespace {

using test::answered;
using End = Observation::End;

Comparison compared(const Observation& primary, const Observation& shadow) {
  return diff_responses(primary, shadow, "testing.Service", "Get", {}, nullptr, {}, std::chrono::steady_clock::now);
}

TEST(SightTest, TwoSmallAnswersOfTheSameBytesAreEqual) {
  EXPECT_TRUE(equal_at_sight(answered(Side::kNew, {"a", ""}), answered(Side::kLegacy, {"a", ""})));
  EXPECT_TRUE(equal_at_sight(answered(Side::kNew, {}), answered(Side::kLegacy, {})));
}

TEST(SightTest, AFailureThatBothAnsweredIsEqual) {
  Observation primary = answered(Side::kLegacy, {}), shadow = answered(Side::kNew, {});
  primary.grpc_status = shadow.grpc_status = GrpcCode::kNotFound;
  EXPECT_TRUE(equal_at_sight(primary, shadow));
}

TEST(SightTest, MoreThanCanBeLookedAtOnTheWorkerIsLeftToTheCompareThreads) {
  const std::string most(kSightBytes, 'x');
  EXPECT_TRUE(equal_at_sight(answered(Side::kNew, {most}), answered(Side::kLegacy, {most})));
  EXPECT_FALSE(equal_at_sight(answered(Side::kNew, {most + 'x'}), answered(Side::kLegacy, {most + 'x'})));
  const std::vector<std::string> many(kSightMessages + 1);
  EXPECT_FALSE(equal_at_sight(answered(Side::kNew, many), answered(Side::kLegacy, many)));
}

TEST(SightTest, WhateverIsEqualAtSightIsAMatchOfTheWholeComparison) {
  std::mt19937 random(20261124);
  const auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  const auto observation = [&](Side side) {
    std::vector<std::string> messages;
    for (int n = one_of(0, 0, 1, 1, 2); n > 0; --n) messages.emplace_back(one_of("", "a", "b"));
    Observation out = answered(side, messages);
    for (ObservedMessage& message : out.messages) message.compressed = one_of(true, false, false, false);
    out.grpc_encoding = one_of("", "", "gzip", "zstd");
    out.end = one_of(End::kAnswered, End::kAnswered, End::kAnswered, End::kAnswered, End::kFailed, End::kCancelled,
                     End::kOverLimit, End::kTimedOut);
    out.grpc_status = static_cast<GrpcCode>(one_of(0, 0, 0, 0, 0, 0, 5, 5, static_cast<int>(random() % 17)));
    return out;
  };
  int equal = 0, matches = 0;
  for (int round = 0; round < 100'000; ++round) {
    const Observation primary = observation(Side::kLegacy), shadow = observation(Side::kNew);
    const Comparison whole = compared(primary, shadow);
    matches += whole.verdict == Verdict::kMatch;
    if (!equal_at_sight(primary, shadow)) continue;
    ++equal;
    ASSERT_EQ(whole.verdict, Verdict::kMatch) << "round " << round << ": " << whole.reason;
    ASSERT_TRUE(whole.differences.empty() && whole.swallowed.empty() && whole.reason.empty());
  }
  EXPECT_GT(equal, 1000);
  EXPECT_GE(matches, equal);
}

}  // namespace
}  // namespace ficus
