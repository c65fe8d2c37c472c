// Values that may be some way apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/rule_cases.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;
using test::absolute;
using test::diff_texts;
using test::expect_all;
using test::keyed;
using test::paths;
using test::relative;
using test::summary;
using test::swallowed;
using test::window;
using testing::ElementsAre;
using testing::IsEmpty;

CompareSpec with(std::vector<ToleranceRule> tolerance) {
  CompareSpec rules;
  rules.tolerance = std::move(tolerance);
  return rules;
}

struct Distance {
  const char *legacy, *fresh;
  ToleranceRule rule;
  bool within;
};

void expect_distances(const std::vector<Distance>& cases) {
  for (const Distance& c : cases) {
    for (const bool swapped : {false, true}) {
      const Comparison got =
          swapped ? diff_texts(c.fresh, c.legacy, with({c.rule})) : diff_texts(c.legacy, c.fresh, with({c.rule}));
      EXPECT_EQ(got.verdict, c.within ? Verdict::kIgnored : Verdict::kMismatch) << c.legacy << " | " << c.fresh;
      EXPECT_EQ(swallowed(got).size(), c.within ? 1u : 0u) << c.legacy << " | " << c.fresh;
    }
  }
}

TEST(ToleranceTest, NumbersAreNearByAbsoluteOrRelativeDistance) {
  expect_distances({
      {"code: 10", "code: 12", absolute("code", 2), true},
      {"code: 10", "code: 13", absolute("code", 2), false},
      {"code: 10", "code: 12", absolute("code", 1.999), false},
      {"ratio: 1.10", "ratio: 1.11", absolute("ratio", 0.01), true},  // 0.010000000000000009 as doubles
      {"ratio: 1.10", "ratio: 1.1101", absolute("ratio", 0.01), false},
      {"small: 1.10", "small: 1.11", absolute("small", 0.01), true},  // 0.00999999 or 0.0100001 as floats
      {"small: 1.10", "small: 1.1101", absolute("small", 0.01), false},
      {"ratio: 100", "ratio: 99", relative("ratio", 0.01), true},
      {"ratio: 100", "ratio: 98.9", relative("ratio", 0.01), false},
      {"ratio: -100", "ratio: -99", relative("ratio", 0.01), true},
      {"ratio: -1", "ratio: 1", relative("ratio", 0.99), false},
      {"code: 100", "code: 71", relative("code", 0.29), true},  // 0.29 x 100 is 28.999999999999996
      {"code: 100", "code: 70", relative("code", 0.29), false},
      {"code: 1", "", relative("code", 0.99), false},
      {"signed: -5", "signed: 5", absolute("signed", 10), true},
      {"fixed: 4294967295", "fixed: 0", absolute("fixed", 4294967294.0), false},
      {"numbers: 5", "numbers: 6", absolute("numbers", 1), true},
      {"policy { amounts { key: 'k' value { amount: 5 } } }", "policy { amounts { key: 'k' value { amount: 6 } } }",
       absolute("policy.amounts.amount", 1), true},
      {"policy { amounts { key: 'k' value { amount: 5 } } }", "policy { amounts { key: 'k' value { amount: 6 } } }",
       absolute("policy.amounts[j].amount", 1), false},
      {"policy { flags { key: true value: 5 } }", "policy { flags { key: true value: 6 } }",
       absolute("policy.flags[true]", 1), true},
      {"detail { [x/testing.Money] { amount: 5 } }", "detail { [x/testing.Money] { amount: 6 } }",
       absolute("detail.amount", 1), true},
      {"boxed { value: 5 }", "boxed { value: 6 }", absolute("boxed.value", 1), true},
      {"boxed { value: 5 }", "boxed { value: 6 }", absolute("boxed", 1), false},
  });
}

TEST(ToleranceTest, OnlyNumbersAreTakenForNumbers) {
  expect_distances({
      {"done: true", "", absolute("**", 5), false},
      {"policy { status: ACTIVE }", "policy { status: CANCELLED }", absolute("**", 5), false},
      {"policy { number: '5' }", "policy { number: '6' }", absolute("**", 5), false},
      {"raw: '5'", "raw: '6'", absolute("**", 5), false},
      {"policy { updated_at { seconds: 5 } }", "policy { updated_at { seconds: 6 } }", absolute("policy.updated_at", 5),
       false},
      {"code: 5", "code: 6", window("**", milliseconds(5000)), false},
  });
}

