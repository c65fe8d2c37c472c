#include "routing/owner_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "routing/owner_table.h"
#include "tests/routing/random_policy.h"

namespace ficus {
namespace {

using test::patterns;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Endpoints "a", "b" stand for "a:1", "b:1"; line 10 and on.
void set_endpoints(Policy& policy, const std::string& upstream, const std::vector<std::string>& hosts) {
  for (UpstreamSpec& spec : policy.upstreams) {
    if (spec.name.value != upstream) continue;
    spec.endpoints.clear();
    for (const std::string& host : hosts) {
      EndpointSpec& endpoint = spec.endpoints.emplace_back();
      endpoint.host = host;
      endpoint.port = 1;
      endpoint.mark = {static_cast<std::uint32_t>(10 + (&spec - policy.upstreams.data())), 5};
    }
  }
}

void set_authority(Policy& policy, std::size_t upstream, const std::string& authority) {
  policy.upstreams[upstream].authority = Text{authority, {}};
}

void add_method(std::vector<MethodRef>& methods, const std::string& name) {
  methods.emplace_back().service = "s.S";
  methods.back().method = name;
}

void add_rule(Policy& policy, const std::vector<std::string>& tenants, Stage stage, const std::string& capability = "address") {
  RuleSpec& rule = policy.rules.emplace_back();
  rule.name.value = "r" + std::to_string(policy.rules.size());
  rule.capability.value = capability;
  rule.tenants = patterns(tenants);
  rule.stage.value = stage;
}

// Reads and writes between legacy "old" (a), the default too, and new "fresh" (b); "spare" (c) is in no capability.
Policy small_policy() {
  Policy policy;
  policy.file = "p.yaml";
  for (const char* name : {"old", "fresh", "spare"}) policy.upstreams.emplace_back().name.value = name;
  set_endpoints(policy, "old", {"a"});
  set_endpoints(policy, "fresh", {"b"});
  set_endpoints(policy, "spare", {"c"});
  policy.default_upstream = Text{"old", {}};
  policy.identity.tenant.emplace_back().metadata = "x-tenant";
  CapabilitySpec& capability = policy.capabilities.emplace_back();
  capability.name.value = "address";
  capability.legacy.value = "old";
  capability.new_.value = "fresh";
  add_method(capability.reads, "Get");
  add_method(capability.writes, "Set");
  policy.ownership_epoch.value = 1;
  return policy;
}

// "P172 old", in the file's order.
std::vector<std::string> found(const Policy& in_force, const Policy& next) {
  EXPECT_FALSE(diff_owners(in_force, next).any()) << "the case moves an owner by name: it proves nothing here";
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : check_owner_servers(in_force, next)) {
    const bool error = diagnostic.code[0] == 'P';
    EXPECT_EQ(diagnostic.level, error ? DiagnosticLevel::kError : DiagnosticLevel::kWarning);
    const std::size_t name = std::string("upstreams.").size();
    lines.push_back(diagnostic.code + ' ' + diagnostic.yaml_path.substr(name, diagnostic.yaml_path.find('.', name) - name));
  }
  return lines;
}

struct Change {
  const char* name;
  void (*change)(Policy&);  // of small_policy(), where legacy owns everything
  std::vector<std::string> want;
};

TEST(OwnerServersTest, WhereLegacyOwnsEverythingOnlyItsServersMatter) {
  const Change cases[] = {
      {"nothing", [](Policy&) {}, {}},
      {"the owner leads to the other side's server", [](Policy& p) { set_endpoints(p, "old", {"b"}); }, {"P172 old"}},
      {"swapped",
       [](Policy& p) {
         set_endpoints(p, "old", {"b"});
         set_endpoints(p, "fresh", {"a"});
       },
       {"P172 old"}},
      {"in another spelling", [](Policy& p) { set_endpoints(p, "old", {"B"}); }, {"P172 old"}},
      {"over TLS now",
       [](Policy& p) {
         set_endpoints(p, "old", {"b"});
         p.upstreams[0].tls.emplace();
       },
       {"P172 old"}},
      {"the owner takes a server of the other side in", [](Policy& p) { set_endpoints(p, "old", {"a", "b"}); }, {"W111 old"}},
      {"the other side's server and one of nobody", [](Policy& p) { set_endpoints(p, "old", {"b", "d"}); }, {"W111 old"}},
      {"servers of nobody", [](Policy& p) { set_endpoints(p, "old", {"d"}); }, {"W112 old"}},
      {"servers of an upstream that is no side", [](Policy& p) { set_endpoints(p, "old", {"c"}); }, {"W112 old"}},
      {"another port of the other side's host",
       [](Policy& p) {
         set_endpoints(p, "old", {"b"});
         p.upstreams[0].endpoints[0].port = 2;
       },
       {"W112 old"}},
      {"the side that owns nothing may have any", [](Policy& p) { set_endpoints(p, "fresh", {"a"}); }, {}},
      {"the other side is another upstream now; what counts is whose servers they are in force",
       [](Policy& p) {
         p.capabilities[0].new_.value = "spare";
         set_endpoints(p, "old", {"b"});
       },
       {"P172 old"}},
      {"the other side's upstream gets the name of its successor",
       [](Policy& p) {
         p.capabilities[0].new_.value = "spare";
         set_endpoints(p, "old", {"c"});
       },
       {"W112 old"}},
      {"the capability has another name now",
       [](Policy& p) {
         p.capabilities[0].name.value = "addresses";
         set_endpoints(p, "old", {"b"});
       },
       {"P172 old"}},
      {"a star takes the write now",
       [](Policy& p) {
         p.capabilities[0].writes[0].method = "*";
         set_endpoints(p, "old", {"b"});
       },
       {"P172 old"}},
      {"no write left, so no owner",
       [](Policy& p) {
         p.unmanaged.emplace_back().method = p.capabilities[0].writes[0];
         p.capabilities[0].writes.clear();
         set_endpoints(p, "old", {"b"});
       },
       {}},
  };
  for (const Change& test : cases) {
    const Policy in_force = small_policy();
    Policy next = in_force;
    test.change(next);
    EXPECT_EQ(found(in_force, next), test.want) << test.name;
  }
}

TEST(OwnerServersTest, AnUpstreamWithMoreServersMayGiveSomeBack) {
  Policy in_force = small_policy();
  set_endpoints(in_force, "old", {"a", "b"});  // shared in force already
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  EXPECT_THAT(found(in_force, next), IsEmpty()) << "b is its own, too";
  EXPECT_THAT(found(small_policy(), in_force), ElementsAre("W111 old")) << "that is when it was said";
}

TEST(OwnerServersTest, EachSideThatOwnsForSomeTenantIsJudged) {
  Policy in_force = small_policy();
  add_rule(in_force, {"acme"}, Stage::kLive);
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 old"));
  set_endpoints(next, "fresh", {"a"});
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 old", "P172 fresh"));
  set_endpoints(next, "old", {"a"});
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 fresh"));
}

TEST(OwnerServersTest, ASideThatOwnsOnlyCallsThatAreRefusedOwnsNothing) {
  Policy in_force = small_policy();
  add_rule(in_force, {"*"}, Stage::kLive);  // a call without a tenant is legacy's, and refused
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  EXPECT_THAT(found(in_force, next), IsEmpty());
  for (Policy* policy : {&in_force, &next}) add_rule(*policy, {"none"}, Stage::kOff);  // not refused any more
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 old"));
}

TEST(OwnerServersTest, BehindOneGatewayAuthoritiesAreTheServers) {
  Policy in_force = small_policy();
  for (const char* name : {"old", "fresh"}) set_endpoints(in_force, name, {"gateway"});
  set_authority(in_force, 0, "old.internal");
  set_authority(in_force, 1, "fresh.internal");
  Policy next = in_force;
  EXPECT_THAT(found(in_force, next), IsEmpty());
  set_authority(next, 0, "Fresh.internal");
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 old"));
  EXPECT_THAT(check_owner_servers(in_force, next)[0].message,
              HasSubstr("gateway:1 as Fresh.internal, and no longer to gateway:1 as old.internal"));
  set_authority(next, 0, "older.internal");
  EXPECT_THAT(found(in_force, next), ElementsAre("W112 old"));
}

TEST(OwnerServersTest, WithEndpointsOfTheirOwnAnAuthorityHidesNoSwap) {
  Policy in_force = small_policy();
  set_authority(in_force, 0, "old.internal");
  set_authority(in_force, 1, "fresh.internal");
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  EXPECT_THAT(found(in_force, next), ElementsAre("P172 old"));
}

TEST(OwnerServersTest, OneUpstreamOnBothSidesHasNothingToTake) {
  Policy in_force = small_policy();
  in_force.capabilities[0].new_.value = "old";
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  EXPECT_THAT(found(in_force, next), ElementsAre("W112 old"));
}

TEST(OwnerServersTest, NamesThatLeadNowhereAreNotJudged) {
  Policy in_force = small_policy();
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  in_force.upstreams.erase(in_force.upstreams.begin() + 1);
  EXPECT_THAT(check_owner_servers(in_force, next), IsEmpty());
  EXPECT_THAT(check_owner_servers(Policy(), next), IsEmpty());
  EXPECT_THAT(check_owner_servers(next, Policy()), IsEmpty());
}

TEST(OwnerServersTest, IsSaidOnceOfTwoUpstreamsWithWhatWhereAndWhatToDo) {
  Policy in_force = small_policy();
  for (const char* name : {"billing", "claims"}) {
    CapabilitySpec& capability = in_force.capabilities.emplace_back(in_force.capabilities[0]);
    capability.name.value = name;
    capability.reads.clear();
    capability.writes[0].method = name;
    add_rule(in_force, {"acme"}, Stage::kOff, name);
  }
  Policy next = in_force;
  set_endpoints(next, "old", {"b"});
  const std::vector<Diagnostic> once = check_owner_servers(in_force, next);
  ASSERT_THAT(once, SizeIs(1));
  EXPECT_EQ(to_string(once[0]),
            "p.yaml:10:5: error[P172]: upstream \"old\", the legacy side that owns writes of capability \"address\" for any other "
            "tenant (and of 2 capabilities more), would lead only to servers of the new side, \"fresh\" in the policy in force: "
            "b:1, and no longer to a:1: writes would change their owner, and ownership_epoch cannot tell (give \"old\" its own "
            "endpoints back; to move the owner, leave the endpoints, name the new side in the rules and raise ownership_epoch; "
            "if the servers themselves changed roles, stop the facade that runs (SIGTERM, it drains), then start it with this "
            "policy)");
  EXPECT_EQ(once[0].yaml_path, "upstreams.old.endpoints");

  set_endpoints(next, "old", {"b", "a"});
  const std::vector<Diagnostic> warned = check_owner_servers(in_force, next);
  ASSERT_THAT(warned, SizeIs(1));
  EXPECT_THAT(to_string(warned[0]), HasSubstr("would lead to servers of the new side, \"fresh\" in the policy in force: b:1 (see that"));
  EXPECT_THAT(warned[0].hint, HasSubstr("take them out of \"old\""));
}

// A name that hides the other side's server, and the second half of a move in two reloads, look like this.
TEST(OwnerServersTest, ServersThatAreAllOthersAreSaidWithBothLists) {
  const Policy in_force = small_policy();
  Policy next = in_force;
  set_endpoints(next, "old", {"c", "d"});
  const std::vector<Diagnostic> warned = check_owner_servers(in_force, next);
  ASSERT_THAT(warned, SizeIs(1));
  EXPECT_EQ(warned[0].level, DiagnosticLevel::kWarning);
  EXPECT_THAT(warned[0].message,
              HasSubstr("would lead to none of its servers in the policy in force, a:1, but to c:1, d:1: whoever serves"));
  set_endpoints(next, "old", {"a", "d"});
  EXPECT_THAT(check_owner_servers(in_force, next), IsEmpty()) << "one of them is left";
}

TEST(OwnerServersTest, TheTenantNamedIsOneThatTheSideOwns) {
  Policy in_force = small_policy();
  add_rule(in_force, {"acme"}, Stage::kLive);
  Policy next = in_force;
  set_endpoints(next, "fresh", {"a"});
  const std::vector<Diagnostic> one = check_owner_servers(in_force, next);
  ASSERT_THAT(one, SizeIs(1));
  EXPECT_THAT(one[0].message, HasSubstr("the new side that owns writes of capability \"address\" for acme, would lead only"));
}

// The slow way: ask each write for each tenant who owned it and who would, and compare the two as sets of servers.
TEST(OwnerServersTest, AgreesWithAskingEachWriteOfRandomPolicies) {
  int refused = 0, warned = 0, replaced = 0, silent = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    test::RandomPolicy random(seed);
    Policy in_force = small_policy();
    in_force.tenant_groups.clear();
    CapabilitySpec& second = in_force.capabilities.emplace_back(in_force.capabilities[0]);
    second.name.value = "billing";
    second.reads.clear();
    second.writes[0].method = "Bill";
    if (random.one_in(2)) second.new_.value = "spare";
    for (const char* capability : {"address", "billing"}) {
      if (random.one_in(2)) add_rule(in_force, {"acme"}, Stage::kLive, capability);
      if (random.one_in(3)) add_rule(in_force, {}, random.one_in(2) ? Stage::kLive : Stage::kOff, capability);
    }
    const auto scatter = [&](Policy& policy) {
      for (const char* name : {"old", "fresh", "spare"}) {
        std::vector<std::string> hosts;
        for (const char* host : {"a", "b", "c", "d"}) {
          if (random.one_in(3)) hosts.emplace_back(host);
        }
        if (!hosts.empty()) set_endpoints(policy, name, hosts);
      }
    };
    scatter(in_force);
    Policy next = in_force;
    scatter(next);

    const auto hosts_of = [](const Policy& policy, const std::string& upstream) {
      std::set<std::string> hosts;
      for (const UpstreamSpec& spec : policy.upstreams) {
        if (spec.name.value != upstream) continue;
        for (const EndpointSpec& endpoint : spec.endpoints) hosts.insert(endpoint.host);
      }
      return hosts;
    };
    const auto lives = [&](const std::string& capability, const std::string& tenant) {
      for (const RuleSpec& rule : in_force.rules) {
        if (rule.capability.value != capability) continue;
        if (rule.tenants.empty() || rule.tenants[0].text == tenant) return rule.stage.value == Stage::kLive;
      }
      return false;
    };
    std::set<std::string> want;
    for (const CapabilitySpec& capability : in_force.capabilities) {
      const std::string& name = capability.name.value;
      for (const char* tenant : {"acme", "other"}) {
        const bool live = lives(name, tenant);
        const std::string owner = live ? capability.new_.value : capability.legacy.value;
        const std::string other = live ? capability.legacy.value : capability.new_.value;
        const auto before = hosts_of(in_force, owner), theirs = hosts_of(in_force, other), now = hosts_of(next, owner);
        std::size_t taken = 0;
        for (const std::string& host : now) taken += theirs.count(host) != 0 && before.count(host) == 0;
        if (taken != 0) want.insert((taken == now.size() ? "P172 " : "W111 ") + owner + " from " + other);
        const bool keeps_one = std::any_of(now.begin(), now.end(), [&](const auto& host) { return before.count(host) != 0; });
        if (taken == 0 && !keeps_one) want.insert("W112 " + owner);
      }
    }
    std::set<std::string> got;
    for (const Diagnostic& diagnostic : check_owner_servers(in_force, next)) {
      const std::string owner = diagnostic.yaml_path.substr(10, diagnostic.yaml_path.find('.', 10) - 10);
      if (diagnostic.code == "W112") {
        got.insert("W112 " + owner);  // as either side: the same upstream may be both, of two capabilities
        continue;
      }
      for (const char* other : {"old", "fresh", "spare"}) {
        if (diagnostic.message.find(std::string("side, \"") + other) == std::string::npos) continue;
        EXPECT_TRUE(got.insert(diagnostic.code + ' ' + owner + " from " + other).second) << "twice, seed " << seed;
      }
    }
    ASSERT_EQ(got, want) << "seed " << seed;
    const auto has = [&](const char* code) {
      return std::any_of(want.begin(), want.end(), [&](const std::string& line) { return line.substr(0, 4) == code; });
    };
    refused += has("P172");
    warned += has("W111");
    replaced += has("W112");
    silent += want.empty();
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(warned, 100);
  EXPECT_GT(replaced, 100);
  EXPECT_GT(silent, 100);
}

}  // namespace
}  // namespace ficus
