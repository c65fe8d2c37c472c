// Properties of reading and printing whole policies: what is printed reads back, and what was cut off is never
// something else.
#include <gtest/gtest.h>

#include "routing/policy_check.h"
#include "routing/policy_parse.h"
#include "tests/routing/policy_files.h"
#include "tests/support/random_policy.h"

namespace ficus {
namespace {

std::string first_complaint(const Result<ParsedPolicy, std::vector<Diagnostic>>& result) {
  return result ? "" : to_string(result.error().front());
}

TEST(PolicyPrintTest, PrintingThenParsingGivesARandomPolicyBack) {
  for (const bool checkable : {false, true}) {
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
      const Policy policy = test::random_policy(seed, {.checkable = checkable});
      const std::string text = print_policy(policy);
      const auto again = parse_policy(text, policy.file);
      ASSERT_TRUE(again) << "seed " << seed << ": " << first_complaint(again) << "\n" << text;
      ASSERT_EQ(again->policy, policy) << "seed " << seed << "\n" << text;
      ASSERT_EQ(print_policy(again->policy), text) << "seed " << seed;
    }
  }
}

TEST(PolicyPrintTest, ACheckableRandomPolicyPassesTheCheck) {
  const Date today = std::chrono::year(2026) / 1 / 1;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Policy policy = test::random_policy(seed, {.checkable = true});
    for (const Diagnostic& d : check_policy({policy, nullptr, today})) {
      ASSERT_NE(d.level, DiagnosticLevel::kError) << "seed " << seed << ": " << to_string(d) << "\n"
                                                  << print_policy(policy);
    }
  }
}

TEST(PolicyPrintTest, EqualSeedsGiveEqualPolicies) {
  EXPECT_EQ(test::random_policy(7), test::random_policy(7));
  EXPECT_FALSE(test::random_policy(7) == test::random_policy(8));
}

TEST(PolicyPrintTest, PrintingThenParsingGivesEveryValidFileBack) {
  for (const char* directory : {"tests/testdata/policies/valid", "policies"}) {
    for (const auto& file : test::policy_files(directory)) {
      const auto policy = parse_policy(file.text, file.name);
      ASSERT_TRUE(policy) << first_complaint(policy);
      const auto again = parse_policy(print_policy(policy->policy), file.name);
      ASSERT_TRUE(again) << file.name << ": " << first_complaint(again);
      EXPECT_EQ(again->policy, policy->policy) << file.name;
    }
  }
}

// A policy cut off anywhere is refused, or is the policy it was (the last-key rule and the final newline, POLICY 8).
void expect_no_prefix_to_be_another(const std::string& name, const std::string& text) {
  const auto whole = parse_policy(text, name);
  ASSERT_TRUE(whole) << first_complaint(whole);
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const auto part = parse_policy(std::string_view(text).substr(0, cut), name);
    if (part) {
      ASSERT_EQ(part->policy, whole->policy) << name << " cut after " << cut << " bytes";
    }
  }
}

TEST(PolicyPrintTest, AValidFileCutAtAnyByteIsRefusedOrTheSame) {
  for (const char* directory : {"tests/testdata/policies/valid", "policies"}) {
    for (const auto& file : test::policy_files(directory)) expect_no_prefix_to_be_another(file.name, file.text);
  }
}

TEST(PolicyPrintTest, ARandomPolicyCutAtAnyByteIsRefusedOrTheSame) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Policy policy = test::random_policy(seed, {.max_capabilities = 2, .max_rules = 4});
    expect_no_prefix_to_be_another(policy.file, print_policy(policy));
  }
}

}  // namespace
}  // namespace ficus
