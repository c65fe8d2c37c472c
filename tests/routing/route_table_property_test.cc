// What holds for every policy and every call, whatever the numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <random>

#include "tests/routing/table_fixture.h"
#include "tests/support/random_policy.h"

namespace {
thread_local std::size_t allocations = 0;
}  // namespace

// Counts what plan() and decide() allocate. malloc may be a sanitizer's; that changes nothing here. Not inlined, since g++ then
// takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace ficus {
namespace {

using test::Call;
using test::table_of;

std::string share_policy(const std::string& percent, const std::string& by, const std::string& shadow = "0") {
  return R"(
identity: {tenant: [{metadata: x-tenant}], consumer: [{metadata: x-consumer}]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], key: {metadata: x-key}}
rules:
  - {name: r, capability: a, stage: canary, reads: {canary: {percent: )" +
         percent + ", by: " + by + "}, shadow: {percent: " + shadow + ", by: " + by + "}}}\n";
}

Call call_of(int i) {
  return {"p.S", "Get", {{"x-tenant", "t" + std::to_string(i)}, {"x-consumer", "c" + std::to_string(i)}, {"x-key", "k" + std::to_string(i)}}};
}

TEST(RouteTablePropertyTest, RaisingAShareNeverMovesAnyoneBack) {
  for (const std::string by : {"tenant", "consumer", "key"}) {
    std::vector<bool> was_new(400), was_shadowed(400);
    for (const std::string percent : {"0", "0.0001", "0.5", "1", "5", "5.0001", "20", "50", "99", "99.9999", "100"}) {
      const auto table = table_of(share_policy(percent, by, percent));
      for (int i = 0; i < 400; ++i) {
        Call call = call_of(i);
        const RouteDecision decision = table->decide(table->plan(call.head()), std::nullopt, static_cast<std::uint64_t>(i) * 7919);
        const auto at = static_cast<std::size_t>(i);
        EXPECT_TRUE(decision.side == Side::kNew || !was_new[at]) << by << " " << percent << " " << i;
        EXPECT_TRUE(decision.shadow.in_share || !was_shadowed[at]) << by << " " << percent << " " << i;
        was_new[at] = decision.side == Side::kNew;
        was_shadowed[at] = decision.shadow.in_share;
      }
    }
    EXPECT_EQ(std::count(was_new.begin(), was_new.end(), true), 400) << "100 percent takes every call";
  }
}

TEST(RouteTablePropertyTest, CanaryAndShadowPicksAreIndependent) {
  const auto table = table_of(share_policy("30", "key", "30"));
  int both = 0, canary = 0, shadow = 0;
  constexpr int kCalls = 20'000;
  for (int i = 0; i < kCalls; ++i) {
    Call call = call_of(i);
    const RouteDecision decision = table->decide(table->plan(call.head()), std::nullopt, 0);
    canary += decision.canary.in_share;
    shadow += decision.shadow.in_share;
    both += decision.canary.in_share && decision.shadow.in_share;
  }
  const auto near = [](int got, double p) { EXPECT_NEAR(got, kCalls * p, 5 * std::sqrt(kCalls * p * (1 - p))); };
  near(canary, 0.3);
  near(shadow, 0.3);
  near(both, 0.09);
}

TEST(RouteTablePropertyTest, EqualArgumentsGiveEqualAnswers) {
  std::mt19937_64 random(5);
  test::RandomPolicyOptions options;
  options.checkable = true;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Policy policy = test::random_policy(seed, options);
    const auto first = table_of(policy);
    const auto second = table_of(policy);
    for (int i = 0; i < 20; ++i) {
      const CapabilitySpec& spec = policy.capabilities[random() % policy.capabilities.size()];
      const MethodRef& method = spec.reads.empty() ? spec.writes[0] : spec.reads[0];
      Call call{method.service, method.method, {{"x-tenant-id", "t" + std::to_string(random() % 40)}, {"x-key", std::to_string(random() % 9)}}};
      const std::uint64_t draw = random();
      const auto answer = [&](const RouteTable& table) {
        const Plan plan = table.plan(call.head());
        const RouteDecision decision = table.decide(plan, std::nullopt, draw);
        return test::describe(table, plan, decision) + (decision.shadow.in_share ? " shadowed" : "") +
               std::to_string(decision.canary.bucket.value_or(0)) + std::to_string(decision.shadow.bucket.value_or(0));
      };
      const std::string once = answer(*first);
      EXPECT_EQ(answer(*first), once);
      EXPECT_EQ(answer(*second), once);
    }
  }
}

// Nothing a call carries beyond what the policy reads may change where it goes.
TEST(RouteTablePropertyTest, MetadataThatThePolicyDoesNotNameChangesNothing) {
  const auto table = table_of(share_policy("50", "key", "50"));
  for (int i = 0; i < 200; ++i) {
    Call plain = call_of(i);
    Call more = plain;
    more.metadata.insert(more.metadata.begin(), {"x-tenant2", "other"});
    more.metadata.emplace_back("x-tenan", "other");
    more.metadata.emplace_back("x-key-bin", "other");
    const RouteDecision a = table->decide(table->plan(plain.head()), std::nullopt, 0);
    const RouteDecision b = table->decide(table->plan(more.head()), std::nullopt, 0);
    EXPECT_EQ(a.side, b.side);
    EXPECT_EQ(a.canary.bucket, b.canary.bucket);
    EXPECT_EQ(a.shadow.bucket, b.shadow.bucket);
  }
}

// 100,000 tenants, each named, in a group, or by prefix: a lookup finds the right rule, and neither plan() nor decide()
// allocates unless it refuses.
TEST(RouteTablePropertyTest, ACertificatesNamesAreConsultedWithoutAllocation) {
  const auto table = table_of(R"(
identity:
  tenant: [{peer_san: "spiffe://corp/tenant/*"}, {peer_san: "*.tenants.corp"}, {metadata: x-tenant}]
  consumer: [{peer_san: "*@clients.corp"}, {metadata: x-consumer}]
attributes: {product: [{peer_san: "spiffe://corp/product/*"}, {metadata: x-product}]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], writes: [p.S/Set], overrides: {metadata: x-side, consumers: ["qa-*"]}}
rules:
  - {name: r, capability: a, tenants: ["a tenant whose name is too long for any small string"], stage: canary,
     reads: {canary: {percent: 5, by: tenant}, shadow: {percent: 5, by: consumer}}}
)");
  const std::string tenant = "a tenant whose name is too long for any small string";
  Call call{"p.S", "Get", {{"x-tenant", tenant}, {"x-side", "new"}}, false,
            {"web.corp", "spiffe://corp/tenant/" + tenant, "qa-1@clients.corp", "spiffe://corp/product/auto"}};
  const RpcHead head = call.head();
  const std::size_t before = allocations;
  const Plan plan = table->plan(head);
  const RouteDecision decision = table->decide(plan, std::nullopt, 42);
  EXPECT_EQ(allocations, before);
  EXPECT_TRUE(plan.who.tenant_verified);
  EXPECT_EQ(plan.who.tenant, tenant);
  EXPECT_EQ(decision.side, Side::kNew);
  EXPECT_TRUE(decision.forced);
}

