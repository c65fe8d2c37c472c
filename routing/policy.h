// A policy as written: plain structs, each value with the place it stands at. POLICY.md is the language.
// Produced by policy_parse.h, judged by policy_check.h, compiled by route_table.h. Pure values; copy freely.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/diagnostic.h"
#include "routing/field_path.h"
#include "routing/vocabulary.h"

namespace ficus {

// A value and where it stands. Equality is of the value alone, so that printing then parsing gives back an equal
// policy although it was laid out otherwise.
template <class T>
struct At {
  T value{};
  Mark mark;
  bool operator==(const At& that) const { return value == that.value; }
};
using Text = At<std::string>;

// A civil date, UTC. `until` names the last good day.
using Date = std::chrono::year_month_day;

struct MarkedBase {
  Mark mark;  // where the mapping (or the item) begins
  bool operator==(const MarkedBase&) const { return true; }
};

// ---- upstreams ----
struct EndpointSpec : MarkedBase {
  std::string host;  // a name, an IPv4 or (without brackets) an IPv6 address
  std::uint16_t port = 0;
  bool operator==(const EndpointSpec&) const = default;
};

struct MetadataSet : MarkedBase {
  std::string name;    // lower case
  std::string value;   // as written; when `from_file`, the file's name, without "file:"
  bool from_file = false;
  bool operator==(const MetadataSet&) const = default;
};

// Files are named as `file:` secrets are: relative to the policy, at or below its directory.
struct UpstreamTlsSpec : MarkedBase {
  std::optional<Text> ca_file;               // absent: the system's roots
  std::optional<Text> cert_file, key_file;   // what we show the upstream; both or neither
  std::optional<Text> server_name;           // what its certificate must be for; absent: the endpoint's host
  bool operator==(const UpstreamTlsSpec&) const = default;
};

struct HealthCheckSpec : MarkedBase {
  std::optional<Text> service;  // of grpc.health.v1.HealthCheckRequest; may be empty: the whole server (the default)
  std::optional<At<std::chrono::milliseconds>> interval, timeout;
  std::optional<At<std::uint32_t>> healthy, unhealthy;  // checks in a row
  bool operator==(const HealthCheckSpec&) const = default;
};

struct OutlierSpec : MarkedBase {
  std::optional<At<std::uint32_t>> consecutive;
  std::vector<At<GrpcCode>> on;  // empty: the default
  std::optional<At<std::chrono::milliseconds>> eject;
  std::optional<At<std::uint32_t>> max_percent;
  bool operator==(const OutlierSpec&) const = default;
};

struct KeepaliveSpec : MarkedBase {
  std::optional<At<std::chrono::milliseconds>> interval, timeout;
  std::optional<At<bool>> idle;
  bool operator==(const KeepaliveSpec&) const = default;
};
// gRPC servers count PINGs without data between them (C++ and Go: more than one in five minutes) and answer too many
// with GOAWAY ENHANCE_YOUR_CALM; ten seconds is what the gRPC clients themselves keep to.
// Source: gRPC proposal A8, "Client-side Keepalive".
inline constexpr std::chrono::milliseconds kLeastKeepalive{10'000};

// Defaults stand at UpstreamSettings (route_table.h), where the facade reads them.
struct UpstreamSpec : MarkedBase {
  Text name;
  std::vector<EndpointSpec> endpoints;
  std::optional<UpstreamTlsSpec> tls;  // absent: cleartext HTTP/2
  std::optional<At<std::chrono::milliseconds>> connect_timeout;        // default 2 s
  std::optional<At<std::uint32_t>> max_concurrent_requests;            // default 1024, of the whole facade
  std::optional<At<std::uint32_t>> max_pending, max_connections;
  std::optional<At<Balance>> balance;
  std::optional<HealthCheckSpec> health_check;
  std::optional<OutlierSpec> outlier;
  std::optional<At<std::chrono::milliseconds>> slow_start, idle_timeout;
  std::optional<KeepaliveSpec> keepalive;
  std::optional<Text> authority;
  std::optional<At<bool>> forward_peer;
  std::vector<MetadataSet> metadata_set;
  std::vector<Text> metadata_remove;
  bool operator==(const UpstreamSpec&) const = default;
};
inline constexpr std::chrono::milliseconds kDefaultConnectTimeout{2000};
inline constexpr std::uint32_t kDefaultMaxConcurrentRequests = 1024;

// ---- identity ----
struct IdentitySource : MarkedBase {
  std::string metadata{};  // the metadata's name; exactly one of the two is not empty
  std::string peer_san{};  // a pattern of a SAN of the client's verified certificate, with one '*' (peer_san.h)
  bool verified() const { return !peer_san.empty(); }
  bool operator==(const IdentitySource&) const = default;
};

struct IdentitySpec : MarkedBase {
  std::vector<IdentitySource> tenant;    // empty: not given
  std::vector<IdentitySource> consumer;
  bool trust_metadata = false;
  bool operator==(const IdentitySpec&) const = default;
};

struct AttributeSpec : MarkedBase {
  Text name;
  std::vector<IdentitySource> sources;
  bool operator==(const AttributeSpec&) const = default;
};

// One entry of `tenants`, `consumers`, a group or a `match` list.
struct NamePattern : MarkedBase {
  enum class Kind : std::uint8_t { kName, kPrefix, kGroup, kAny, kNone } kind = Kind::kName;
  std::string text;  // the name, the prefix without '*', the group's name; empty for kAny and kNone
  bool operator==(const NamePattern&) const = default;
};

struct TenantGroup : MarkedBase {
  Text name;
  std::vector<NamePattern> members;  // names and prefixes only
  bool operator==(const TenantGroup&) const = default;
};

// ---- capabilities ----
struct KeySpec : MarkedBase {
  std::optional<Text> request_field;  // exactly one of the two
  std::optional<Text> metadata;
  struct PerMethod : MarkedBase {
    Text method;                      // short name
    std::optional<Text> request_field;  // absent: `none`
    bool operator==(const PerMethod&) const = default;
  };
  std::vector<PerMethod> methods;
  bool operator==(const KeySpec&) const = default;
};

struct PathRule : MarkedBase {
  PathPattern path;
  std::string reason;            // `ignore` only; required there
  std::optional<At<Date>> until;
  std::optional<Text> contact;
  bool operator==(const PathRule&) const = default;
};

// Entries of a repeated field belong together where this field of theirs is the same.
struct KeyedRule : PathRule {
  Text by;  // one field name
  bool operator==(const KeyedRule&) const = default;
};

// How far apart two values may be: exactly one of the three.
struct ToleranceRule : PathRule {
  std::optional<At<double>> absolute;                   // of numbers; above 0
  std::optional<At<double>> relative;                   // of the larger of the two; above 0, below 1
  std::optional<At<std::chrono::milliseconds>> window;  // of google.protobuf.Timestamp and Duration
  bool operator==(const ToleranceRule&) const = default;
};
inline constexpr double kLargestAbsoluteTolerance = 1e15;
inline constexpr std::chrono::hours kLongestToleranceWindow{24 * 7};

// How much slower than legacy new may answer; where both are given, both must be exceeded.
struct LatencyRule : MarkedBase {
  std::optional<At<std::chrono::milliseconds>> absolute;
  std::optional<At<double>> relative;  // of legacy's latency: 0.5 is half as long again; above 0
  bool operator==(const LatencyRule&) const = default;
};

// What may be said of a capability, and of one of its methods.
struct CompareRules : MarkedBase {
  std::vector<PathRule> ignore;
  std::vector<PathRule> unordered;
  std::vector<KeyedRule> keyed;
  std::vector<ToleranceRule> tolerance;
  std::vector<PathRule> critical, major, minor;  // severity
  std::vector<PathRule> plain, redact;
  std::vector<Text> metadata;  // of responses: names, lower case; compared beside the messages
  std::optional<LatencyRule> latency;
  bool operator==(const CompareRules&) const = default;

  // Calls `each` with every list of paths and its place below `compare` ("severity.critical").
  template <class Each>
  void each_list(Each&& each) const {
    each("ignore", ignore);
    each("unordered", unordered);
    each("keyed", keyed);
    each("tolerance", tolerance);
    each("severity.critical", critical);
    each("severity.major", major);
    each("severity.minor", minor);
    each("plain", plain);
    each("redact", redact);
  }
};

struct CompareSpec : CompareRules {
  bool values_plain = false;           // values: plain
  bool absent_equals_default = true;
  // Rules of one method, in addition; its latency stands instead of the capability's.
  struct PerMethod : CompareRules {
    Text method;  // short name
    bool operator==(const PerMethod&) const = default;
  };
  std::vector<PerMethod> methods;
  bool operator==(const CompareSpec&) const = default;

  // Null: the method has no rules of its own. `method`: short name.
  const PerMethod* of_method(std::string_view method) const noexcept {
    for (const PerMethod& one : methods) {
      if (one.method.value == method) return &one;
    }
    return nullptr;
  }
  // The method's own, else the capability's; null: none.
  const LatencyRule* latency_of(std::string_view method) const noexcept {
    const PerMethod* own = of_method(method);
    if (own != nullptr && own->latency) return &*own->latency;
    return latency ? &*latency : nullptr;
  }
};

// A method as a capability names it: service resolved, `*` kept.
struct MethodRef : MarkedBase {
  std::string service;
  std::string method;  // "*" for the star
  bool star() const { return method == "*"; }
  bool operator==(const MethodRef&) const = default;
};

struct OverrideSpec : MarkedBase {
  Text metadata;
  std::vector<NamePattern> consumers;     // names and prefixes only; exactly one of consumers, token_file
  std::optional<Text> token_file;         // relative file name, without "file:"
  std::optional<At<Date>> until;
  std::optional<Text> contact;
  bool operator==(const OverrideSpec&) const = default;
};

struct CapabilitySpec : MarkedBase {
  Text name;
  std::optional<Text> data;   // absent: shared with nobody
  Text legacy, new_;          // upstream names
  std::optional<Text> service;
  std::vector<MethodRef> reads, writes;
  std::optional<KeySpec> key;
  std::optional<At<std::uint64_t>> key_limit_bytes;          // default 64 KiB
  std::optional<Text> salt;                                  // default: the name
  std::optional<At<std::chrono::milliseconds>> staleness;
  std::optional<At<bool>> reverse_replication_external;      // absent or false: none
  std::optional<CompareSpec> compare;
  std::optional<OverrideSpec> overrides;
  bool operator==(const CapabilitySpec&) const = default;
};
inline constexpr std::uint64_t kDefaultKeyLimitBytes = 64 * 1024;

// ---- rules ----
struct AttributeMatch : MarkedBase {
  Text attribute;
  std::vector<NamePattern> values;  // names, prefixes, kAny
  bool operator==(const AttributeMatch&) const = default;
};

struct CanarySpec : MarkedBase {
  At<Percent> percent;
  std::optional<At<ShareBy>> by;
  bool operator==(const CanarySpec&) const = default;
};

struct ShadowSpec : MarkedBase {
  At<Percent> percent;
  std::optional<At<ShareBy>> by;                              // default request
  std::optional<At<std::chrono::milliseconds>> deadline;      // default: what remains, at most 5 s
  std::optional<At<std::uint32_t>> max_in_flight;             // default 128, of the whole facade
  std::optional<At<std::uint64_t>> max_bytes;                 // default 1 MiB: request + both answers' capture, a call
  bool operator==(const ShadowSpec&) const = default;
};
inline constexpr std::chrono::milliseconds kDefaultShadowDeadline{5000};
inline constexpr std::uint32_t kDefaultShadowMaxInFlight = 128;
inline constexpr std::uint64_t kDefaultShadowMaxBytes = 1024 * 1024;

// reads.retry: a read that the serving side answers with one of these codes is asked again, there.
struct RetrySpec : MarkedBase {
  std::vector<At<GrpcCode>> on;                   // UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED
  std::optional<At<Percent>> budget_percent;      // above 0
  std::optional<At<std::uint32_t>> attempts;      // the first one included
  bool operator==(const RetrySpec&) const = default;
};

// reads.fallback: legacy is asked where new serves and answers one of these codes. POLICY 4.
struct FallbackSpec : MarkedBase {
  std::vector<At<GrpcCode>> on;
  std::optional<At<Date>> until;
  std::optional<Text> contact;
  bool operator==(const FallbackSpec&) const = default;
};

struct RuleSpec : MarkedBase {
  Text name;
  Text capability;
  std::vector<NamePattern> tenants;     // empty: every call
  std::vector<NamePattern> consumers;   // empty: every call
  std::vector<AttributeMatch> match;
  At<Stage> stage;
  std::optional<At<Side>> reads_serve;
  std::optional<CanarySpec> canary;
  std::optional<ShadowSpec> shadow;
  std::optional<RetrySpec> retry;
  std::optional<FallbackSpec> fallback;
  std::optional<At<Side>> writes_owner;
  std::optional<At<Date>> until;
  std::optional<Text> contact;
  // A rule with consumers or match is skipped for writes. POLICY 8.
  bool narrowed() const { return !consumers.empty() || !match.empty(); }
  bool operator==(const RuleSpec&) const = default;
};

struct UnmanagedSpec : MarkedBase {
  MethodRef method;
  std::string reason;
  std::optional<At<Date>> until;
  std::optional<Text> contact;
  bool operator==(const UnmanagedSpec&) const = default;
};

// ---- tests ----
struct PolicyTest : MarkedBase {
  Text name;
  MethodRef method;
  std::optional<Text> tenant, consumer, key;
  std::vector<std::pair<std::string, std::string>> metadata;
  struct Expect : MarkedBase {
    std::optional<At<Side>> owner;
    std::optional<Text> rule;              // a name, or "none"
    enum class Serve : std::uint8_t { kLegacy, kNew, kAny };
    std::optional<At<Serve>> serve;
    std::optional<At<Percent>> new_share;
    std::optional<At<Percent>> shadow;     // `none` reads as 0
    std::optional<At<GrpcCode>> refused;
    bool operator==(const Expect&) const = default;
  } expect;
  bool operator==(const PolicyTest&) const = default;
};

struct Policy {
  std::string file;  // as the user named it; not part of equality's meaning but compared: tests set it alike
  Text name;
  std::vector<UpstreamSpec> upstreams;
  std::optional<Text> default_upstream;
  std::vector<Text> schemas;            // relative file names
  std::vector<Text> schema_reflection;  // upstreams that are asked for the schemas of their services
  IdentitySpec identity;
  std::vector<AttributeSpec> attributes;
  std::vector<TenantGroup> tenant_groups;
  std::vector<CapabilitySpec> capabilities;
  std::vector<UnmanagedSpec> unmanaged;
  std::vector<RuleSpec> rules;
  std::vector<PolicyTest> tests;
  At<std::uint64_t> ownership_epoch;
  bool operator==(const Policy&) const = default;
};

// The five facts a stage expands to for one rule. POLICY 4. `nullptr` asks for the facts of a call without a rule.
struct StageFacts {
  Percent new_share;
  std::optional<ShareBy> new_share_by;  // set where 0 < new_share < 100
  Percent shadow;
  ShareBy shadow_by = ShareBy::kRequest;
  GrpcCodeSet fallback;  // where new serves and answers one of these, legacy is asked; empty: reads.fallback is none
  Side owner = Side::kLegacy;
  // writes.repeat is not built yet and always none.
  bool operator==(const StageFacts&) const = default;
};
StageFacts stage_facts(const RuleSpec* rule);

// Every file a policy names (schemas, file: secrets, override tokens, certificates and keys), relative to the policy,
// without duplicates.
std::vector<std::string> files_named(const Policy& policy);

}  // namespace ficus
