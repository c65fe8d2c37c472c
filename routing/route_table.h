// The compiled, immutable form of a policy: answers where each call goes. One is published to all workers at a time;
// a call keeps the one it began with. Any number of threads may read it.
// Invariants: made only of a policy that check_policy() found without errors; lookups do not grow with the number of
// tenants (hash of the name, then of each distinct prefix length, then the few rules left).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/decision.h"
#include "routing/method_catalog.h"
#include "routing/owner_table.h"
#include "routing/policy.h"

namespace ficus {

struct UpstreamInfo {
  std::string name;
  std::vector<EndpointSpec> endpoints;
  std::chrono::milliseconds connect_timeout{kDefaultConnectTimeout};
  std::uint32_t max_concurrent_requests = kDefaultMaxConcurrentRequests;
  std::vector<std::pair<std::string, std::string>> metadata_set;  // secrets resolved: never log
  std::vector<std::string> metadata_remove;                       // names
};

// A star under `writes` is one entry; one under `reads` stands as the methods it takes, an entry each.
struct MethodEntry {
  std::string service, method;     // method "*" for a star
  std::uint16_t capability = kNoIndex;  // kNoIndex: unmanaged
  MethodKind kind = MethodKind::kRead;
  bool client_streaming = false;   // false where no schema says
  bool server_streaming = false;
  std::optional<KeyPath> key_path; // where a key can be read from the request
};

struct CapabilityInfo {
  std::string name;
  std::uint16_t legacy_upstream = kNoIndex, new_upstream = kNoIndex;
  ShareSeed canary_seed, shadow_seed;
  std::uint64_t key_limit_bytes = kDefaultKeyLimitBytes;
  std::optional<std::chrono::milliseconds> staleness;
  CompareSpec compare;
  std::string override_metadata;   // empty: none. Always removed before forwarding
};

struct RuleInfo {
  std::string name;
  std::uint32_t line = 0;
  std::uint16_t capability = kNoIndex;
  Stage stage = Stage::kOff;
  StageFacts facts;
  std::chrono::milliseconds shadow_deadline{kDefaultShadowDeadline};
  bool shadow_deadline_given = false;
  std::uint32_t shadow_max_in_flight = kDefaultShadowMaxInFlight;
  std::uint64_t shadow_max_bytes = kDefaultShadowMaxBytes;
};

// Contents of the files a policy names (files_named()), by the name written there.
using NamedFiles = std::map<std::string, std::string, std::less<>>;

struct CompileInput {
  const Policy& policy;                           // without errors
  std::shared_ptr<const MethodCatalog> catalog;   // null: no schemas
  const NamedFiles& files;                        // secrets: one trailing newline is taken off
  std::string hash;                               // hex SHA-256 of the policy file and every file it names
  std::uint64_t generation = 0;
};

// One step of `explain`: a rule above the one that matched (or any rule of the capability), and why it did not.
struct RuleMiss {
  std::uint32_t rule = kNoRule;
  std::string why;  // "tenant acme is not in [globex, initech]"
};

class RouteTable {
 public:
  // Never null. Precondition: check_policy() has no error for the policy. Any thread; milliseconds for 100,000 tenants.
  // Throws std::length_error beyond 65,534 upstreams, capabilities or methods, and std::invalid_argument for a rule of
  // an unknown capability: better no table than one that routes by a part of the policy.
  static std::shared_ptr<const RouteTable> compile(const CompileInput& input);
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // What is known of one RPC at its headers: identity, the rule, and whether the key in the first message is needed to
  // decide. No match is an answer too (the default upstream, or a refusal). POLICY 2, 3, 8. No allocation unless
  // refused.
  Plan plan(const RpcHead& head) const;
  // The same with tenant and consumer given, "as verified" (policy tests, `explain`): a given one stands for what its
  // list yields, so that list is not consulted; an absent one is sought in the head's metadata as in a call.
  Plan plan(const RpcHead& head, std::optional<std::string_view> tenant, std::optional<std::string_view> consumer) const;

  // Where the RPC goes. Total and deterministic: equal arguments give equal answers, so the call's own random number
  // is an argument (`draw`). Nobody flips sides while a share only grows. `key` is absent where no key was found
  // (or none was needed). No allocation unless refused.
  RouteDecision decide(const Plan& plan, std::optional<KeyDigest> key, std::uint64_t draw) const;

  // Settles a shadow share that is counted by key, once the captured request gave its key (absent: falls back to the
  // draw). Precondition: decision.shadow_needs_key.
  ShareOutcome shadow_share(const Plan& plan, const RouteDecision& decision, std::optional<KeyDigest> key,
                            std::uint64_t draw) const noexcept;

  // Why each rule of the plan's capability above its rule did not take the call. For `explain`; slow.
  std::vector<RuleMiss> explain_misses(const Plan& plan) const;

  const std::string& name() const;
  const std::string& hash() const;
  std::uint64_t generation() const;
  const Policy& policy() const;  // as parsed; for owner diffs and /policy
  const std::shared_ptr<const MethodCatalog>& catalog() const;
  const std::vector<UpstreamInfo>& upstreams() const;
  std::uint16_t default_upstream() const;  // kNoIndex: none
  const std::vector<MethodEntry>& methods() const;
  const std::vector<CapabilityInfo>& capabilities() const;
  const std::vector<RuleInfo>& rules() const;

  // Tenants that metrics may name: those written out in the policy (rules, groups), in order of first mention, at most
  // kMaxTenantLabels; everything else is `other`.
  static constexpr std::size_t kMaxTenantLabels = 200;
  const std::vector<std::string>& tenant_labels() const;
  // Index into tenant_labels(), or kNoIndex. By hash.
  std::uint16_t tenant_label(std::string_view tenant) const noexcept;
  // Owner of the capability's writes for one tenant (nullopt: a call without one). For the write-owner metric.
  Side write_owner(std::uint16_t capability, std::optional<std::string_view> tenant) const;

 private:
  struct Impl;
  explicit RouteTable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
