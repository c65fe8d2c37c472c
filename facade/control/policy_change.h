// What a reload changed, in one line for the log. Pure.
#pragma once

#include <string>

#include "routing/policy.h"

namespace ficus {

// "rules: inquiry-acme changed, inquiry-eu added; ownership_epoch: 1 -> 2"; at most three names a section, the others
// counted. "only the contents of files it names" where the policies are equal. Names only, no values.
std::string brief_change(const Policy& from, const Policy& to);

}  // namespace ficus
