// RouteTable against the oracle: random policies, random calls, every field of the answer.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "routing/policy_parse.h"
#include "routing/route_table.h"
#include "tests/support/oracle_matcher.h"
#include "tests/support/random_policy.h"

namespace ficus {
namespace {

using test::OracleAnswer;
using test::OracleCall;

constexpr std::string_view kToken = "s3cret";

OracleAnswer answer_of(const RouteTable& table, const OracleCall& call) {
  std::vector<MetadataEntry> metadata;
  for (const auto& [name, value] : call.metadata) metadata.push_back({name, value});
  const std::vector<std::string_view> peer_sans(call.peer_sans.begin(), call.peer_sans.end());
  const Plan plan = table.plan({{call.service, call.method}, metadata, call.marked, peer_sans});
  const RouteDecision decision = table.decide(plan, std::nullopt, call.draw);
  OracleAnswer answer;
  if (decision.refusal) {
    answer.refused = std::string(to_string(decision.refusal->code)) + " " + std::string(decision.refusal->reason);
    return answer;
  }
  answer.upstream = decision.upstream == kNoIndex ? "" : table.upstreams()[decision.upstream].name;
  if (plan.kind == PlanKind::kPassThrough) {
    answer.kind = "pass";
    return answer;
  }
  answer.kind = plan.kind == PlanKind::kRead ? "read" : "write";
  answer.rule = plan.rule == kNoRule ? "none" : table.rules()[plan.rule].name;
  answer.side = decision.side;
  answer.owner = decision.owner;
  answer.forced = decision.forced;
  answer.override_ignored = plan.override_ignored.value_or("");
  answer.unkeyed = decision.unkeyed;
  answer.canary_bucket = decision.canary.bucket;
  answer.shadow_possible = decision.shadow_possible;
  if (decision.shadow_possible) {
    answer.shadow_upstream = table.upstreams()[decision.shadow_upstream].name;
    answer.shadow_in_share = decision.shadow.in_share;
    answer.shadow_bucket = decision.shadow.bucket;
  }
  return answer;
}

// Policies whose rules overlap as much as they can: few names, prefixes of prefixes, groups, `*` and `none`. They need not
// pass check_policy() (rules may be unreachable); a table must be made of the same first match all the same.
class DensePolicies {
 public:
  explicit DensePolicies(std::uint64_t seed) : random_(seed) {}

  Policy make() {
    test::RandomPolicyOptions options;
    options.checkable = true;
    options.max_rules = 0;
    Policy policy = test::random_policy(random_(), options);
    if (one_in(3)) policy.identity.tenant.push_back({{}, "x-org", ""});
    policy.tenant_groups = {group("g0"), group("g1")};
    for (auto left = below(14); left > 0; --left) policy.rules.push_back(rule(policy, left));
    return policy;
  }

  OracleCall call(const Policy& policy) {
    OracleCall call;
    const CapabilitySpec& capability = policy.capabilities[below(policy.capabilities.size())];
    const MethodRef& named = capability.reads.empty() || (!capability.writes.empty() && one_in(2))
                                 ? capability.writes[below(capability.writes.size())]
                                 : capability.reads[below(capability.reads.size())];
    call.service = one_in(12) ? "grpc.health.v1.Health" : named.service;
    call.method = one_in(8) || named.star() ? "Other" : named.method;
    if (!policy.unmanaged.empty() && one_in(10)) {
      call.service = policy.unmanaged[0].method.service;
      call.method = one_in(2) ? policy.unmanaged[0].method.method : "Other";
    }
    const std::string tenant_id = tenant();
    const std::string consumer_id = pick({"c0", "c1", "c10", "q"});
    add(call, "x-tenant-id", tenant_id);
    add(call, "x-org", one_in(2) ? tenant_id : tenant());
    add(call, "x-consumer-id", consumer_id);
    // Mostly what the metadata says too, or nearly every call would be a conflict.
    const auto with_san = [&](std::string before, const std::string& usual, const std::string& other, std::string after) {
      if (one_in(2)) call.peer_sans.push_back(before + (one_in(8) ? other : usual) + after);
      if (one_in(16)) call.peer_sans.push_back(before + (one_in(2) ? other : usual) + after);
    };
    with_san("spiffe://corp/tenant/", tenant_id, tenant(), one_in(40) ? "/x" : one_in(40) ? "," : "");
    with_san("", tenant_id, tenant(), ".tenants.corp");
    with_san("spiffe://corp/client/", consumer_id, "c1", "");
    with_san("", "v1", "v10", "@0.corp");
    if (one_in(10)) call.peer_sans.push_back("spiffe://corp/elsewhere/t0");
    add(call, "x-attribute-0", pick({"v0", "v1", "v10", "w"}));
    add(call, "x-attribute-1", pick({"v0", "v1", "v10", "w"}));
    add(call, "x-key", "P-" + std::to_string(below(50)));
    add(call, "x-side", pick({"new;s3cret", "legacy;s3cret", "new;wrong", "new", "x;s3cret", "new;", ""}));
    call.marked = one_in(8);
    call.draw = random_();
    return call;
  }

