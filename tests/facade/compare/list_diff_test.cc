// Lists, in order and unordered: which entries belong together, and what differs then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/rule_cases.h"
#include "tests/facade/compare/schema_fixture.h"

namespace ficus {
namespace {

using test::diff_texts;
using test::expect_all;
using test::paths;
using test::summary;
using testing::ElementsAre;

TEST(ListDiffTest, UnorderedRuleMakesAMultisetOfItsPathAndNoOther) {
  expect_all({
      {"another order",
       "numbers: 1 numbers: 2 numbers: 3",
       "numbers: 3 numbers: 1 numbers: 2",
       {},
       {"numbers"},
       {},
       {"numbers:1"}},
      {"the same order swallows nothing", "numbers: 1 numbers: 2", "numbers: 1 numbers: 2", {}, {"numbers"}, {}, {}},
      {"without the rule", "numbers: 1 numbers: 2", "numbers: 2 numbers: 1", {}, {}, {"order numbers major"}, {}},
      {"a multiset, not a set",
       "numbers: 1 numbers: 1 numbers: 2",
       "numbers: 1 numbers: 2 numbers: 2",
       {},
       {"numbers"},
       {"missing numbers[1] major", "extra numbers[1] major"},
       {}},
      {"one less",
       "numbers: 1 numbers: 2 numbers: 3",
       "numbers: 2 numbers: 3",
       {},
       {"numbers"},
       {"missing numbers[0] major"},
       {}},
      {"one less and another order",
       "numbers: 1 numbers: 2 numbers: 3",
       "numbers: 3 numbers: 2",
       {},
       {"numbers"},
       {"missing numbers[0] major"},
       {"numbers:1"}},
      {"another list of the same type",
       "policy { endorsements { id: 'a' } endorsements { id: 'b' } riders { id: 'a' } riders { id: 'b' } }",
       "policy { endorsements { id: 'b' } endorsements { id: 'a' } riders { id: 'b' } riders { id: 'a' } }",
       {},
       {"policy.endorsements"},
       {"order policy.riders major"},
       {"policy.endorsements:1"}},
      {"ignored fields inside the entries",
       "policy { endorsements { id: 'a' updated_at { seconds: 1 } } endorsements { id: 'b' updated_at { seconds: 2 } } "
       "}",
       "policy { endorsements { id: 'b' updated_at { seconds: 3 } } endorsements { id: 'a' updated_at { seconds: 4 } } "
       "}",
       {"**.updated_at"},
       {"policy.endorsements"},
       {},
       {"**.updated_at:2", "policy.endorsements:1"}},
      {"ignored fields in the same order are no other order",
       "policy { endorsements { id: 'a' updated_at { seconds: 1 } } endorsements { id: 'b' } }",
       "policy { endorsements { id: 'a' updated_at { seconds: 2 } } endorsements { id: 'b' } }",
       {"**.updated_at"},
       {"policy.endorsements"},
       {},
       {"**.updated_at:1"}},
      {"a list within the entries keeps its order",
       "policy { endorsements { id: 'a' tags: ['x','y'] } endorsements { id: 'b' } }",
       "policy { endorsements { id: 'b' } endorsements { id: 'a' tags: ['y','x'] } }",
       {},
       {"policy.endorsements"},
       {"order policy.endorsements[0].tags major"},
       {"policy.endorsements:1"}},
      {"unordered within unordered",
       "policy { endorsements { id: 'a' tags: ['x','y'] } endorsements { id: 'b' } }",
       "policy { endorsements { id: 'b' } endorsements { id: 'a' tags: ['y','x'] } }",
       {},
       {"policy.endorsements", "policy.endorsements.tags"},
       {},
       {"policy.endorsements:1", "policy.endorsements.tags:1"}},
      {"unordered at any depth, of one name",
       "policy { endorsements { parts { id: '1' parts { id: '2' } parts { id: '3' } } } }",
       "policy { endorsements { parts { id: '1' parts { id: '3' } parts { id: '2' } } } }",
       {},
       {"**.parts"},
       {},
       {"**.parts:1"}},
      {"the one entry that changed is found",
       "policy { endorsements { id: 'a' note: 'n' premium { amount: 1 } } endorsements { id: 'b' note: 'n' premium { "
       "amount: 2 } } }",
       "policy { endorsements { id: 'b' note: 'n' premium { amount: 3 } } endorsements { id: 'a' note: 'n' premium { "
       "amount: 1 } } }",
       {},
       {"policy.endorsements"},
       {"value policy.endorsements[1].premium.amount major"},
       {"policy.endorsements:1"}},
      {"entries that have nothing in common are missing and extra",
       "policy { endorsements { id: 'a' note: 'x' } }",
       "policy { endorsements { id: 'b' note: 'y' } endorsements { id: 'c' note: 'z' } }",
       {},
       {"policy.endorsements"},
       {"missing policy.endorsements[0] major", "extra policy.endorsements[0] major",
        "extra policy.endorsements[1] major"},
       {}},
      {"equal but for ignored fields is equal, not the same",
       "policy { endorsements { id: 'a' updated_at { seconds: 1 } } endorsements { id: 'a' updated_at { seconds: 2 } } "
       "}",
       "policy { endorsements { id: 'a' updated_at { seconds: 3 } } }",
       {"**.updated_at"},
       {"policy.endorsements"},
       {"missing policy.endorsements[1] major"},
       {"**.updated_at:1"}},
  });
}

TEST(ListDiffTest, ListsAreAlignedByWhatTheyHaveInCommon) {
  expect_all({
      {"one value", "numbers: 1 numbers: 2", "numbers: 1 numbers: 3", {}, {}, {"value numbers[1] major"}, {}},
      {"one gone in the middle",
       "numbers: 1 numbers: 2 numbers: 3",
       "numbers: 1 numbers: 3",
       {},
       {},
       {"missing numbers[1] major"},
       {}},
      {"one more at the front", "numbers: 1", "numbers: 0 numbers: 1", {}, {}, {"extra numbers[0] major"}, {}},
      {"several",
       "numbers: 1 numbers: 2 numbers: 3 numbers: 4",
       "numbers: 2 numbers: 9 numbers: 4",
       {},
       {},
       {"missing numbers[0] major", "missing numbers[2] major", "extra numbers[1] major"},
       {}},
      {"none against some",
       "",
       "numbers: 1 numbers: 1",
       {},
       {},
       {"extra numbers[0] major", "extra numbers[1] major"},
       {}},
      {"an entry gone and one changed",
       "policy { riders { id: 'a' note: 'n' premium { amount: 1 currency: 'EUR' } } riders { id: 'b' note: 'n' premium "
       "{ amount: 2 currency: 'EUR' } } }",
       "policy { riders { id: 'b' note: 'n' premium { amount: 3 currency: 'EUR' } } }",
       {},
       {},
       {"value policy.riders[1].premium.amount major", "missing policy.riders[0] major"},
       {}},
      {"ignored in what is aligned",
       "policy { riders { id: 'a' updated_at { seconds: 1 } } riders { id: 'b' } }",
       "policy { riders { id: 'a' updated_at { seconds: 2 } } }",
       {"**.updated_at"},
       {},
       {"missing policy.riders[1] major"},
       {"**.updated_at:1"}},
      {"another order and ignored fields",
       "policy { riders { id: 'a' updated_at { seconds: 1 } } riders { id: 'b' } }",
       "policy { riders { id: 'b' } riders { id: 'a' updated_at { seconds: 2 } } }",
       {"**.updated_at"},
       {},
       {"order policy.riders major"},
       {"**.updated_at:1"}},
      {"bytes", "blobs: 'a' blobs: '\\377'", "blobs: 'a' blobs: '\\376'", {}, {}, {"value blobs[1] major"}, {}},
      {"enums", "statuses: ACTIVE", "statuses: CANCELLED", {}, {}, {"value statuses[0] major"}, {}},
  });
}

TEST(ListDiffTest, ListsTooDifferentToAlignAreOneDifferenceOfSize) {
  std::string a, b;
  for (int i = 0; i < 100; ++i) a += "numbers: " + std::to_string(i) + ' ';
  for (int i = 0; i < 90; ++i) b += "numbers: " + std::to_string(1000 + i) + ' ';
  const Comparison got = diff_texts(a, b);
  ASSERT_THAT(summary(got), ElementsAre("size numbers major"));
  EXPECT_EQ(got.differences[0].legacy.text, "100");
  EXPECT_EQ(got.differences[0].new_.text, "90");
}

TEST(ListDiffTest, OrderDifferenceIsAsGraveAsWhatItStandsFor) {
  CompareSpec rules;
  rules.minor = paths({"policy.riders.note"});
  rules.critical = paths({"policy.riders.id"});
  EXPECT_THAT(summary(diff_texts("policy { riders { note: 'a' } riders { note: 'b' } }",
                                 "policy { riders { note: 'b' } riders { note: 'a' } }", rules)),
              ElementsAre("order policy.riders minor"));
  const Comparison got = diff_texts("policy { riders { id: 'a' } riders { id: 'b' } riders { id: 'c' } }",
                                    "policy { riders { id: 'c' } riders { id: 'a' } riders { id: 'b' } }", rules);
  ASSERT_THAT(summary(got), ElementsAre("order policy.riders critical"));
  EXPECT_EQ(got.differences[0].legacy.text, "0 1 2");
  EXPECT_EQ(got.differences[0].new_.text, "2 0 1");
}

}  // namespace
}  // namespace ficus