TEST(ToleranceTest, NaNAndInfinitiesAreNearTheirLikeOnly) {
  expect_distances({
      {"ratio: nan", "ratio: 1", absolute("ratio", 1e15), false},
      {"ratio: inf", "ratio: 1", relative("ratio", 0.99), false},
      {"ratio: inf", "ratio: -inf", relative("ratio", 0.99), false},
      {"ratio: inf", "ratio: 1.7e308", relative("ratio", 0.99), false},
      {"ratio: 1.7e308", "ratio: -1.7e308", absolute("ratio", 1e15), false},
      {"ratio: 1.7e308", "ratio: -1.7e308", relative("ratio", 0.99), false},
      {"ratio: 1.7e308", "ratio: 1.69e308", relative("ratio", 0.01), true},
      {"small: inf", "small: 3e38", relative("small", 0.99), false},
      {"ratio: 5e-324", "", absolute("ratio", 1e-12), true},
  });
  for (const char* same : {"ratio: nan", "ratio: inf", "ratio: -inf", "small: nan"}) {
    EXPECT_EQ(diff_texts(same, same, with({absolute("**", 1)})).verdict, Verdict::kMatch) << same;
  }
  EXPECT_EQ(diff_texts("ratio: -0.0", "", with({absolute("**", 1)})).verdict, Verdict::kMatch);
}

TEST(ToleranceTest, DistancesAreExactToTheEndsOfTheirTypes) {
  constexpr const char* kLeast = "policy { premium { amount: -9223372036854775808 } }";
  constexpr const char* kMost = "policy { premium { amount: 9223372036854775807 } }";
  const auto amount = [](double most) { return absolute("policy.premium.amount", most); };
  expect_distances({
      {kLeast, kMost, amount(1e15), false},
      {kLeast, kMost, relative("policy.premium.amount", 0.99), false},
      {kLeast, "policy { premium { amount: -9223372036854775807 } }", amount(1), true},
      {kLeast, "policy { premium { amount: -9223372036854775806 } }", amount(1), false},
      {kMost, "policy { premium { amount: 9223372036854775806 } }", amount(1), true},
      {kMost, "policy { premium { amount: 9223372036854775805 } }", amount(1), false},
      {kMost, "policy { premium { amount: 9223372036854775806 } }", amount(0.5), false},
      {"big: 18446744073709551615", "", absolute("big", 1e15), false},
      {"big: 18446744073709551615", "", relative("big", 0.99), false},
      {"big: 18446744073709551615", "big: 18446744073709551614", absolute("big", 1), true},
      {"big: 18446744073709551615", "big: 18446744073709551613", absolute("big", 1), false},
      {"code: -2147483648", "code: 2147483647", absolute("code", 4294967295.0), true},
      {"code: -2147483648", "code: 2147483647", absolute("code", 4294967294.0), false},
  });
}

TEST(ToleranceTest, TimesAreNearWithinAWindow) {
  const auto at = [](std::string fields) { return "policy { updated_at { " + fields + " } }"; };
  struct Case {
    std::string legacy, fresh;
    milliseconds most;
    bool within;
  };
  const Case cases[] = {
      {at("seconds: 100"), at("seconds: 102"), milliseconds(2000), true},
      {at("seconds: 100"), at("seconds: 102 nanos: 1"), milliseconds(2000), false},
      {at("seconds: 100 nanos: 999000000"), at("seconds: 101"), milliseconds(1), true},
      {at("seconds: 100 nanos: 998999999"), at("seconds: 101"), milliseconds(1), false},
      {at("seconds: -1"), at("seconds: 1"), milliseconds(2000), true},
      {at("seconds: 5"), at(""), milliseconds(5000), true},
      {at("seconds: -9223372036854775808"), at("seconds: 9223372036854775807"), milliseconds(604'800'000), false},
      {at("seconds: 9223372036854775807 nanos: 2147483647"), at("seconds: 9223372036854775807 nanos: -2147483648"),
       milliseconds(4294), false},
      {at("seconds: 9223372036854775807 nanos: 2147483647"), at("seconds: 9223372036854775807 nanos: -2147483648"),
       milliseconds(4295), true},
      {at("seconds: 1 nanos: -1000000000"), at("nanos: 1"), milliseconds(1), true},
  };
  for (const Case& c : cases) {
    const CompareSpec rules = with({window("**.updated_at", c.most)});
    EXPECT_EQ(diff_texts(c.legacy, c.fresh, rules).verdict, c.within ? Verdict::kIgnored : Verdict::kMismatch)
        << c.legacy << " | " << c.fresh;
    EXPECT_EQ(diff_texts(c.fresh, c.legacy, rules).verdict, c.within ? Verdict::kIgnored : Verdict::kMismatch)
        << c.fresh << " | " << c.legacy;
  }
  EXPECT_EQ(diff_texts(at("seconds: 3"), at("seconds: 3"), with({window("**", milliseconds(1))})).verdict,
            Verdict::kMatch);
}

