// YAML text -> Policy, or every Diagnostic. The only code that sees yaml-cpp; its exceptions end here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/diagnostic.h"
#include "routing/policy.h"
#include "routing/policy_partial.h"
#include "routing/result.h"

namespace ficus {

struct PolicyParseLimits {
  std::size_t text_bytes = 64u << 20;  // a policy with 100,000 tenants is about 5 MB
  std::size_t depth = 32;              // the language itself nests 8 deep
  std::size_t nodes = 8'000'000;       // counted with aliases expanded, so that they cannot explode
};

struct ParsedPolicy {
  Policy policy;
  std::vector<Diagnostic> diagnostics;  // warnings only
};

// Reads one document. `file` is the name put into diagnostics. Judges syntax, spelling (unknown and duplicate keys with
// a did-you-mean), types, ranges, required keys, "not supported yet" fields, `ownership_epoch` as the last key,
// a final newline; what needs the whole policy is policy_check.h's. Error: every diagnostic, sorted by place, at least
// one of them an error; as much as can be judged is judged in one go. Any thread.
Result<ParsedPolicy, std::vector<Diagnostic>> parse_policy(std::string_view text, std::string_view file,
                                                           const PolicyParseLimits& limits = {});

struct ParseFailure {
  std::vector<Diagnostic> diagnostics;   // sorted by place, at least one of them an error
  std::optional<PartialPolicy> partial;  // absent: not one YAML mapping, cut off in a line, or more errors than are listed
};

// parse_policy(), and of a policy that it refuses what could be read, for check_partial_policy(). Any thread.
Result<ParsedPolicy, ParseFailure> parse_policy_or_part(std::string_view text, std::string_view file,
                                                        const PolicyParseLimits& limits = {});

// The policy as canonical YAML; parse_policy of it gives an equal policy back.
std::string print_policy(const Policy& policy);

}  // namespace ficus
