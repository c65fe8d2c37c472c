// Where a call goes: methods, identity, rules, owners, overrides. Shares are in route_table_share_test.cc.
#include "routing/route_table.h"

#include <gtest/gtest.h>

#include "tests/routing/table_fixture.h"

namespace ficus {
namespace {

using test::Call;
using test::FakeCatalog;
using test::route;
using test::table_of;

constexpr std::string_view kInsurer = R"(
default_upstream: rest
identity:
  tenant: [{metadata: x-tenant}, {metadata: x-org}]
  consumer: [{metadata: x-consumer}]
attributes:
  product: [{metadata: x-product}]
  region: [{metadata: x-region}]
tenant_groups:
  pilot: [globex, initech, "beta-*"]
unmanaged:
  - {method: p.S/Ping, reason: it touches nothing}
capabilities:
  inquiry:
    data: policy
    reverse_replication: external
    legacy: old
    new: fresh
    service: p.S
    reads: [Get, List]
  change:
    data: policy
    reverse_replication: external
    legacy: old
    new: fresh
    service: p.S
    writes: [Set, "*"]
rules:
  - {name: acme, capability: inquiry, tenants: [acme], stage: live, reads: {shadow: {percent: 0}}}
  - {name: acme-change, capability: change, tenants: [acme], stage: live}
  - {name: qa, capability: inquiry, tenants: ["group:pilot"], consumers: ["qa-*", none], match: {product: [auto, "home-*"]}, stage: rampdown, writes: {owner: legacy}}
  - {name: pilot, capability: inquiry, tenants: ["group:pilot"], stage: shadow, reads: {shadow: {percent: 0}}}
  - {name: eu, capability: inquiry, tenants: ["eu-*"], stage: shadow, reads: {serve: new, shadow: {percent: 0}}}
  - {name: eu-west, capability: inquiry, tenants: ["eu-west-*", "e*"], stage: shadow, reads: {serve: new, shadow: {percent: 0}}}
  - {name: named, capability: inquiry, tenants: ["*"], match: {region: ["*"]}, stage: shadow, reads: {serve: new, shadow: {percent: 0}}}
  - {name: nobody, capability: inquiry, tenants: [none], stage: shadow, reads: {serve: new, shadow: {percent: 0}}}
)";

TEST(RouteTableTest, FirstMatchingRuleTakesTheCall) {
  const auto table = table_of(kInsurer);
  struct Case {
    const char* name;
    Call call;
    std::string want;
  };
  const Case cases[] = {
      {"by name", {"p.S", "Get", {{"x-tenant", "acme"}}}, "read new fresh by acme"},
      {"names are case-sensitive", {"p.S", "Get", {{"x-tenant", "Acme"}}}, "read legacy old by none"},
      {"names are whole", {"p.S", "Get", {{"x-tenant", "acme2"}}}, "read legacy old by none"},
      {"names are bytes", {"p.S", "Get", {{"x-tenant", "m\xc3\xbcller\xff"}}}, "read legacy old by none"},
      {"group", {"p.S", "List", {{"x-tenant", "globex"}}}, "read legacy old by pilot"},
      {"prefix in a group", {"p.S", "List", {{"x-tenant", "beta-1"}}}, "read legacy old by pilot"},
      {"prefix takes itself", {"p.S", "List", {{"x-tenant", "beta-"}}}, "read legacy old by pilot"},
      {"narrowed, all of it fits", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-consumer", "qa-1"}, {"x-product", "auto"}}}, "read new fresh by qa"},
      {"narrowed, no consumer fits `none`", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-product", "home-2"}}}, "read new fresh by qa"},
      {"narrowed, another consumer", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-consumer", "web"}, {"x-product", "auto"}}}, "read legacy old by pilot"},
      {"narrowed, another attribute value", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-product", "boat"}}}, "read legacy old by pilot"},
      {"narrowed, no attribute", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-consumer", "qa-1"}}}, "read legacy old by pilot"},
      {"shorter prefix above a longer one", {"p.S", "Get", {{"x-tenant", "eu-west-1"}}}, "read new fresh by eu"},
      {"shortest prefix", {"p.S", "Get", {{"x-tenant", "e"}}}, "read new fresh by eu-west"},
      {"any tenant, narrowed", {"p.S", "Get", {{"x-tenant", "someone"}, {"x-region", "x"}}}, "read new fresh by named"},
      {"`*` is no call without a tenant", {"p.S", "Get", {{"x-region", "x"}}}, "read new fresh by nobody"},
      {"no tenant", {"p.S", "Get", {}}, "read new fresh by nobody"},
      {"second source", {"p.S", "Get", {{"x-org", "acme"}}}, "read new fresh by acme"},
      {"first source wins", {"p.S", "Get", {{"x-org", "globex"}, {"x-tenant", "acme"}}}, "read new fresh by acme"},
      {"write", {"p.S", "Set", {{"x-tenant", "acme"}}}, "write new fresh by acme-change"},
      {"write of another tenant", {"p.S", "Set", {{"x-tenant", "globex"}}}, "write legacy old by none"},
      {"star takes what is not named", {"p.S", "Cancel", {{"x-tenant", "acme"}}}, "write new fresh by acme-change"},
      {"unmanaged goes before the star", {"p.S", "Ping", {{"x-tenant", "acme"}}}, "pass rest"},
      {"another service", {"p.T", "Get", {{"x-tenant", "acme"}}}, "pass rest"},
      {"a service that begins alike", {"p.S2", "Get", {}}, "pass rest"},
      {"health", {"grpc.health.v1.Health", "Check", {}}, "pass rest"},
      {"a method called star", {"p.T", "*", {}}, "pass rest"},
  };
  for (const Case& c : cases) EXPECT_EQ(route(*table, c.call), c.want) << c.name;
}

TEST(RouteTableTest, OnlySourcesThatAreConsultedAreJudged) {
  const auto table = table_of(kInsurer);
  const std::string long_value(257, 'a');
  struct Case {
    const char* name;
    Call call;
    std::string want;
  };
  const Case cases[] = {
      {"repeated", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-tenant", "acme"}}}, "refused INVALID_ARGUMENT identity_repeated"},
      {"empty", {"p.S", "Get", {{"x-tenant", ""}}}, "refused INVALID_ARGUMENT identity_empty"},
      {"too long", {"p.S", "Get", {{"x-tenant", long_value}}}, "refused INVALID_ARGUMENT identity_too_long"},
      {"256 bytes are fine", {"p.S", "Get", {{"x-tenant", long_value.substr(1)}}}, "read legacy old by none"},
      {"comma", {"p.S", "Get", {{"x-tenant", "acme,globex"}}}, "refused INVALID_ARGUMENT identity_comma"},
      {"control character", {"p.S", "Get", {{"x-tenant", "ac\tme"}}}, "refused INVALID_ARGUMENT identity_control"},
      {"blank in front", {"p.S", "Get", {{"x-tenant", " acme"}}}, "refused INVALID_ARGUMENT identity_blank"},
      {"blank behind", {"p.S", "Set", {{"x-tenant", "acme "}}}, "refused INVALID_ARGUMENT identity_blank"},
      {"only a blank", {"p.S", "Set", {{"x-tenant", " "}}}, "refused INVALID_ARGUMENT identity_blank"},
      {"delete", {"p.S", "Get", {{"x-tenant", "acme\x7f"}}}, "refused INVALID_ARGUMENT identity_control"},
      {"consumer, whether or not a rule asks", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-consumer", ""}}}, "refused INVALID_ARGUMENT identity_empty"},
      {"attribute, whether or not a rule asks", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-product", "a,b"}}}, "refused INVALID_ARGUMENT identity_comma"},
      {"last attribute", {"p.S", "Get", {{"x-region", "r"}, {"x-region", "s"}}}, "refused INVALID_ARGUMENT identity_repeated"},
      {"of a write too", {"p.S", "Set", {{"x-tenant", "acme"}, {"x-product", "a,b"}}}, "refused INVALID_ARGUMENT identity_comma"},
      {"a bad first source is not passed over", {"p.S", "Get", {{"x-tenant", ""}, {"x-org", "acme"}}}, "refused INVALID_ARGUMENT identity_empty"},
      {"a bad source after the one that yields", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-org", "a,b"}}}, "read new fresh by acme"},
      {"a bad second source when the first has nothing", {"p.S", "Get", {{"x-org", "a,b"}}}, "refused INVALID_ARGUMENT identity_comma"},
      {"a method in no capability needs no identity", {"p.T", "Get", {{"x-tenant", ""}}}, "pass rest"},
      {"nor does an unmanaged one", {"p.S", "Ping", {{"x-tenant", "a"}, {"x-tenant", "b"}}}, "pass rest"},
      {"metadata that no list names", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-other", ""}, {"x-other", ","}}}, "read new fresh by acme"},
  };
  for (const Case& c : cases) EXPECT_EQ(route(*table, c.call), c.want) << c.name;
}

TEST(RouteTableTest, RefusalsNameTheMetadataAndNeverItsValue) {
  const auto table = table_of(kInsurer);
  Call call{"p.S", "Get", {{"x-org", "secret-a,secret-b"}}};
  const Plan plan = table->plan(call.head());
  ASSERT_TRUE(plan.refusal);
  EXPECT_NE(plan.refusal->message.find("x-org"), std::string::npos);
  EXPECT_NE(plan.refusal->message.find("tenant"), std::string::npos);
  EXPECT_EQ(plan.refusal->message.find("secret"), std::string::npos);
}

TEST(RouteTableTest, MarkedCallsMayOnlyRead) {
  const auto table = table_of(kInsurer);
  EXPECT_EQ(route(*table, {"p.S", "Get", {{"x-tenant", "acme"}}, true}), "read new fresh by acme");
  EXPECT_EQ(route(*table, {"p.S", "Set", {{"x-tenant", "acme"}}, true}), "refused FAILED_PRECONDITION marked_write");
  EXPECT_EQ(route(*table, {"p.S", "Unheard", {{"x-tenant", "acme"}}, true}), "refused FAILED_PRECONDITION marked_write");
  EXPECT_EQ(route(*table, {"p.S", "Ping", {}, true}), "refused FAILED_PRECONDITION marked_unmanaged");
  EXPECT_EQ(route(*table, {"p.T", "Get", {}, true}), "refused FAILED_PRECONDITION marked_unmanaged");
}

TEST(RouteTableTest, WithoutDefaultUpstreamWhatNobodyTakesIsUnimplemented) {
  const auto table = table_of(R"(
capabilities:
  a: {legacy: old, new: fresh, service: p.S, reads: [Get]}
)");
  EXPECT_EQ(route(*table, {"p.S", "Get", {}}), "read legacy old by none");
  EXPECT_EQ(route(*table, {"p.S", "Set", {}}), "refused UNIMPLEMENTED no_such_method");
  EXPECT_EQ(route(*table, {"grpc.health.v1.Health", "Check", {}}), "refused UNIMPLEMENTED no_such_method");
  Call call{"p.S", "Set", {}};
  EXPECT_EQ(table->plan(call.head()).refusal->message, "no capability takes p.S/Set and the policy has no default_upstream");
  Call long_call{std::string(5000, 's'), std::string(5000, 'm'), {}};
  EXPECT_LT(table->plan(long_call.head()).refusal->message.size(), 600u) << "a client does not choose how long our answer is";
}

TEST(RouteTableTest, UnlistedMethodsAreRefusedWhereNewOwnsAWriteOfTheService) {
  constexpr std::string_view body = R"(
default_upstream: rest
identity: {tenant: [{metadata: x-tenant}]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get, p.R/Get], writes: [p.S/Set]}
  b: {legacy: old, new: fresh, writes: [p.T/Set]}
rules:
  - {name: acme, capability: a, tenants: [acme], stage: STAGE, reads: {shadow: {percent: 0}}}
)";
  const auto with_stage = [&](std::string stage) {
    std::string text(body);
    return table_of(text.replace(text.find("STAGE"), 5, stage));
  };
  const auto live = with_stage("live");
  EXPECT_EQ(route(*live, {"p.S", "Cancel", {{"x-tenant", "globex"}}}), "refused FAILED_PRECONDITION unlisted_method");
  EXPECT_EQ(route(*live, {"p.S", "Cancel", {}, true}), "refused FAILED_PRECONDITION unlisted_method");
  EXPECT_EQ(route(*live, {"p.R", "Cancel", {}}), "pass rest") << "new owns no write of that service";
  EXPECT_EQ(route(*live, {"p.T", "Cancel", {}}), "pass rest") << "legacy owns all writes of that service";
  const auto shadow = with_stage("shadow");
  EXPECT_EQ(route(*shadow, {"p.S", "Cancel", {}}), "pass rest");
}

TEST(RouteTableTest, WriteWithoutTenantIsRefusedWhereOwnersDiffer) {
  const auto table_with = [](std::string_view rules) {
    return table_of(std::string(R"(
identity: {tenant: [{metadata: x-tenant}, {metadata: x-org}]}
attributes: {product: [{metadata: x-product}]}
tenant_groups: {pilot: [acme]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], writes: [p.S/Set]}
)") + std::string(rules.empty() ? "" : "rules:\n") + std::string(rules));
  };
  struct Case {
    const char* name;
    std::string_view rules;
    std::string want;
  };
  const Case cases[] = {
      {"no rule at all", "", "write legacy old by none"},
      {"one owner everywhere", "  - {name: r, capability: a, stage: live, reads: {shadow: {percent: 0}}}", "write new fresh by r"},
      {"a name differs", "  - {name: r, capability: a, tenants: [acme], stage: complete}", "refused FAILED_PRECONDITION tenant_missing"},
      {"a prefix class differs", "  - {name: r, capability: a, tenants: [\"eu-*\"], stage: complete}", "refused FAILED_PRECONDITION tenant_missing"},
      {"a group's member differs", "  - {name: r, capability: a, tenants: [\"group:pilot\"], stage: complete}", "refused FAILED_PRECONDITION tenant_missing"},
      {"any other name differs", "  - {name: r, capability: a, tenants: [\"*\"], stage: complete}", "refused FAILED_PRECONDITION tenant_missing"},
      {"none differs, and its rule lists it", "  - {name: r, capability: a, tenants: [none], stage: complete}", "write new fresh by r"},
      {"a rule that lists none beside names", "  - {name: r, capability: a, tenants: [acme, none], stage: complete}", "write new fresh by r"},
      {"taking every call is not listing none",
       "  - {name: r, capability: a, tenants: [acme], stage: complete}\n  - {name: s, capability: a, stage: off}",
       "refused FAILED_PRECONDITION tenant_missing"},
      {"a narrowed rule that lists none is none of a write's",
       "  - {name: r, capability: a, tenants: [acme], stage: complete}\n"
       "  - {name: s, capability: a, tenants: [none], match: {product: [x]}, stage: off}",
       "refused FAILED_PRECONDITION tenant_missing"},
      {"names that agree differ from nobody", "  - {name: r, capability: a, tenants: [acme], stage: off}", "write legacy old by none"},
  };
  for (const Case& c : cases) {
    const auto table = table_with(c.rules);
    EXPECT_EQ(route(*table, {"p.S", "Set", {}}), c.want) << c.name;
    EXPECT_TRUE(route(*table, {"p.S", "Get", {}}).starts_with("read ")) << c.name << ": reads need no tenant";
  }
  Call call{"p.S", "Set", {}};
  const std::string message = table_with(cases[2].rules)->plan(call.head()).refusal->message;
  EXPECT_NE(message.find("metadata \"x-tenant\" or \"x-org\""), std::string::npos) << message;
}

TEST(RouteTableTest, WritesSkipNarrowedRules) {
  const auto table = table_of(R"(
identity: {tenant: [{metadata: x-tenant}]}
attributes: {product: [{metadata: x-product}]}
capabilities:
  a: {legacy: old, new: fresh, reverse_replication: external, reads: [p.S/Get], writes: [p.S/Set]}
rules:
  - {name: auto, capability: a, tenants: [acme], match: {product: [auto]}, stage: live, reads: {shadow: {percent: 0}}}
  - {name: acme, capability: a, tenants: [acme], stage: live, reads: {serve: legacy, shadow: {percent: 0}}}
)");
  const std::vector<std::pair<std::string, std::string>> metadata{{"x-tenant", "acme"}, {"x-product", "auto"}};
  EXPECT_EQ(route(*table, {"p.S", "Get", metadata}), "read new fresh by auto");
  EXPECT_EQ(route(*table, {"p.S", "Set", metadata}), "write new fresh by acme");
}

TEST(RouteTableTest, StarUnderReadsTakesWhatTheSchemaCallsFreeOfSideEffects) {
  auto catalog = std::make_shared<FakeCatalog>();
  const MethodInfo safe{false, false, Idempotency::kNoSideEffects};
  catalog->add("p.S", "Get", safe).add("p.S", "Set").add("p.S", "Ask", {false, false, Idempotency::kIdempotent});
  catalog->add("p.S", "Ping", safe).add("p.S", "Change", safe);
  const auto table = table_of(R"(
default_upstream: rest
schemas: [s.pb]
unmanaged: [{method: p.S/Ping, reason: none}]
capabilities:
  a: {legacy: old, new: fresh, service: p.S, reads: ["*"]}
  b: {legacy: old, new: fresh, service: p.S, writes: [Change]}
)", catalog);
  EXPECT_EQ(route(*table, {"p.S", "Get", {}}), "read legacy old by none");
  EXPECT_EQ(route(*table, {"p.S", "Set", {}}), "pass rest") << "not marked NO_SIDE_EFFECTS";
  EXPECT_EQ(route(*table, {"p.S", "Ask", {}}), "pass rest") << "idempotent is not free of side effects";
  EXPECT_EQ(route(*table, {"p.S", "Ping", {}}), "pass rest") << "named under unmanaged";
  EXPECT_EQ(route(*table, {"p.S", "Change", {}}), "write legacy old by none") << "named as a write";
  EXPECT_EQ(route(*table, {"p.S", "Cancel", {}}), "pass rest") << "next month's method is no read";
}

constexpr std::string_view kTesters = R"(
default_upstream: rest
identity: {tenant: [{metadata: x-tenant}], consumer: [{metadata: x-consumer}]}
capabilities:
  a:
    legacy: old
    new: fresh
    reads: [p.S/Get]
    writes: [p.S/Set]
    overrides: {metadata: x-side, token: "file:qa.token"}
rules:
  - {name: acme, capability: a, tenants: [acme], stage: shadow, reads: {shadow: {percent: 100}}}
  - {name: globex, capability: a, tenants: [globex], stage: off}
  - {name: done, capability: a, tenants: [done], stage: complete}
)";

TEST(RouteTableTest, OverrideForcesAReadWithTheToken) {
  const auto table = table_of(kTesters, nullptr, {{"qa.token", "s3cret\n"}});
  struct Case {
    const char* name;
    Call call;
    std::string want, ignored;
  };
  const Case cases[] = {
      {"to new", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3cret"}}}, "read new fresh by acme", ""},
      {"to legacy", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "legacy;s3cret"}}}, "read legacy old by acme", ""},
      {"wrong token", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3creT"}}}, "read legacy old by acme", "bad_token"},
      {"part of the token", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3c"}}}, "read legacy old by acme", "bad_token"},
      {"token and more", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3crets3cret"}}}, "read legacy old by acme", "bad_token"},
      {"empty token", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;"}}}, "read legacy old by acme", "bad_token"},
      {"the newline is not part of it", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3cret\n"}}}, "read legacy old by acme", "bad_token"},
      {"no token", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new"}}}, "read legacy old by acme", "bad_value"},
      {"no side", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "both;s3cret"}}}, "read legacy old by acme", "bad_value"},
      {"empty", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", ""}}}, "read legacy old by acme", "bad_value"},
      {"twice", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3cret"}, {"x-side", "new;s3cret"}}}, "read legacy old by acme", "repeated"},
      {"a write", {"p.S", "Set", {{"x-tenant", "acme"}, {"x-side", "new;s3cret"}}}, "write legacy old by acme", "write"},
      {"stage off", {"p.S", "Get", {{"x-tenant", "globex"}, {"x-side", "new;s3cret"}}}, "read legacy old by globex", "stage"},
      {"no rule is stage off", {"p.S", "Get", {{"x-tenant", "x"}, {"x-side", "new;s3cret"}}}, "read legacy old by none", "stage"},
      {"stage complete", {"p.S", "Get", {{"x-tenant", "done"}, {"x-side", "legacy;s3cret"}}}, "read new fresh by done", "stage"},
      {"marked", {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;s3cret"}}, true}, "read legacy old by acme", "marked"},
      {"not there", {"p.S", "Get", {{"x-tenant", "acme"}}}, "read legacy old by acme", ""},
  };
  for (const Case& c : cases) {
    Call call = c.call;
    const Plan plan = table->plan(call.head());
    const RouteDecision decision = table->decide(plan, std::nullopt, 0);
    EXPECT_EQ(test::describe(*table, plan, decision), c.want) << c.name;
    EXPECT_EQ(plan.override_ignored.value_or(""), c.ignored) << c.name;
    const bool forced = c.ignored.empty() && call.metadata.size() > 1;
    EXPECT_EQ(decision.forced, forced) << c.name;
    if (plan.kind == PlanKind::kRead && plan.rule == 0) {
      EXPECT_EQ(decision.shadow_possible, !forced && !call.marked) << c.name << ": a forced or marked call is not shadowed";
    }
  }
  EXPECT_EQ(table->capabilities()[0].override_metadata, "x-side");
}

TEST(RouteTableTest, WithoutATokenFileNoOverrideCounts) {
  const auto table = table_of(kTesters, nullptr, {{"qa.token", "\n"}});
  EXPECT_EQ(route(*table, {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;"}}}), "read legacy old by acme");
  EXPECT_EQ(route(*table_of(kTesters), {"p.S", "Get", {{"x-tenant", "acme"}, {"x-side", "new;"}}}), "read legacy old by acme");
}

TEST(RouteTableTest, GivenIdentityStandsForWhatItsListYields) {
  const auto table = table_of(kInsurer);
  Call call{"p.S", "Get", {{"x-tenant", "globex"}, {"x-consumer", "qa-1"}, {"x-product", "auto"}}};
  EXPECT_EQ(table->rules()[table->plan(call.head(), "acme", std::nullopt).rule].name, "acme");
  EXPECT_EQ(table->rules()[table->plan(call.head(), std::nullopt, "web").rule].name, "pilot");
  const Plan plan = table->plan(call.head(), "globex", std::nullopt);
  EXPECT_EQ(table->rules()[plan.rule].name, "qa") << "the consumer is sought in the metadata";
  EXPECT_TRUE(plan.who.tenant_verified);
  EXPECT_FALSE(plan.who.consumer_verified);
  const Plan bad = table->plan(call.head(), "a,b", std::nullopt);
  ASSERT_TRUE(bad.refusal) << "no call could yield that";
  EXPECT_EQ(bad.refusal->reason, "identity_comma");
}

TEST(RouteTableTest, SaysWhyTheRulesAboveDidNotMatch) {
  const auto table = table_of(kInsurer);
  const auto misses = [&](Call call) {
    std::vector<std::string> lines;
    for (const RuleMiss& miss : table->explain_misses(table->plan(call.head()))) {
      lines.push_back(table->rules()[miss.rule].name + ": " + miss.why);
    }
    return lines;
  };
  EXPECT_EQ(misses({"p.S", "Get", {{"x-tenant", "globex"}, {"x-consumer", "web"}, {"x-product", "auto"}}}),
            (std::vector<std::string>{"acme: tenant globex is not in [acme]", "qa: consumer web is not in [qa-*, none]"}));
  EXPECT_EQ(misses({"p.S", "Get", {{"x-tenant", "globex"}, {"x-product", "boat"}}}),
            (std::vector<std::string>{"acme: tenant globex is not in [acme]",
                                      "qa: attribute product boat is not in [auto, home-*]"}));
  EXPECT_EQ(misses({"p.S", "Get", {}}).front(), "acme: the call has no tenant; the rule takes [acme]");
  EXPECT_EQ(misses({"p.S", "Get", {{"x-tenant", "nobody"}}}).size(), 7u) << "every rule of the capability, none of another";
  EXPECT_EQ(misses({"p.S", "Set", {}}),
            (std::vector<std::string>{"acme-change: the call has no tenant; the rule takes [acme]"}))
      << "a refused write too";
  EXPECT_TRUE(misses({"p.S", "Get", {{"x-tenant", ""}}}).empty()) << "it never came to the rules";
  EXPECT_TRUE(misses({"p.T", "Get", {}}).empty());
}

TEST(RouteTableTest, TenantLabelsAreThoseWrittenOutAndNoMoreThanTwoHundred) {
  const auto table = table_of(kInsurer);
  EXPECT_EQ(table->tenant_labels(), (std::vector<std::string>{"globex", "initech", "acme"}));
  EXPECT_EQ(table->tenant_label("acme"), 2);
  EXPECT_EQ(table->tenant_label("beta-1"), kNoIndex);

  Policy policy = test::parse_or_die(test::policy_text(kInsurer));
  for (int i = 0; i < 500; ++i) {
    NamePattern member;
    member.mark = {1000 + static_cast<std::uint32_t>(i), 1};
    member.text = "t" + std::to_string(i);
    policy.tenant_groups[0].members.push_back(member);
  }
  const auto large = table_of(policy);
  EXPECT_EQ(large->tenant_labels().size(), RouteTable::kMaxTenantLabels);
  EXPECT_EQ(large->tenant_label("t0"), 3);
  EXPECT_EQ(large->tenant_label("t499"), kNoIndex);
}

TEST(RouteTableTest, WriteOwnerIsOfCapabilityAndTenant) {
  const auto table = table_of(kInsurer);
  EXPECT_EQ(table->write_owner(0, "acme"), Side::kNew);
  EXPECT_EQ(table->write_owner(1, "acme"), Side::kNew);
  EXPECT_EQ(table->write_owner(1, "globex"), Side::kLegacy);
  EXPECT_EQ(table->write_owner(1, std::nullopt), Side::kLegacy);
}

TEST(RouteTableTest, KeepsWhatThePolicySays) {
  Policy policy = test::parse_or_die(test::policy_text(kInsurer));
  const auto table = RouteTable::compile({policy, nullptr, {}, "abc", 42});
  EXPECT_EQ(table->hash(), "abc");
  EXPECT_EQ(table->generation(), 42u);
  EXPECT_EQ(table->policy(), policy);
  EXPECT_EQ(table->upstreams()[table->default_upstream()].name, "rest");
  EXPECT_EQ(table->methods().size(), 5u);
  EXPECT_EQ(table->rules()[0].stage, Stage::kLive);
  EXPECT_GT(table->rules()[1].line, table->rules()[0].line);
}

}  // namespace
}  // namespace ficus
