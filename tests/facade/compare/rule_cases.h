// Tables of answers, rules and what they make of each other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/facade/compare/schema_fixture.h"

namespace ficus::test {

using Texts = std::vector<std::string>;

// "**.updated_at:2" for each rule that swallowed something.
inline Texts swallowed(const Comparison& comparison) {
  Texts out;
  for (const auto& [rule, n] : comparison.swallowed) out.push_back(rule + ':' + std::to_string(n));
  return out;
}

struct RuleCase {
  const char* name;
  const char* legacy;
  const char* fresh;
  std::vector<std::string> ignore, unordered;
  Texts want, want_swallowed;
};

inline CompareSpec rules_of(const RuleCase& c) {
  CompareSpec rules;
  for (const std::string& path : c.ignore) rules.ignore.push_back(paths({path})[0]);
  for (const std::string& path : c.unordered) rules.unordered.push_back(paths({path})[0]);
  return rules;
}

inline void expect_all(const std::vector<RuleCase>& cases, std::string_view method = "Get") {
  for (const RuleCase& c : cases) {
    const Comparison got = diff_texts(c.legacy, c.fresh, rules_of(c), method);
    EXPECT_EQ(summary(got), c.want) << c.name;
    EXPECT_EQ(swallowed(got), c.want_swallowed) << c.name;
    EXPECT_EQ(got.verdict, !c.want.empty()            ? Verdict::kMismatch
                           : c.want_swallowed.empty() ? Verdict::kMatch
                                                      : Verdict::kIgnored)
        << c.name;
  }
}

}  // namespace ficus::test