TEST(RouteTablePropertyTest, LookupsAreRightAndFreeOfAllocationAmongHundredThousandTenants) {
  Policy policy = test::parse_or_die(test::policy_text(R"(
identity: {tenant: [{metadata: x-tenant}], consumer: [{metadata: x-consumer}]}
attributes: {product: [{metadata: x-product}]}
capabilities:
  a: {legacy: old, new: fresh, reads: [p.S/Get], writes: [p.S/Set], key: {metadata: x-key}}
rules:
  - {name: even, capability: a, tenants: [seed], stage: live, reads: {shadow: {percent: 5}}}
  - {name: odd, capability: a, tenants: [seed2], stage: canary, reads: {canary: {percent: 5, by: key}, shadow: {percent: 5, by: tenant}}}
  - {name: eu, capability: a, tenants: ["eu-*", "eu-west-*"], match: {product: [auto]}, stage: shadow, reads: {shadow: {percent: 5, by: key}}}
)"));
  for (int i = 0; i < 100'000; ++i) {
    NamePattern name;
    name.text = "tenant-" + std::to_string(i);
    policy.rules[static_cast<std::size_t>(i % 2)].tenants.push_back(name);
  }
  const auto table = table_of(policy);
  for (int i = 0; i < 100'000; i += 37) {
    Call call{"p.S", "Get", {{"x-tenant", "tenant-" + std::to_string(i)}, {"x-key", "k"}, {"x-product", "auto"}}};
    const RpcHead head = call.head();
    const std::size_t before = allocations;
    const Plan plan = table->plan(head);
    const RouteDecision decision = table->decide(plan, std::nullopt, 42);
    ASSERT_EQ(allocations, before);
    ASSERT_EQ(plan.rule, static_cast<std::uint32_t>(i % 2));
    ASSERT_TRUE(decision.side);
  }
  for (const char* tenant : {"eu-1", "eu-west-1", "stranger", "tenant-100000", ""}) {
    for (const char* method : {"Get", "Set", "Other"}) {
      Call call{"p.S", method, {{"x-product", "auto"}, {"x-key", "k"}}};
      if (*tenant != '\0') call.metadata.emplace_back("x-tenant", tenant);
      const RpcHead head = call.head();
      const std::size_t before = allocations;
      const Plan plan = table->plan(head);
      const RouteDecision decision = table->decide(plan, std::nullopt, 42);
      if (!decision.refusal) {
        EXPECT_EQ(allocations, before) << tenant << " " << method;
      }
      const bool eu = std::string_view(tenant).starts_with("eu-") && std::string_view(method) == "Get";
      if (plan.kind == PlanKind::kRead) {
        EXPECT_EQ(plan.rule, eu ? 2u : kNoRule) << tenant;
      }
    }
  }
}

}  // namespace
}  // namespace ficus
