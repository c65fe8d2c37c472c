// The demo's book of policies: the counts that the demo's report is checked against stand on it.
#include "deploy/demo/book.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace insurer {
namespace {

pb::Policy derive(std::size_t index, Side side, std::uint64_t seed = kDemoSeed) {
  const Record record = make_record(seed, index);
  return derive_policy(record, record.events.size(), side);
}

struct Wrong {
  std::set<std::size_t> status, cancellation, premium;
};

Wrong wrong_in(std::size_t first, std::size_t count, std::uint64_t seed) {
  Wrong wrong;
  for (std::size_t i = first; i < first + count; ++i) {
    const pb::Policy legacy = derive(i, Side::kLegacy, seed);
    const pb::Policy modern = derive(i, Side::kNew, seed);
    if (legacy.status() != modern.status()) wrong.status.insert(i);
    if (legacy.cancellation().effective_on() != modern.cancellation().effective_on()) wrong.cancellation.insert(i);
    if (legacy.premium().amount() != modern.premium().amount()) wrong.premium.insert(i);
  }
  return wrong;
}

TEST(DemoBookTest, EveryThousandHoldsTheSameNumberOfEachMistakeWhateverTheSeed) {
  const struct {
    std::size_t first;
    std::uint64_t seed;
  } cases[] = {{0, kDemoSeed}, {3000, kDemoSeed}, {9000, kDemoSeed}, {0, 1}, {9000, 0}};
  for (const auto& [first, seed] : cases) {
    SCOPED_TRACE(testing::Message() << "from " << first << " with seed " << seed);
    const Wrong wrong = wrong_in(first, 1000, seed);
    EXPECT_EQ(wrong.status.size(), 5u);
    EXPECT_EQ(wrong.cancellation.size(), 4u);
    EXPECT_EQ(wrong.premium.size(), 4u);
  }
}

TEST(DemoBookTest, NoPolicyCarriesTwoMistakes) {
  const Wrong wrong = wrong_in(0, 2000, kDemoSeed);
  std::set<std::size_t> all = wrong.status;
  all.insert(wrong.cancellation.begin(), wrong.cancellation.end());
  all.insert(wrong.premium.begin(), wrong.premium.end());
  EXPECT_EQ(all.size(), wrong.status.size() + wrong.cancellation.size() + wrong.premium.size());
}

TEST(DemoBookTest, SidesDifferInNothingButTheMistakesAndTheOrderOfEndorsements) {
  for (std::size_t i = 0; i < 1000; ++i) {
    const pb::Policy legacy = derive(i, Side::kLegacy);
    pb::Policy modern = derive(i, Side::kNew);
    modern.set_status(legacy.status());
    modern.mutable_premium()->set_amount(legacy.premium().amount());
    if (legacy.has_cancellation()) modern.mutable_cancellation()->set_effective_on(legacy.cancellation().effective_on());
    google::protobuf::util::MessageDifferencer exactly;
    EXPECT_FALSE(exactly.Compare(legacy, modern)) << "endorsements in the same order: " << legacy.ShortDebugString();
    std::reverse(modern.mutable_endorsements()->pointer_begin(), modern.mutable_endorsements()->pointer_end());
    google::protobuf::util::MessageDifferencer reordered;
    std::string difference;
    reordered.ReportDifferencesToString(&difference);
    EXPECT_TRUE(reordered.Compare(legacy, modern)) << difference;
  }
}

TEST(DemoBookTest, LegacyKeepsReinstatementsAndBackdatingThatTheNewSideLoses) {
  // 37 is the first reinstated policy, 105 the first with a backdated cancellation, 19 the first half cent.
  EXPECT_EQ(derive(37, Side::kLegacy).status(), pb::POLICY_STATUS_REINSTATED);
  EXPECT_EQ(derive(37, Side::kNew).status(), pb::POLICY_STATUS_LAPSED);
  const auto legacy = derive(105, Side::kLegacy).cancellation();
  const auto modern = derive(105, Side::kNew).cancellation();
  EXPECT_LT(legacy.effective_on(), legacy.processed_on());
  EXPECT_EQ(modern.effective_on(), modern.processed_on());
  EXPECT_EQ(derive(19, Side::kLegacy).premium().amount(), derive(19, Side::kNew).premium().amount() + 1);
}

TEST(DemoBookTest, OtherCancellationsAndPremiumsAreCarriedOverRight) {
  std::size_t cancelled = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    const auto legacy = derive(i, Side::kLegacy);
    if (legacy.has_cancellation() && legacy.cancellation().effective_on() == legacy.cancellation().processed_on()) ++cancelled;
  }
  EXPECT_GT(cancelled, 20u) << "a mistake that every cancellation showed would be no find";
}

TEST(DemoBookTest, TheSameSeedAndIndexGiveTheSamePolicy) {
  for (const std::size_t index : {0u, 37u, 9999u}) {
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(derive(index, Side::kLegacy), derive(index, Side::kLegacy)));
  }
  EXPECT_NE(derive(1, Side::kLegacy).holder().email(), derive(2, Side::kLegacy).holder().email());
}

TEST(DemoBookTest, NumbersAndIndicesAreEachOthersInverse) {
  const struct {
    const char* number;
    std::optional<std::size_t> want;
  } cases[] = {{"P-1000000", 0},         {"P-1000037", 37},        {"P-1009999", 9999},      {"P-999999", std::nullopt},
               {"", std::nullopt},       {"P-", std::nullopt},     {"1000000", std::nullopt}, {"P-1000000x", std::nullopt},
               {"P--1", std::nullopt},   {"p-1000000", std::nullopt}, {"P-99999999999999999999999", std::nullopt}};
  for (const auto& [number, want] : cases) {
    EXPECT_EQ(policy_index(number), want) << number;
    if (want) {
      EXPECT_EQ(policy_number(*want), number);
    }
  }
}

TEST(DemoBookTest, HistoryGrowsByOneVersionAnEvent) {
  const Record record = make_record(kDemoSeed, 37);
  for (std::size_t i = 1; i <= record.events.size(); ++i) EXPECT_EQ(derive_policy(record, i, Side::kLegacy).version(), i);
  EXPECT_EQ(derive_policy(record, 1, Side::kLegacy).status(), pb::POLICY_STATUS_IN_FORCE);
}

}  // namespace
}  // namespace insurer
