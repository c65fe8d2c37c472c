// Who calls, where a verified certificate has a say: POLICY 3, "Sources". Metadata alone stands in route_table_test.cc.
#include <gtest/gtest.h>

#include "tests/routing/table_fixture.h"

namespace ficus {
namespace {

using test::Call;
using test::route;
using test::table_of;

constexpr std::string_view kCorp = R"(
default_upstream: rest
identity:
  tenant: [{peer_san: "spiffe://corp/tenant/*"}, {peer_san: "*.tenants.corp"}, {metadata: x-tenant}, {metadata: x-org}]
  consumer: [{peer_san: "spiffe://corp/client/*"}, {metadata: x-consumer}]
attributes:
  region: [{peer_san: "*@regions.corp"}, {metadata: x-region}]
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], writes: [p.S/Set]}
rules:
  - {name: app, capability: a, tenants: [acme], consumers: [app], match: {region: [eu]}, stage: rampdown}
  - {name: acme, capability: a, tenants: [acme], stage: complete}
  - {name: globex, capability: a, tenants: [globex], stage: off}
)";

Call get(std::vector<std::pair<std::string, std::string>> metadata, std::vector<std::string> sans) {
  return {"p.S", "Get", std::move(metadata), false, std::move(sans)};
}

const std::string kAcme = "spiffe://corp/tenant/acme";
const std::string kGlobex = "spiffe://corp/tenant/globex";
const std::string kByAcme = "read new fresh by acme";
const std::string kByGlobex = "read legacy old by globex";
const std::string kByNone = "read legacy old by none";
const std::string kConflict = "refused PERMISSION_DENIED identity_conflict";

TEST(RouteTableIdentityTest, ACertificateGoesBeforeMetadataAndBothMustAgree) {
  const auto table = table_of(kCorp);
  struct Case {
    const char* name;
    Call call;
    std::string want;
  };
  const Case cases[] = {
      {"a certificate alone", get({}, {kAcme}), kByAcme},
      {"metadata alone, without a certificate", get({{"x-tenant", "globex"}}, {}), kByGlobex},
      {"metadata alone, the certificate names no tenant", get({{"x-tenant", "globex"}}, {"spiffe://corp/other/acme"}),
       kByGlobex},
      {"neither", get({}, {"spiffe://corp/other/acme", "web.corp"}), kByNone},
      {"both say the same", get({{"x-tenant", "acme"}}, {kAcme}), kByAcme},
      {"they differ", get({{"x-tenant", "globex"}}, {kAcme}), kConflict},
      {"they differ the other way round", get({{"x-tenant", "acme"}}, {kGlobex}), kConflict},
      {"case is a difference", get({{"x-tenant", "Acme"}}, {kAcme}), kConflict},
      {"the second verified source, where the first yields nothing", get({}, {"acme.tenants.corp"}), kByAcme},
      {"the first verified source wins, and the second is not asked", get({}, {"acme.tenants.corp", kGlobex}),
       kByGlobex},
      {"the second's conflict is not looked for", get({}, {"a.tenants.corp", "b.tenants.corp", kGlobex}), kByGlobex},
      {"the second unverified source", get({{"x-org", "globex"}}, {kAcme}), kConflict},
      {"the second unverified source agrees", get({{"x-org", "acme"}}, {kAcme}), kByAcme},
      {"an unverified source behind one that yields is not asked",
       get({{"x-tenant", "acme"}, {"x-org", "globex"}}, {kAcme}), kByAcme},
  };
  for (const Case& c : cases) EXPECT_EQ(route(*table, c.call), c.want) << c.name;
}

TEST(RouteTableIdentityTest, SansThatYieldDifferentValuesAreAConflict) {
  const auto table = table_of(kCorp);
  EXPECT_EQ(route(*table, get({}, {kAcme, kGlobex})), kConflict);
  EXPECT_EQ(route(*table, get({}, {kAcme, "spiffe://corp/x", kAcme})), kByAcme) << "the same value twice is one value";
  EXPECT_EQ(route(*table, get({}, {"a.tenants.corp", "b.tenants.corp"})), kConflict) << "of the second source too";
  EXPECT_EQ(route(*table, get({}, {"spiffe://corp/client/a", "spiffe://corp/client/b"})), kConflict) << "of a consumer";
  EXPECT_EQ(route(*table, get({}, {"a@regions.corp", "b@regions.corp"})), kConflict) << "of an attribute";
  EXPECT_EQ(route(*table, get({{"x-region", "us"}}, {"eu@regions.corp"})), kConflict) << "of an attribute and metadata";
  EXPECT_EQ(route(*table, get({{"x-consumer", "web"}}, {"spiffe://corp/client/app"})), kConflict)
      << "of a consumer and metadata";
  EXPECT_EQ(route(*table, get({}, {kAcme, "spiffe://corp/tenant/a,b"})), kConflict) << "before either value is judged";
  Call write = get({{"x-tenant", "globex"}}, {kAcme});
  write.method = "Set";
  EXPECT_EQ(route(*table, write), kConflict) << "of a write";
  write.method = "Unheard";
  EXPECT_EQ(route(*table, write), "refused FAILED_PRECONDITION unlisted_method") << "other methods need no identity";
}

