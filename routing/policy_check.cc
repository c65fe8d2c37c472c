#include "routing/policy_check.h"

#include <algorithm>
#include <initializer_list>

#include "routing/policy_check_internal.h"

namespace ficus {

std::vector<Diagnostic> check_policy(const CheckInput& input) {
  using namespace policy_check;
  Report report(input.policy.file);
  const MethodIndex methods(input.policy);
  std::vector<std::uint32_t> capability_of_rule = check_references(input, PolicyDoubts(), report);
  check_methods(input, methods, report);
  check_keys(input, report);
  check_compare(input, methods, report);
  check_stages(input, capability_of_rule, report);
  const Analysis analysis = analyse(input.policy, std::move(capability_of_rule));
  check_coverage(input, analysis, report);
  check_ownership(input, methods, analysis, report);
  check_servers(input, report);
  check_expiry(input, report);
  if (!report.has_errors()) run_policy_tests(input, report);
  return std::move(report).take();
}

std::vector<Diagnostic> check_partial_policy(const PartialPolicy& partial, const MethodCatalog* catalog, Date today) {
  using namespace policy_check;
  const Policy& policy = partial.policy;
  const CheckInput input{policy, catalog, today};
  const auto whole = [&](std::initializer_list<std::string_view> sections) {
    return std::none_of(sections.begin(), sections.end(),
                        [&](std::string_view section) { return partial.doubts.about(section); });
  };
  const bool methods_whole = whole({"upstreams", "default_upstream", "schemas", "capabilities", "unmanaged"});
  Report report(policy.file);
  std::vector<std::uint32_t> capability_of_rule = check_references(input, partial.doubts, report);
  if (methods_whole) {
    const MethodIndex methods(policy);
    check_methods(input, methods, report);
    check_keys(input, report);
    check_compare(input, methods, report);
    if (whole({"identity", "attributes", "tenant_groups", "rules"})) {
      check_stages(input, capability_of_rule, report);
      const Analysis analysis = analyse(policy, std::move(capability_of_rule));
      check_coverage(input, analysis, report);
      check_ownership(input, methods, analysis, report);
    }
  }
  std::vector<Diagnostic> found = std::move(report).take();
  found.erase(std::remove_if(found.begin(), found.end(),
                             [](const Diagnostic& d) { return d.level != DiagnosticLevel::kError; }),
              found.end());
  return found;
}

namespace policy_check {

std::vector<Diagnostic> Report::take() && {
  std::vector<Diagnostic> all = std::move(diagnostics_);
  const std::size_t count = all.size();
  if (count > kShown) {
    // Errors decide whether the policy is refused: no warning may push one out.
    sort_by_mark(all);
    std::stable_partition(all.begin(), all.end(), [](const auto& d) { return d.level == DiagnosticLevel::kError; });
    all.resize(kShown);
  }
  sort_by_mark(all);
  if (count > kShown) {
    const DiagnosticLevel level = has_error(all) ? DiagnosticLevel::kError : DiagnosticLevel::kWarning;
    all.push_back({std::string(codes::kMoreDiagnostics.code), level, file_, all.back().mark, "",
                   "and " + std::to_string(count - kShown) + " more", "mend these first"});
  }
  return all;
}

std::string name_of(const MethodRef& method) { return method.service + '/' + method.method; }

std::string rule_and_line(const RuleSpec& rule) {
  return "rule \"" + rule.name.value + "\" (line " + std::to_string(rule.mark.line) + ")";
}

std::string yaml_path(const CapabilitySpec& capability) { return "capabilities." + capability.name.value; }

std::string rule_path(std::size_t rule) { return item_path("rules", rule); }

std::string item_path(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

}  // namespace policy_check
}  // namespace ficus
