#include "routing/owner_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "routing/diagnostic_codes.h"
#include "routing/tenant_classes.h"

namespace ficus {
namespace {

using MethodName = std::pair<std::string_view, std::string_view>;  // service, method or "*"

// What one policy makes of a method.
struct Taken {
  std::uint32_t capability = kNoIndex32;  // kNoIndex32: in no capability
  MethodKind kind = MethodKind::kRead;
  bool closed = false;  // in no capability and refused: no default upstream, or new owns writes of the service
  bool write() const { return capability != kNoIndex32 && kind == MethodKind::kWrite; }
  bool read() const { return capability != kNoIndex32 && kind == MethodKind::kRead; }
  auto key() const { return std::tuple(capability, kind, closed); }
};

// One cell of owner(method, tenant).
struct Owner {
  bool read = false;
  bool refused = false;          // for people; a refused call is compared as one to the default upstream
  std::string_view upstream;     // empty: none
  std::optional<Side> side;
};

bool differ(const Owner& a, const Owner& b) {
  if (a.read != b.read) return true;
  return a.upstream != b.upstream || (a.side && b.side && a.side != b.side);
}

std::string describe(const Owner& owner) {
  if (owner.read) return "read";
  if (owner.refused) return "refused";
  std::string text(owner.upstream);
  text += owner.side ? " (" + std::string(to_string(*owner.side)) + ")" : " (default upstream)";
  return text;
}

// One policy's owners over tenant classes that it shares with another policy's.
class Owners {
 public:
  Owners(const Policy& policy, const NameClasses& classes, std::uint32_t first_list)
      : policy_(policy), tenants_(divide_by_tenant(policy, classes, first_list, capabilities_of_rules(policy))) {
    for (const UnmanagedSpec& entry : policy.unmanaged) {
      taken_.try_emplace({entry.method.service, entry.method.method});
    }
    for (std::uint32_t i = 0; i < policy.capabilities.size(); ++i) {
      const CapabilitySpec& capability = policy.capabilities[i];
      for (const MethodRef& ref : capability.reads) {
        taken_.insert_or_assign({ref.service, ref.method}, Taken{i, MethodKind::kRead});
      }
      for (const MethodRef& ref : capability.writes) {
        taken_.insert_or_assign({ref.service, ref.method}, Taken{i, MethodKind::kWrite});
        if (new_owns_some(tenants_[i])) new_owned_services_.insert(ref.service);
      }
      refuses_tenantless_.push_back(refuses_tenantless_write(policy, tenants_[i]));
    }
  }

  template <class Visit>
  void each_method(Visit visit) const {
    for (const auto& [name, taken] : taken_) visit(name);
  }

  // A method named goes before its service's star. Without a schema at hand a star under `reads` is taken to have
  // every method of the service: at worst that asks for an epoch where nothing moved.
  Taken take(const MethodName& name) const {
    auto found = taken_.find(name);
    if (found == taken_.end()) found = taken_.find({name.first, "*"});
    Taken taken;
    const bool named = found != taken_.end();
    if (named) taken = found->second;
    if (taken.capability == kNoIndex32) {
      taken.closed = !policy_.default_upstream || (!named && new_owned_services_.count(name.first) != 0);
    }
    return taken;
  }

  Owner owner(const Taken& taken, std::uint32_t tenant_class) const {
    Owner owner;
    if (taken.read()) {
      owner.read = true;
      return owner;
    }
    if (!taken.write() || (tenant_class == kNoneClass && refuses_tenantless_[taken.capability])) {
      owner.refused = taken.write() || taken.closed;
      if (policy_.default_upstream) owner.upstream = policy_.default_upstream->value;
      return owner;
    }
    const CapabilitySpec& capability = policy_.capabilities[taken.capability];
    owner.side = tenants_[taken.capability].chain_of(tenant_class).owner;
    owner.upstream = *owner.side == Side::kLegacy ? capability.legacy.value : capability.new_.value;
    return owner;
  }

  bool by_tenant(const Taken& taken) const { return taken.write() && !tenants_[taken.capability].one_owner(); }

  void add_classes(const Taken& taken, std::vector<std::uint32_t>& classes) const {
    if (!taken.write()) return;
    for (const auto& [id, chain] : tenants_[taken.capability].by_class) classes.push_back(id);
  }

 private:
  const Policy& policy_;
  std::vector<CapabilityTenants> tenants_;
  std::vector<bool> refuses_tenantless_;
  std::set<std::string_view> new_owned_services_;
  std::map<MethodName, Taken> taken_;
};

// The moves of every method that both policies take in one and the same way; the first `limit` of them written out.
struct TenantMoves {
  std::vector<OwnerMove> first;
  std::size_t total = 0;
};

class Differ {
 public:
  Differ(const Policy& in_force, const Policy& next, std::size_t limit)
      : in_force_policy_(in_force),
        next_policy_(next),
        limit_(limit),
        classes_(lists_of(in_force, next)),
        in_force_(in_force, classes_, 0),
        next_(next, classes_, static_cast<std::uint32_t>(in_force.rules.size())) {}

