#include "routing/owner_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/routing/random_policy.h"

namespace ficus {
namespace {

using test::patterns;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One capability with one read and one write between legacy "old" and new "fresh"; everything else goes to "old".
Policy small_policy() {
  Policy policy;
  policy.file = "p.yaml";
  for (const char* name : {"old", "fresh"}) policy.upstreams.emplace_back().name.value = name;
  policy.default_upstream = Text{"old", {}};
  policy.identity.tenant.emplace_back().metadata = "x-tenant";
  CapabilitySpec& capability = policy.capabilities.emplace_back();
  capability.name.value = "address";
  capability.legacy.value = "old";
  capability.new_.value = "fresh";
  capability.reads.emplace_back();
  capability.reads[0].service = "s.S";
  capability.reads[0].method = "Get";
  capability.writes.emplace_back();
  capability.writes[0].service = "s.S";
  capability.writes[0].method = "Set";
  policy.ownership_epoch.value = 1;
  return policy;
}

void add_rule(Policy& policy, const std::vector<std::string>& tenants, Stage stage) {
  RuleSpec& rule = policy.rules.emplace_back();
  rule.name.value = "r" + std::to_string(policy.rules.size());
  rule.capability.value = "address";
  rule.tenants = patterns(tenants);
  rule.stage.value = stage;
}

std::vector<std::string> lines(const OwnerDiff& diff) {
  std::vector<std::string> lines;
  for (const OwnerMove& move : diff.moves) lines.push_back(move.method + ' ' + move.tenant + ": " + move.from + " -> " + move.to);
  return lines;
}

struct Change {
  const char* name;
  void (*change)(Policy&);  // from small_policy() with tenant acme live
  std::vector<std::string> want;
};

TEST(OwnerDiffTest, NamesEveryMoveAndNothingElse) {
  const Change cases[] = {
      {"nothing", [](Policy&) {}, {}},
      {"one tenant more",
       [](Policy& p) { add_rule(p, {"globex", "eu-*"}, Stage::kLive); },
       {"s.S/Set globex: old (legacy) -> fresh (new)", "s.S/Set eu-*: old (legacy) -> fresh (new)"}},
      {"a tenant back", [](Policy& p) { p.rules[0].stage.value = Stage::kOff; }, {"s.S/Set acme: fresh (new) -> old (legacy)"}},
      {"a rule for reads of some consumers",
       [](Policy& p) {
         add_rule(p, {"globex"}, Stage::kLive);
         p.rules.back().consumers = patterns({"app"});
       },
       {}},
      {"another stage with the same owner", [](Policy& p) { p.rules[0].stage.value = Stage::kComplete; }, {}},
      {"everyone",
       [](Policy& p) { p.rules[0].tenants.clear(); },
       {"s.S/Set any other tenant: old (legacy) -> fresh (new)", "s.S/Set no tenant: refused -> fresh (new)"}},
      {"calls without a tenant to legacy: refused before, so nothing moves", [](Policy& p) { add_rule(p, {"none"}, Stage::kOff); }, {}},
      {"calls without a tenant to new", [](Policy& p) { add_rule(p, {"none"}, Stage::kLive); }, {"s.S/Set no tenant: refused -> fresh (new)"}},
      {"the write becomes a read",
       [](Policy& p) {
         p.capabilities[0].reads.push_back(p.capabilities[0].writes[0]);
         p.capabilities[0].writes.clear();
       },
       {"s.S/Set acme: fresh (new) -> read", "s.S/Set any other tenant: old (legacy) -> read", "s.S/Set no tenant: refused -> read"}},
      {"the write is let go to the default upstream",
       [](Policy& p) {
         p.unmanaged.emplace_back().method = p.capabilities[0].writes[0];
         p.capabilities[0].writes.clear();
       },
       {"s.S/Set acme: fresh (new) -> old (default upstream)"}},
      {"a write more: for all but acme it is taken up where it was served already",
       [](Policy& p) {
         p.capabilities[0].writes.emplace_back(p.capabilities[0].writes[0]).method = "Renew";
       },
       {"s.S/Renew acme: refused -> fresh (new)"}},
      {"another read", [](Policy& p) { p.capabilities[0].reads[0].method = "List"; }, {}},
      {"an upstream's name",
       [](Policy& p) { p.capabilities[0].legacy.value = "older"; },
       {"s.S/Set any other tenant: old (legacy) -> older (legacy)"}},
      {"where tenants come from",
       [](Policy& p) { p.identity.tenant[0].metadata = "x-account"; },
       {"s.S/Set every tenant: tenant from x-tenant -> tenant from x-account"}},
      {"a star for the rest of the service",
       [](Policy& p) { p.capabilities[0].writes.emplace_back(p.capabilities[0].writes[0]).method = "*"; },
       {"s.S/* acme: refused -> fresh (new)"}},
      {"no default upstream any more: only what was refused for want of a tenant names it",
       [](Policy& p) { p.default_upstream.reset(); },
       {"s.S/Set no tenant: refused -> refused"}},
  };
  for (const Change& test : cases) {
    Policy in_force = small_policy();
    add_rule(in_force, {"acme"}, Stage::kLive);
    Policy next = in_force;
    test.change(next);
    EXPECT_EQ(lines(diff_owners(in_force, next)), test.want) << test.name;
  }
}

TEST(OwnerDiffTest, TenantSourceMovesNothingWhereOneSideOwnsEverything) {
  Policy in_force = small_policy();
  Policy next = in_force;
  next.identity.tenant[0].metadata = "x-account";
  EXPECT_THAT(lines(diff_owners(in_force, next)), IsEmpty());
}

TEST(OwnerDiffTest, StopsWritingAtTheLimitButCountsOn) {
  Policy in_force = small_policy();
  Policy next = in_force;
  std::vector<std::string> tenants;
  for (int i = 100; i < 200; ++i) tenants.push_back("t" + std::to_string(i));
  add_rule(next, tenants, Stage::kLive);
  const OwnerDiff diff = diff_owners(in_force, next, 7);
  EXPECT_THAT(diff.moves, SizeIs(7));
  EXPECT_EQ(diff.moves.back().tenant, "t106");
  EXPECT_EQ(diff.more, 100 - 7 + 0u) << "a call without a tenant is refused now, which moves nothing";
}

TEST(OwnerDiffTest, HundredThousandTenantsMovedAreCountedOneByOne) {
  Policy in_force = small_policy();
  Policy next = in_force;
  std::vector<std::string> tenants;
  for (int i = 0; i < 100'000; ++i) tenants.push_back("tenant-" + std::to_string(i));
  add_rule(next, tenants, Stage::kLive);
  const OwnerDiff diff = diff_owners(in_force, next);
  EXPECT_EQ(diff.moves.size() + diff.more, 100'000u);
}

struct Epochs {
  std::uint64_t now, then;
  bool moves;
  const char* code;  // "" where the next policy may follow
};

TEST(EpochTest, GrowsByOneExactlyWhenAnOwnerMoves) {
  const Epochs cases[] = {
      {1, 1, false, ""},     {1, 2, true, ""},       {1, 1, true, "P170"},          {1, 3, true, "P170"},
      {2, 1, true, "P170"},  {1, 2, false, "P171"},  {2, 1, false, "P171"},         {0, 1, true, ""},
      {UINT64_MAX, 0, true, "P170"}, {UINT64_MAX, UINT64_MAX, false, ""}, {UINT64_MAX, UINT64_MAX, true, "P170"},
  };
  for (const Epochs& test : cases) {
    Policy in_force = small_policy();
    in_force.ownership_epoch.value = test.now;
    Policy next = in_force;
    next.ownership_epoch = {test.then, {9, 18}};
    if (test.moves) add_rule(next, {"acme"}, Stage::kLive);
    const std::vector<Diagnostic> found = check_epoch(in_force, next, diff_owners(in_force, next));
    const std::string where = std::to_string(test.now) + " -> " + std::to_string(test.then);
    ASSERT_EQ(found.size(), *test.code == 0 ? 0u : 1u) << where;
    if (*test.code == 0) continue;
    EXPECT_EQ(found[0].code, test.code) << where;
    EXPECT_EQ(found[0].mark, (Mark{9, 18}));
    EXPECT_EQ(found[0].level, DiagnosticLevel::kError);
    if (test.moves) {
      EXPECT_THAT(found[0].message, HasSubstr("s.S/Set for acme: old (legacy) -> fresh (new)"));
    }
  }
}

// ---- the slow, obvious owner table ----

class SlowOwners {
 public:
  explicit SlowOwners(const Policy& policy) : policy_(policy) {}

  enum class Kind { kRead, kWrite, kNone };
  struct Taken {
    Kind kind = Kind::kNone;
    const CapabilitySpec* capability = nullptr;
  };

  Taken take(const std::string& method) const {
    Taken taken;
    if (find(method, taken)) return taken;
    if (method != "*") find("*", taken);
    return taken;
  }

  // "read", or the upstream and side.
  std::pair<std::string, std::string> owner(const std::string& method, const std::string& tenant) const {
    const Taken taken = take(method);
    if (taken.kind == Kind::kRead) return {"read", ""};
    const std::string fallback = policy_.default_upstream ? policy_.default_upstream->value : "";
    if (taken.kind == Kind::kNone) return {fallback, ""};
    if (tenant.empty() && by_tenant(*taken.capability)) {
      const RuleSpec* rule = rule_of(*taken.capability, tenant);
      bool listed = false;
      if (rule != nullptr) {
        for (const NamePattern& pattern : rule->tenants) listed |= pattern.kind == NamePattern::Kind::kNone;
      }
      if (!listed) return {fallback, ""};
    }
    const Side side = side_of(*taken.capability, tenant);
    return {side == Side::kLegacy ? taken.capability->legacy.value : taken.capability->new_.value, std::string(to_string(side))};
  }

  bool by_tenant(const CapabilitySpec& capability) const {
    std::set<Side> sides;
    for (const std::string& tenant : test::tenant_universe()) sides.insert(side_of(capability, tenant));
    return sides.size() > 1;
  }

 private:
  bool find(const std::string& method, Taken& taken) const {
    for (const UnmanagedSpec& entry : policy_.unmanaged) {
      if (entry.method.method == method) return true;
    }
    for (const CapabilitySpec& capability : policy_.capabilities) {
      for (const MethodRef& ref : capability.reads) {
        if (ref.method == method) taken = {Kind::kRead, &capability};
      }
      for (const MethodRef& ref : capability.writes) {
        if (ref.method == method) taken = {Kind::kWrite, &capability};
      }
    }
    return taken.capability != nullptr;
  }

  const RuleSpec* rule_of(const CapabilitySpec& capability, const std::string& tenant) const {
    for (const RuleSpec& rule : policy_.rules) {
      if (rule.capability.value == capability.name.value && rule.consumers.empty() &&
          test::slowly_takes(rule.tenants, policy_.tenant_groups, tenant)) {
        return &rule;
      }
    }
    return nullptr;
  }

  Side side_of(const CapabilitySpec& capability, const std::string& tenant) const {
    const RuleSpec* rule = rule_of(capability, tenant);
    return rule != nullptr && rule->stage.value == Stage::kLive ? Side::kNew : Side::kLegacy;
  }

  const Policy& policy_;
};

std::string witness_of(const std::string& tenant) {
  if (tenant == "any other tenant") return "zzz";
  if (tenant == "no tenant") return "";
  if (tenant.back() == '*') return tenant.substr(0, tenant.size() - 1) + "zz";
  return tenant;
}

bool names_it(const Policy& policy, const std::string& method) {
  for (const UnmanagedSpec& entry : policy.unmanaged) {
    if (entry.method.method == method) return true;
  }
  for (const CapabilitySpec& capability : policy.capabilities) {
    for (const auto* list : {&capability.reads, &capability.writes}) {
      for (const MethodRef& ref : *list) {
        if (ref.method == method) return true;
      }
    }
  }
  return false;
}

TEST(OwnerDiffTest, AgreesWithAskingEveryMethodForEveryTenant) {
  int with_moves = 0, without = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    test::RandomPolicy random(seed);
    const Policy in_force = random.policy();
    // Half of the time a small change, so that "nothing moved" is met often too.
    Policy next = random.one_in(2) ? random.policy() : in_force;
    if (!next.rules.empty() && random.one_in(2)) next.rules[random.below(next.rules.size())].tenants = random.tenants();
    const SlowOwners before(in_force), after(next);
    const bool sources_differ = in_force.identity.tenant != next.identity.tenant;

    const OwnerDiff diff = diff_owners(in_force, next, 10'000);
    std::set<std::pair<std::string, std::string>> reported;
    for (const OwnerMove& move : diff.moves) {
      ASSERT_TRUE(reported.emplace(move.method, move.tenant).second) << "seed " << seed;
      if (move.tenant == "every tenant") {
        ASSERT_TRUE(sources_differ) << "seed " << seed;
        continue;
      }
      const std::string method = move.method.substr(2), tenant = witness_of(move.tenant);
      const auto from = before.owner(method, tenant), to = after.owner(method, tenant);
      ASSERT_TRUE(from.first != to.first || (!from.second.empty() && !to.second.empty() && from.second != to.second))
          << "seed " << seed << ": " << move.method << ' ' << move.tenant << " is no move";
    }
    bool any = false;
    for (const char* method : {"A", "B", "C", "D", "*"}) {
      if (!names_it(in_force, method) && !names_it(next, method)) continue;
      const SlowOwners::Taken a = before.take(method), b = after.take(method);
      const bool write_a = a.kind == SlowOwners::Kind::kWrite, write_b = b.kind == SlowOwners::Kind::kWrite;
      if (!write_a && !write_b) continue;
      if (sources_differ && ((write_a && before.by_tenant(*a.capability)) || (write_b && after.by_tenant(*b.capability)))) {
        any = true;
        ASSERT_EQ(reported.count({std::string("s/") + method, "every tenant"}), 1u) << "seed " << seed;
      }
      for (const std::string& tenant : test::tenant_universe()) {
        const auto from = before.owner(method, tenant), to = after.owner(method, tenant);
        if (from.first == to.first && (from.second.empty() || to.second.empty() || from.second == to.second)) continue;
        any = true;
      }
    }
    ASSERT_EQ(diff.any(), any) << "seed " << seed;
    (any ? with_moves : without)++;
  }
  EXPECT_GT(with_moves, 500);
  EXPECT_GT(without, 100);
}

}  // namespace
}  // namespace ficus
