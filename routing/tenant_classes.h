// How a policy divides callers: classes of names that no list tells apart, and, for each capability, the rules that
// take each class. Coverage, the owners of one `data`, and the owner diff are all judged over these classes, so that
// 100,000 tenants in one group cost one class. Pure values that borrow from the policies they are made of: keep those
// alive and unchanged. Spec: POLICY 3 "Lookup", 8 "The owner is a function of (capability, tenant)".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/policy.h"

namespace ficus {

// One list as a policy writes it: `tenants`, `consumers`, or the values asked of one attribute.
struct NameList {
  const std::vector<NamePattern>* patterns = nullptr;  // never null; empty: the list was not written, takes every call
  const std::vector<TenantGroup>* groups = nullptr;    // null: the list cannot name groups; unknown groups take nobody
};

// Names (or prefixes) that the same lists take. A prefix stands for every name that begins with it, is not itself
// written, and begins with no longer written prefix.
struct NameClass {
  enum class Kind : std::uint8_t { kName, kPrefix } kind = Kind::kName;
  std::vector<std::string_view> texts;      // the names, or the prefixes without '*'; in order of first mention
  std::vector<std::uint32_t> listed_by;     // lists that take them by name, prefix or group; ascending
};

// Besides named() there are always two classes more: any other name, and none (a call without a value). By index they
// are these.
inline constexpr std::uint32_t kOtherClass = 0xfffffffe;
inline constexpr std::uint32_t kNoneClass = 0xffffffff;

// The partition that a set of lists makes. Cost: one hash lookup a written name and prefix length.
class NameClasses {
 public:
  explicit NameClasses(const std::vector<NameList>& lists);

  const std::vector<NameClass>& named() const { return named_; }
  std::size_t list_count() const { return takes_other_.size(); }
  // Whether a list takes any name at all (it holds '*', or was not written), or a call without one (`none`, likewise).
  bool takes_other(std::uint32_t list) const { return takes_other_[list]; }
  bool takes_none(std::uint32_t list) const { return takes_none_[list]; }

 private:
  std::vector<NameClass> named_;
  std::vector<bool> takes_other_, takes_none_;
};

// "acme", "eu-*", for people.
std::string describe_name(NameClass::Kind kind, std::string_view text);

inline constexpr std::uint32_t kNoIndex32 = 0xffffffff;

// At most this many rules of one capability may take one tenant (POLICY 3). Chains are cut one above it.
inline constexpr std::size_t kMaxRulesPerTenant = 64;

// The rules of one capability that take one class of tenants, top to bottom, and what they say of writes.
struct RuleChain {
  std::vector<std::uint32_t> rules;          // indices into Policy::rules; at most kMaxRulesPerTenant + 1
  std::uint32_t write_rule = kNoIndex32;     // the first that is not narrowed; writes are decided by it alone
  Side owner = Side::kLegacy;                // legacy where no rule decides: stage off
  std::uint32_t example = kOtherClass;       // one class it stands for: named(), kOtherClass or kNoneClass
};

// One capability's rules over all tenants. Classes that no rule of it lists are treated as any other tenant.
struct CapabilityTenants {
  std::vector<RuleChain> chains;                                  // distinct by rules
  std::vector<std::pair<std::uint32_t, std::uint32_t>> by_class;  // class -> chain, ascending by class
  std::uint32_t other = 0, none = 0;                              // chains of those two classes
  bool too_many_rules = false;                                    // some chain was cut: judge only that

  const RuleChain& chain_of(std::uint32_t tenant_class) const;    // O(log classes)
  // Whether every name, prefix class, any other name and none have the same owner. If not, a write without a tenant is
  // refused unless the rule that takes it lists `none`.
  bool one_owner() const;
};

// Divides each capability's rules. `classes` was made of lists of which those from `first_list` on are the `tenants`
// of policy.rules, in order. `capability_of_rule[r]` is the index of rule r's capability; kNoIndex32 leaves the rule
// out. Returns one entry a capability.
std::vector<CapabilityTenants> divide_by_tenant(const Policy& policy, const NameClasses& classes,
                                                std::uint32_t first_list,
                                                const std::vector<std::uint32_t>& capability_of_rule);

// Index of each rule's capability, kNoIndex32 where there is none of that name.
std::vector<std::uint32_t> capabilities_of_rules(const Policy& policy);

// Whether a rule lists `none` itself (to leave `tenants` out is not to list it).
bool lists_none(const RuleSpec& rule);

// Whether a write without a tenant is refused: owners differ by tenant and no rule that lists `none` takes the call.
// POLICY 3.
bool refuses_tenantless_write(const Policy& policy, const CapabilityTenants& tenants);

// Whether new owns the capability's writes for any class of tenants, calls without one included.
bool new_owns_some(const CapabilityTenants& tenants);

// "acme", "eu-*", "any other tenant", "no tenant".
std::string describe_class(const NameClasses& classes, std::uint32_t tenant_class);

}  // namespace ficus
