#include "facade/findings/finding_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/utf8.h"
#include "tests/facade/findings/finding_fixture.h"

namespace ficus {
namespace {

using testing::ElementsAre;
using testing::Pair;

class PendingFindingsTest : public FindingFixture {
 protected:
  FindingId id(const std::string& path) const {
    return id_of({"inquiry", kMethod, path, Difference::VALUE, MismatchTrace::MAJOR});
  }
  FindingLimits limits_;
  BatchHits hits_;
};

TEST_F(PendingFindingsTest, AStormOfOneBugIsOneRowWithFewExamples) {
  PendingFindings pending(limits_);
  for (int i = 0; i < 10'000; ++i) pending.add(trace("policy.status", "t" + std::to_string(i % 3)), now_, hits_);
  const FindingBatch batch = pending.take();
  ASSERT_EQ(batch.findings.size(), 1u);
  const FindingDelta& delta = batch.findings.begin()->second;
  EXPECT_EQ(delta.count, 10'000u);
  EXPECT_EQ(batch.sightings, 10'000u);
  EXPECT_EQ(delta.examples.size(), limits_.examples);
  EXPECT_EQ(delta.tenants.names.size(), 3u);
  EXPECT_EQ(delta.consumers.names.at("portal").count, 10'000u);
  EXPECT_TRUE(pending.take().empty());
}

TEST_F(PendingFindingsTest, ACallWithTwoDifferencesIsTwoFindingsThatShareTheTrace) {
  PendingFindings pending(limits_);
  MismatchTrace both = trace("a");
  *both.add_differences() = trace("b").differences(0);
  EXPECT_EQ(pending.add(both, now_, hits_), 2u);
  const FindingBatch batch = pending.take();
  EXPECT_EQ(batch.findings.at(id("a")).examples.at(0), batch.findings.at(id("b")).examples.at(0));
}

TEST_F(PendingFindingsTest, SightingsKnowTheirPlaceAmongTheComparisons) {
  PendingFindings pending(limits_);
  const auto counted = pending.comparisons("inquiry", kMethod);
  ASSERT_TRUE(counted.told_apart);
  pending.add(trace("early"), now_, hits_);
  counted.comparisons.add(10);
  pending.add(trace("x"), now_, hits_);
  counted.comparisons.add(5);
  pending.add(trace("x"), now_, hits_);
  counted.comparisons.add(2);
  FindingBatch batch = pending.take();
  EXPECT_THAT(batch.comparisons, ElementsAre(Pair(MethodKey("inquiry", kMethod), 17u)));
  EXPECT_EQ(batch.findings.at(id("early")).first_at, 1u) << "its own call, though not counted yet";
  EXPECT_EQ(batch.findings.at(id("x")).first_at, 10u);
  EXPECT_EQ(batch.findings.at(id("x")).last_at, 15u);

  counted.comparisons.add(3);
  pending.add(trace("x"), now_, hits_);
  pending.add(trace("late"), now_, hits_);
  append_batch(batch, pending.take(), limits_, hits_);
  EXPECT_EQ(batch.comparisons.begin()->second, 20u);
  EXPECT_EQ(batch.findings.at(id("x")).first_at, 10u);
  EXPECT_EQ(batch.findings.at(id("x")).last_at, 20u);
  EXPECT_EQ(batch.findings.at(id("x")).count, 3u);
  EXPECT_EQ(batch.findings.at(id("late")).first_at, 20u);
}

TEST_F(PendingFindingsTest, BeyondItsLimitNewFindingsAreDroppedAndKnownOnesCount) {
  limits_.pending = 2;
  PendingFindings pending(limits_);
  for (const char* path : {"a", "b", "c", "c", "a"}) pending.add(trace(path), now_, hits_);
  EXPECT_EQ(hits_.pending, 2u);
  FindingBatch batch = pending.take();
  EXPECT_EQ(batch.sightings, 3u);
  EXPECT_EQ(batch.findings.at(id("a")).count, 2u);

  for (const char* path : {"d", "a"}) pending.add(trace(path), now_, hits_);
  append_batch(batch, pending.take(), limits_, hits_);
  EXPECT_EQ(hits_.pending, 3u) << "what waits is bounded as what comes is";
  EXPECT_EQ(batch.findings.at(id("a")).count, 3u);
  EXPECT_EQ(batch.sightings, 4u);
}

TEST_F(PendingFindingsTest, ExamplesAreBoundedByNumberAndBytes) {
  limits_.examples = 2;
  limits_.example_bytes = 400;
  const std::size_t one = trace("a").ByteSizeLong();
  limits_.pending_bytes = 3 * one;
  PendingFindings pending(limits_);
  MismatchTrace large = trace("large");
  large.set_reason(std::string(500, 'x'));
  pending.add(large, now_, hits_);
  EXPECT_EQ(hits_.example_bytes, 1u);
  for (const char* path : {"a", "a", "a", "b", "b"}) pending.add(trace(path), now_, hits_);
  EXPECT_EQ(hits_.pending_bytes, 1u);
  FindingBatch batch = pending.take();
  EXPECT_EQ(batch.findings.at(id("large")).count, 1u) << "it counts all the same";
  EXPECT_EQ(batch.findings.at(id("a")).examples.size(), 2u);
  EXPECT_EQ(batch.findings.at(id("b")).examples.size(), 1u);
  EXPECT_LE(batch.example_bytes, limits_.pending_bytes);

  pending.add(trace("b"), now_, hits_);
  append_batch(batch, pending.take(), limits_, hits_);
  EXPECT_EQ(hits_.pending_bytes, 2u);
  EXPECT_EQ(batch.findings.at(id("b")).count, 3u);
  EXPECT_LE(batch.example_bytes, limits_.pending_bytes);
}

TEST_F(PendingFindingsTest, NamesBeyondTheLimitAreCountedTogether) {
  limits_.names = 3;
  PendingFindings pending(limits_);
  for (int i = 0; i < 10; ++i) pending.add(trace("a", "t" + std::to_string(i)), now_, hits_);
  pending.add(trace("a", ""), now_, hits_);
  const FindingBatch batch = pending.take();
  EXPECT_EQ(batch.findings.at(id("a")).tenants.names.size(), 3u);
  EXPECT_EQ(batch.findings.at(id("a")).tenants.other, 7u);
}

TEST_F(PendingFindingsTest, MethodsBeyondTheLimitShareACounterThatNobodyReads) {
  limits_.methods = 2;
  PendingFindings pending(limits_);
  EXPECT_TRUE(pending.comparisons("c", "1").told_apart);
  EXPECT_TRUE(pending.comparisons("c", "2").told_apart);
  const auto beyond = pending.comparisons("c", "3");
  EXPECT_FALSE(beyond.told_apart);
  beyond.comparisons.add(9);
  EXPECT_TRUE(pending.comparisons("c", "1").told_apart);
  EXPECT_TRUE(pending.take().comparisons.empty());
}

TEST_F(PendingFindingsTest, WhatIsLongIsCutAndStaysUtf8) {
  PendingFindings pending(limits_);
  std::string deep = "a";
  while (deep.size() < 5000) deep += ".\xc3\xa9t\xc3\xa9";
  std::string tenant = "t";
  while (tenant.size() < 600) tenant += "\xc3\xa9";
  pending.add(trace(deep, tenant), now_, hits_);
  const FindingBatch batch = pending.take();
  const FindingDelta& delta = batch.findings.begin()->second;
  EXPECT_LE(delta.signature.path.size(), 1024u);
  EXPECT_TRUE(delta.signature.path.ends_with("..."));
  EXPECT_TRUE(is_plain_text(delta.signature.path)) << "cut within a character";
  const std::string& shown = delta.tenants.names.begin()->second.name;
  EXPECT_LE(shown.size(), 256u);
  EXPECT_TRUE(is_plain_text(shown)) << "cut within a character";
  EXPECT_EQ(batch.findings.begin()->first, id_of({"inquiry", kMethod, deep, Difference::VALUE, MismatchTrace::MAJOR}))
      << "the id is that of the whole";
}

TEST_F(PendingFindingsTest, OtherVerdictsAreNoSightings) {
  PendingFindings pending(limits_);
  MismatchTrace lag = trace("a");
  lag.set_verdict(MismatchTrace::LAG);
  EXPECT_EQ(pending.add(lag, now_, hits_), 0u);
  EXPECT_TRUE(pending.take().empty());
}

TEST_F(PendingFindingsTest, ATraceWithoutATimeIsOfNow) {
  PendingFindings pending(limits_);
  MismatchTrace timeless = trace("a");
  timeless.clear_time();
  pending.add(timeless, now_, hits_);
  EXPECT_EQ(pending.take().findings.at(id("a")).first_seen, now_.load());
}

}  // namespace
}  // namespace ficus
