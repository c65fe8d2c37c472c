// A capability's compare rules, asked by path. Rules are per path, not per field descriptor, so that
// `policy.premium.amount` says nothing about any other Money.amount. Borrows the CompareSpec. Pure; any thread.
#pragma once

#include "facade/compare/comparison.h"
#include "routing/policy.h"

namespace ficus {

class PathRules {
 public:
  explicit PathRules(const CompareSpec& spec) : spec_(spec) {}

  // The first `ignore` that covers the path; null: none.
  const PathRule* ignored(const FieldPath& path) const noexcept;
  // The first `unordered` that names this very field; null: none.
  const PathRule* unordered(const FieldPath& path) const noexcept;
  // The gravest list that covers the path, so that the order of lists means nothing; major where none does.
  Severity severity(const FieldPath& path) const noexcept;
  // Whether the value may be shown: named by `plain` (or all of them: `values: plain`) and not taken back by `redact`.
  bool plain(const FieldPath& path) const noexcept;

  bool absent_equals_default() const noexcept { return spec_.absent_equals_default; }
  // Whether two answers can be alike although their fields differ.
  bool swallows() const noexcept { return !spec_.ignore.empty() || !spec_.unordered.empty(); }

 private:
  const CompareSpec& spec_;
};

}  // namespace ficus
