#include "routing/diagnostic.h"

#include <gtest/gtest.h>

namespace ficus {
namespace {

Diagnostic at(std::uint32_t line, std::uint32_t column, std::string message,
              DiagnosticLevel level = DiagnosticLevel::kError) {
  Diagnostic diagnostic;
  diagnostic.code = "P014";
  diagnostic.level = level;
  diagnostic.file = "policies/insurer.yaml";
  diagnostic.mark = {line, column};
  diagnostic.message = std::move(message);
  return diagnostic;
}

TEST(DiagnosticTest, ReadsAsFileLineColumnCodeMessageAndHint) {
  Diagnostic d = at(41, 7, "no upstream named \"policy-nwe\"");
  d.hint = "did you mean \"policy-new\"?";
  EXPECT_EQ(to_string(d),
            "policies/insurer.yaml:41:7: error[P014]: no upstream named \"policy-nwe\" (did you mean \"policy-new\"?)");
}

TEST(DiagnosticTest, HasNoParenthesesWithoutAHint) {
  EXPECT_EQ(to_string(at(1, 2, "wrong")), "policies/insurer.yaml:1:2: error[P014]: wrong");
}

TEST(DiagnosticTest, AWarningSaysSo) {
  EXPECT_EQ(to_string(at(1, 2, "odd", DiagnosticLevel::kWarning)), "policies/insurer.yaml:1:2: warning[P014]: odd");
}

TEST(DiagnosticTest, WithoutAPlaceNamesTheFileAlone) {
  EXPECT_EQ(to_string(at(0, 0, "cannot be read")), "policies/insurer.yaml: error[P014]: cannot be read");
}

TEST(DiagnosticTest, WarningsAloneAreNoError) {
  EXPECT_FALSE(has_error({}));
  EXPECT_FALSE(has_error({at(1, 1, "odd", DiagnosticLevel::kWarning)}));
  EXPECT_TRUE(has_error({at(1, 1, "odd", DiagnosticLevel::kWarning), at(2, 1, "wrong")}));
}

TEST(DiagnosticTest, SortingIsByPlaceAndKeepsTheOrderOfEquals) {
  std::vector<Diagnostic> all = {at(3, 1, "d"), at(2, 9, "b"), at(2, 1, "a"), at(2, 9, "c"), at(0, 0, "file")};
  sort_by_mark(all);
  std::string order;
  for (const Diagnostic& d : all) order += d.message + ' ';
  EXPECT_EQ(order, "file a b c d ");
}

}  // namespace
}  // namespace ficus