TEST(RouteTableIdentityTest, WhatACertificateYieldsIsJudgedAsAnyValue) {
  const auto table = table_of(kCorp);
  const std::string prefix = "spiffe://corp/tenant/";
  const auto refused = [](const char* reason) { return std::string("refused INVALID_ARGUMENT identity_") + reason; };
  EXPECT_EQ(route(*table, get({}, {prefix})), refused("empty"));
  EXPECT_EQ(route(*table, get({}, {prefix + "a,b"})), refused("comma"));
  EXPECT_EQ(route(*table, get({}, {prefix + "a\tb"})), refused("control"));
  EXPECT_EQ(route(*table, get({}, {prefix + std::string(257, 'a')})), refused("too_long"));
  EXPECT_EQ(route(*table, get({}, {prefix + std::string(256, 'a')})), kByNone);
  EXPECT_EQ(route(*table, get({}, {"acme.tenants.corp", prefix})), refused("empty"))
      << "a bad source is not passed over";
  EXPECT_EQ(route(*table, get({{"x-tenant", ""}}, {kAcme})), refused("empty"))
      << "metadata is judged beside a certificate";
  EXPECT_EQ(route(*table, get({{"x-tenant", "acme"}, {"x-tenant", "acme"}}, {kAcme})), refused("repeated"));
  EXPECT_EQ(route(*table, get({{"x-tenant", "acme"}, {"x-org", ","}}, {kAcme})), kByAcme)
      << "only what is asked is judged";
  EXPECT_EQ(route(*table, get({}, {prefix + "acme/x"})), kByNone) << "'*' takes no '/': nothing is yielded";
}

TEST(RouteTableIdentityTest, OnlyWhatACertificateYieldedIsVerified) {
  const auto table = table_of(kCorp);
  const auto who = [&](Call call) {
    const Plan plan = table->plan(call.head());
    return std::string(plan.who.tenant.value_or("-")) + (plan.who.tenant_verified ? "!" : "") + " " +
           std::string(plan.who.consumer.value_or("-")) + (plan.who.consumer_verified ? "!" : "") + " " +
           std::string(plan.who.attributes[0].value_or("-"));
  };
  EXPECT_EQ(who(get({}, {})), "- - -");
  EXPECT_EQ(who(get({{"x-tenant", "acme"}, {"x-consumer", "app"}, {"x-region", "eu"}}, {})), "acme app eu");
  EXPECT_EQ(who(get({{"x-consumer", "app"}}, {kAcme, "eu@regions.corp"})), "acme! app eu");
  EXPECT_EQ(who(get({{"x-tenant", "acme"}}, {"spiffe://corp/client/app"})), "acme app! -");
  EXPECT_EQ(who(get({{"x-tenant", "acme"}, {"x-consumer", "app"}}, {kAcme, "spiffe://corp/client/app"})),
            "acme! app! -");
}

TEST(RouteTableIdentityTest, RulesSeeWhatACertificateYielded) {
  const auto table = table_of(kCorp);
  const std::vector<std::string> all = {"eu@regions.corp", "spiffe://corp/client/app", kAcme};
  EXPECT_EQ(route(*table, get({}, all)), "read new fresh by app");
  Call write = get({}, all);
  write.method = "Set";
  EXPECT_EQ(route(*table, write), "write new fresh by acme") << "a narrowed rule is skipped";
}

TEST(RouteTableIdentityTest, RefusalsNameTheSourceAndNeverItsValue) {
  const auto table = table_of(kCorp);
  const auto message = [&](Call call) { return table->plan(call.head()).refusal.value().message; };
  EXPECT_EQ(message(get({}, {"spiffe://corp/tenant/secret-a", "spiffe://corp/tenant/secret-b"})),
            "the tenant in the client certificate is not one: its names differ");
  EXPECT_EQ(message(get({{"x-org", "secret-b"}}, {"spiffe://corp/tenant/secret-a"})),
            "metadata \"x-org\" (tenant) says another than the client certificate; leave it out");
  EXPECT_EQ(message(get({}, {"secret,b@regions.corp"})),
            "the attribute region in the client certificate holds a comma");
  EXPECT_EQ(message(get({}, {"spiffe://corp/client/"})), "the consumer in the client certificate is empty");
}

