// Judges a whole parsed policy: everything that POLICY sections 2 to 8 call an error or a warning and that needs more
// than one place of the file. Pure: today's date and what schemas say are arguments.
#pragma once

#include <vector>

#include "routing/diagnostic.h"
#include "routing/method_catalog.h"
#include "routing/policy.h"

namespace ficus {

struct CheckInput {
  const Policy& policy;
  const MethodCatalog* catalog = nullptr;  // null: the policy names no schema
  Date today;
};

// Every diagnostic, sorted by place; the policy's own `tests:` are run here too (only when nothing else is an error,
// since they need a compiled table). Any thread; milliseconds for 100,000 tenants.
std::vector<Diagnostic> check_policy(const CheckInput& input);

}  // namespace ficus