  std::string tenant() { return pick({"t0", "t1", "t10", "t11", "t110", "u", "p-", "p-1", "p-1-2", "T0", ""}); }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::string pick(std::initializer_list<const char*> choices) { return choices.begin()[below(choices.size())]; }

  void add(OracleCall& call, const char* name, const std::string& value) {
    if (one_in(3)) return;
    call.metadata.emplace_back(name, one_in(60) ? value + "," : one_in(60) ? "\t" : one_in(60) ? value + " " : value);
    if (one_in(60)) call.metadata.emplace_back(name, value);
  }

  NamePattern pattern(std::initializer_list<const char*> names, std::initializer_list<const char*> prefixes) {
    NamePattern pattern;
    pattern.kind = one_in(3) ? NamePattern::Kind::kPrefix : NamePattern::Kind::kName;
    pattern.text = pattern.kind == NamePattern::Kind::kPrefix ? pick(prefixes) : pick(names);
    return pattern;
  }
  NamePattern tenant_pattern() { return pattern({"t0", "t1", "t10", "t11", "p-1"}, {"t", "t1", "t11", "p-", "p-1-"}); }

  TenantGroup group(const char* name) {
    TenantGroup group;
    group.name.value = name;
    for (auto left = 1 + below(3); left > 0; --left) group.members.push_back(tenant_pattern());
    return group;
  }

  std::vector<NamePattern> tenants() {
    std::vector<NamePattern> list;
    if (one_in(6)) return list;
    for (auto left = 1 + below(2); left > 0; --left) {
      NamePattern one = tenant_pattern();
      const std::size_t what = below(9);
      if (what == 0) one = {{}, NamePattern::Kind::kAny, ""};
      if (what == 1) one = {{}, NamePattern::Kind::kNone, ""};
      if (what == 2 || what == 3) one = {{}, NamePattern::Kind::kGroup, what == 2 ? "g0" : "g1"};
      list.push_back(one);
    }
    return list;
  }

  RuleSpec rule(const Policy& policy, std::size_t number) {
    RuleSpec rule;
    rule.name.value = "r" + std::to_string(number);
    rule.capability.value = policy.capabilities[below(policy.capabilities.size())].name.value;
    rule.tenants = tenants();
    if (one_in(3)) {
      for (auto left = 1 + below(2); left > 0; --left) {
        rule.consumers.push_back(one_in(5) ? NamePattern{{}, one_in(2) ? NamePattern::Kind::kAny : NamePattern::Kind::kNone, ""}
                                           : pattern({"c0", "c1", "c10"}, {"c", "c1", "c10"}));
      }
    }
    for (const AttributeSpec& attribute : policy.attributes) {
      if (!one_in(5)) continue;
      AttributeMatch match;
      match.attribute = attribute.name;
      for (auto left = 1 + below(3); left > 0; --left) match.values.push_back(pattern({"v0", "v1", "v10"}, {"v", "v1", "v10"}));
      if (one_in(5)) match.values.push_back({{}, NamePattern::Kind::kAny, ""});
      rule.match.push_back(match);
    }
    rule.stage.value = static_cast<Stage>(below(7));
    const bool share = rule.stage.value != Stage::kOff && rule.stage.value != Stage::kComplete;
    if (share && one_in(2)) rule.canary = CanarySpec{{}, {percent(), {}}, At<ShareBy>{static_cast<ShareBy>(below(3)), {}}};
    if (share && one_in(2)) {
      ShadowSpec shadow;
      shadow.percent = {percent(), {}};
      if (one_in(2)) shadow.by = At<ShareBy>{static_cast<ShareBy>(below(4)), {}};
      rule.shadow = shadow;
    }
    if (share && !rule.canary && one_in(4)) rule.reads_serve = At<Side>{one_in(2) ? Side::kNew : Side::kLegacy, {}};
    if (share && one_in(4)) rule.writes_owner = At<Side>{one_in(2) ? Side::kNew : Side::kLegacy, {}};
    return rule;
  }

