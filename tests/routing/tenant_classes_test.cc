#include "routing/tenant_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/routing/random_policy.h"

namespace ficus {
namespace {

using test::patterns;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

NameClasses classes_of(const std::vector<std::vector<NamePattern>>& lists, const std::vector<TenantGroup>& groups = {}) {
  std::vector<NameList> views;
  for (const auto& list : lists) views.push_back({&list, &groups});
  return NameClasses(views);
}

TenantGroup group(const std::string& name, const std::vector<std::string>& members) {
  TenantGroup group;
  group.name.value = name;
  group.members = patterns(members);
  return group;
}

std::set<std::string> described(const NameClasses& classes) {
  std::set<std::string> texts;
  for (const NameClass& named : classes.named()) {
    std::string text;
    for (const std::string_view name : named.texts) text += describe_name(named.kind, name) + ' ';
    for (const std::uint32_t list : named.listed_by) text += std::to_string(list);
    texts.insert(text);
  }
  return texts;
}

TEST(NameClassesTest, NamesThatNoListTellsApartAreOneClass) {
  EXPECT_THAT(described(classes_of({patterns({"a", "b", "c"}), patterns({"c"})})), UnorderedElementsAre("a b 0", "c 01"));
}

TEST(NameClassesTest, GroupOfManyNamesIsOneClassHoweverManyListsNameIt) {
  const std::vector<TenantGroup> groups = {group("pilot", {"a", "b"})};
  EXPECT_THAT(described(classes_of({patterns({"group:pilot"}), patterns({"group:pilot", "x"})}, groups)),
              UnorderedElementsAre("a b 01", "x 1"));
}

TEST(NameClassesTest, NameUnderNestedPrefixesIsTakenByAllOfThem) {
  EXPECT_THAT(described(classes_of({patterns({"eu-*"}), patterns({"eu-west-*"}), patterns({"eu-west-1"})})),
              UnorderedElementsAre("eu-* 0", "eu-west-* 01", "eu-west-1 012"));
}

TEST(NameClassesTest, PrefixesOfOneLengthDoNotTakeEachOther) {
  EXPECT_THAT(described(classes_of({patterns({"eu-*"}), patterns({"us-*"}), patterns({"us-1"})})),
              UnorderedElementsAre("eu-* 0", "us-* 1", "us-1 12"));
}

TEST(NameClassesTest, PrefixTakesTheNameThatIsThePrefixItself) {
  EXPECT_THAT(described(classes_of({patterns({"eu*"}), patterns({"eu"})})), UnorderedElementsAre("eu* 0", "eu 01"));
}

TEST(NameClassesTest, AbsentListTakesAnyOtherNameAndNone) {
  const NameClasses classes = classes_of({{}, patterns({"*"}), patterns({"none"}), patterns({"a"})});
  const std::vector<bool> other = {true, true, false, false}, none = {true, false, true, false};
  for (std::uint32_t list = 0; list < 4; ++list) {
    EXPECT_EQ(classes.takes_other(list), other[list]) << list;
    EXPECT_EQ(classes.takes_none(list), none[list]) << list;
  }
}

TEST(NameClassesTest, UnknownGroupTakesNobody) {
  EXPECT_THAT(classes_of({patterns({"group:nobody"})}).named(), IsEmpty());
}

TEST(NameClassesTest, AgreesWithAskingEveryListAboutEveryName) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    test::RandomPolicy random(seed);
    const std::vector<TenantGroup> groups = random.groups();
    std::vector<std::vector<NamePattern>> lists;
    for (std::size_t i = 0, count = 1 + random.below(5); i < count; ++i) lists.push_back(random.tenants());
    const NameClasses classes = classes_of(lists, groups);
    std::map<std::string, const NameClass*> names, prefixes;
    for (const NameClass& named : classes.named()) {
      auto& of_kind = named.kind == NameClass::Kind::kName ? names : prefixes;
      for (const std::string_view text : named.texts) {
        ASSERT_TRUE(of_kind.emplace(text, &named).second) << "seed " << seed << ": " << text << " is in two classes";
      }
    }
    for (const std::string& tenant : test::tenant_universe()) {
      const NameClass* found = nullptr;
      if (const auto named = names.find(tenant); named != names.end()) {
        found = named->second;
      } else {
        for (std::size_t length = tenant.size(); length > 0 && found == nullptr; --length) {
          if (const auto prefix = prefixes.find(tenant.substr(0, length)); prefix != prefixes.end()) found = prefix->second;
        }
      }
      for (std::uint32_t list = 0; list < lists.size(); ++list) {
        bool takes = tenant.empty() ? classes.takes_none(list) : classes.takes_other(list);
        if (!tenant.empty() && found != nullptr) {
          takes |= std::count(found->listed_by.begin(), found->listed_by.end(), list) != 0;
        }
        ASSERT_EQ(takes, test::slowly_takes(lists[list], groups, tenant)) << "seed " << seed << " list " << list << " \"" << tenant << '"';
      }
    }
  }
}

