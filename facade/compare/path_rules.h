// The compare rules of one method, its capability's and its own, asked by path. Rules are per path, not per field
// descriptor, so that `policy.premium.amount` says nothing about any other Money.amount. Borrows the CompareSpec. Pure;
// any thread.
#pragma once

#include <string_view>

#include "facade/compare/comparison.h"
#include "routing/method_catalog.h"
#include "routing/policy.h"

namespace ficus {

class PathRules {
 public:
  // `method`: short name.
  explicit PathRules(const CompareSpec& spec, std::string_view method = {}) noexcept
      : spec_(spec), own_(spec.of_method(method)) {}

  // The first `ignore` that covers the path; null: none.
  const PathRule* ignored(const FieldPath& path) const noexcept;
  // The first `unordered` that names this very field; null: none.
  const PathRule* unordered(const FieldPath& path) const noexcept;
  // The first `keyed` that names this very field; null: none.
  const KeyedRule* keyed(const FieldPath& path) const noexcept;
  // The first `tolerance` of this very field, of those for the measure, that `within` says yes to; null: none. Any of
  // several is enough, so that one more never makes two values differ.
  template <class Within>
  const PathRule* tolerated(const FieldPath& path, Measure measure, Within&& within) const {
    return first(
        [](const CompareRules& rules) -> auto& { return rules.tolerance; },
        [&](const ToleranceRule& rule) {
          return rule.window.has_value() == (measure == Measure::kTime) && rule.path.matches(path) && within(rule);
        });
  }
  // The gravest list that covers the path, so that the order of lists means nothing; major where none does.
  Severity severity(const FieldPath& path) const noexcept;
  // Whether the value may be shown: named by `plain` (or all of them: `values: plain`) and not taken back by `redact`.
  bool plain(const FieldPath& path) const noexcept;
  // Whether a value without a path may be: only where all are, since `redact` could mean what stands in it.
  bool all_plain() const noexcept;
  // The method's own, else the capability's; null: none.
  const LatencyRule* latency() const noexcept;

  bool absent_equals_default() const noexcept { return spec_.absent_equals_default; }
  // Whether two answers can be alike although their fields or the order of their entries differ, tolerances aside.
  bool swallows() const noexcept;
  bool tolerates() const noexcept;

  // Calls `each` with the capability's rules, then with the method's own.
  template <class Each>
  void each_layer(Each&& each) const {
    each(static_cast<const CompareRules&>(spec_));
    if (own_ != nullptr) each(static_cast<const CompareRules&>(*own_));
  }

 private:
  template <class List, class Takes>
  auto first(List&& list, Takes&& takes) const -> decltype(&*list(std::declval<const CompareRules&>()).begin()) {
    for (const auto& rule : list(spec_)) {
      if (takes(rule)) return &rule;
    }
    if (own_ == nullptr) return nullptr;
    for (const auto& rule : list(*own_)) {
      if (takes(rule)) return &rule;
    }
    return nullptr;
  }

  const CompareSpec& spec_;
  const CompareSpec::PerMethod* own_;  // null: none
};

}  // namespace ficus
