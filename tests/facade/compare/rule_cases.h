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

inline KeyedRule keyed(std::string_view path, std::string by) { return {paths({path})[0], Text{std::move(by), {}}}; }
inline ToleranceRule absolute(std::string_view path, double most) {
  return {paths({path})[0], At<double>{most, {}}, {}, {}};
}
inline ToleranceRule relative(std::string_view path, double most) {
  return {paths({path})[0], {}, At<double>{most, {}}, {}};
}
inline ToleranceRule window(std::string_view path, std::chrono::milliseconds most) {
  return {paths({path})[0], {}, {}, At<std::chrono::milliseconds>{most, {}}};
}

// What a comparison must say under rules of any kind.
struct SpecCase {
  const char* name;
  std::string legacy, fresh;
  CompareSpec rules;
  Texts want, want_swallowed;
};

inline void expect_all(const std::vector<SpecCase>& cases) {
  for (const SpecCase& c : cases) {
    const Comparison got = diff_texts(c.legacy, c.fresh, c.rules);
    EXPECT_EQ(summary(got), c.want) << c.name;
    EXPECT_EQ(swallowed(got), c.want_swallowed) << c.name;
    EXPECT_EQ(got.verdict, !c.want.empty()            ? Verdict::kMismatch
                           : c.want_swallowed.empty() ? Verdict::kMatch
                                                      : Verdict::kIgnored)
        << c.name << ' ' << got.reason;
    // Neither side's values may be taken for granted: the same the other way round.
    EXPECT_EQ(diff_texts(c.fresh, c.legacy, c.rules).verdict, got.verdict) << c.name << ", swapped";
  }
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
