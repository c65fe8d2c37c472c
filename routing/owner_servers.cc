#include "routing/owner_servers.h"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "routing/diagnostic_codes.h"
#include "routing/servers.h"
#include "routing/spelling.h"
#include "routing/tenant_classes.h"

namespace ficus {
namespace {

using MethodName = std::pair<std::string_view, std::string_view>;  // service, method or "*"

constexpr std::array<Side, 2> kSides = {Side::kLegacy, Side::kNew};

const std::string& upstream_of(const CapabilitySpec& capability, Side side) {
  return side == Side::kLegacy ? capability.legacy.value : capability.new_.value;
}

// The capability whose write a method is.
class WriteIndex {
 public:
  explicit WriteIndex(const Policy& policy) {
    for (const UnmanagedSpec& entry : policy.unmanaged) add(entry.method, kNoIndex32);
    for (std::uint32_t i = 0; i < policy.capabilities.size(); ++i) {
      for (const MethodRef& ref : policy.capabilities[i].reads) add(ref, kNoIndex32);
      for (const MethodRef& ref : policy.capabilities[i].writes) add(ref, i);
    }
  }

  template <class Visit>
  void each_method(Visit visit) const {
    for (const auto& [name, capability] : capabilities_) visit(name);
  }

  // kNoIndex32: no write of a capability. A method named goes before its service's star.
  std::uint32_t find(const MethodName& name) const {
    auto found = capabilities_.find(name);
    if (found == capabilities_.end()) found = capabilities_.find({name.first, "*"});
    return found == capabilities_.end() ? kNoIndex32 : found->second;
  }

 private:
  void add(const MethodRef& ref, std::uint32_t capability) {
    capabilities_.insert_or_assign({ref.service, ref.method}, capability);
  }

  std::map<MethodName, std::uint32_t> capabilities_;
};

// For whom a policy's sides own writes.
class OwningSides {
 public:
  explicit OwningSides(const Policy& policy)
      : policy_(policy),
        classes_(lists_of(policy)),
        tenants_(divide_by_tenant(policy, classes_, 0, capabilities_of_rules(policy))) {}

  // One class of tenants, for people; absent where the side owns no write of the capability.
  std::optional<std::string> example(std::uint32_t capability, Side side) const {
    const CapabilityTenants& tenants = tenants_[capability];
    for (const auto& entry : tenants.by_class) {
      if (tenants.chain_of(entry.first).owner == side) return describe_class(classes_, entry.first);
    }
    if (tenants.chain_of(kOtherClass).owner == side) return describe_class(classes_, kOtherClass);
    const bool owned = tenants.chain_of(kNoneClass).owner == side && !refuses_tenantless_write(policy_, tenants);
    return owned ? std::optional(describe_class(classes_, kNoneClass)) : std::nullopt;
  }

 private:
  static std::vector<NameList> lists_of(const Policy& policy) {
    std::vector<NameList> lists;
    for (const RuleSpec& rule : policy.rules) lists.push_back({&rule.tenants, &policy.tenant_groups});
    return lists;
  }

  const Policy& policy_;
  NameClasses classes_;
  std::vector<CapabilityTenants> tenants_;
};

class UpstreamIndex {
 public:
  explicit UpstreamIndex(const Policy& policy) {
    for (const UpstreamSpec& upstream : policy.upstreams) upstreams_.try_emplace(upstream.name.value, &upstream);
  }
  const UpstreamSpec* find(std::string_view name) const {
    const auto found = upstreams_.find(name);
    return found == upstreams_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string_view, const UpstreamSpec*> upstreams_;
};

// What an owner leads to, against what it and the other side led to.
struct Taken {
  Servers former;      // the owner's, before
  Servers now;
  Servers from_other;  // of `now`: the other side's, and not its own, before
  bool all = false;    // and it has no others now
  bool strangers = false;  // it has none of its own former ones, and none of the other side's
};

// An owning side that leads to servers of the other, or to strangers only.
struct Exchange {
  Side side;
  const UpstreamSpec* other_before;  // null: strangers
  const UpstreamSpec* owner_now;
  const Taken* taken;
  std::string capability, tenant;  // one of those concerned
  std::size_t capabilities = 1;
};

class ServerDiffer {
 public:
  ServerDiffer(const Policy& in_force, const Policy& next)
      : in_force_(in_force), next_(next), upstreams_before_(in_force), upstreams_now_(next) {}

  std::vector<Diagnostic> run() {
    for (const auto& [before, now] : capabilities_of_writes()) {
      for (const Side side : kSides) compare(before, now, side);
    }
    std::vector<Diagnostic> found;
    for (const auto& [key, exchange] : exchanges_) found.push_back(diagnostic(exchange));
    sort_by_mark(found);
    return found;
  }

 private:
  // Capabilities of `in_force` and `next` that have a write in common. By methods, since a capability's name decides
  // nothing.
  std::set<std::pair<std::uint32_t, std::uint32_t>> capabilities_of_writes() const {
    const WriteIndex before(in_force_), now(next_);
    std::set<std::pair<std::uint32_t, std::uint32_t>> pairs;
    const auto add = [&](const MethodName& name) {
      const std::pair pair(before.find(name), now.find(name));
      if (pair.first != kNoIndex32 && pair.second != kNoIndex32) pairs.insert(pair);
    };
    before.each_method(add);
    now.each_method(add);
    return pairs;
  }

