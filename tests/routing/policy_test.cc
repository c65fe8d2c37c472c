#include "routing/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/policy_parse.h"
#include "tests/routing/policy_files.h"

namespace ficus {
namespace {

using ::testing::ElementsAre;

RuleSpec rule(Stage stage) {
  RuleSpec rule;
  rule.stage.value = stage;
  return rule;
}

RuleSpec with_everything(Stage stage) {
  RuleSpec r = rule(stage);
  r.canary.emplace();
  r.canary->percent.value = Percent{50'000};
  r.canary->by = At<ShareBy>{ShareBy::kTenant, {}};
  r.shadow.emplace();
  r.shadow->percent.value = Percent{100'000};
  r.shadow->by = At<ShareBy>{ShareBy::kKey, {}};
  return r;
}

TEST(StageFactsTest, AStageExpandsToItsRowOfTheTable) {
  constexpr Percent kNone{0}, kFive{50'000}, kTen{100'000}, kAll{Percent::kFull};
  struct Row {
    Stage stage;
    Percent new_share, shadow;
    Side owner;
  };
  // POLICY 4, of rules that say what their stage asks for and nothing else.
  const Row table[] = {
      {Stage::kOff, kNone, kNone, Side::kLegacy},   {Stage::kDualWrite, kNone, kNone, Side::kLegacy},
      {Stage::kShadow, kNone, kTen, Side::kLegacy}, {Stage::kCanary, kFive, kTen, Side::kLegacy},
      {Stage::kLive, kAll, kTen, Side::kNew},       {Stage::kRampdown, kAll, kNone, Side::kNew},
      {Stage::kComplete, kAll, kNone, Side::kNew},
  };
  for (const Row& row : table) {
    RuleSpec r = with_everything(row.stage);
    if (row.stage != Stage::kCanary) r.canary.reset();
    if (row.shadow.none()) r.shadow.reset();
    const StageFacts facts = stage_facts(&r);
    EXPECT_EQ(facts.new_share, row.new_share) << to_string(row.stage);
    EXPECT_EQ(facts.shadow, row.shadow) << to_string(row.stage);
    EXPECT_EQ(facts.owner, row.owner) << to_string(row.stage);
    EXPECT_EQ(facts.new_share_by.has_value(), row.stage == Stage::kCanary) << to_string(row.stage);
  }
}

TEST(StageFactsTest, ACallWithoutARuleIsOff) {
  const RuleSpec off = rule(Stage::kOff);
  EXPECT_EQ(stage_facts(nullptr), stage_facts(&off));
  EXPECT_EQ(stage_facts(nullptr), StageFacts());
}

TEST(StageFactsTest, ARuleOverridesItsStageButForTheTwoEnds) {
  for (Stage stage : {Stage::kDualWrite, Stage::kShadow, Stage::kCanary, Stage::kLive, Stage::kRampdown}) {
    RuleSpec r = with_everything(stage);
    r.writes_owner = At<Side>{Side::kNew, {}};
    const StageFacts facts = stage_facts(&r);
    EXPECT_EQ(facts.new_share, Percent{50'000}) << to_string(stage);
    EXPECT_EQ(facts.new_share_by, ShareBy::kTenant) << to_string(stage);
    EXPECT_EQ(facts.shadow, Percent{100'000}) << to_string(stage);
    EXPECT_EQ(facts.shadow_by, ShareBy::kKey) << to_string(stage);
    EXPECT_EQ(facts.owner, Side::kNew) << to_string(stage);
    r.writes_owner->value = Side::kLegacy;
    EXPECT_EQ(stage_facts(&r).owner, Side::kLegacy) << to_string(stage);
  }
  for (Stage stage : {Stage::kOff, Stage::kComplete}) {
    RuleSpec r = with_everything(stage);
    r.reads_serve = At<Side>{stage == Stage::kOff ? Side::kNew : Side::kLegacy, {}};
    r.writes_owner = r.reads_serve;
    const RuleSpec plain = rule(stage);
    EXPECT_EQ(stage_facts(&r), stage_facts(&plain)) << to_string(stage);
  }
}

TEST(StageFactsTest, AFallbackIsAFactButForTheTwoEnds) {
  RuleSpec r = rule(Stage::kCanary);
  EXPECT_TRUE(stage_facts(&r).fallback.empty());
  r.fallback.emplace().on = {{GrpcCode::kNotFound, {}}, {GrpcCode::kUnavailable, {}}};
  EXPECT_EQ(stage_facts(&r).fallback, (GrpcCodeSet{GrpcCode::kUnavailable, GrpcCode::kNotFound}));
  for (Stage stage : {Stage::kOff, Stage::kComplete}) {
    r.stage.value = stage;
    EXPECT_TRUE(stage_facts(&r).fallback.empty()) << to_string(stage);
  }
}

TEST(StageFactsTest, ServeIsShortForAShareOfNoneOrAll) {
  RuleSpec r = rule(Stage::kCanary);
  r.reads_serve = At<Side>{Side::kNew, {}};
  EXPECT_EQ(stage_facts(&r).new_share, Percent{Percent::kFull});
  EXPECT_EQ(stage_facts(&r).new_share_by, std::nullopt);
  r.stage.value = Stage::kLive;
  r.reads_serve->value = Side::kLegacy;
  EXPECT_EQ(stage_facts(&r).new_share, Percent{0});
  EXPECT_EQ(stage_facts(&r).owner, Side::kNew);
}

TEST(StageFactsTest, AShareOfNoneOrAllIsCountedByNothing) {
  for (std::uint32_t millionths : {0u, Percent::kFull}) {
    RuleSpec r = with_everything(Stage::kCanary);
    r.canary->percent.value = Percent{millionths};
    EXPECT_EQ(stage_facts(&r).new_share_by, std::nullopt) << millionths;
  }
}

TEST(FilesNamedTest, NamesSchemasCertificatesSecretsAndTokensOnceEach) {
  for (const auto& file : test::policy_files("tests/testdata/policies/valid")) {
    if (file.name != "every_field.yaml") continue;
    auto parsed = parse_policy(file.text, file.name);
    ASSERT_TRUE(parsed);
    parsed->policy.schemas.push_back(parsed->policy.schemas.front());
    parsed->policy.upstreams[1].tls = parsed->policy.upstreams[0].tls;
    EXPECT_THAT(files_named(parsed->policy),
                ElementsAre("schemas/orders.pb", "schemas/customers.pb", "certs/ca.pem", "certs/client.pem",
                            "certs/client.key", "secrets/legacy.token", "qa.token"));
    return;
  }
  FAIL() << "every_field.yaml is missing";
}

TEST(FilesNamedTest, APolicyWithoutFilesNamesNone) { EXPECT_TRUE(files_named(Policy()).empty()); }

}  // namespace
}  // namespace ficus
