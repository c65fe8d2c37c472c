// What a RouteTable is made of; shared by the route_table*.cc files only. Immutable once compiled.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/caller_identity.h"
#include "routing/name_set.h"
#include "routing/name_table.h"
#include "routing/route_table.h"
#include "routing/tenant_index.h"

namespace ficus {

// Which calls of a tenant a rule takes. A rule without consumers and match takes all of them.
struct RuleNarrowing {
  bool by_consumer = false;
  NameSet consumers;
  std::vector<std::pair<std::size_t, NameSet>> attributes;  // index in CallerIdentity::attributes, accepted values

  bool takes(const CallerIdentity& who) const noexcept {
    if (by_consumer && !consumers.takes(who.consumer)) return false;
    for (const auto& [index, values] : attributes) {
      if (!values.takes(who.attributes[index])) return false;
    }
    return true;
  }
};

// Where a read's key comes from. POLICY 5, "Keys in requests".
struct KeySource {
  enum class Kind : std::uint8_t { kNone, kMetadata, kRequest } kind = Kind::kNone;
  std::string metadata;               // kMetadata
  std::optional<NoKey> unreadable;    // kRequest: why no request can yield one; absent: MethodEntry::key_path is set

  bool readable() const noexcept { return kind == Kind::kRequest && !unreadable; }
};

struct ServiceEntry {
  NameTable methods;              // short name -> index in methods_
  std::uint16_t star = kNoIndex;  // takes the methods that nobody named
  // New owns a write of this service for some tenant, so an unlisted method might be one too: it is refused.
  bool new_owns_a_write = false;
};

struct CompiledOverride {
  bool by_token = false;
  std::string token;   // secret
  NameSet consumers;
};

struct RouteTable::Impl {
  explicit Impl(const CompileInput& input)
      : policy(input.policy), catalog(input.catalog), hash(input.hash), generation(input.generation) {}

  Policy policy;  // the sets below borrow its texts
  std::shared_ptr<const MethodCatalog> catalog;
  std::string hash;
  std::uint64_t generation = 0;

  std::vector<UpstreamInfo> upstreams;
  std::uint16_t default_upstream = kNoIndex;
  std::vector<MethodEntry> methods;
  std::vector<KeySource> key_sources;          // of methods, same index
  std::vector<CapabilityInfo> capabilities;
  std::vector<std::optional<CompiledOverride>> overrides;  // of capabilities, same index
  std::vector<bool> writes_need_tenant;        // of capabilities: one without is refused
  std::vector<RuleInfo> rules;
  std::vector<RuleNarrowing> narrowings;       // of rules, same index

  NameTable service_names;
  std::vector<ServiceEntry> services;
  IdentityLists identity;
  TenantIndex tenants;
  std::vector<std::string> tenant_labels;
  NameTable tenant_label_numbers;

  class Compiler;  // route_table_compile.cc fills all of the above

  // ---- route_table_decide.cc ----
  struct MethodHit {
    std::uint16_t method = kNoIndex;
    bool refused_as_unlisted = false;
  };
  MethodHit find_method(const RpcPath& path) const noexcept;
  std::uint32_t find_rule(MethodKind kind, std::uint16_t capability, const CallerIdentity& who) const noexcept;
  void plan_pass_through(const RpcHead& head, Plan& plan) const;
  void plan_capability(const RpcHead& head, const GivenIdentity& given, Plan& plan) const;
  void plan_override(MetadataView metadata, Plan& plan) const;
  void plan_key(MetadataView metadata, Plan& plan) const;
  // `key` is null where there is none.
  void decide_canary(const Plan& plan, const StageFacts& facts, const KeyDigest* key,
                     RouteDecision& decision) const noexcept;
  void decide_shadow(const Plan& plan, const StageFacts& facts, const KeyDigest* key, std::uint64_t draw,
                     RouteDecision& decision) const noexcept;
  std::uint16_t upstream_of(std::uint16_t capability, Side side) const noexcept {
    const CapabilityInfo& info = capabilities[capability];
    return side == Side::kLegacy ? info.legacy_upstream : info.new_upstream;
  }
  // The facts of the plan's rule, or those of `off`.
  const StageFacts& facts_of(const Plan& plan) const noexcept;
};

}  // namespace ficus
