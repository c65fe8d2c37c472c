#include "facade/compare/path_rules.h"

namespace ficus {

const PathRule* PathRules::ignored(const FieldPath& path) const noexcept {
  return first(
      [](const CompareRules& rules) -> auto& { return rules.ignore; },
      [&](const PathRule& rule) { return rule.path.covers(path); });
}

const PathRule* PathRules::unordered(const FieldPath& path) const noexcept {
  return first(
      [](const CompareRules& rules) -> auto& { return rules.unordered; },
      [&](const PathRule& rule) { return rule.path.matches(path); });
}

const KeyedRule* PathRules::keyed(const FieldPath& path) const noexcept {
  return first(
      [](const CompareRules& rules) -> auto& { return rules.keyed; },
      [&](const KeyedRule& rule) { return rule.path.matches(path); });
}

Severity PathRules::severity(const FieldPath& path) const noexcept {
  const auto covers = [&](const PathRule& rule) { return rule.path.covers(path); };
  if (first(
          [](const CompareRules& rules) -> auto& { return rules.critical; }, covers) != nullptr) {
    return Severity::kCritical;
  }
  if (first(
          [](const CompareRules& rules) -> auto& { return rules.major; }, covers) != nullptr)
    return Severity::kMajor;
  if (first(
          [](const CompareRules& rules) -> auto& { return rules.minor; }, covers) != nullptr)
    return Severity::kMinor;
  return Severity::kMajor;
}

bool PathRules::plain(const FieldPath& path) const noexcept {
  const auto covers = [&](const PathRule& rule) { return rule.path.covers(path); };
  if (!spec_.values_plain && first(
                                 [](const CompareRules& rules) -> auto& { return rules.plain; }, covers) == nullptr) {
    return false;
  }
  return first(
             [](const CompareRules& rules) -> auto& { return rules.redact; }, covers) == nullptr;
}

bool PathRules::all_plain() const noexcept {
  return spec_.values_plain && spec_.redact.empty() && (own_ == nullptr || own_->redact.empty());
}

const LatencyRule* PathRules::latency() const noexcept {
  return spec_.latency_of(own_ != nullptr ? std::string_view(own_->method.value) : std::string_view());
}

bool PathRules::swallows() const noexcept {
  const auto any = [](const CompareRules& rules) {
    return !rules.ignore.empty() || !rules.unordered.empty() || !rules.keyed.empty();
  };
  return any(spec_) || (own_ != nullptr && any(*own_));
}

bool PathRules::tolerates() const noexcept {
  return !spec_.tolerance.empty() || (own_ != nullptr && !own_->tolerance.empty());
}

}  // namespace ficus
