// Coverage and ownership against asking every rule about every call: the checker must call exactly those rules dead,
// and exactly those owners at odds, that the slow way finds so.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "routing/policy_check.h"
#include "routing/policy_check_internal.h"
#include "tests/routing/random_policy.h"

namespace ficus {
namespace {

constexpr Date kToday{std::chrono::year{2026}, std::chrono::month{7}, std::chrono::day{1}};

// Names of at most two letters of {a, b}, names of no list, and "" for a call without a value.
std::vector<std::string> short_universe() {
  return {"", "zzz", "a", "b", "aa", "ab", "ba", "bb", "azz", "bzz", "aazz", "abzz", "bazz", "bbzz"};
}

// Two capabilities of one `data`; rules by tenant, consumer and up to two attributes.
Policy random_narrowed_policy(test::RandomPolicy& random) {
  Policy policy;
  policy.identity.tenant.emplace_back().metadata = "x-tenant";
  policy.identity.consumer.emplace_back().metadata = "x-consumer";
  for (const char* name : {"p", "q"}) policy.attributes.emplace_back().name.value = name;
  policy.tenant_groups = random.groups();
  for (const char* upstream : {"u0", "u1"}) policy.upstreams.emplace_back().name.value = upstream;
  for (const char* name : {"c0", "c1"}) {
    CapabilitySpec& capability = policy.capabilities.emplace_back();
    capability.name.value = name;
    capability.data = Text{"d", {}};
    capability.legacy.value = "u0";
    capability.new_.value = "u1";
    MethodRef ref;
    ref.service = std::string("s.") + name;
    ref.method = "M";
    if (!random.one_in(5)) capability.reads.push_back(ref);
    ref.method = "W";
    if (capability.reads.empty() || random.one_in(2)) capability.writes.push_back(ref);
  }
  for (std::size_t i = 0, count = 1 + random.below(6); i < count; ++i) {
    RuleSpec rule;
    rule.name.value = "r" + std::to_string(i);
    rule.capability.value = random.one_in(3) ? "c1" : "c0";
    rule.tenants = random.tenants();
    rule.stage.value = random.one_in(2) ? Stage::kComplete : Stage::kOff;
    rule.mark = {static_cast<std::uint32_t>(i + 1), 1};
    if (random.one_in(2)) {
      rule.consumers = random.names_and_prefixes();
      if (random.one_in(3)) rule.consumers.push_back(test::pattern("none"));
      if (random.one_in(3)) rule.consumers.push_back(test::pattern("*"));
    }
    for (const char* attribute : {"p", "q"}) {
      if (!random.one_in(attribute[0] == 'p' ? 3 : 6)) continue;
      AttributeMatch& match = rule.match.emplace_back();
      match.attribute.value = attribute;
      match.values = random.one_in(3) ? test::patterns({"*"}) : random.names_and_prefixes();
    }
    policy.rules.push_back(std::move(rule));
  }
  return policy;
}

const CapabilitySpec& capability_of(const Policy& policy, const RuleSpec& rule) {
  return policy.capabilities[rule.capability.value == "c0" ? 0 : 1];
}

bool takes_tenant(const Policy& policy, const RuleSpec& rule, const std::string& tenant) {
  return test::slowly_takes(rule.tenants, policy.tenant_groups, tenant);
}

bool takes_rest(const RuleSpec& rule, const std::string& consumer, const std::string& p, const std::string& q) {
  if (!rule.consumers.empty() && !test::slowly_takes(rule.consumers, {}, consumer)) return false;
  for (const AttributeMatch& match : rule.match) {
    if (!test::slowly_takes(match.values, {}, match.attribute.value == "p" ? p : q)) return false;
  }
  return true;
}

struct SlowVerdict {
  std::set<std::string> never_match, narrowed_owner;
  bool data_owners_differ = false;
};

Side owner_of(const Policy& policy, const std::string& capability, const std::string& tenant) {
  for (const RuleSpec& rule : policy.rules) {
    if (rule.capability.value != capability || rule.narrowed() || !takes_tenant(policy, rule, tenant)) continue;
    return stage_facts(&rule).owner;
  }
  return Side::kLegacy;
}

SlowVerdict judge_slowly(const Policy& policy) {
  SlowVerdict verdict;
  std::set<std::string> live;
  const std::vector<std::string> values = short_universe();
  bool any_q = false;
  for (const RuleSpec& rule : policy.rules) {
    for (const AttributeMatch& match : rule.match) any_q |= match.attribute.value == "q";
  }
  const std::vector<std::string> q_values = any_q ? values : std::vector<std::string>{""};
  for (const std::string& tenant : test::tenant_universe()) {
    if (owner_of(policy, "c0", tenant) != owner_of(policy, "c1", tenant)) verdict.data_owners_differ = true;
    for (const CapabilitySpec& capability : policy.capabilities) {
      std::vector<const RuleSpec*> chain;
      for (const RuleSpec& rule : policy.rules) {
        if (rule.capability.value == capability.name.value && takes_tenant(policy, rule, tenant)) chain.push_back(&rule);
      }
      if (!capability.writes.empty()) {
        for (const RuleSpec* rule : chain) {
          if (rule->narrowed()) continue;
          live.insert(rule->name.value);
          break;
        }
      }
      if (capability.reads.empty() || chain.empty()) continue;
      for (const std::string& consumer : values) {
        for (const std::string& p : values) {
          for (const std::string& q : q_values) {
            const auto taker = std::find_if(chain.begin(), chain.end(), [&](const RuleSpec* rule) { return takes_rest(*rule, consumer, p, q); });
            if (taker == chain.end()) continue;
            const RuleSpec& rule = **taker;
            live.insert(rule.name.value);
            if (rule.narrowed() && stage_facts(&rule).owner != owner_of(policy, rule.capability.value, tenant)) {
              verdict.narrowed_owner.insert(rule.name.value);
            }
          }
        }
      }
    }
  }
  for (const RuleSpec& rule : policy.rules) {
    // In a capability without reads a narrowed rule is another error.
    if (rule.narrowed() && capability_of(policy, rule).reads.empty()) continue;
    if (live.count(rule.name.value) == 0) verdict.never_match.insert(rule.name.value);
  }
  return verdict;
}

TEST(PolicyReachTest, AgreesWithAskingEveryRuleAboutEveryCall) {
  std::size_t dead = 0, narrowed = 0, data = 0;
  for (std::uint64_t seed = 0; seed < 250; ++seed) {
    test::RandomPolicy random(seed);
    const Policy policy = random_narrowed_policy(random);
    const SlowVerdict want = judge_slowly(policy);
    SlowVerdict got;
    for (const Diagnostic& diagnostic : check_policy({policy, nullptr, kToday})) {
      const std::string rule = diagnostic.mark.line == 0 ? "" : policy.rules[diagnostic.mark.line - 1].name.value;
      if (diagnostic.code == codes::kRuleNeverMatches.code) got.never_match.insert(rule);
      if (diagnostic.code == codes::kNarrowedOwner.code) got.narrowed_owner.insert(rule);
      if (diagnostic.code == codes::kDataOwners.code) got.data_owners_differ = true;
      EXPECT_NE(diagnostic.code, codes::kNotJudged.code) << "seed " << seed;
    }
    ASSERT_EQ(got.never_match, want.never_match) << "seed " << seed;
    ASSERT_EQ(got.narrowed_owner, want.narrowed_owner) << "seed " << seed;
    ASSERT_EQ(got.data_owners_differ, want.data_owners_differ) << "seed " << seed;
    dead += want.never_match.size();
    narrowed += want.narrowed_owner.size();
    data += want.data_owners_differ;
  }
  EXPECT_GT(dead, 50u);
  EXPECT_GT(narrowed, 20u);
  EXPECT_GT(data, 50u);
}

// Rules by consumer, product and region, none of which takes another's calls, so that cells multiply.
Policy crossing_policy(int rules) {
  Policy policy;
  policy.identity.consumer.emplace_back().metadata = "x-consumer";
  for (const char* name : {"p", "q"}) policy.attributes.emplace_back().name.value = name;
  CapabilitySpec& capability = policy.capabilities.emplace_back();
  capability.name.value = "c";
  capability.reads.emplace_back().method = "M";
  for (int i = 0; i < rules; ++i) {
    RuleSpec& rule = policy.rules.emplace_back();
    rule.name.value = "r" + std::to_string(i);
    rule.capability.value = "c";
    rule.mark = {static_cast<std::uint32_t>(i + 1), 1};
    const auto several = [&](int salt) {
      std::vector<std::string> names;
      for (int n = 0; n < 64; ++n) {
        const std::uint32_t mixed = (static_cast<std::uint32_t>(i * 64 + n) + 1) * 2654435761u * static_cast<std::uint32_t>(salt);
        if ((mixed >> 13) % 3 == 0) names.push_back("n" + std::to_string(n));
      }
      names.push_back("own" + std::to_string(i));
      return test::patterns(names);
    };
    rule.consumers = several(5);
    for (const char* attribute : {"p", "q"}) {
      AttributeMatch& match = rule.match.emplace_back();
      match.attribute.value = attribute;
      match.values = several(attribute[0]);
    }
  }
  return policy;
}

std::vector<std::string> codes_of(const Policy& policy, std::size_t steps) {
  policy_check::Report report("t.yaml");
  const policy_check::Analysis analysis = policy_check::analyse(policy, capabilities_of_rules(policy), steps);
  policy_check::check_coverage({policy, nullptr, kToday}, analysis, report);
  std::vector<std::string> found;
  for (const Diagnostic& diagnostic : std::move(report).take()) found.push_back(diagnostic.code);
  return found;
}

TEST(PolicyReachTest, BeyondTheBoundRulesAreWarnedOfAndTakenToMatch) {
  const Policy policy = crossing_policy(12);
  EXPECT_EQ(codes_of(policy, policy_check::kMaxCoverageSteps), std::vector<std::string>{});
  EXPECT_EQ(codes_of(policy, 2000), std::vector<std::string>(11, "W109")) << "the first rule always matches";
}

TEST(PolicyReachTest, BeyondTheBoundOneRuleThatTakesAllIsStillFound) {
  Policy policy = crossing_policy(12);
  policy.rules[5].consumers = policy.rules[2].consumers;
  policy.rules[5].match = policy.rules[2].match;
  policy.rules[5].consumers.pop_back();
  const std::vector<std::string> found = codes_of(policy, 3000);
  EXPECT_EQ(std::count(found.begin(), found.end(), "P125"), 1);
  EXPECT_EQ(std::count(found.begin(), found.end(), "W109"), 10);
}

TEST(PolicyReachTest, SixtyFourNarrowedRulesAreJudgedWithinTheBound) {
  EXPECT_EQ(codes_of(crossing_policy(64), policy_check::kMaxCoverageSteps), std::vector<std::string>{});
}

}  // namespace
}  // namespace ficus
