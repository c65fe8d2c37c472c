// Lists whose entries belong together by a field of theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/rule_cases.h"

namespace ficus {
namespace {

using test::diff_texts;
using test::expect_all;
using test::keyed;
using test::paths;
using test::summary;
using test::swallowed;
using testing::ElementsAre;

CompareSpec by_id(std::string_view path = "policy.riders") {
  CompareSpec rules;
  rules.keyed = {keyed(path, "id")};
  return rules;
}

std::string riders(std::initializer_list<std::pair<const char*, const char*>> entries) {
  std::string text = "policy {";
  for (const auto& [id, note] : entries) text += std::string(" riders { id: '") + id + "' note: '" + note + "' }";
  return text + " }";
}

TEST(KeyedDiffTest, EntriesBelongTogetherByTheirKeyWhereverTheyStand) {
  expect_all({
      {"another order",
       riders({{"a", "x"}, {"b", "y"}}),
       riders({{"b", "y"}, {"a", "x"}}),
       by_id(),
       {},
       {"policy.riders:1"}},
      {"the same order swallows nothing", riders({{"a", "x"}}), riders({{"a", "x"}}), by_id(), {}, {}},
      {"one changed and moved",
       riders({{"a", "x"}, {"b", "y"}, {"c", "z"}}),
       riders({{"c", "z"}, {"a", "x"}, {"b", "other"}}),
       by_id(),
       {"value policy.riders[1].note major"},
       {"policy.riders:1"}},
      {"all that they hold has changed but the key",
       riders({{"a", "1"}, {"b", "2"}}),
       riders({{"b", "3"}, {"a", "4"}}),
       by_id(),
       {"value policy.riders[0].note major", "value policy.riders[1].note major"},
       {"policy.riders:1"}},
      {"one missing, one extra",
       riders({{"a", "x"}, {"b", "y"}}),
       riders({{"c", "x"}, {"b", "y"}}),
       by_id(),
       {"missing policy.riders[0] major", "extra policy.riders[0] major"},
       {}},
      {"none against one", "policy {}", riders({{"a", "x"}}), by_id(), {"extra policy.riders[0] major"}, {}},
      {"one without a key is one of the default key",
       riders({{"", "x"}, {"b", "y"}}),
       riders({{"b", "y"}, {"", "z"}}),
       by_id(),
       {"value policy.riders[0].note major"},
       {"policy.riders:1"}},
      {"of another list it says nothing",
       riders({{"a", "x"}, {"b", "y"}}),
       riders({{"b", "y"}, {"a", "x"}}),
       by_id("policy.endorsements"),
       {"order policy.riders major"},
       {}},
      {"a field that entries have not says nothing",
       riders({{"a", "x"}, {"b", "y"}}),
       riders({{"b", "y"}, {"a", "x"}}),
       [] {
         CompareSpec rules;
         rules.keyed = {keyed("**", "no_such_field")};
         return rules;
       }(),
       {"order policy.riders major"},
       {}},
      {"a list of no messages",
       "numbers: 1 numbers: 2",
       "numbers: 2 numbers: 1",
       by_id("**"),
       {"order numbers major"},
       {}},
  });
}

TEST(KeyedDiffTest, KeysThatStandSeveralTimesAreMatchedByWhatTheEntriesHold) {
  expect_all({
      {"the same ones moved",
       riders({{"a", "1"}, {"a", "2"}, {"b", "3"}}),
       riders({{"b", "3"}, {"a", "2"}, {"a", "1"}}),
       by_id(),
       {},
       {"policy.riders:1"}},
      {"one of them changed",
       riders({{"a", "1"}, {"a", "2"}}),
       riders({{"a", "2"}, {"a", "9"}}),
       by_id(),
       {"value policy.riders[0].note major"},
       {"policy.riders:1"}},
      {"one more of the key",
       riders({{"a", "1"}}),
       riders({{"a", "0"}, {"a", "1"}}),
       by_id(),
       {"extra policy.riders[0] major"},
       {}},
      {"one less of the key, and another changed",
       riders({{"a", "1"}, {"a", "2"}, {"a", "3"}}),
       riders({{"a", "3"}, {"a", "8"}}),
       by_id(),
       {"value policy.riders[0].note major", "missing policy.riders[1] major"},
       {"policy.riders:1"}},
  });
}

TEST(KeyedDiffTest, KeysOfEveryScalarTypeWill) {
  const auto rules = [](std::string_view path, std::string by) {
    CompareSpec spec;
    spec.keyed = {keyed(path, std::move(by))};
    return spec;
  };
  EXPECT_THAT(
      summary(diff_texts("details { [x/testing.Money] { amount: 1 } } details { [x/testing.Policy] { number: 'n' } }",
                         "details { [x/testing.Policy] { number: 'm' } } details { [x/testing.Money] { amount: 1 } }",
                         rules("details", "type_url"))),
      ElementsAre("value details[1].number major"));
  EXPECT_THAT(summary(diff_texts("Row { cell: 1 } Row { cell: 2 }", "Row { cell: 2 } Row { cell: 3 }",
                                 rules("row", "cell"), "Old")),
              ElementsAre("missing row[0] major", "extra row[1] major"));
}

TEST(KeyedDiffTest, OtherRulesHoldWithinTheEntries) {
  CompareSpec rules = by_id();
  rules.ignore = paths({"**.updated_at"});
  rules.critical = paths({"policy.riders.id"});
  const Comparison got =
      diff_texts("policy { riders { id: 'a' updated_at { seconds: 1 } } riders { id: 'b' } }",
                 "policy { riders { id: 'c' } riders { id: 'a' updated_at { seconds: 2 } } }", rules);
  EXPECT_THAT(summary(got), ElementsAre("missing policy.riders[1] critical", "extra policy.riders[0] critical"));
  EXPECT_THAT(swallowed(got), ElementsAre("**.updated_at:1"));
  // Keyed within keyed.
  CompareSpec nested;
  nested.keyed = {keyed("policy.riders", "id"), keyed("policy.riders.parts", "id")};
  EXPECT_THAT(swallowed(diff_texts(
                  "policy { riders { id: 'a' parts { id: '1' } parts { id: '2' } } riders { id: 'b' } }",
                  "policy { riders { id: 'b' } riders { id: 'a' parts { id: '2' } parts { id: '1' } } }", nested)),
              ElementsAre("policy.riders:1", "policy.riders.parts:1"));
}

TEST(KeyedDiffTest, KeyThatIsIgnoredMakesNothingDifferThatDidNot) {
  CompareSpec rules;
  rules.ignore = paths({"policy.riders.id"});
  const std::string legacy = riders({{"a", "x"}, {"b", "y"}}), fresh = riders({{"b", "x"}, {"a", "y"}});
  ASSERT_EQ(diff_texts(legacy, fresh, rules).verdict, Verdict::kIgnored);
  rules.keyed = by_id().keyed;
  EXPECT_EQ(diff_texts(legacy, fresh, rules).verdict, Verdict::kIgnored);
  EXPECT_EQ(diff_texts(legacy, riders({{"b", "y"}, {"a", "x"}}), rules).verdict, Verdict::kIgnored);
}

TEST(KeyedDiffTest, LongListsCostNoSquareAndTooLongOnesAreIncomparable) {
  const auto store = test::test_store();
  const auto list = [&](int size, bool backwards) {
    std::string text = "policy {";
    for (int i = 0; i < size; ++i) {
      const std::string id = std::to_string(backwards ? size - 1 - i : i);
      text += " riders { id: '" + id + "' note: '" + (backwards && id == "7" ? "changed" : "n") + "' }";
    }
    return test::wire_of(*store, "testing.Answer", text + " }");
  };
  const auto compare = [&](int size, std::size_t looks) {
    CompareLimits limits;
    limits.elements = looks;
    limits.unordered_elements = 15'000;
    return test::diff(test::answered(Side::kLegacy, {list(size, false)}),
                      test::answered(Side::kNew, {list(size, true)}), "Get", by_id(), store.get(), limits);
  };
  const Comparison got = compare(15'000, 100'000);  // 32 looks an element are all that a comparison has
  EXPECT_THAT(summary(got), ElementsAre("value policy.riders[7].note major")) << got.reason;
  EXPECT_EQ(compare(15'001, 1'000'000).reason, "too_large");
}

}  // namespace
}  // namespace ficus
