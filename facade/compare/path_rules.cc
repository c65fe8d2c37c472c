#include "facade/compare/path_rules.h"

namespace ficus {
namespace {

const PathRule* first_covering(const std::vector<PathRule>& rules, const FieldPath& path) noexcept {
  for (const PathRule& rule : rules) {
    if (rule.path.covers(path)) return &rule;
  }
  return nullptr;
}

}  // namespace

const PathRule* PathRules::ignored(const FieldPath& path) const noexcept { return first_covering(spec_.ignore, path); }

const PathRule* PathRules::unordered(const FieldPath& path) const noexcept {
  for (const PathRule& rule : spec_.unordered) {
    if (rule.path.matches(path)) return &rule;
  }
  return nullptr;
}

Severity PathRules::severity(const FieldPath& path) const noexcept {
  if (first_covering(spec_.critical, path) != nullptr) return Severity::kCritical;
  if (first_covering(spec_.major, path) != nullptr) return Severity::kMajor;
  if (first_covering(spec_.minor, path) != nullptr) return Severity::kMinor;
  return Severity::kMajor;
}

bool PathRules::plain(const FieldPath& path) const noexcept {
  if (!spec_.values_plain && first_covering(spec_.plain, path) == nullptr) return false;
  return first_covering(spec_.redact, path) == nullptr;
}

}  // namespace ficus
