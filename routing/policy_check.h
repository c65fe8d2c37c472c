// Judges a whole parsed policy: everything that POLICY sections 2 to 8 call an error or a warning and that needs more
// than one place of the file. Pure: today's date and what schemas say are arguments.
#pragma once

#include <vector>

#include "routing/diagnostic.h"
#include "routing/method_catalog.h"
#include "routing/policy.h"
#include "routing/policy_partial.h"

namespace ficus {

struct CheckInput {
  const Policy& policy;
  const MethodCatalog* catalog = nullptr;  // null: the policy names no schema
  Date today;
};

// Every diagnostic, sorted by place; the policy's own `tests:` are run here too (only when nothing else is an error,
// since they need a compiled table). Any thread; milliseconds for 100,000 tenants.
std::vector<Diagnostic> check_policy(const CheckInput& input);

// What is wrong besides with a policy that could not be read whole: errors only, and only those that mending what
// could not be read cannot take away. Names that lead nowhere are always judged, unless the name may be declared in a
// part that could not be read; methods and paths where capabilities and what they hang on were read whole; everything
// but `tests:` where rules were too. Any thread.
std::vector<Diagnostic> check_partial_policy(const PartialPolicy& partial, const MethodCatalog* catalog, Date today);

}  // namespace ficus
