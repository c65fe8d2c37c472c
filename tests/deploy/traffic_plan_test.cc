// The demo's fixed set of calls. Its numbers are what demo_test.py expects Ficus to count.
#include "deploy/demo/traffic_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace insurer {
namespace {

std::map<std::pair<std::size_t, Method>, std::size_t> count(const TrafficPlan& plan) {
  std::map<std::pair<std::size_t, Method>, std::size_t> counts;
  for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
    for (const auto& call : plan.reads[tenant]) ++counts[{tenant, call.method}];
    counts[{tenant, Method::kEndorseAddress}] = plan.writes[tenant].size();
  }
  counts[{kInitech, Method::kGetPolicy}] += plan.latency.size();
  counts[{kNorthwind, Method::kGetPolicy}] += plan.latency.size();
  return counts;
}

TEST(DemoTrafficPlanTest, TenThousandPoliciesGiveTheCallsTheDemoIsDocumentedWith) {
  const std::map<std::pair<std::size_t, Method>, std::size_t> want = {
      {{kNorthwind, Method::kGetPolicy}, 3000},   {{kNorthwind, Method::kListPolicies}, 20}, {{kNorthwind, Method::kEndorseAddress}, 20},
      {{kInitech, Method::kGetPolicy}, 5000},     {{kInitech, Method::kListPolicies}, 20},   {{kInitech, Method::kEndorseAddress}, 20},
      {{kInitech, Method::kStreamHistory}, 500},  {{kGlobex, Method::kGetPolicy}, 3000},     {{kGlobex, Method::kStreamHistory}, 300},
      {{kGlobex, Method::kEndorseAddress}, 20},   {{kAcme, Method::kGetPolicy}, 2000},       {{kAcme, Method::kStreamHistory}, 200},
      {{kAcme, Method::kEndorseAddress}, 20}};
  EXPECT_EQ(count(make_plan(10'000)), want);
}

TEST(DemoTrafficPlanTest, EveryPolicyIsReadUnderAShadowExactlyOnce) {
  for (const std::size_t policies : {1000u, 3000u, 10'000u}) {
    const TrafficPlan plan = make_plan(policies);
    std::multiset<std::size_t> read(plan.latency.begin(), plan.latency.end());
    for (const std::size_t tenant : {kInitech, kGlobex, kAcme}) {
      for (const auto& call : plan.reads[tenant]) {
        if (call.method == Method::kGetPolicy) read.insert(call.index);
      }
    }
    EXPECT_EQ(read.size(), policies);
    EXPECT_EQ(std::set<std::size_t>(read.begin(), read.end()).size(), policies);
  }
}

TEST(DemoTrafficPlanTest, NoPolicyIsWrittenTwiceAndEachIsReadBack) {
  const TrafficPlan plan = make_plan(10'000);
  std::set<std::size_t> written;
  for (const auto& writes : plan.writes) {
    for (const std::size_t index : writes) EXPECT_TRUE(written.insert(index).second) << index;
  }
  EXPECT_EQ(written.size(), 80u);
}

TEST(DemoTrafficPlanTest, TwoMakingsAreTheSame) {
  const TrafficPlan one = make_plan(1000);
  const TrafficPlan two = make_plan(1000);
  EXPECT_EQ(one.latency, two.latency);
  EXPECT_EQ(one.writes, two.writes);
  for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
    EXPECT_TRUE(std::equal(one.reads[tenant].begin(), one.reads[tenant].end(), two.reads[tenant].begin(), two.reads[tenant].end(),
                           [](const auto& a, const auto& b) { return a.method == b.method && a.index == b.index; }));
  }
}

}  // namespace
}  // namespace insurer
