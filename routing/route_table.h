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

// What `upstreams.NAME.tls` says. Contents are PEM as read, resolved from the files; a name is empty where the policy
// names no such file. Names are for messages, contents never: `key_pem` is a secret.
struct UpstreamTls {
  std::string ca_file, ca_pem;      // no file: the system's roots
  std::string cert_file, cert_pem;  // a chain, the leaf first; no file: we show no certificate
  std::string key_file, key_pem;    // given exactly where cert_file is
  std::string server_name;  // a DNS name (sent as SNI and checked) or an address (checked); empty: the endpoint's host
  bool operator==(const UpstreamTls&) const = default;
};

// Active checks by grpc.health.v1, endpoint by endpoint.
struct HealthCheckSettings {
  std::string service;                        // empty: the whole server
  std::chrono::milliseconds interval{5'000};  // from one check to the next
  std::chrono::milliseconds timeout{1'000};   // of one check; beyond it, it has failed. Never above `interval`
  std::uint32_t healthy = 2;                  // good checks in a row that bring an endpoint back
  std::uint32_t unhealthy = 3;                // failed checks in a row that take it out
  bool operator==(const HealthCheckSettings&) const = default;
};

// Passive ejection by what calls meet.
struct OutlierSettings {
  std::uint32_t consecutive = 5;               // failures of an endpoint in a row that eject it
  GrpcCodeSet on{GrpcCode::kUnavailable};      // grpc-status that counts as a failure; a failed connection always does
  std::chrono::milliseconds eject{30'000};     // how long an endpoint stays away
  std::uint32_t max_percent = 50;              // of the upstream's endpoints that may be ejected at a time, 1..100
  bool operator==(const OutlierSettings&) const = default;
};

// PINGs on our connections to the upstream.
struct KeepaliveSettings {
  std::chrono::milliseconds interval{30'000};  // of silence from the upstream, then a PING; at least kLeastKeepalive
  std::chrono::milliseconds timeout{20'000};   // for its answer, then the connection is given up
  bool idle = false;                           // also while no call is in flight
  bool operator==(const KeepaliveSettings&) const = default;
};
// How the calls to one upstream are spread and bounded. Limits are of the whole facade, split evenly over its workers
// (rounded up), and hold apart for primary and shadow calls.
struct UpstreamSettings {
  Balance balance = Balance::kLeastRequest;
  std::optional<HealthCheckSettings> health_check;  // absent: no checks
  std::optional<OutlierSettings> outlier;           // absent: nothing is ejected
  std::optional<std::chrono::milliseconds>
      slow_start;                              // in which a new endpoint comes to its whole share; absent: none
  std::uint32_t max_pending = 1024;            // calls that wait for a connection
  std::uint32_t max_connections = 32;          // to one endpoint (host and port)
  std::optional<KeepaliveSettings> keepalive;  // absent: no PINGs
  std::optional<std::chrono::milliseconds> idle_timeout;  // a connection without calls is closed; absent: never
  std::string authority;                                  // sent as `:authority`; empty: what the client sent
  bool forward_peer = false;  // sends x-forwarded-client-cert of the verified peer (a client's own never passes)
  bool operator==(const UpstreamSettings&) const = default;
};

struct UpstreamInfo {
  std::string name;
  std::vector<EndpointSpec> endpoints;
  std::chrono::milliseconds connect_timeout{kDefaultConnectTimeout};
  std::uint32_t max_concurrent_requests = kDefaultMaxConcurrentRequests;
  std::optional<UpstreamTls> tls;  // absent: cleartext HTTP/2, never fallen back to
  UpstreamSettings settings;
  std::vector<std::pair<std::string, std::string>> metadata_set;  // secrets resolved: never log
  std::vector<std::string> metadata_remove;                       // names
};

// A star under `writes` is one entry; one under `reads` stands as the methods it takes, an entry each.
struct MethodEntry {
  std::string service, method;          // method "*" for a star
  std::uint16_t capability = kNoIndex;  // kNoIndex: unmanaged
  MethodKind kind = MethodKind::kRead;
  bool client_streaming = false;  // false where no schema says
  bool server_streaming = false;
  bool one_request = false;         // a schema says that exactly one message is asked with
  std::optional<KeyPath> key_path;  // where a key can be read from the request
};

struct CapabilityInfo {
  std::string name;
  std::uint16_t legacy_upstream = kNoIndex, new_upstream = kNoIndex;
  ShareSeed canary_seed, shadow_seed;
  std::uint64_t key_limit_bytes = kDefaultKeyLimitBytes;
  std::optional<std::chrono::milliseconds> staleness;
  CompareSpec compare;
  std::vector<std::string> compared_metadata;  // names that `compare` or one of its methods' rules lists, each once
  std::string override_metadata;  // empty: none. Always removed before forwarding
};

// `reads.retry` of a rule. Only reads: a write is never tried again once a byte may have arrived.
struct RetrySettings {
  GrpcCodeSet on;              // never empty
  std::uint32_t attempts = 2;  // in all, the first one included; 2..5
  Percent budget{200'000};     // retries, as a share of the rule's calls of late; above 0
  bool operator==(const RetrySettings&) const = default;
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
  std::optional<RetrySettings> retry;  // absent: only what never reached an upstream is tried again
  // Whether a read under this rule may be asked again after an answer.
  bool repeats() const noexcept { return retry.has_value() || !facts.fallback.empty(); }
};

// Contents of the files a policy names (files_named()), by the name written there.
using NamedFiles = std::map<std::string, std::string, std::less<>>;

// The spec with its files' contents; of a file that is not there, none.
UpstreamTls tls_of(const UpstreamTlsSpec& spec, const NamedFiles& files);

struct CompileInput {
  const Policy& policy;                          // without errors
  std::shared_ptr<const MethodCatalog> catalog;  // null: no schemas
  const NamedFiles& files;                       // secrets: one trailing newline is taken off
  std::string hash;                              // hex SHA-256 of the policy file and every file it names
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
  Plan plan(const RpcHead& head, std::optional<std::string_view> tenant,
            std::optional<std::string_view> consumer) const;

  // Where the RPC goes. Total and deterministic: equal arguments give equal answers, so the call's own random number
  // is an argument (`draw`). Nobody flips sides while a share only grows. `key` is absent where no key was found
  // (or none was needed). No allocation unless refused.
  RouteDecision decide(const Plan& plan, std::optional<KeyDigest> key, std::uint64_t draw) const;

  // Settles a shadow share that is counted by key, once the captured request gave its key (absent: falls back to the
  // draw). `capability` is the plan's. Precondition: decision.shadow_needs_key.
  ShareOutcome shadow_share(std::uint16_t capability, const RouteDecision& decision, std::optional<KeyDigest> key,
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
  // A write of it without a tenant is refused, since who owns it depends on the tenant: then write_owner() of none is
  // nobody's business.
  bool write_needs_tenant(std::uint16_t capability) const;

 private:
  struct Impl;
  explicit RouteTable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
