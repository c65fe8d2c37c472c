// The demo's policy store: what makes two sides that are both written to end alike.
#include "deploy/demo/policy_store.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace insurer {
namespace {

constexpr std::chrono::milliseconds kNow{0};
const std::string kNumber = policy_number(3);

pb::EndorseAddressRequest move(const std::string& id, const std::string& street) {
  pb::EndorseAddressRequest request;
  request.set_policy_number(kNumber);
  request.set_endorsement_id(id);
  request.mutable_address()->set_street(street);
  request.set_effective_on("2026-01-01");
  return request;
}

class DemoPolicyStoreTest : public testing::Test {
 protected:
  static void carry(const PolicyStore& from, PolicyStore& to) {
    for (const auto& change : from.changes_after("", 0, kNow)) to.apply(change);
  }
  static std::string street(const PolicyStore& store) { return store.get(kNumber)->holder().address().street(); }
  static std::vector<std::string> endorsements(const PolicyStore& store) {
    std::vector<std::string> ids;
    const auto policy = store.get(kNumber);
    for (const auto& endorsement : policy->endorsements()) ids.push_back(endorsement.endorsement_id());
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  PolicyStore legacy_{Side::kLegacy, kDemoSeed, 10};
  PolicyStore new_{Side::kNew, kDemoSeed, 10};
};

TEST_F(DemoPolicyStoreTest, AChangeIsCarriedToTheOtherSideWithItsVersion) {
  const auto written = legacy_.endorse_address(move("m1", "Elm Road 1"));
  ASSERT_TRUE(written);
  carry(legacy_, new_);
  EXPECT_EQ(street(new_), "Elm Road 1");
  EXPECT_EQ(new_.get(kNumber)->version(), written->version());
  EXPECT_EQ(endorsements(new_), endorsements(legacy_));
}

TEST_F(DemoPolicyStoreTest, ApplyingAChangeAgainChangesNothing) {
  legacy_.endorse_address(move("m1", "Elm Road 1"));
  const auto changes = legacy_.changes_after("", 0, kNow);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(new_.apply(changes[0]));
  const auto once = new_.get(kNumber);
  EXPECT_FALSE(new_.apply(changes[0]));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*new_.get(kNumber), *once));
}

TEST_F(DemoPolicyStoreTest, ARepeatedRequestAnswersAsTheFirstTime) {
  const auto first = legacy_.endorse_address(move("m1", "Elm Road 1"));
  const auto again = legacy_.endorse_address(move("m1", "Elm Road 1"));
  EXPECT_EQ(first->version(), again->version());
  EXPECT_EQ(legacy_.changes_after("", 0, kNow).size(), 1u);
}

TEST_F(DemoPolicyStoreTest, WhatWasTakenOverIsNotSentBack) {
  legacy_.endorse_address(move("m1", "Elm Road 1"));
  carry(legacy_, new_);
  EXPECT_TRUE(new_.changes_after("", 0, kNow).empty());
}

TEST_F(DemoPolicyStoreTest, ConcurrentChangesEndAlikeOnBothSidesInEitherOrder) {
  legacy_.endorse_address(move("l1", "Legacy 1"));
  new_.endorse_address(move("n1", "New 1"));
  carry(legacy_, new_);
  carry(new_, legacy_);
  EXPECT_EQ(street(legacy_), "Legacy 1") << "equal versions: legacy's is the later one";
  EXPECT_EQ(street(new_), "Legacy 1");
  EXPECT_EQ(endorsements(legacy_), endorsements(new_));
  EXPECT_EQ(legacy_.get(kNumber)->version(), new_.get(kNumber)->version());
}

TEST_F(DemoPolicyStoreTest, TheHigherVersionWinsEvenIfItComesFirst) {
  new_.endorse_address(move("n1", "New 1"));
  new_.endorse_address(move("n2", "New 2"));
  auto changes = new_.changes_after("", 0, kNow);
  ASSERT_EQ(changes.size(), 2u);
  legacy_.apply(changes[1]);
  legacy_.apply(changes[0]);
  EXPECT_EQ(street(legacy_), "New 2");
  EXPECT_EQ(endorsements(legacy_), endorsements(new_));
}

TEST_F(DemoPolicyStoreTest, ALogIsFollowedFromAPositionAndAnotherLogsPositionMeansNothing) {
  legacy_.endorse_address(move("m1", "Elm Road 1"));
  legacy_.endorse_address(move("m2", "Elm Road 2"));
  const auto all = legacy_.changes_after("", 0, kNow);
  ASSERT_EQ(all.size(), 2u);
  const auto rest = legacy_.changes_after(all[0].log_id(), all[0].sequence(), kNow);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].endorsement().endorsement_id(), "m2");
  EXPECT_EQ(legacy_.changes_after("a log of before the restart", 2, kNow).size(), 2u);
}

TEST_F(DemoPolicyStoreTest, AnUnknownPolicyIsNeitherReadNorWritten) {
  auto request = move("m1", "Elm Road 1");
  request.set_policy_number(policy_number(10));
  EXPECT_FALSE(legacy_.endorse_address(request));
  EXPECT_FALSE(legacy_.get(policy_number(10)));
  EXPECT_TRUE(legacy_.history("nonsense").empty());
  EXPECT_TRUE(legacy_.changes_after("", 0, kNow).empty());
}

TEST_F(DemoPolicyStoreTest, HistoryEndsWithThePolicyAsItStands) {
  legacy_.endorse_address(move("m1", "Elm Road 1"));
  const auto history = legacy_.history(kNumber);
  ASSERT_FALSE(history.empty());
  EXPECT_EQ(history.back().policy().holder().address().street(), "Elm Road 1");
  EXPECT_EQ(history.back().policy().version(), legacy_.get(kNumber)->version());
}

}  // namespace
}  // namespace insurer
