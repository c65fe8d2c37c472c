// The names, prefixes, `*` and `none` of one `consumers` or `match` list, ready to be asked. Internal to routing/.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "routing/policy.h"

namespace ficus {

class NameSet {
 public:
  NameSet() = default;
  // Borrows the texts of `patterns`. Groups are no part of such lists.
  explicit NameSet(const std::vector<NamePattern>& patterns) {
    for (const NamePattern& pattern : patterns) {
      switch (pattern.kind) {
        case NamePattern::Kind::kName: names_.push_back(pattern.text); break;
        case NamePattern::Kind::kPrefix: prefixes_.push_back(pattern.text); break;
        case NamePattern::Kind::kAny: any_ = true; break;
        case NamePattern::Kind::kNone: none_ = true; break;
        case NamePattern::Kind::kGroup: break;
      }
    }
    std::sort(names_.begin(), names_.end());
    std::sort(prefixes_.begin(), prefixes_.end());
    // What a shorter prefix takes, a longer one that begins with it takes as well: only the shorter is kept, so that no
    // prefix is a prefix of another and one search finds the only candidate.
    std::vector<std::string_view> kept;
    for (const std::string_view prefix : prefixes_) {
      if (kept.empty() || !prefix.starts_with(kept.back())) kept.push_back(prefix);
    }
    prefixes_ = std::move(kept);
  }

  // Absent: the call has no such value. O(log n); no allocation.
  bool takes(std::optional<std::string_view> value) const noexcept {
    if (!value) return none_;
    if (any_ || std::binary_search(names_.begin(), names_.end(), *value)) return true;
    const auto after = std::upper_bound(prefixes_.begin(), prefixes_.end(), *value);
    return after != prefixes_.begin() && value->starts_with(*(after - 1));
  }

 private:
  std::vector<std::string_view> names_;     // sorted
  std::vector<std::string_view> prefixes_;  // sorted; none is a prefix of another
  bool any_ = false;
  bool none_ = false;
};

}  // namespace ficus
