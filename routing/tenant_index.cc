#include "routing/tenant_index.h"

#include <algorithm>

namespace ficus {

TenantIndex::TenantIndex(const NameClasses& classes, const std::vector<CapabilityTenants>& capabilities) {
  add_names(classes);
  add_entries(classes, capabilities);
}

void TenantIndex::add_names(const NameClasses& classes) {
  for (std::uint32_t id = 0; id < classes.named().size(); ++id) {
    const NameClass& named = classes.named()[id];
    const bool prefix = named.kind == NameClass::Kind::kPrefix;
    for (const std::string_view text : named.texts) {
      (prefix ? prefixes_ : names_).insert(text, id);
      if (prefix) prefix_lengths_.push_back(static_cast<std::uint32_t>(text.size()));
    }
  }
  std::sort(prefix_lengths_.rbegin(), prefix_lengths_.rend());
  prefix_lengths_.erase(std::unique(prefix_lengths_.begin(), prefix_lengths_.end()), prefix_lengths_.end());
}

// From "of each capability, its classes" to "of each class, its capabilities": a call's class is found once, and few
// capabilities say something of one tenant, while one capability may speak of 100,000.
void TenantIndex::add_entries(const NameClasses& classes, const std::vector<CapabilityTenants>& capabilities) {
  class_begin_.assign(classes.named().size() + 1, 0);
  for (const CapabilityTenants& capability : capabilities) {
    for (const auto& [id, chain] : capability.by_class) ++class_begin_[id + 1];
  }
  for (std::size_t i = 1; i < class_begin_.size(); ++i) class_begin_[i] += class_begin_[i - 1];
  entries_.resize(class_begin_.back());
  std::vector<std::uint32_t> fill(class_begin_.begin(), class_begin_.end());
  for (std::uint32_t number = 0; number < capabilities.size(); ++number) {
    const CapabilityTenants& capability = capabilities[number];
    const auto first = static_cast<std::uint32_t>(chains_.size());
    for (const RuleChain& chain : capability.chains) add_chain(chain);
    other_chains_.push_back(first + capability.other);
    none_chains_.push_back(first + capability.none);
    for (const auto& [id, chain] : capability.by_class) entries_[fill[id]++] = {number, first + chain};
  }
}

void TenantIndex::add_chain(const RuleChain& chain) {
  const auto begin = static_cast<std::uint32_t>(rule_numbers_.size());
  Chain added{begin, begin, false};
  for (const std::uint32_t rule : chain.rules) {
    rule_numbers_.push_back(rule);
    added.ends_unnarrowed = rule == chain.write_rule;
    if (added.ends_unnarrowed) break;
  }
  added.end = static_cast<std::uint32_t>(rule_numbers_.size());
  chains_.push_back(added);
}

std::uint32_t TenantIndex::class_of(std::string_view tenant) const noexcept {
  const std::uint32_t named = names_.find(tenant);
  if (named != NameTable::kAbsent) return named;
  for (const std::uint32_t length : prefix_lengths_) {
    if (length > tenant.size()) continue;
    const std::uint32_t prefixed = prefixes_.find(tenant.substr(0, length));
    if (prefixed != NameTable::kAbsent) return prefixed;
  }
  return NameTable::kAbsent;
}

std::uint32_t TenantIndex::chain_of(std::uint32_t capability, std::string_view tenant) const noexcept {
  const std::uint32_t id = class_of(tenant);
  if (id == NameTable::kAbsent) return other_chains_[capability];
  const auto begin = entries_.begin() + class_begin_[id];
  const auto end = entries_.begin() + class_begin_[id + 1];
  const auto entry = std::lower_bound(
      begin, end, capability, [](const Entry& candidate, std::uint32_t wanted) { return candidate.capability < wanted; });
  return entry != end && entry->capability == capability ? entry->chain : other_chains_[capability];
}

TenantIndex::Candidates TenantIndex::candidates(std::uint32_t capability,
                                                std::optional<std::string_view> tenant) const noexcept {
  const Chain& chain = chains_[tenant ? chain_of(capability, *tenant) : none_chains_[capability]];
  Candidates candidates{{rule_numbers_.data() + chain.begin, rule_numbers_.data() + chain.end}, std::nullopt};
  if (chain.ends_unnarrowed) candidates.write_rule = candidates.rules.back();
  return candidates;
}

}  // namespace ficus
