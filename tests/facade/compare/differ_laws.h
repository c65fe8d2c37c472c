// What must hold of every comparison, whatever the schema, the messages and the rules. No GoogleTest here, so that the
// fuzz target asks the same.
#pragma once

#include <string>

#include "facade/compare/comparison.h"
#include "tests/facade/compare/differ_case.h"

namespace ficus::test {

// Each gives an empty text where the law holds of the case, else what is wrong.

// A message compared with itself differs in nothing, and no rule swallows anything.
std::string self_match_broken(const DifferCase& c);
// `ignore` and `unordered` only take away: what is alike without them stays so, and a difference that is left lies
// where something differed without them (for what lies in an unordered list: in that list).
std::string rules_add_differences(const DifferCase& c);
// A message and its permutation are alike under `unordered: ["**"]`; the rule says so exactly where the order differed.
std::string permutation_broken(const DifferCase& c);
// Exchanging the sides changes neither how many differences there are nor how grave, nor what is swallowed.
std::string swap_broken(const DifferCase& c);
// Two messages have equal canonical bytes exactly where nothing differs.
std::string canonical_broken(const DifferCase& c);
// The verdict on two answers is what the walk over the two messages says.
std::string verdict_broken(const DifferCase& c);

// What diff_responses() says of the two messages as answers.
Comparison verdict_of(const DifferCase& c);

}  // namespace ficus::test
