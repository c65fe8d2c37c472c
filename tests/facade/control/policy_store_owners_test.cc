// Owners that would move because servers change hands under upstream names that stay: at a reload, and beside a process
// that this one takes over from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facade/control/policy_store.h"
#include "routing/policy_parse.h"
#include "tests/facade/control/policy_store_fixture.h"

namespace ficus {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLegacyLine = "legacy: {endpoints: [\"127.0.0.1:50051\"]}";
constexpr const char* kNewLine = "endpoints: [\"127.0.0.1:50052\"]";

// The sample with other endpoints of the two upstreams, each a list's content.
std::string sample_with_endpoints(const std::string& legacy, const std::string& fresh) {
  return replaced(sample_policy_with(kNewLine, "endpoints: [" + fresh + "]"), kLegacyLine,
                  "legacy: {endpoints: [" + legacy + "]}");
}

const std::string kLegacyServer = "\"127.0.0.1:50051\"", kNewServer = "\"127.0.0.1:50052\"", kFreshServer = "\"127.0.0.1:50053\"";

std::shared_ptr<const Policy> running(const std::string& text) {
  auto parsed = parse_policy(text, "(the running facade's policy)");
  EXPECT_TRUE(parsed);
  return parsed ? std::make_shared<const Policy>(std::move(parsed->policy)) : nullptr;
}

TEST(PolicyStoreOwnersTest, AReloadThatSwapsTheServersOfTheSidesIsRefusedAndTheOldPolicyGoesOn) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  write_file(dir / "policy.yaml", sample_with_endpoints(kNewServer, kLegacyServer));
  EXPECT_EQ(s.reload(), "refused");
  EXPECT_EQ(s.tables.size(), 1u);
  EXPECT_EQ(s.in_force().generation(), 1u);
  EXPECT_EQ(s.in_force().upstreams()[0].endpoints[0].port, 50051);
  EXPECT_EQ(s.exposed().value("ficus_policy_last_reload_ok"), 0);
  EXPECT_THAT(s.store.describe_json(),
              AllOf(HasSubstr("\"code\":\"P172\""), HasSubstr("\"line\":4,"), HasSubstr("\"path\":\"upstreams.legacy.endpoints\""),
                    HasSubstr("\"path\":\"upstreams.new.endpoints\""),
                    HasSubstr("would lead only to servers of the new side, \\\"new\\\" in the policy in force: 127.0.0.1:50052, and no "
                              "longer to 127.0.0.1:50051"),
                    HasSubstr("give \\\"legacy\\\" its own endpoints back")));

  write_sample(dir.path());
  EXPECT_EQ(s.reload(), "unchanged") << "what was in force is still";
}

TEST(PolicyStoreOwnersTest, AnEpochDoesNotBuyTheSwap) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  write_file(dir / "policy.yaml",
             replaced(sample_with_endpoints(kNewServer, kLegacyServer), "ownership_epoch: 7", "ownership_epoch: 8"));
  EXPECT_EQ(s.reload(), "refused");
  EXPECT_THAT(s.store.describe_json(), HasSubstr("P171"));
  EXPECT_EQ(s.in_force().generation(), 1u);
}

TEST(PolicyStoreOwnersTest, AReloadThatMixesTheServersOfTheSidesIsAppliedWithAWarning) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  write_file(dir / "policy.yaml", sample_with_endpoints(kLegacyServer + ", " + kNewServer, kNewServer));
  EXPECT_EQ(s.reload(), "applied");
  EXPECT_EQ(s.in_force().generation(), 2u);
  EXPECT_EQ(s.exposed().value("ficus_policy_last_reload_ok"), 1);
  EXPECT_THAT(s.store.describe_json(), AllOf(HasSubstr("\"level\":\"warning\",\"code\":\"W111\""), Not(HasSubstr("P172"))));
}

TEST(PolicyStoreOwnersTest, ServersThatNeitherSideHadAreTakenUpInSilence) {
  TempDir dir;
  Store s(write_sample(dir.path()));
  ASSERT_TRUE(s.store.load_first());
  write_file(dir / "policy.yaml", sample_with_endpoints(kFreshServer, kNewServer));
  EXPECT_EQ(s.reload(), "applied");
  EXPECT_THAT(s.store.describe_json(), AllOf(Not(HasSubstr("P172")), Not(HasSubstr("W111"))));
}

TEST(PolicyStoreOwnersTest, AFirstPolicyWithTheSidesSwappedDoesNotServeBesideAPredecessor) {
  TempDir dir;
  Store s(write_sample(dir.path(), sample_with_endpoints(kNewServer, kLegacyServer)), running(sample_policy()));
  const auto loaded = s.store.load_first();
  ASSERT_FALSE(loaded);
  EXPECT_FALSE(loaded.error().unreadable);
  ASSERT_FALSE(loaded.error().diagnostics.empty());
  EXPECT_EQ(loaded.error().diagnostics[0].code, "P172");
  EXPECT_THAT(loaded.error().diagnostics[0].hint, HasSubstr("stop the facade that runs (SIGTERM, it drains), then start"));
  EXPECT_TRUE(s.tables.empty());
  EXPECT_EQ(s.publisher.in_force(), nullptr);

  Store alone(write_sample(dir.path(), sample_with_endpoints(kNewServer, kLegacyServer)));
  EXPECT_TRUE(alone.store.load_first()) << "with nobody beside it, nothing is in force that could be moved";
}

TEST(PolicyStoreOwnersTest, AFirstPolicyThatMixesTheSidesSaysSoAndServesBesideAPredecessor) {
  TempDir dir;
  Store s(write_sample(dir.path(), sample_with_endpoints(kLegacyServer + ", " + kNewServer, kNewServer)),
          running(sample_policy()));
  ASSERT_TRUE(s.store.load_first());
  EXPECT_THAT(s.store.describe_json(), HasSubstr("\"code\":\"W111\""));
}

// Step by step each reload is one that nobody would refuse; beside the predecessor the last of them is a swap.
TEST(PolicyStoreOwnersTest, WhileThePredecessorServesNoReloadGivesItsServersAway) {
  TempDir dir;
  Store s(write_sample(dir.path()), running(sample_policy()));
  ASSERT_TRUE(s.store.load_first());
  write_file(dir / "policy.yaml", sample_with_endpoints(kLegacyServer, kFreshServer));
  ASSERT_EQ(s.reload(), "applied");
  const std::string last = sample_with_endpoints(kNewServer, kFreshServer);  // nobody's here, the new side's there
  write_file(dir / "policy.yaml", last);
  EXPECT_EQ(s.reload(), "refused");
  EXPECT_THAT(s.store.describe_json(), HasSubstr("P172"));
  EXPECT_EQ(s.in_force().generation(), 2u);

  s.store.predecessor_gone();
  EXPECT_TRUE(s.until([&] { return s.in_force().generation() == 3; })) << "not tried again when it was gone";
}

}  // namespace
}  // namespace ficus
