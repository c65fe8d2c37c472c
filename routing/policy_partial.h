// A policy that is refused, as far as it could be read, and what its errors leave in doubt: so that one look at a file
// finds every problem, and no problem is made up. Made by policy_parse.h, judged by policy_check.h. Pure values.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "routing/policy.h"

namespace ficus {

struct PolicyDoubts {
  // Keys of the top mapping ("upstreams") whose value is not all in the policy: something in it could not be read, or
  // the key is missing where the file may have lost it.
  std::set<std::string, std::less<>> sections;
  // Whatever stands anywhere in the file as a key or behind `name:`, but for keys of `match`, which only refer to
  // attributes. A name that stands there may be declared by lines that slipped out of their section.
  std::set<std::string, std::less<>> names;

  bool about(std::string_view section) const { return sections.find(section) != sections.end(); }
  // Whether a name that the policy's `section` does not hold may be declared in the file all the same.
  bool about_name(std::string_view section, std::string_view name) const {
    return about(section) || names.find(name) != names.end();
  }
};

struct PartialPolicy {
  Policy policy;  // never to be compiled: what could not be read is left out, or stands empty with the mark {0, 0}
  PolicyDoubts doubts;
};

}  // namespace ficus
