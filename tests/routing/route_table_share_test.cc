// Shares: canary and shadow, by what they are counted, what a call without it gets, and where its key comes from.
#include <gtest/gtest.h>

#include "tests/routing/table_fixture.h"

namespace ficus {
namespace {

using test::Call;
using test::FakeCatalog;
using test::table_of;

// A capability "a" with one rule, whose `reads` and the capability's `key` are given.
std::shared_ptr<const RouteTable> table_with(std::string_view key, std::string_view reads, std::string_view stage = "canary",
                                             bool with_schema = true) {
  auto catalog = std::make_shared<FakeCatalog>();
  catalog->add("p.S", "Get").add("p.S", "List").add("p.S", "Chat", {true, true}).add("p.S", "History", {false, true});
  std::string body = R"(
identity: {tenant: [{metadata: x-tenant}], consumer: [{metadata: x-consumer}]}
capabilities:
  a:
    legacy: old
    new: fresh
    service: p.S
    reads: [Get, List, Chat, History]
)";
  if (!key.empty()) body += "    key: " + std::string(key) + "\n";
  body += "rules:\n  - {name: r, capability: a, stage: " + std::string(stage) + ", reads: " + std::string(reads) + "}\n";
  if (with_schema) body = "schemas: [s.pb]\n" + body;
  return table_of(body, with_schema ? catalog : nullptr);
}

std::uint32_t canary_bucket(DigestKind kind, std::string_view value) {
  return bucket_of(digest_of(kind, value), share_seed_of("a", SharePurpose::kCanary));
}
std::uint32_t shadow_bucket(DigestKind kind, std::string_view value) {
  return bucket_of(digest_of(kind, value), share_seed_of("a", SharePurpose::kShadow));
}
KeyDigest key_of(std::string_view key) { return digest_of(DigestKind::kKey, key); }

struct Answer {
  Plan plan;
  RouteDecision decision;
};
Answer ask(const RouteTable& table, Call& call, std::optional<KeyDigest> key = std::nullopt, std::uint64_t draw = 0) {
  Answer answer;
  answer.plan = table.plan(call.head());
  answer.decision = table.decide(answer.plan, key, draw);
  return answer;
}

TEST(RouteTableShareTest, CanaryByTenantAndConsumerIsDecidedByTheirBuckets) {
  const auto by_tenant = table_with("", "{canary: {percent: 40, by: tenant}, shadow: {percent: 0}}");
  const auto by_consumer = table_with("", "{canary: {percent: 40, by: consumer}, shadow: {percent: 0}}");
  int in = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "n" + std::to_string(i);
    Call call{"p.S", "Get", {{"x-tenant", name}, {"x-consumer", name}}};
    const Answer tenant = ask(*by_tenant, call);
    const std::uint32_t bucket = canary_bucket(DigestKind::kTenant, name);
    EXPECT_EQ(tenant.decision.canary.bucket, bucket);
    EXPECT_EQ(tenant.decision.side, bucket < 400'000 ? Side::kNew : Side::kLegacy);
    EXPECT_FALSE(tenant.plan.needs_key);
    in += tenant.decision.side == Side::kNew;
    const Answer consumer = ask(*by_consumer, call);
    EXPECT_EQ(consumer.decision.canary.bucket, canary_bucket(DigestKind::kConsumer, name));
  }
  EXPECT_GT(in, 40);
  EXPECT_LT(in, 120);
}

TEST(RouteTableShareTest, CanaryWithoutWhatItIsCountedByIsServedByLegacyAndUnkeyed) {
  struct Case {
    const char* name;
    std::string_view key, reads;
    Call call;
  };
  Case cases[] = {
      {"no tenant", "", "{canary: {percent: 99.9999, by: tenant}, shadow: {percent: 0}}", {"p.S", "Get", {{"x-consumer", "c"}}}},
      {"no consumer", "", "{canary: {percent: 99.9999, by: consumer}, shadow: {percent: 0}}", {"p.S", "Get", {{"x-tenant", "t"}}}},
      {"no key in the request", "{request_field: x}", "{canary: {percent: 99.9999, by: key}, shadow: {percent: 0}}", {"p.S", "Get", {{"x-tenant", "t"}}}},
      {"no key for the method", "{request_field: x, methods: {List: none}}", "{canary: {percent: 99.9999, by: key}, shadow: {percent: 0}}", {"p.S", "List", {}}},
      {"no key in the metadata", "{metadata: x-key}", "{canary: {percent: 99.9999, by: key}, shadow: {percent: 0}}", {"p.S", "Get", {}}},
  };
  for (Case& c : cases) {
    const Answer answer = ask(*table_with(c.key, c.reads), c.call);
    EXPECT_EQ(answer.decision.side, Side::kLegacy) << c.name;
    EXPECT_TRUE(answer.decision.unkeyed) << c.name;
    EXPECT_FALSE(answer.decision.canary.bucket) << c.name;
  }
}

TEST(RouteTableShareTest, ShareOfZeroOrHundredAsksForNoKey) {
  for (const bool all : {false, true}) {
    const auto table = table_with("{request_field: x}",
                                  std::string("{canary: {percent: ") + (all ? "100" : "0") + ", by: key}, shadow: {percent: 100, by: key}}");
    Call call{"p.S", "Get", {}};
    const Answer answer = ask(*table, call);
    EXPECT_FALSE(answer.plan.needs_key);
    EXPECT_FALSE(answer.decision.unkeyed);
    EXPECT_EQ(answer.decision.side, all ? Side::kNew : Side::kLegacy);
    EXPECT_FALSE(answer.decision.canary.bucket);
    EXPECT_EQ(answer.decision.canary.in_share, all);
    EXPECT_TRUE(answer.decision.shadow.in_share);
    EXPECT_FALSE(answer.decision.shadow_needs_key);
  }
}

TEST(RouteTableShareTest, HeadersWaitOnlyForACanaryByRequestKeyBetweenZeroAndHundred) {
  struct Case {
    const char* name;
    std::string_view key, reads;
    const char* method;
    bool schema;
    bool needs_key;
    std::optional<NoKey> no_key;
  };
  const std::string_view canary = "{canary: {percent: 5, by: key}, shadow: {percent: 0}}";
  const std::string_view shadow = "{canary: {percent: 0, by: key}, shadow: {percent: 5, by: key}}";
  const Case cases[] = {
      {"canary", "{request_field: x}", canary, "Get", true, true, std::nullopt},
      {"server-streaming", "{request_field: x}", canary, "History", true, true, std::nullopt},
      {"client-streaming", "{request_field: x}", canary, "Chat", true, false, NoKey::kStreaming},
      {"method without a key", "{request_field: x, methods: {List: none}}", canary, "List", true, false, std::nullopt},
      {"method with a field of its own", "{metadata: x-key, methods: {List: x}}", canary, "List", true, true, std::nullopt},
      {"no schema", "{request_field: x}", canary, "Get", false, false, NoKey::kNoSchema},
      {"metadata key", "{metadata: x-key}", canary, "Get", true, false, NoKey::kNoMetadata},
      {"shadow reads the captured request", "{request_field: x}", shadow, "Get", true, false, std::nullopt},
      {"canary by tenant", "{request_field: x}", "{canary: {percent: 5, by: tenant}, shadow: {percent: 0}}", "Get", true, false, std::nullopt},
  };
  for (const Case& c : cases) {
    const auto table = table_with(c.key, c.reads, "canary", c.schema);
    Call call{"p.S", c.method, {}};
    const Plan plan = table->plan(call.head());
    EXPECT_EQ(plan.needs_key, c.needs_key) << c.name;
    EXPECT_EQ(plan.no_key, c.no_key) << c.name;
    EXPECT_EQ(table->methods()[plan.method].key_path.has_value(), c.needs_key || c.reads == shadow || c.reads != canary)
        << c.name;
  }
}

TEST(RouteTableShareTest, KeysOfTheRequestAndOfTheMetadataAreBucketedAlike) {
  const auto by_request = table_with("{request_field: x}", "{canary: {percent: 50, by: key}, shadow: {percent: 0}}");
  const auto by_metadata = table_with("{metadata: x-key}", "{canary: {percent: 50, by: key}, shadow: {percent: 0}}");
  for (int i = 0; i < 50; ++i) {
    const std::string key = "P-" + std::to_string(i);
    Call plain{"p.S", "Get", {}};
    Call keyed{"p.S", "Get", {{"x-key", key}}};
    const std::uint32_t bucket = canary_bucket(DigestKind::kKey, key);
    EXPECT_EQ(ask(*by_request, plain, key_of(key)).decision.canary.bucket, bucket);
    EXPECT_EQ(ask(*by_metadata, keyed).decision.canary.bucket, bucket);
    EXPECT_EQ(ask(*by_metadata, keyed).decision.side, bucket < 500'000 ? Side::kNew : Side::kLegacy);
  }
}

TEST(RouteTableShareTest, MetadataKeyThatIsNoIdentityValueIsNoKey) {
  const auto table = table_with("{metadata: x-key}", "{canary: {percent: 50, by: key}, shadow: {percent: 0}}");
  const std::vector<std::pair<std::string, std::string>> bad[] = {
      {{"x-key", ""}}, {{"x-key", "a,b"}}, {{"x-key", "a"}, {"x-key", "a"}}, {{"x-key", std::string(257, 'k')}}, {{"x-key", "a\n"}}};
  for (const auto& metadata : bad) {
    Call call{"p.S", "Get", metadata};
    const Answer answer = ask(*table, call);
    EXPECT_EQ(answer.plan.no_key, NoKey::kNoMetadata);
    EXPECT_TRUE(answer.decision.unkeyed) << "it is no refusal: keys are no identity";
    EXPECT_FALSE(answer.decision.refusal);
  }
}

TEST(RouteTableShareTest, AKeyThatNoCallCouldYieldIsNoKeyWhoeverGivesIt) {
  const std::string_view reads = "{canary: {percent: 99.9999, by: key}, shadow: {percent: 0}}";
  Call list{"p.S", "List", {}}, get{"p.S", "Get", {}}, chat{"p.S", "Chat", {}};
  EXPECT_TRUE(ask(*table_with("{request_field: x, methods: {List: none}}", reads), list, key_of("k")).decision.unkeyed);
  EXPECT_TRUE(ask(*table_with("{request_field: x}", reads, "canary", false), get, key_of("k")).decision.unkeyed);
  EXPECT_TRUE(ask(*table_with("{request_field: x}", reads), chat, key_of("k")).decision.unkeyed);
  EXPECT_FALSE(ask(*table_with("{metadata: x-key}", reads), get, key_of("k")).decision.unkeyed);
}

TEST(RouteTableShareTest, ShadowIsOnTheSideThatDoesNotServeThisCall) {
  const auto table = table_with("{metadata: x-key}", "{canary: {percent: 50, by: key}, shadow: {percent: 100}}");
  int on_legacy = 0, on_new = 0;
  for (int i = 0; i < 50; ++i) {
    Call call{"p.S", "Get", {{"x-key", std::to_string(i)}}};
    const RouteDecision decision = ask(*table, call).decision;
    ASSERT_TRUE(decision.shadow_possible);
    EXPECT_TRUE(decision.shadow.in_share);
    EXPECT_EQ(decision.shadow_side, other(*decision.side));
    EXPECT_NE(decision.shadow_upstream, decision.upstream);
    EXPECT_EQ(table->upstreams()[decision.shadow_upstream].name, decision.shadow_side == Side::kNew ? "fresh" : "old");
    (decision.shadow_side == Side::kNew ? on_new : on_legacy)++;
  }
  EXPECT_GT(on_legacy, 5);
  EXPECT_GT(on_new, 5);
}

TEST(RouteTableShareTest, ShadowByRequestIsTheCallsOwnDraw) {
  const auto table = table_with("", "{shadow: {percent: 12.5}}", "shadow");
  Call call{"p.S", "Get", {{"x-tenant", "t"}}};
  for (const std::uint64_t draw : {0ull, 124'999ull, 125'000ull, 999'999ull, 7'000'000ull, 7'999'999ull}) {
    const RouteDecision decision = ask(*table, call, std::nullopt, draw).decision;
    EXPECT_EQ(decision.shadow.bucket, draw % 1'000'000);
    EXPECT_EQ(decision.shadow.in_share, draw % 1'000'000 < 125'000) << draw;
    EXPECT_TRUE(decision.shadow_possible);
    EXPECT_EQ(decision.side, Side::kLegacy) << "the draw moves no one";
  }
}

TEST(RouteTableShareTest, ShadowByTenantOrConsumerFallsBackToTheDraw) {
  for (const char* by : {"tenant", "consumer"}) {
    const auto table = table_with("", std::string("{shadow: {percent: 50, by: ") + by + "}}", "shadow");
    Call named{"p.S", "Get", {{"x-tenant", "t"}, {"x-consumer", "t"}}};
    const RouteDecision keyed = ask(*table, named, std::nullopt, 999'999).decision;
    EXPECT_EQ(keyed.shadow.bucket, shadow_bucket(by == std::string("tenant") ? DigestKind::kTenant : DigestKind::kConsumer, "t"));
    Call nameless{"p.S", "Get", {}};
    EXPECT_TRUE(ask(*table, nameless, std::nullopt, 499'999).decision.shadow.in_share);
    EXPECT_FALSE(ask(*table, nameless, std::nullopt, 500'000).decision.shadow.in_share);
    EXPECT_EQ(ask(*table, nameless, std::nullopt, 0).decision.shadow.by, ShareBy::kRequest);
  }
}

TEST(RouteTableShareTest, ShadowByKeyIsSettledFromTheCapturedRequest) {
  const auto table = table_with("{request_field: x}", "{shadow: {percent: 50, by: key}}", "shadow");
  Call call{"p.S", "Get", {}};
  const Answer answer = ask(*table, call);
  ASSERT_TRUE(answer.decision.shadow_needs_key);
  EXPECT_TRUE(answer.decision.shadow_possible);
  EXPECT_FALSE(answer.decision.shadow.in_share) << "not settled yet";
  const ShareOutcome settled = table->shadow_share(answer.plan.capability, answer.decision, key_of("P-1"), 0);
  EXPECT_EQ(settled.bucket, shadow_bucket(DigestKind::kKey, "P-1"));
  EXPECT_EQ(settled.in_share, *settled.bucket < 500'000);
  EXPECT_EQ(settled.by, ShareBy::kKey);
  EXPECT_EQ(settled.percent, Percent{500'000});
  const ShareOutcome fallback = table->shadow_share(answer.plan.capability, answer.decision, std::nullopt, 3'499'999);
  EXPECT_TRUE(fallback.in_share);
  EXPECT_EQ(fallback.by, ShareBy::kRequest);
  EXPECT_FALSE(table->shadow_share(answer.plan.capability, answer.decision, std::nullopt, 500'000).in_share);
}

TEST(RouteTableShareTest, ShadowByKeyUsesTheKeyTheCanaryFoundOrDrawsIfItFoundNone) {
  const auto table = table_with("{request_field: x}", "{canary: {percent: 50, by: key}, shadow: {percent: 50, by: key}}");
  Call call{"p.S", "Get", {}};
  const RouteDecision keyed = ask(*table, call, key_of("P-9")).decision;
  EXPECT_FALSE(keyed.shadow_needs_key);
  EXPECT_EQ(keyed.shadow.bucket, shadow_bucket(DigestKind::kKey, "P-9"));
  EXPECT_EQ(keyed.canary.bucket, canary_bucket(DigestKind::kKey, "P-9"));
  const RouteDecision unkeyed = ask(*table, call, std::nullopt, 123'456).decision;
  EXPECT_FALSE(unkeyed.shadow_needs_key) << "the same message was looked into already";
  EXPECT_EQ(unkeyed.shadow.bucket, 123'456u);
}

TEST(RouteTableShareTest, ShadowByKeyWhereNoneCanBeReadDraws) {
  Call list{"p.S", "List", {}};
  const auto none = table_with("{request_field: x, methods: {List: none}}", "{shadow: {percent: 50, by: key}}", "shadow");
  EXPECT_FALSE(ask(*none, list).decision.shadow_needs_key);
  EXPECT_EQ(ask(*none, list, std::nullopt, 77).decision.shadow.bucket, 77u);
  Call chat{"p.S", "Chat", {}};
  const auto streaming = table_with("{request_field: x}", "{shadow: {percent: 50, by: key}}", "shadow");
  EXPECT_FALSE(ask(*streaming, chat).decision.shadow_needs_key);
  EXPECT_EQ(ask(*streaming, chat).plan.no_key, NoKey::kStreaming);
}

TEST(RouteTableShareTest, ShadowPercentDoesNotApplyToWrites) {
  const auto table = table_of(R"(
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], writes: [p.S/Set]}
rules:
  - {name: r, capability: a, stage: shadow, reads: {shadow: {percent: 100}}}
)");
  Call write{"p.S", "Set", {}};
  EXPECT_FALSE(ask(*table, write).decision.shadow_possible);
  EXPECT_FALSE(ask(*table, write).decision.shadow.in_share);
  Call read{"p.S", "Get", {}};
  EXPECT_TRUE(ask(*table, read).decision.shadow_possible);
}

TEST(RouteTableShareTest, MarkedReadIsDecidedAsAnyOtherButNeverShadowed) {
  const auto table = table_with("{metadata: x-key}", "{canary: {percent: 50, by: key}, shadow: {percent: 100}}");
  for (int i = 0; i < 30; ++i) {
    Call call{"p.S", "Get", {{"x-key", std::to_string(i)}}};
    Call marked{"p.S", "Get", {{"x-key", std::to_string(i)}}, true};
    EXPECT_EQ(ask(*table, call).decision.side, ask(*table, marked).decision.side);
    EXPECT_FALSE(ask(*table, marked).decision.shadow_possible);
    EXPECT_TRUE(ask(*table, marked).plan.marked);
  }
}

TEST(RouteTableShareTest, SaltStandsInForTheCapabilitysName) {
  const auto table = table_of(R"(
identity: {tenant: [{metadata: x-tenant}]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], salt: pepper}
rules:
  - {name: r, capability: a, stage: canary, reads: {canary: {percent: 50, by: tenant}, shadow: {percent: 0}}}
)");
  Call call{"p.S", "Get", {{"x-tenant", "t"}}};
  EXPECT_EQ(ask(*table, call).decision.canary.bucket,
            bucket_of(digest_of(DigestKind::kTenant, "t"), share_seed_of("pepper", SharePurpose::kCanary)));
}

TEST(RouteTableShareTest, RuleAndCapabilityLimitsReachTheTable) {
  const auto table = table_of(R"(
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], key: {metadata: k}, key_limit: 1KiB, staleness: 2s}
  b: {legacy: old, new: fresh, reads: [p.S/List]}
rules:
  - {name: r, capability: a, stage: shadow, reads: {shadow: {percent: 5, deadline: 200ms, max_in_flight: 3, max_bytes: 64KiB}}}
  - {name: s, capability: b, stage: shadow, reads: {shadow: {percent: 5}}}
)");
  EXPECT_EQ(table->capabilities()[0].key_limit_bytes, 1024u);
  EXPECT_EQ(table->capabilities()[0].staleness, std::chrono::seconds(2));
  EXPECT_EQ(table->capabilities()[1].key_limit_bytes, kDefaultKeyLimitBytes);
  EXPECT_EQ(table->rules()[0].shadow_deadline, std::chrono::milliseconds(200));
  EXPECT_TRUE(table->rules()[0].shadow_deadline_given);
  EXPECT_EQ(table->rules()[0].shadow_max_in_flight, 3u);
  EXPECT_EQ(table->rules()[0].shadow_max_bytes, 65536u);
  EXPECT_FALSE(table->rules()[1].shadow_deadline_given);
  EXPECT_EQ(table->rules()[1].shadow_deadline, kDefaultShadowDeadline);
}

}  // namespace
}  // namespace ficus
