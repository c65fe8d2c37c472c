#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "facade/control/policy_change.h"
#include "facade/control/policy_loader.h"
#include "facade/control/policy_metrics.h"
#include "tests/facade/control/control_test_support.h"
#include "tests/facade/control/sample_policy.h"
#include "tests/facade/metrics/exposition.h"

namespace ficus {
namespace {

using namespace testing;
using ::testing::IsEmpty;

std::shared_ptr<const RouteTable> table_of(const std::string& policy) {
  TempDir dir;
  const auto loaded = load_policy(write_sample(dir.path(), policy), sample_load_options());
  if (loaded) return loaded->table;
  for (const Diagnostic& diagnostic : loaded.error().diagnostics) ADD_FAILURE() << to_string(diagnostic);
  return nullptr;
}

Exposition gauges_of(const RouteTable& table, Date today = sample_load_options().today) {
  Metrics metrics;
  metrics.set_snapshot_gauges([&](MetricsShard& shard) { collect_policy_gauges(table, today, shard); });
  Exposition parsed = parse_exposition(metrics.expose());
  EXPECT_THAT(parsed.problems, IsEmpty());
  return parsed;
}

TEST(PolicyGaugesTest, ShowWhatIsInForce) {
  const auto table = table_of(sample_policy());
  ASSERT_NE(table, nullptr);
  const Exposition parsed = gauges_of(*table);
  EXPECT_EQ(parsed.value("ficus_policy_generation"), 1);
  EXPECT_EQ(parsed.value("ficus_policy_info", {{"name", "sample"}, {"hash", table->hash()}}), 1);
}

TEST(PolicyGaugesTest, SharesAreInPercentWithDecimals) {
  const auto table = table_of(sample_policy());
  ASSERT_NE(table, nullptr);
  const Exposition parsed = gauges_of(*table);
  const auto share = [&](const char* capability, const char* rule, const char* which) {
    return parsed.value("ficus_share_configured_percent",
                        {{"capability", capability}, {"rule", rule}, {"share", which}});
  };
  EXPECT_EQ(share("inquiry", "inquiry-acme", "canary"), 100);
  EXPECT_EQ(share("inquiry", "inquiry-acme", "shadow"), 12.5);
  EXPECT_EQ(share("inquiry", "inquiry-eu", "canary"), 0.0025);
  EXPECT_EQ(share("inquiry", "inquiry-eu", "shadow"), 10);
}

TEST(PolicyGaugesTest, EachTenantHasOneWriteOwner) {
  const auto table = table_of(sample_policy());
  ASSERT_NE(table, nullptr);
  const Exposition parsed = gauges_of(*table);
  const auto owner = [&](const char* tenant, const char* side) {
    return parsed.has("ficus_write_owner", {{"capability", "address"}, {"tenant", tenant}, {"owner", side}});
  };
  EXPECT_TRUE(owner("acme", "new"));
  EXPECT_FALSE(owner("acme", "legacy"));
  EXPECT_TRUE(owner("other", "legacy"));
  EXPECT_FALSE(owner("none", "legacy")) << "such a write is refused";
  EXPECT_EQ(parsed.families.at("ficus_write_owner").samples.size(), 2u) << "inquiry has no writes";
}

TEST(PolicyGaugesTest, WritesWithoutATenantHaveAnOwnerWhereARuleTakesThem) {
  std::string text = sample_policy();
  for (const std::string capability : {"address", "inquiry"}) {
    const std::string rule = "capability: " + capability + ", tenants: [acme";
    text = replaced(text, rule + "]", rule + ", none]");
  }
  const auto table = table_of(text);
  ASSERT_NE(table, nullptr);
  const Exposition parsed = gauges_of(*table);
  EXPECT_TRUE(parsed.has("ficus_write_owner", {{"capability", "address"}, {"tenant", "none"}, {"owner", "new"}}));
}

// Hundreds of tenants in the policy, two hundred of them in the metrics.
TEST(PolicyGaugesTest, TenantsAreBounded) {
  std::string members;
  for (int i = 0; i < 1000; ++i) members += (i == 0 ? "" : ", ") + ("t" + std::to_string(i));
  const auto table = table_of(replaced(sample_policy(), "eu: [\"eu-*\"]", "eu: [" + members + "]"));
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(gauges_of(*table).families.at("ficus_write_owner").samples.size(), RouteTable::kMaxTenantLabels + 1)
      << "those, and any other";
}

// Every first byte that a name usually has is taken by a prefix.
TEST(PolicyGaugesTest, OtherIsATenantThatNoPrefixTakes) {
  std::string prefixes;
  for (char c = 'a'; c <= 'z'; ++c) prefixes += std::string(c == 'a' ? "" : ", ") + "\"" + c + "*\"";
  std::string text = replaced(sample_policy(), "capability: address, tenants: [acme]",
                              "capability: address, tenants: [" + prefixes + "]");
  text = replaced(text, "capability: inquiry, tenants: [acme]", "capability: inquiry, tenants: [" + prefixes + "]");
  text = replaced(text, "  - {name: inquiry-eu, capability: inquiry, tenants: [\"group:eu\"]",
                  "  - {name: inquiry-eu, capability: inquiry, tenants: [none, \"0*\", \"group:eu\"]");
  text = replaced(text, "eu: [\"eu-*\"]", "eu: [\"1*\"]");
  const auto table = table_of(text);
  ASSERT_NE(table, nullptr);
  EXPECT_TRUE(gauges_of(*table).has("ficus_write_owner",
                                    {{"capability", "address"}, {"tenant", "other"}, {"owner", "legacy"}}));
}

TEST(PolicyGaugesTest, EntriesPastTheirDateAreCountedByKind) {
  const auto table = table_of(sample_policy());
  ASSERT_NE(table, nullptr);
  const auto day = [](unsigned month, unsigned d) {
    return Date{std::chrono::year{2026}, std::chrono::month{month}, std::chrono::day{d}};
  };
  EXPECT_EQ(gauges_of(*table, day(6, 30)).value("ficus_policy_expired", {{"what", "rule"}}), 0) << "the last good day";
  const Exposition after = gauges_of(*table, day(7, 1));
  EXPECT_EQ(after.value("ficus_policy_expired", {{"what", "rule"}}), 1);
  for (const char* what : {"override", "compare", "unmanaged"})
    EXPECT_EQ(after.value("ficus_policy_expired", {{"what", what}}), 0) << what;
}

// ---- what a reload changed ----

TEST(BriefChangeTest, NamesWhatChanged) {
  const auto before = table_of(sample_policy());
  ASSERT_NE(before, nullptr);
  const struct {
    const char* name;
    std::string policy;
    const char* want;
  } cases[] = {
      {"nothing", "# a comment\n" + sample_policy(), "only the contents of files it names"},
      {"a rule", sample_policy_with("percent: 12.5", "percent: 13"), "rules: inquiry-acme changed"},
      {"a rule more and one less", sample_policy_with("name: inquiry-eu", "name: inquiry-europe"),
       "rules: inquiry-europe added, inquiry-eu removed"},
      {"an upstream and a group", replaced(sample_policy_with("50052", "50053"), "\"eu-*\"", "\"eu-*\", \"uk-*\""),
       "upstreams: new changed; tenant_groups: eu changed"},
      {"the name", sample_policy_with("name: sample", "name: example"), "name: sample -> example"},
      {"the epoch", sample_policy_with("ownership_epoch: 7", "ownership_epoch: 8"), "ownership_epoch: 7 -> 8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto after = table_of(c.policy);
    ASSERT_NE(after, nullptr);
    EXPECT_EQ(brief_change(before->policy(), after->policy()), c.want);
  }
}

TEST(BriefChangeTest, CountsWhatItDoesNotName) {
  Policy from, to;
  for (int i = 0; i < 10; ++i) {
    RuleSpec rule;
    rule.name.value = "r" + std::to_string(i);
    to.rules.push_back(rule);
  }
  EXPECT_EQ(brief_change(from, to), "rules: r0 added, r1 added, r2 added and 7 more");
  from.rules.assign(to.rules.rbegin(), to.rules.rend());
  EXPECT_EQ(brief_change(from, to), "rules: reordered");
}

}  // namespace
}  // namespace ficus
