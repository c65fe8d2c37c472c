// What routing costs a call: plan() and decide() with ten capabilities and 100,000 tenants, in ns and in allocations.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "routing/key_scan.h"
#include "routing/policy_parse.h"
#include "routing/route_table.h"

namespace {
std::size_t allocations = 0;
}  // namespace

// Counted; not inlined, since g++ then takes malloc and delete for a mismatch.
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

constexpr int kCapabilities = 10;
constexpr int kTenants = 100'000;

std::string tenant_name(int number) { return "customer-" + std::to_string(number); }

// Each capability has a rule that names a tenth of the tenants, one for a group with all of them, and one by prefix.
Policy large_policy() {
  std::string text = R"(apiVersion: ficus/v1
name: bench
upstreams:
  old: {endpoints: ["127.0.0.1:1"]}
  fresh: {endpoints: ["127.0.0.1:2"]}
default_upstream: old
identity: {tenant: [{metadata: x-tenant-id}], consumer: [{metadata: x-consumer-id}]}
attributes: {product: [{metadata: x-product}]}
tenant_groups: {everyone: [nobody]}
capabilities:
)";
  for (int i = 0; i < kCapabilities; ++i) {
    const std::string n = std::to_string(i);
    text += "  c" + n + ": {legacy: old, new: fresh, service: bench.v1.Service" + n +
            ", reads: [Get, List, Search], writes: [Set], key: {metadata: x-key}}\n";
  }
  text += "rules:\n";
  for (int i = 0; i < kCapabilities; ++i) {
    const std::string n = std::to_string(i);
    text += "  - {name: named" + n + ", capability: c" + n +
            ", tenants: [nobody], stage: canary, reads: {canary: {percent: 5, by: tenant}, shadow: {percent: 10}}}\n";
    text += "  - {name: auto" + n + ", capability: c" + n +
            ", tenants: [\"group:everyone\"], match: {product: [auto]}, stage: shadow, reads: {shadow: {percent: 10, "
            "by: key}}}\n";
    text += "  - {name: group" + n + ", capability: c" + n +
            ", tenants: [\"group:everyone\"], stage: shadow, reads: {shadow: {percent: 10}}}\n";
    text += "  - {name: prefix" + n + ", capability: c" + n +
            ", tenants: [\"eu-*\", \"eu-west-*\"], stage: shadow, reads: {shadow: {percent: 10}}}\n";
  }
  text += "ownership_epoch: 1\n";
  auto parsed = parse_policy(text, "bench.yaml");
  if (!parsed) throw std::runtime_error(to_string(parsed.error().front()));
  Policy policy = std::move(parsed->policy);
  for (int i = 0; i < kTenants; ++i) {
    NamePattern name;
    name.text = tenant_name(i);
    policy.tenant_groups[0].members.push_back(name);
    policy.rules[static_cast<std::size_t>(i % kCapabilities) * 4].tenants.push_back(name);
  }
  return policy;
}

const RouteTable& large_table() {
  static const std::shared_ptr<const RouteTable> table = [] {
    const Policy policy = large_policy();
    return RouteTable::compile({policy, nullptr, {}, "", 1});
  }();
  return *table;
}

// Metadata as a usual client sends it, with the tenant among it.
struct BenchCall {
  std::string service, method, tenant;
  std::vector<MetadataEntry> metadata;
  RpcHead head() const { return {{service, method}, metadata, false}; }
};

std::vector<BenchCall> calls(const std::string& method, const char* fixed_tenant) {
  std::mt19937 random(1);
  std::vector<BenchCall> made(4096);
  for (BenchCall& call : made) {
    call.service = "bench.v1.Service" + std::to_string(random() % kCapabilities);
    call.method = method;
    call.tenant = fixed_tenant != nullptr ? fixed_tenant : tenant_name(static_cast<int>(random() % kTenants));
    call.metadata = {{"user-agent", "grpc-c++/1.51.1 grpc-c/29.0.0 (linux; chttp2)"},
                     {"grpc-accept-encoding", "identity, deflate, gzip"},
                     {"x-request-id", "0d5e2b8e-6a1c-4f42-9b0e-6a6b8a1f2c3d"},
                     {"x-tenant-id", call.tenant},
                     {"x-consumer-id", "web"},
                     {"x-product", "home"},
                     {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                     {"x-key", "P-0001234"}};
  }
  return made;
}

void run(benchmark::State& state, const std::vector<BenchCall>& made) {
  const RouteTable& table = large_table();
  std::size_t at = 0;
  const std::size_t before = allocations;
  for (auto _ : state) {
    const RpcHead head = made[at++ % made.size()].head();
    const Plan plan = table.plan(head);
    const RouteDecision decision = table.decide(plan, std::nullopt, at * 7919);
    benchmark::DoNotOptimize(decision.upstream);
  }
  state.counters["allocations/op"] =
      benchmark::Counter(static_cast<double>(allocations - before), benchmark::Counter::kAvgIterations);
}

void BM_ReadOfANamedTenant(benchmark::State& state) { run(state, calls("Get", nullptr)); }
BENCHMARK(BM_ReadOfANamedTenant);
void BM_ReadOfOneTenantAgainAndAgain(benchmark::State& state) { run(state, calls("Get", "customer-4711")); }
BENCHMARK(BM_ReadOfOneTenantAgainAndAgain);
void BM_ReadByPrefix(benchmark::State& state) { run(state, calls("List", "eu-west-4711")); }
BENCHMARK(BM_ReadByPrefix);
void BM_ReadOfAStranger(benchmark::State& state) { run(state, calls("Search", "stranger-1")); }
BENCHMARK(BM_ReadOfAStranger);
void BM_Write(benchmark::State& state) { run(state, calls("Set", nullptr)); }
BENCHMARK(BM_Write);
void BM_MethodInNoCapability(benchmark::State& state) { run(state, calls("Unheard", nullptr)); }
BENCHMARK(BM_MethodInNoCapability);

void BM_Compile(benchmark::State& state) {
  const Policy policy = large_policy();
  for (auto _ : state) benchmark::DoNotOptimize(RouteTable::compile({policy, nullptr, {}, "", 1}));
}
BENCHMARK(BM_Compile)->Unit(benchmark::kMillisecond);

void BM_KeyScan(benchmark::State& state) {
  // A key behind another field of 1 KiB.
  std::string message = "\x12\x80\x08" + std::string(1024, 'x');
  message += "\x0a\x09P-0001234";
  const KeyPath path{{1}, KeyLeaf::kBytes};
  for (auto _ : state) benchmark::DoNotOptimize(scan_key(message, path));
}
BENCHMARK(BM_KeyScan);

}  // namespace
}  // namespace ficus

BENCHMARK_MAIN();