struct Divided {
  explicit Divided(const Policy& policy) : classes(lists_of(policy)), tenants(divide_by_tenant(policy, classes, 0, capabilities_of_rules(policy))) {}
  static std::vector<NameList> lists_of(const Policy& policy) {
    std::vector<NameList> lists;
    for (const RuleSpec& rule : policy.rules) lists.push_back({&rule.tenants, &policy.tenant_groups});
    return lists;
  }
  NameClasses classes;
  std::vector<CapabilityTenants> tenants;
};

Policy policy_with_rules(const std::vector<std::pair<std::vector<std::string>, Stage>>& rules) {
  Policy policy;
  policy.capabilities.emplace_back().name.value = "c";
  for (const auto& [tenants, stage] : rules) {
    RuleSpec& rule = policy.rules.emplace_back();
    rule.capability.value = "c";
    rule.tenants = patterns(tenants);
    rule.stage.value = stage;
  }
  return policy;
}

TEST(DivideByTenantTest, ChainHoldsTheRulesOfAClassFromTopToBottom) {
  const Policy policy = policy_with_rules({{{}, Stage::kOff}, {{"a"}, Stage::kLive}, {{"*"}, Stage::kOff}, {{"none"}, Stage::kOff}});
  const Divided divided(policy);
  const CapabilityTenants& tenants = divided.tenants[0];
  ASSERT_EQ(divided.classes.named().size(), 1u);
  EXPECT_THAT(tenants.chain_of(0).rules, ElementsAre(0, 1, 2));
  EXPECT_THAT(tenants.chain_of(kOtherClass).rules, ElementsAre(0, 2));
  EXPECT_THAT(tenants.chain_of(kNoneClass).rules, ElementsAre(0, 3));
}

TEST(DivideByTenantTest, RuleThatListsATenantTwiceStandsInItsChainOnce) {
  const Policy policy = policy_with_rules({{{"a", "*"}, Stage::kOff}});
  EXPECT_THAT(Divided(policy).tenants[0].chain_of(0).rules, ElementsAre(0));
}

TEST(DivideByTenantTest, WritesSkipNarrowedRules) {
  Policy policy = policy_with_rules({{{"a"}, Stage::kOff}, {{"a"}, Stage::kLive}});
  policy.rules[0].consumers = patterns({"app"});
  const Divided divided(policy);
  EXPECT_EQ(divided.tenants[0].chain_of(0).write_rule, 1u);
  EXPECT_EQ(divided.tenants[0].chain_of(0).owner, Side::kNew);
  EXPECT_EQ(divided.tenants[0].chain_of(kOtherClass).write_rule, kNoIndex32);
  EXPECT_EQ(divided.tenants[0].chain_of(kOtherClass).owner, Side::kLegacy);
}

TEST(DivideByTenantTest, RuleOfAnUnknownCapabilityIsLeftOut) {
  Policy policy = policy_with_rules({{{"a"}, Stage::kLive}});
  policy.rules[0].capability.value = "other";
  EXPECT_THAT(Divided(policy).tenants[0].chain_of(0).rules, IsEmpty());
}

TEST(DivideByTenantTest, TenantTakenByMoreThan64RulesIsMarked) {
  std::vector<std::pair<std::vector<std::string>, Stage>> rules(64, {{"a"}, Stage::kOff});
  Policy policy = policy_with_rules(rules);
  EXPECT_FALSE(Divided(policy).tenants[0].too_many_rules);
  rules.push_back({{}, Stage::kOff});
  policy = policy_with_rules(rules);
  EXPECT_TRUE(Divided(policy).tenants[0].too_many_rules);
}

struct TenantlessWrite {
  const char* name;
  std::vector<std::pair<std::vector<std::string>, Stage>> rules;
  bool refused;
};

TEST(DivideByTenantTest, WriteWithoutATenantIsRefusedWhereOwnersDifferUnlessNoneIsListed) {
  const TenantlessWrite cases[] = {
      {"no rules", {}, false},
      {"one owner for everyone", {{{}, Stage::kLive}}, false},
      {"every tenant and none, in two rules", {{{"*"}, Stage::kLive}, {{"none"}, Stage::kLive}}, false},
      {"one tenant moved, no rule for the rest", {{{"a"}, Stage::kLive}}, true},
      {"one tenant moved, a rule for every call below", {{{"a"}, Stage::kLive}, {{}, Stage::kOff}}, true},
      {"one tenant moved, none listed below", {{{"a"}, Stage::kLive}, {{"none"}, Stage::kOff}}, false},
      {"none listed, but an earlier rule takes the call", {{{"a"}, Stage::kLive}, {{}, Stage::kOff}, {{"none"}, Stage::kOff}}, true},
      {"only none moved", {{{"none"}, Stage::kLive}}, false},
      {"any tenant moved, so that none differs", {{{"*"}, Stage::kLive}}, true},
  };
  for (const TenantlessWrite& test : cases) {
    const Policy policy = policy_with_rules(test.rules);
    EXPECT_EQ(refuses_tenantless_write(policy, Divided(policy).tenants[0]), test.refused) << test.name;
  }
}

}  // namespace
}  // namespace ficus
