#include "facade/wire/grpc_timeout.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

using namespace std::chrono_literals;

TEST(GrpcTimeoutTest, ReadsEveryUnit) {
  const std::pair<const char*, std::chrono::nanoseconds> rows[] = {
      {"1H", 1h}, {"2M", 2min}, {"3S", 3s}, {"4m", 4ms}, {"5u", 5us}, {"6n", 6ns}, {"0S", 0ns}, {"99999999n", 99999999ns},
      {"00000001S", 1s}};
  for (const auto& [text, want] : rows) {
    const auto parsed = parse_grpc_timeout(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, want) << text;
  }
}

TEST(GrpcTimeoutTest, RefusesWhatIsNoTimeout) {
  for (const char* bad : {"", "S", "1", "1s", "1h", "-1S", "+1S", " 1S", "1 S", "1.5S", "123456789S", "1SS", "0x1S"}) {
    EXPECT_FALSE(parse_grpc_timeout(bad)) << '"' << bad << '"';
  }
}

TEST(GrpcTimeoutTest, TheLongestTimeoutDoesNotOverflow) {
  EXPECT_EQ(parse_grpc_timeout("99999999H"), std::chrono::nanoseconds::max());
}

TEST(GrpcTimeoutTest, WritesTheFinestUnitThatFits) {
  EXPECT_EQ(format_grpc_timeout(0ns), "0n");
  EXPECT_EQ(format_grpc_timeout(-5s), "0n");
  EXPECT_EQ(format_grpc_timeout(99'999'999ns), "99999999n");
  EXPECT_EQ(format_grpc_timeout(100'000'000ns), "100000u");
  EXPECT_EQ(format_grpc_timeout(1h), "3600000m");
  EXPECT_EQ(format_grpc_timeout(std::chrono::nanoseconds::max()), "2562047H");
}

// What is passed on is never longer than what is left, and shorter by less than a millionth part and a nanosecond.
TEST(GrpcTimeoutTest, WrittenThenReadIsNeverLonger) {
  for (std::int64_t left = 1; left < std::numeric_limits<std::int64_t>::max() / 3; left = left * 3 + 1) {
    const auto back = parse_grpc_timeout(format_grpc_timeout(std::chrono::nanoseconds(left)));
    ASSERT_TRUE(back);
    EXPECT_LE(back->count(), left);
    EXPECT_GE(static_cast<double>(back->count()), static_cast<double>(left) * 0.9999) << left;
  }
}

}  // namespace
}  // namespace ficus