  OwnerDiff run() {
    std::set<MethodName> names;
    const auto collect = [&](const MethodName& name) { names.insert(name); };
    in_force_.each_method(collect);
    next_.each_method(collect);
    OwnerDiff diff;
    std::map<std::pair<decltype(Taken{}.key()), decltype(Taken{}.key())>, TenantMoves> known;
    for (const MethodName& name : names) {
      const Taken before = in_force_.take(name), after = next_.take(name);
      if (!before.write() && !after.write()) continue;
      const auto [at, fresh] = known.try_emplace({before.key(), after.key()});
      if (fresh) at->second = moves(before, after);
      const TenantMoves& found = at->second;
      const std::size_t shown = std::min(found.first.size(), limit_ - diff.moves.size());
      for (std::size_t i = 0; i < shown; ++i) {
        diff.moves.push_back(found.first[i]);
        diff.moves.back().method = std::string(name.first) + '/' + std::string(name.second);
      }
      diff.more += found.total - shown;
    }
    return diff;
  }

 private:
  static std::vector<NameList> lists_of(const Policy& in_force, const Policy& next) {
    std::vector<NameList> lists;
    for (const Policy* policy : {&in_force, &next}) {
      for (const RuleSpec& rule : policy->rules) lists.push_back({&rule.tenants, &policy->tenant_groups});
    }
    return lists;
  }

  TenantMoves moves(const Taken& before, const Taken& after) const {
    TenantMoves found;
    if (in_force_policy_.identity.tenant != next_policy_.identity.tenant &&
        (in_force_.by_tenant(before) || next_.by_tenant(after))) {
      found.first.push_back({"", "every tenant", sources(in_force_policy_), sources(next_policy_)});
      found.total = 1;
    }
    std::vector<std::uint32_t> classes;
    in_force_.add_classes(before, classes);
    next_.add_classes(after, classes);
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    classes.push_back(kOtherClass);
    classes.push_back(kNoneClass);
    struct Line {
      int order;  // names, prefixes, any other, none
      std::string_view text;
      std::uint32_t tenant_class;
      bool operator<(const Line& that) const { return std::tie(order, text) < std::tie(that.order, that.text); }
    };
    std::vector<Line> lines;
    for (const std::uint32_t id : classes) {
      if (!differ(in_force_.owner(before, id), next_.owner(after, id))) continue;
      if (id == kOtherClass || id == kNoneClass) {
        lines.push_back({id == kOtherClass ? 2 : 3, {}, id});
        continue;
      }
      const NameClass& named = classes_.named()[id];
      for (const std::string_view text : named.texts) {
        lines.push_back({named.kind == NameClass::Kind::kName ? 0 : 1, text, id});
      }
    }
    const std::size_t shown = std::min(lines.size(), limit_);
    std::partial_sort(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(shown), lines.end());
    for (std::size_t i = 0; i < shown; ++i) {
      const Line& line = lines[i];
      std::string tenant = line.order >= 2 ? describe_class(classes_, line.tenant_class)
                                           : describe_name(classes_.named()[line.tenant_class].kind, line.text);
      found.first.push_back({"", std::move(tenant), describe(in_force_.owner(before, line.tenant_class)),
                             describe(next_.owner(after, line.tenant_class))});
    }
    found.total += lines.size();
    return found;
  }

  static std::string sources(const Policy& policy) {
    std::string text;
    for (const IdentitySource& source : policy.identity.tenant) {
      text += (text.empty() ? "tenant from " : ", ") + (source.verified() ? source.peer_san : source.metadata);
    }
    return text.empty() ? "no tenant is known" : text;
  }

  const Policy& in_force_policy_;
  const Policy& next_policy_;
  const std::size_t limit_;
  NameClasses classes_;
  Owners in_force_, next_;
};

}  // namespace

OwnerDiff diff_owners(const Policy& in_force, const Policy& next, std::size_t limit) {
  return Differ(in_force, next, std::max<std::size_t>(limit, 1)).run();
}

std::vector<Diagnostic> check_epoch(const Policy& in_force, const Policy& next, const OwnerDiff& diff) {
  const std::uint64_t now = in_force.ownership_epoch.value, then = next.ownership_epoch.value;
  Diagnostic diagnostic;
  diagnostic.file = next.file;
  diagnostic.mark = next.ownership_epoch.mark;
  diagnostic.yaml_path = "ownership_epoch";
  if (diff.any()) {
    if (now != UINT64_MAX && then == now + 1) return {};
    constexpr std::size_t kNamed = 3;
    std::string moves;
    for (std::size_t i = 0; i < diff.moves.size() && i < kNamed; ++i) {
      const OwnerMove& move = diff.moves[i];
      moves += (i == 0 ? "" : "; ") + move.method + " for " + move.tenant + ": " + move.from + " -> " + move.to;
    }
    const std::size_t total = diff.moves.size() + diff.more;
    if (total > kNamed) moves += "; and " + std::to_string(total - kNamed) + " more";
    diagnostic.code = codes::kEpochMustGrow.code;
    diagnostic.message = "this policy moves owners of writes, but ownership_epoch is " + std::to_string(then) +
                         " after " + std::to_string(now) + ": " + moves;
    diagnostic.hint = now == UINT64_MAX ? "the epoch can grow no further"
                                        : "if that is meant, write ownership_epoch: " + std::to_string(now + 1) +
                                              " and restart the facade with it: a reload moves no owner";
    return {diagnostic};
  }
  if (then == now) return {};
  diagnostic.code = codes::kEpochMustStay.code;
  diagnostic.message = "no write moves to another owner, but ownership_epoch is " + std::to_string(then) + " after " +
                       std::to_string(now);
  diagnostic.hint = "write ownership_epoch: " + std::to_string(now) +
                    "; it grows by one exactly when an owner moves";
  return {diagnostic};
}

}  // namespace ficus