  void compare(std::uint32_t before, std::uint32_t now, Side side) {
    const CapabilitySpec& capability = in_force_.capabilities[before];
    const UpstreamSpec* owner_before = upstreams_before_.find(upstream_of(capability, side));
    const UpstreamSpec* other_before = upstreams_before_.find(upstream_of(capability, other(side)));
    const UpstreamSpec* owner_now = upstreams_now_.find(upstream_of(next_.capabilities[now], side));
    if (owner_before == nullptr || other_before == nullptr || owner_now == nullptr) return;
    const auto [at, fresh] = servers_.try_emplace({owner_before, other_before, owner_now});
    if (fresh) at->second = taken(*owner_before, *other_before, *owner_now);
    if (at->second.from_other.empty() && !at->second.strangers) return;
    if (!owners_before_) owners_before_.emplace(in_force_);
    if (!owners_now_) owners_now_.emplace(next_);
    std::optional<std::string> tenant = owners_now_->example(now, side);
    if (!tenant || !owners_before_->example(before, side)) return;
    const UpstreamSpec* other = at->second.strangers ? nullptr : other_before;
    const auto [known, first] = exchanges_.try_emplace(
        {owner_now, other, side},
        Exchange{side, other, owner_now, &at->second, next_.capabilities[now].name.value, *std::move(tenant)});
    if (!first) ++known->second.capabilities;
  }

  static Taken taken(const UpstreamSpec& owner_before, const UpstreamSpec& other_before,
                     const UpstreamSpec& owner_now) {
    const bool one_gateway = servers_of(owner_before) == servers_of(other_before);
    const auto servers = one_gateway ? virtual_servers_of : servers_of;
    const Servers now = servers(owner_now);
    Taken taken;
    taken.former = servers(owner_before);
    taken.from_other = without(in_both(now, servers(other_before)), taken.former);
    taken.all = taken.from_other.size() == now.size();
    taken.now = now;
    taken.strangers = taken.from_other.empty() && in_both(now, taken.former).empty();
    return taken;
  }

  Diagnostic diagnostic(const Exchange& exchange) const {
    const std::string owner = in_quotes(exchange.owner_now->name.value);
    const std::string side(to_string(exchange.side));
    Diagnostic diagnostic;
    diagnostic.file = next_.file;
    diagnostic.mark = exchange.owner_now->endpoints.front().mark;
    diagnostic.yaml_path = "upstreams." + exchange.owner_now->name.value + ".endpoints";
    diagnostic.message = "upstream " + owner + ", the " + side + " side that owns writes of capability \"" + exchange.capability + "\" for " + exchange.tenant;
    if (exchange.capabilities > 1) {
      diagnostic.message += " (and of " + std::to_string(exchange.capabilities - 1) + " capabilities more)";
    }
    if (exchange.taken->strangers) {
      say_strangers(exchange, owner, side, diagnostic);
    } else {
      say_taken(exchange, owner, side, diagnostic);
    }
    return diagnostic;
  }

  static void say_taken(const Exchange& exchange, const std::string& owner, const std::string& side,
                        Diagnostic& diagnostic) {
    const bool all = exchange.taken->all;
    diagnostic.code = all ? codes::kOwnerServersTaken.code : codes::kOwnerServersMixed.code;
    diagnostic.level = all ? DiagnosticLevel::kError : DiagnosticLevel::kWarning;
    const std::string other_side(to_string(other(exchange.side)));
    diagnostic.message += all ? ", would lead only to servers of the " : ", would lead to servers of the ";
    diagnostic.message += other_side + " side, " + in_quotes(exchange.other_before->name.value) +
                          " in the policy in force: " + describe(exchange.taken->from_other);
    if (all) {
      diagnostic.message += ", and no longer to " + describe(exchange.taken->former) +
                            ": writes would change their owner, and ownership_epoch cannot tell";
      diagnostic.hint = "give " + owner + " its own endpoints back; to move the owner, leave the endpoints, name the " +
                        other_side + " side in the rules and raise ownership_epoch; if the servers themselves " +
                        "changed roles, stop the facade that runs (SIGTERM, it drains), then start it with this policy";
    } else {
      diagnostic.hint = "see that they serve as the " + side + " side now, on its data; else take them out of " + owner;
    }
  }

  static void say_strangers(const Exchange& exchange, const std::string& owner, const std::string& side,
                            Diagnostic& diagnostic) {
    diagnostic.code = codes::kOwnerServersReplaced.code;
    diagnostic.level = DiagnosticLevel::kWarning;
    diagnostic.message += ", would lead to none of its servers in the policy in force, " +
                          describe(exchange.taken->former) + ", but to " + describe(exchange.taken->now) +
                          ": whoever serves there owns these writes";
    diagnostic.hint = "see that they serve as the " + side + " side, on its data: the facade cannot know, nor whether " +
                      "a name and an address are one server; give " + owner + " new servers beside the old ones first";
  }

  using Specs = std::tuple<const UpstreamSpec*, const UpstreamSpec*, const UpstreamSpec*>;

  const Policy& in_force_;
  const Policy& next_;
  const UpstreamIndex upstreams_before_, upstreams_now_;
  std::optional<OwningSides> owners_before_, owners_now_;  // made when first asked
  std::map<Specs, Taken> servers_;
  std::map<std::tuple<const UpstreamSpec*, const UpstreamSpec*, Side>, Exchange> exchanges_;
};

}  // namespace

std::vector<Diagnostic> check_owner_servers(const Policy& in_force, const Policy& next) {
  return ServerDiffer(in_force, next).run();
}

}  // namespace ficus
