// From a call's tenant to the few rules that can take it: the classes of tenant_classes.h, laid out for lookup. One
// hash of the name, else one of each distinct prefix length, then one search among the capabilities that say anything
// of the class. Internal to routing/. Immutable once made; borrows nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "routing/name_table.h"
#include "routing/policy.h"
#include "routing/tenant_classes.h"

namespace ficus {

class TenantIndex {
 public:
  // The rules of one capability that take one class of tenants, in the policy's order, up to and with the first that
  // is not narrowed: that one takes every call, so nothing below it matters.
  struct Candidates {
    std::span<const std::uint32_t> rules;
    // For writes, which skip narrowed rules: the last of `rules` if it is not narrowed.
    std::optional<std::uint32_t> write_rule;
  };

  TenantIndex() = default;
  // `capabilities` is divide_by_tenant() of the policy over `classes`.
  TenantIndex(const NameClasses& classes, const std::vector<CapabilityTenants>& capabilities);

  // Absent: a call without a tenant. No allocation.
  Candidates candidates(std::uint32_t capability, std::optional<std::string_view> tenant) const noexcept;

 private:
  struct Chain {
    std::uint32_t begin = 0, end = 0;  // in rule_numbers_
    bool ends_unnarrowed = false;
  };
  struct Entry {
    std::uint32_t capability = 0;
    std::uint32_t chain = 0;
  };

  void add_chain(const RuleChain& chain);
  void add_names(const NameClasses& classes);
  void add_entries(const NameClasses& classes, const std::vector<CapabilityTenants>& capabilities);
  // The class of a name, NameTable::kAbsent for "any other".
  std::uint32_t class_of(std::string_view tenant) const noexcept;
  std::uint32_t chain_of(std::uint32_t capability, std::string_view tenant) const noexcept;

  NameTable names_;                            // name -> class
  NameTable prefixes_;                         // prefix -> class
  std::vector<std::uint32_t> prefix_lengths_;  // distinct, longest first
  std::vector<std::uint32_t> class_begin_;     // class -> first of its entries_; one more at the end
  std::vector<Entry> entries_;                 // of a class: sorted by capability
  std::vector<std::uint32_t> other_chains_;    // capability -> chain of any other name
  std::vector<std::uint32_t> none_chains_;     // capability -> chain of calls without a tenant
  std::vector<Chain> chains_;
  std::vector<std::uint32_t> rule_numbers_;
};

}  // namespace ficus
