// The seeds of session_fuzz reach what they are named for: without this, a seed that the relay turns away at its first
// byte would look like any other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/fuzz/relay_session.h"

namespace ficus::fuzz {
namespace {

using ::testing::ElementsAre;

class SessionSeedsTest : public ::testing::Test {
 protected:
  SessionOutcome play(const std::string& seed) {
    std::ifstream file(FICUS_SESSION_SEEDS "/" + seed, std::ios::binary);
    EXPECT_TRUE(file) << seed;
    return sessions_.play(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  RelaySessions sessions_;
};

TEST_F(SessionSeedsTest, PlainCallsAreAnswered) {
  for (const char* seed : {"unary", "unary_in_raw_bytes"}) {
    const SessionOutcome out = play(seed);
    EXPECT_EQ(out.new_calls, 1u) << seed;
    EXPECT_THAT(out.statuses, ElementsAre("0")) << seed;
    EXPECT_EQ(out.begun, 0u) << seed;
  }
  EXPECT_THAT(play("trailers_only").statuses, ElementsAre("5"));
  EXPECT_EQ(play("streams_both_ways").new_calls, 1u);
  EXPECT_THAT(play("reader_pauses").statuses, ElementsAre("0"));
  EXPECT_THAT(play("drain").statuses, ElementsAre("0"));
}

TEST_F(SessionSeedsTest, KeysSpreadACanaryOverBothSides) {
  const SessionOutcome out = play("canary_by_key");
  EXPECT_GT(out.legacy_calls, 0u);
  EXPECT_GT(out.new_calls, 0u);
  EXPECT_EQ(out.legacy_calls + out.new_calls, 4u);
  EXPECT_EQ(out.begun, 4u);
  EXPECT_THAT(out.statuses, ElementsAre("0", "0", "0", "0"));
}

TEST_F(SessionSeedsTest, ShadowsComeToTheirVerdicts) {
  SessionOutcome out = play("shadow_equal");
  EXPECT_EQ(out.legacy_calls, 1u);
  EXPECT_EQ(out.new_shadows, 1u);
  EXPECT_EQ(out.match, 1u);
  out = play("shadow_unequal");
  EXPECT_EQ(out.mismatch, 1u);
  EXPECT_THAT(out.statuses, ElementsAre("0"));
  out = play("shadow_on_legacy");
  EXPECT_EQ(out.new_calls, 1u);
  EXPECT_EQ(out.legacy_shadows, 1u);
  EXPECT_EQ(out.mismatch, 1u);
  for (const char* seed : {"shadow_ignored", "shadow_unanswered", "shadow_refused"}) {
    EXPECT_EQ(play(seed).other_verdicts, 1u) << seed;
  }
  EXPECT_EQ(play("reset_by_client").other_verdicts, 1u);
}

TEST_F(SessionSeedsTest, WritesReachTheirOwnersOnly) {
  SessionOutcome out = play("write_to_legacy");
  EXPECT_EQ(out.writes, 1u);
  EXPECT_EQ(out.legacy_calls, 1u);
  EXPECT_THAT(out.statuses, ElementsAre("0"));
  out = play("write_to_new");
  EXPECT_EQ(out.writes, 1u);
  EXPECT_EQ(out.new_calls, 1u);
  out = play("write_refused");
  EXPECT_EQ(out.legacy_calls + out.new_calls, 0u);
  EXPECT_THAT(out.statuses, ElementsAre("9", "9", "3", "3"));
}

TEST_F(SessionSeedsTest, MarkedAndForcedReadsAreNotShadowed) {
  SessionOutcome out = play("marked_read");
  EXPECT_EQ(out.begun, 0u);
  EXPECT_EQ(out.legacy_shadows, 1u) << "the marker is passed on";
  EXPECT_THAT(out.statuses, ElementsAre("0"));
  out = play("marked_read_that_fails");
  EXPECT_EQ(out.legacy_calls + out.legacy_shadows, 0u) << "only one side may see it";
  EXPECT_THAT(out.statuses, ElementsAre("5"));
  out = play("forced_read");
  EXPECT_EQ(out.begun, 0u);
  EXPECT_EQ(out.new_calls, 1u);
}

TEST_F(SessionSeedsTest, LegacyAnswersForTheNewSide) {
  for (const char* seed : {"fallback", "fallback_on_transport"}) {
    const SessionOutcome out = play(seed);
    EXPECT_EQ(out.new_calls, 1u) << seed;
    EXPECT_EQ(out.legacy_calls, 1u) << seed;
    EXPECT_EQ(out.fallbacks, 1u) << seed;
    EXPECT_THAT(out.statuses, ElementsAre("0")) << seed;
  }
}

TEST_F(SessionSeedsTest, TheShadowsAnswerServesTheClientOfASideThatFails) {
  for (const char* seed : {"fallback_on_shadow", "fallback_on_shadow_that_came"}) {
    const SessionOutcome out = play(seed);
    EXPECT_EQ(out.new_calls, 1u) << seed;
    EXPECT_EQ(out.legacy_shadows, 1u) << seed;
    EXPECT_EQ(out.legacy_calls, 0u) << seed << ": legacy was asked twice";
    EXPECT_EQ(out.fallbacks, 1u) << seed;
    EXPECT_THAT(out.statuses, ElementsAre("0")) << seed;
  }
  const SessionOutcome out = play("fallback_on_shadow_that_fails");
  EXPECT_EQ(out.legacy_calls, 1u);
  EXPECT_THAT(out.statuses, ElementsAre("0"));
}

TEST_F(SessionSeedsTest, LimitsAreMet) {
  EXPECT_THAT(play("deadline").statuses, ElementsAre("4", "4"));
  EXPECT_THAT(play("heads_too_large").statuses, ElementsAre("8", "8"));
  EXPECT_EQ(play("held_bytes").held_bytes, 1u);
  EXPECT_EQ(play("health_checks").health_checks, 2u);
}

TEST_F(SessionSeedsTest, UpstreamsThatFailAreFelt) {
  EXPECT_EQ(play("reset_by_upstream").legacy_calls, 2u);
  EXPECT_THAT(play("goaway_before_the_call").statuses, ElementsAre("0"));
  const SessionOutcome moved = play("goaway_under_the_call");
  EXPECT_EQ(moved.legacy_calls, 2u) << "sent again on another connection";
  EXPECT_THAT(moved.statuses, ElementsAre("0"));
  EXPECT_THAT(play("garbage_upstream").statuses, ElementsAre("14"));
  EXPECT_THAT(play("upstream_cut").statuses, ElementsAre("14"));
}

TEST_F(SessionSeedsTest, EndsInAnyOrder) {
  EXPECT_EQ(play("reload").writes, 1u);
  EXPECT_EQ(play("stop").begun, 1u);
  EXPECT_EQ(play("upstreams_go_first").begun, 1u);
  EXPECT_EQ(play("clients_half_close").legacy_calls, 1u);
  EXPECT_GT(play("tight").legacy_calls, 0u);
  EXPECT_GT(play("windows").new_calls, 0u);
}

}  // namespace
}  // namespace ficus::fuzz