  Percent percent() {
    static constexpr std::uint32_t kOften[] = {0, 1, 500'000, 500'000, 999'999, 1'000'000};
    return {kOften[below(std::size(kOften))]};
  }

  std::mt19937_64 random_;
};

std::string text_of(const OracleCall& call) {
  std::string text = call.service + "/" + call.method + (call.marked ? " marked" : "");
  for (const auto& [name, value] : call.metadata) text += " " + name + "=" + value;
  return text;
}

TEST(RouteTableOracleTest, DensePoliciesAgreeInEveryFieldOfTheAnswer) {
  DensePolicies dense(1);
  std::size_t refused = 0, reads = 0, writes = 0, by_rule = 0, shadows = 0, forced = 0, conflicts = 0, verified = 0;
  for (int i = 0; i < 3'000; ++i) {
    const Policy policy = dense.make();
    const auto table = RouteTable::compile({policy, nullptr, {{"qa.token", std::string(kToken) + "\n"}}, "", 1});
    for (int j = 0; j < 40; ++j) {
      const OracleCall call = dense.call(policy);
      const OracleAnswer want = test::oracle_route(policy, call, kToken);
      const OracleAnswer got = answer_of(*table, call);
      ASSERT_EQ(to_string(got), to_string(want)) << text_of(call) << "\npolicy " << i << ":\n" << print_policy(policy);
      ASSERT_EQ(got, want) << text_of(call);
      refused += !want.refused.empty();
      reads += want.kind == "read";
      writes += want.kind == "write";
      by_rule += !want.rule.empty() && want.rule != "none";
      shadows += want.shadow_in_share;
      forced += want.forced;
      conflicts += want.refused.ends_with("identity_conflict");
      verified += want.refused.empty() && !call.peer_sans.empty();
    }
  }
  // That the calls are worth asking: every kind of answer is common.
  EXPECT_GT(refused, 10'000u);
  EXPECT_GT(reads, 20'000u);
  EXPECT_GT(writes, 10'000u);
  EXPECT_GT(by_rule, 20'000u);
  EXPECT_GT(shadows, 2'000u);
  EXPECT_GT(forced, 200u);
  EXPECT_GT(conflicts, 2'000u);
  EXPECT_GT(verified, 10'000u);
}

TEST(RouteTableOracleTest, CheckablePoliciesAgreeToo) {
  DensePolicies dense(2);
  test::RandomPolicyOptions options;
  options.checkable = true;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Policy policy = test::random_policy(seed, options);
    const auto table = RouteTable::compile({policy, nullptr, {{"qa.token", std::string(kToken)}}, "", 1});
    std::vector<std::string> names;
    for (const RuleSpec& rule : policy.rules) {
      for (const NamePattern& pattern : rule.tenants) names.push_back(pattern.text);
    }
    for (std::size_t j = 0; j < 30; ++j) {
      OracleCall call = dense.call(policy);
      if (!names.empty() && j % 2 == 0) {
        for (auto& [name, value] : call.metadata) {
          if (name == "x-tenant-id") value = names[j % names.size()];
        }
      }
      const OracleAnswer want = test::oracle_route(policy, call, kToken);
      ASSERT_EQ(to_string(answer_of(*table, call)), to_string(want)) << text_of(call) << "\n" << print_policy(policy);
    }
  }
}

TEST(RouteTableOracleTest, WriteOwnersAgreeForEveryTenant) {
  DensePolicies dense(3);
  for (int i = 0; i < 1'000; ++i) {
    const Policy policy = dense.make();
    const auto table = RouteTable::compile({policy, nullptr, {}, "", 1});
    for (std::uint16_t capability = 0; capability < policy.capabilities.size(); ++capability) {
      const CapabilitySpec& spec = policy.capabilities[capability];
      EXPECT_EQ(table->write_owner(capability, std::nullopt), test::oracle_owner(policy, spec, std::nullopt));
      for (int j = 0; j < 8; ++j) {
        const std::string tenant = dense.tenant();
        EXPECT_EQ(table->write_owner(capability, tenant), test::oracle_owner(policy, spec, tenant))
            << tenant << "\n" << print_policy(policy);
      }
    }
  }
}

// Whatever stands above the rule that took a call must say why it did not.
TEST(RouteTableOracleTest, EveryRuleAboveHasAReason) {
  DensePolicies dense(4);
  for (int i = 0; i < 500; ++i) {
    const Policy policy = dense.make();
    const auto table = RouteTable::compile({policy, nullptr, {}, "", 1});
    for (int j = 0; j < 10; ++j) {
      const OracleCall call = dense.call(policy);
      std::vector<MetadataEntry> metadata;
      for (const auto& [name, value] : call.metadata) metadata.push_back({name, value});
      const Plan plan = table->plan({{call.service, call.method}, metadata, call.marked});
      for (const RuleMiss& miss : table->explain_misses(plan)) {
        EXPECT_LT(miss.rule, plan.rule);
        EXPECT_EQ(table->rules()[miss.rule].capability, plan.capability);
        EXPECT_EQ(miss.why.find("was first"), std::string::npos) << text_of(call) << "\n" << print_policy(policy);
      }
    }
  }
}

}  // namespace
}  // namespace ficus