TEST(RouteTableIdentityTest, AWriteWithoutATenantIsToldWhatItLacks) {
  Call call = get({}, {"web.corp"});
  call.method = "Set";
  const Plan plan = table_of(kCorp)->plan(call.head());
  ASSERT_TRUE(plan.refusal);
  EXPECT_EQ(plan.refusal->reason, "tenant_missing");
  EXPECT_TRUE(
      plan.refusal->message.ends_with("send a client certificate that names one or metadata \"x-tenant\" or \"x-org\""))
      << plan.refusal->message;
  std::string only_certificates(kCorp);
  only_certificates.replace(only_certificates.find(", {metadata: x-tenant}, {metadata: x-org}"), 41, "");
  const Plan bare = table_of(only_certificates)->plan(call.head());
  EXPECT_TRUE(bare.refusal->message.ends_with("send a client certificate that names one")) << bare.refusal->message;
}

TEST(RouteTableIdentityTest, GivenIdentityStandsForTheCertificateToo) {
  const auto table = table_of(kCorp);
  Call call = get({{"x-tenant", "globex"}}, {kAcme, "spiffe://corp/client/app"});
  const Plan plan = table->plan(call.head(), "globex", std::nullopt);
  ASSERT_FALSE(plan.refusal) << "the list of tenants is not consulted";
  EXPECT_EQ(plan.who.tenant, "globex");
  EXPECT_TRUE(plan.who.tenant_verified);
  EXPECT_EQ(plan.who.consumer, "app");
  EXPECT_TRUE(plan.who.consumer_verified);
  EXPECT_FALSE(table->plan(get({{"x-consumer", "app"}}, {}).head(), "globex", std::nullopt).who.consumer_verified);
}

constexpr std::string_view kTesters = R"(
default_upstream: rest
identity: {tenant: [{metadata: x-tenant}], consumer: [{peer_san: "spiffe://corp/client/*"}, {metadata: x-consumer}], trust_metadata: true}
capabilities:
  a:
    legacy: old
    new: fresh
    reads: [p.S/Get]
    writes: [p.S/Set]
    overrides: {metadata: x-side, consumers: [qa-suite, "probe-*"]}
rules:
  - {name: r, capability: a, tenants: [acme], stage: shadow, reads: {shadow: {percent: 100}}}
)";

TEST(RouteTableIdentityTest, OnlyAVerifiedConsumerForcesASide) {
  const auto table = table_of(kTesters);
  struct Case {
    const char* name;
    std::string side;
    std::vector<std::string> sans;
    std::string consumer;  // in metadata; empty: none
    std::string want, ignored;
  };
  const std::string qa = "spiffe://corp/client/qa-suite";
  const Case cases[] = {
      {"a name", "new", {qa}, "", "read new fresh by r", ""},
      {"a prefix", "new", {"spiffe://corp/client/probe-7"}, "", "read new fresh by r", ""},
      {"to legacy", "legacy", {qa}, "", "read legacy old by r", ""},
      {"metadata beside it that agrees", "new", {qa}, "qa-suite", "read new fresh by r", ""},
      {"metadata alone proves nothing", "new", {}, "qa-suite", "read legacy old by r", "not_allowed"},
      {"a certificate that names no consumer",
       "new",
       {"spiffe://corp/other/qa-suite"},
       "qa-suite",
       "read legacy old by r",
       "not_allowed"},
      {"another consumer", "new", {"spiffe://corp/client/web"}, "", "read legacy old by r", "not_allowed"},
      {"no consumer at all", "new", {}, "", "read legacy old by r", "not_allowed"},
      {"a token where none is asked for", "new;x", {qa}, "", "read legacy old by r", "bad_value"},
      {"no side", "both", {qa}, "", "read legacy old by r", "bad_value"},
  };
  for (const Case& c : cases) {
    Call call = get({{"x-tenant", "acme"}, {"x-side", c.side}}, c.sans);
    if (!c.consumer.empty()) call.metadata.emplace_back("x-consumer", c.consumer);
    const Plan plan = table->plan(call.head());
    const RouteDecision decision = table->decide(plan, std::nullopt, 0);
    EXPECT_EQ(test::describe(*table, plan, decision), c.want) << c.name;
    EXPECT_EQ(plan.override_ignored.value_or(""), c.ignored) << c.name;
    EXPECT_EQ(decision.forced, c.ignored.empty()) << c.name;
    EXPECT_EQ(decision.shadow_possible, !c.ignored.empty()) << c.name << ": a forced call is not shadowed";
  }
  Call write = get({{"x-tenant", "acme"}, {"x-side", "new"}}, {qa});
  write.method = "Set";
  EXPECT_EQ(route(*table, write), "write legacy old by r") << "no override moves a write";
  Call marked = get({{"x-tenant", "acme"}, {"x-side", "new"}}, {qa});
  marked.marked = true;
  EXPECT_EQ(route(*table, marked), "read legacy old by r");
  Call conflict = get({{"x-tenant", "acme"}, {"x-side", "new"}, {"x-consumer", "web"}}, {qa});
  EXPECT_EQ(route(*table, conflict), kConflict) << "a consumer that contradicts itself forces nothing";
}

}  // namespace
}  // namespace ficus
