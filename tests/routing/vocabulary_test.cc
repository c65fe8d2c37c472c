#include "routing/vocabulary.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

TEST(VocabularyTest, SidesGoToTextAndBack) {
  for (Side side : {Side::kLegacy, Side::kNew}) EXPECT_EQ(parse_side(to_string(side)), side);
  EXPECT_EQ(to_string(Side::kNew), "new");
}

TEST(VocabularyTest, StagesGoToTextAndBack) {
  const std::pair<Stage, std::string_view> table[] = {{Stage::kOff, "off"},          {Stage::kDualWrite, "dual_write"},
                                                      {Stage::kShadow, "shadow"},    {Stage::kCanary, "canary"},
                                                      {Stage::kLive, "live"},        {Stage::kRampdown, "rampdown"},
                                                      {Stage::kComplete, "complete"}};
  for (const auto& [stage, word] : table) {
    EXPECT_EQ(to_string(stage), word);
    EXPECT_EQ(parse_stage(word), stage);
  }
}

TEST(VocabularyTest, SharesAreCountedByFourWords) {
  const std::pair<ShareBy, std::string_view> table[] = {{ShareBy::kTenant, "tenant"},
                                                        {ShareBy::kConsumer, "consumer"},
                                                        {ShareBy::kKey, "key"},
                                                        {ShareBy::kRequest, "request"}};
  for (const auto& [by, word] : table) {
    EXPECT_EQ(to_string(by), word);
    EXPECT_EQ(parse_share_by(word), by);
  }
}

TEST(VocabularyTest, EveryGrpcCodeGoesToItsNameAndBack) {
  for (int i = 0; i <= 16; ++i) {
    const auto code = static_cast<GrpcCode>(i);
    EXPECT_EQ(parse_grpc_code(to_string(code)), code) << i;
  }
  EXPECT_EQ(to_string(GrpcCode::kOk), "OK");
  EXPECT_EQ(to_string(GrpcCode::kResourceExhausted), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(to_string(GrpcCode::kUnauthenticated), "UNAUTHENTICATED");
}

TEST(VocabularyTest, ACodeOutsideTheListIsShownNotReadOutOfBounds) {
  EXPECT_EQ(to_string(static_cast<GrpcCode>(17)), "?");
  EXPECT_EQ(to_string(static_cast<GrpcCode>(255)), "?");
}

TEST(VocabularyTest, NearWordsAreNoWords) {
  for (std::string_view text : {"", "New", "LEGACY", "new ", "no", "false", "primary"}) {
    EXPECT_FALSE(parse_side(text)) << text;
    EXPECT_FALSE(parse_stage(text)) << text;
    EXPECT_FALSE(parse_share_by(text)) << text;
    EXPECT_FALSE(parse_grpc_code(text)) << text;
  }
  EXPECT_FALSE(parse_grpc_code("ok"));
  EXPECT_FALSE(parse_grpc_code("5"));
}

TEST(VocabularyTest, APercentIsTheShortestExactDecimal) {
  const std::pair<std::uint32_t, std::string_view> table[] = {
      {0, "0"},           {1, "0.0001"},   {10, "0.001"},        {2500, "0.25"},       {10'000, "1"},
      {50'000, "5"},      {55'000, "5.5"}, {123'456, "12.3456"}, {999'999, "99.9999"}, {1'000'000, "100"},
      {100'100, "10.01"}, {990'000, "99"}};
  for (const auto& [millionths, want] : table) EXPECT_EQ(to_string(Percent{millionths}), want);
}

}  // namespace
}  // namespace ficus