TEST(ToleranceTest, UnknownFieldOfATimeIsNoPartOfTheTime) {
  const auto store = test::test_store();
  const auto answer = [&](const char* seconds, bool unknown) {
    const auto message =
        test::message_of(*store, "testing.Answer", std::string("policy { updated_at { seconds: ") + seconds + " } }");
    google::protobuf::Message* at = message.get();
    for (const char* name : {"policy", "updated_at"}) {
      at = at->GetReflection()->MutableMessage(at, at->GetDescriptor()->FindFieldByName(name));
    }
    if (unknown) at->GetReflection()->MutableUnknownFields(at)->AddVarint(11, 1);
    return message->SerializeAsString();
  };
  const Comparison got = test::diff(test::answered(Side::kLegacy, {answer("100", false)}),
                                    test::answered(Side::kNew, {answer("101", true)}), "Get",
                                    with({window("**", milliseconds(2000))}), store.get());
  EXPECT_THAT(summary(got), ElementsAre("extra policy.updated_at.11 major"));
  EXPECT_THAT(swallowed(got), ElementsAre("**:1"));
}

TEST(ToleranceTest, WhatOnlyOneSideHasIsMissingHoweverNearToNothing) {
  CompareSpec rules = with({absolute("**", 100), window("**", milliseconds(100'000))});
  EXPECT_THAT(summary(diff_texts("policy { updated_at { seconds: 1 } }", "policy {}", rules)),
              ElementsAre("missing policy.updated_at major"));
  EXPECT_THAT(summary(diff_texts("accepted: 'x'", "code: 1", rules)),
              ElementsAre("missing accepted major", "extra code major"));
  // By default absence is the default, and that is a number.
  EXPECT_EQ(diff_texts("maybe_ratio: 1", "", rules).verdict, Verdict::kIgnored);
  rules.absent_equals_default = false;
  EXPECT_THAT(summary(diff_texts("maybe_ratio: 1", "", rules)), ElementsAre("missing maybe_ratio major"));
  EXPECT_EQ(diff_texts("maybe_ratio: 1", "maybe_ratio: 2", rules).verdict, Verdict::kIgnored);
}

TEST(ToleranceTest, AnyOfSeveralForOnePathIsEnough) {
  const CompareSpec rules = with({absolute("ratio", 0.5), relative("ratio", 0.1), absolute("**", 2)});
  EXPECT_THAT(swallowed(diff_texts("ratio: 1", "ratio: 1.4", rules)), ElementsAre("ratio:1"));
  EXPECT_THAT(swallowed(diff_texts("ratio: 100", "ratio: 91", rules)), ElementsAre("ratio:1"));
  EXPECT_THAT(swallowed(diff_texts("ratio: 3", "ratio: 5", rules)), ElementsAre("**:1"));
  EXPECT_THAT(summary(diff_texts("ratio: 3", "ratio: 5.5", rules)), ElementsAre("value ratio major"));
}

TEST(ToleranceTest, ListsAreMatchedByWhatIsNear) {
  const auto numbers = [](std::initializer_list<double> values) {
    std::string text;
    for (const double value : values) text += "ratios: " + std::to_string(value) + ' ';
    return text;
  };
  CompareSpec unordered = with({absolute("ratios", 0.1)});
  unordered.unordered = paths({"ratios"});
  const CompareSpec in_order = with({absolute("ratios", 0.1)});
  expect_all({
      {"in order", numbers({1, 2, 3}), numbers({1.05, 2, 2.95}), in_order, {}, {"ratios:2"}},
      {"in order, one too far",
       numbers({1, 2, 3}),
       numbers({1.05, 2.2, 3}),
       in_order,
       {"value ratios[1] major"},
       {"ratios:1"}},
      {"in order, one gone",
       numbers({1, 2, 3}),
       numbers({1.05, 3.05}),
       in_order,
       {"missing ratios[1] major"},
       {"ratios:2"}},
      {"another order that no rule takes away",
       numbers({1, 2}),
       numbers({2.05, 1}),
       in_order,
       {"order ratios major"},
       {"ratios:1"}},
      {"another order", numbers({1, 2, 3}), numbers({3.05, 1.05, 2}), unordered, {}, {"ratios:3"}},
      // The nearest bytes are not the right partners: 1.1 is needed by 1.0.
      {"who has a partner gives it up for another",
       numbers({1.0, 1.1}),
       numbers({1.1, 1.2}),
       unordered,
       {},
       {"ratios:2"}},
      {"one of them is too far",
       numbers({1, 2, 3}),
       numbers({3.05, 1.05, 2.5}),
       unordered,
       {"missing ratios[1] major", "extra ratios[2] major"},
       {"ratios:3"}},
      {"around zero", numbers({0, -5}), numbers({-5.05, 0.05}), unordered, {}, {"ratios:3"}},
      {"nan is its like's partner", "ratios: nan ratios: 1", "ratios: 1.05 ratios: nan", unordered, {}, {"ratios:2"}},
  });
}

TEST(ToleranceTest, EntriesAreMatchedByTheRestOfThem) {
  CompareSpec rules = with({absolute("policy.riders.premium.amount", 5), window("**.updated_at", milliseconds(2000))});
  rules.unordered = paths({"policy.riders"});
  const auto riders = [](std::initializer_list<std::tuple<const char*, int, int>> entries) {
    std::string text = "policy {";
    for (const auto& [id, amount, second] : entries) {
      text += std::string(" riders { id: '") + id + "' premium { amount: " + std::to_string(amount) +
              " } updated_at { seconds: " + std::to_string(second) + " } }";
    }
    return text + " }";
  };
  expect_all({
      {"moved and a little apart",
       riders({{"a", 10, 1}, {"b", 20, 1}}),
       riders({{"b", 22, 2}, {"a", 13, 1}}),
       rules,
       {},
       {"policy.riders:1", "policy.riders.premium.amount:2", "**.updated_at:1"}},
      {"the two values cross",
       riders({{"a", 10, 1}, {"a", 11, 9}}),
       riders({{"a", 12, 9}, {"a", 13, 1}}),
       rules,
       {},
       {"policy.riders:1", "policy.riders.premium.amount:2"}},
      {"one value too far",
       riders({{"a", 10, 1}, {"b", 20, 1}}),
       riders({{"b", 20, 1}, {"a", 16, 1}}),
       rules,
       {"value policy.riders[0].premium.amount major"},
       {"policy.riders:1"}},
  });
  rules.unordered.clear();
  rules.keyed = {keyed("policy.riders", "id")};
  expect_all({
      {"keyed",
       riders({{"a", 10, 1}, {"b", 20, 1}}),
       riders({{"b", 22, 2}, {"a", 13, 1}}),
       rules,
       {},
       {"policy.riders:1", "policy.riders.premium.amount:2", "**.updated_at:1"}},
      {"keyed, and one too far",
       riders({{"a", 10, 1}, {"b", 20, 1}}),
       riders({{"b", 22, 2}, {"a", 16, 1}}),
       rules,
       {"value policy.riders[0].premium.amount major"},
       {"policy.riders:1", "policy.riders.premium.amount:1", "**.updated_at:1"}},
  });
}

TEST(ToleranceTest, RulesOfAMethodHoldForItAlone) {
  CompareSpec rules;
  rules.unordered = paths({"numbers"});
  CompareSpec::PerMethod& get = rules.methods.emplace_back();
  get.method.value = "Get";
  get.tolerance = {absolute("ratio", 1)};
  get.ignore = paths({"done"});
  get.minor = paths({"count"});
  const std::string legacy = "ratio: 1 done: true numbers: 1 numbers: 2", fresh = "ratio: 2 numbers: 2 numbers: 1";
  EXPECT_THAT(swallowed(diff_texts(legacy, fresh, rules, "Get")), ElementsAre("numbers:1", "done:1", "ratio:1"));
  EXPECT_THAT(summary(diff_texts("count: 1", "count: 2", rules, "Get")), ElementsAre("value count minor"));
  const Comparison watch = diff_texts(legacy, fresh, rules, "Watch");
  EXPECT_THAT(summary(watch), ElementsAre("value ratio major", "value done major"));
  EXPECT_THAT(swallowed(watch), ElementsAre("numbers:1"));
  EXPECT_THAT(swallowed(diff_texts(legacy, legacy, rules, "Get")), IsEmpty());
}

}  // namespace
}  // namespace ficus
