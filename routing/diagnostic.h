// A complaint about a policy, with the place it is about. Pure values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ficus {

// Where in the policy's text; 1-based; {0, 0} is the file as a whole.
struct Mark {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  auto operator<=>(const Mark&) const = default;
};

enum class DiagnosticLevel : std::uint8_t { kError, kWarning };

struct Diagnostic {
  std::string code;       // "P014"; each stands in policies/README.md
  DiagnosticLevel level = DiagnosticLevel::kError;
  std::string file;       // as the user named it
  Mark mark;
  std::string yaml_path;  // "rules[3].reads.canary.percent"
  std::string message;    // what is wrong; never a secret's value
  std::string hint;       // what to do; may be empty
};

// "policies/insurer.yaml:41:7: error[P014]: no upstream named "policy-nwe" (did you mean "policy-new"?)"; the hint,
// where there is one, in the parentheses.
std::string to_string(const Diagnostic& diagnostic);

bool has_error(const std::vector<Diagnostic>& diagnostics);

// Sorted by place, errors and warnings mixed; stable.
void sort_by_mark(std::vector<Diagnostic>& diagnostics);

}  // namespace ficus
