// Internal to policy_check*.cc: the parts of check_policy(), in the order in which they run, and what they share.
// Each part reports everything it can judge; what an earlier part could not resolve is left out of later ones, so that
// one misspelt name is one diagnostic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/diagnostic.h"
#include "routing/diagnostic_codes.h"
#include "routing/policy_check.h"
#include "routing/tenant_classes.h"

namespace ficus::policy_check {

// Where diagnostics go.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void error(const DiagnosticCode& code, Mark mark, std::string yaml_path, std::string message, std::string hint = {}) {
    add(DiagnosticLevel::kError, code, mark, std::move(yaml_path), std::move(message), std::move(hint));
  }
  void warning(const DiagnosticCode& code, Mark mark, std::string yaml_path, std::string message,
               std::string hint = {}) {
    add(DiagnosticLevel::kWarning, code, mark, std::move(yaml_path), std::move(message), std::move(hint));
  }
  bool has_errors() const { return has_error(diagnostics_); }
  // Sorted by place; at most kShown, errors before warnings, and one more that says how many are left out.
  std::vector<Diagnostic> take() &&;

  static constexpr std::size_t kShown = 100;

 private:
  void add(DiagnosticLevel level, const DiagnosticCode& code, Mark mark, std::string yaml_path, std::string message,
           std::string hint) {
    diagnostics_.push_back(
        {std::string(code.code), level, file_, mark, std::move(yaml_path), std::move(message), std::move(hint)});
  }

  std::string file_;
  std::vector<Diagnostic> diagnostics_;
};

// ---- words for messages and places ----
std::string name_of(const MethodRef& method);                              // "pkg.Service/Method"
std::string rule_and_line(const RuleSpec& rule);                           // `rule "a" (line 4)`
std::string yaml_path(const CapabilitySpec& capability);                   // "capabilities.address-update"
std::string rule_path(std::size_t rule);                                   // "rules[3]"
std::string item_path(std::string_view list, std::size_t index);           // "reads[2]"

// ---- references: policy_check_references.cc ----
// Unknown names, identity that rules need and lack, unused groups. Returns the index of each rule's capability,
// kNoIndex32 for a rule that names something unknown: what it takes cannot be judged.
// Names that `doubts` leaves open are taken to be declared.
std::vector<std::uint32_t> check_references(const CheckInput& input, const PolicyDoubts& doubts, Report& report);
// `until` of rules, overrides, paths and unmanaged entries against today.
void check_expiry(const CheckInput& input, Report& report);

// ---- methods: policy_check_methods.cc ----
// Where every method that the policy names stands.
struct MethodPlace {
  std::uint32_t capability = kNoIndex32;  // kNoIndex32: unmanaged
  MethodKind kind = MethodKind::kRead;
};
class MethodIndex {
 public:
  explicit MethodIndex(const Policy& policy);
  // The named method's place, or null. The star of a service is its method "*".
  const MethodPlace* named(std::string_view service, std::string_view method) const;
  // A named method's place, else that of its service's star, as far as that takes the method: a star under `reads`
  // takes what `catalog` marks NO_SIDE_EFFECTS. Null: in no capability and not under unmanaged.
  const MethodPlace* resolve(std::string_view service, std::string_view method, const MethodCatalog* catalog) const;

 private:
  std::map<std::pair<std::string_view, std::string_view>, MethodPlace> places_;
};
void check_methods(const CheckInput& input, const MethodIndex& methods, Report& report);

// ---- keys and compare paths, against schemas: policy_check_schema.cc ----
void check_keys(const CheckInput& input, Report& report);
void check_compare(const CheckInput& input, const MethodIndex& methods, Report& report);

// ---- stages and shares, rule by rule: policy_check_stages.cc ----
void check_stages(const CheckInput& input, const std::vector<std::uint32_t>& capability_of_rule, Report& report);

// ---- which rules take which calls: policy_check_reach.cc ----
// Of one chain: bit i says that some read goes to chain.rules[i].
struct ReadReach {
  std::uint64_t reached = 0;
  std::uint64_t proved = 0;  // of these; beyond the bound several rules above may yet take all that one asks for
};

// Everything that is judged over classes of tenants.
struct Analysis {
  NameClasses classes;
  std::vector<CapabilityTenants> tenants;       // one a capability
  std::vector<std::vector<ReadReach>> reach;    // one a capability and chain; empty where too_many_rules
  std::vector<std::uint32_t> capability_of_rule;
};

// All the work that one policy's coverage may cost, in pairs of (cell, class) looked at: about a tenth of a second.
// One chain may make 2^20 pairs at a time. A rule not judged within these is warned of (W109) and taken to match, except
// where one rule above takes all of it by itself.
inline constexpr std::size_t kMaxCoverageSteps = std::size_t{1} << 24;

Analysis analyse(const Policy& policy, std::vector<std::uint32_t> capability_of_rule,
                 std::size_t coverage_steps = kMaxCoverageSteps);
void check_coverage(const CheckInput& input, const Analysis& analysis, Report& report);

// ---- who owns a write: policy_check_ownership.cc ----
void check_ownership(const CheckInput& input, const MethodIndex& methods, const Analysis& analysis, Report& report);

// ---- which servers the two sides are: policy_check_servers.cc ----
// Warnings only: servers are compared as written, and what stands behind them is not known here.
void check_servers(const CheckInput& input, Report& report);

// ---- the policy's own tests: policy_check_tests.cc ----
// Precondition: no error so far.
void run_policy_tests(const CheckInput& input, Report& report);

}  // namespace ficus::policy_check
