// Rules per path, maps, presence, Any, unknown fields: what differs, and what a rule takes away. Lists: list_diff_test.cc.
#include "facade/compare/message_diff.h"

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
using test::Texts;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(MessageDiffTest, IgnoreRuleTakesItsPathAndNoOther) {
  expect_all({
      {"the path of one Money leaves the other alone",
       "policy { premium { amount: 1 } deductible { amount: 1 } }",
       "policy { premium { amount: 2 } deductible { amount: 2 } }",
       {"policy.premium.amount"},
       {},
       {"value policy.deductible.amount major"},
       {"policy.premium.amount:1"}},
      {"a message named is named whole",
       "policy { premium { amount: 1 currency: 'EUR' } }",
       "policy { premium { amount: 2 currency: 'CHF' } }",
       {"policy.premium"},
       {},
       {},
       {"policy.premium:1"}},
      {"a message that one side lacks",
       "policy { premium { amount: 1 } }",
       "policy { }",
       {"policy.premium"},
       {},
       {},
       {"policy.premium:1"}},
      {"an ignored field that does not differ swallows nothing",
       "policy { number: 'a' notes: 'x' }",
       "policy { number: 'a' notes: 'x' }",
       {"policy.number"},
       {},
       {},
       {}},
      {"nor does one beside a difference",
       "policy { number: 'a' notes: 'x' }",
       "policy { number: 'a' notes: 'y' }",
       {"policy.number"},
       {},
       {"value policy.notes major"},
       {}},
      {"any depth",
       "policy { updated_at { seconds: 1 } premium { updated_at { seconds: 1 } } }",
       "policy { updated_at { seconds: 2 } premium { updated_at { seconds: 3 } } }",
       {"**.updated_at"},
       {},
       {},
       {"**.updated_at:2"}},
      {"one step",
       "policy { premium { amount: 1 } deductible { currency: 'EUR' } }",
       "policy { premium { amount: 2 } deductible { currency: 'CHF' } }",
       {"policy.*.amount"},
       {},
       {"value policy.deductible.currency major"},
       {"policy.*.amount:1"}},
      {"within a message that one side lacks",
       "policy { premium { updated_at { seconds: 1 } } }",
       "policy { }",
       {"**.updated_at"},
       {},
       {},
       {"**.updated_at:1"}},
      {"within a message that one side lacks, and more",
       "policy { premium { amount: 5 updated_at { seconds: 1 } } }",
       "policy { }",
       {"**.updated_at"},
       {},
       {"missing policy.premium major"},
       {}},
      {"the first rule that covers counts",
       "policy { notes: 'a' }",
       "policy { notes: 'b' }",
       {"policy.notes", "**.notes"},
       {},
       {},
       {"policy.notes:1"}},
      {"everything", "policy { notes: 'a' } done: true", "policy { notes: 'b' }", {"**"}, {}, {}, {"**:1"}},
      {"a whole list", "numbers: 1 numbers: 2", "numbers: 3", {"numbers"}, {}, {}, {"numbers:1"}},
      {"a map as a whole",
       "policy { labels { key: 'a' value: '1' } }",
       "policy { labels { key: 'b' value: '1' } }",
       {"policy.labels"},
       {},
       {},
       {"policy.labels:1"}},
      {"one entry of a map",
       "policy { labels { key: 'eu' value: '1' } labels { key: 'us' value: '1' } }",
       "policy { labels { key: 'eu' value: '2' } labels { key: 'us' value: '2' } }",
       {"policy.labels[eu]"},
       {},
       {"value policy.labels[us] major"},
       {"policy.labels[eu]:1"}},
      {"one entry that is missing",
       "policy { labels { key: 'eu' value: '1' } }",
       "policy { }",
       {"policy.labels[eu]"},
       {},
       {},
       {"policy.labels[eu]:1"}},
      {"a field of every entry",
       "policy { amounts { key: 'a' value { amount: 1 } } }",
       "policy { amounts { key: 'a' value { amount: 2 } } }",
       {"policy.amounts.amount"},
       {},
       {},
       {"policy.amounts.amount:1"}},
      {"a field of one entry",
       "policy { amounts { key: 'a' value { amount: 1 } } amounts { key: 'b' value { amount: 1 } } }",
       "policy { amounts { key: 'a' value { amount: 2 } } amounts { key: 'b' value { amount: 2 } } }",
       {"policy.amounts[a].amount"},
       {},
       {"value policy.amounts[b].amount major"},
       {"policy.amounts[a].amount:1"}},
  });
}

TEST(MessageDiffTest, SeverityIsTheGravestListThatCoversThePath) {
  CompareSpec rules;
  rules.critical = paths({"policy.status", "policy.premium.**"});
  rules.major = paths({"policy.notes"});
  rules.minor = paths({"policy.**"});
  struct Case {
    const char* name;
    const char* legacy;
    const char* fresh;
    Texts want;
  };
  const Case cases[] = {
      {"critical before minor",
       "policy { status: ACTIVE }",
       "policy { status: CANCELLED }",
       {"value policy.status critical"}},
      {"major before minor", "policy { notes: 'a' }", "policy { notes: 'b' }", {"value policy.notes major"}},
      {"minor", "policy { number: 'a' }", "policy { number: 'b' }", {"value policy.number minor"}},
      {"default", "done: true", "", {"value done major"}},
      {"a premium that is gone whole",
       "policy { premium { amount: 1 } number: 'x' }",
       "policy { number: 'x' }",
       {"missing policy.premium critical"}},
      {"what is gone is as grave as what was in it", "policy { status: ACTIVE }", "", {"missing policy critical"}},
      {"and no graver", "policy { number: 'a' }", "", {"missing policy minor"}},
  };
  for (const Case& c : cases) EXPECT_EQ(summary(diff_texts(c.legacy, c.fresh, rules)), c.want) << c.name;
}

TEST(MessageDiffTest, AbsentEqualsDefaultUnlessThePolicySaysOtherwise) {
  struct Case {
    const char* name;
    const char* method;
    const char* legacy;
    const char* fresh;
    Texts want_equal, want_presence;  // absent_equals_default: true, false
  };
  const Case cases[] = {
      {"optional scalar", "Get", "count: 0", "", {}, {"missing count major"}},
      {"optional scalar that is not default", "Get", "count: 5", "", {"missing count major"}, {"missing count major"}},
      {"plain scalar has no presence", "Get", "done: false", "", {}, {}},
      {"plain scalar differs by value", "Get", "done: true", "", {"value done major"}, {"value done major"}},
      {"empty message", "Get", "", "policy { }", {}, {"extra policy major"}},
      {"message of nothing but defaults", "Get", "maybe { amount: 0 }", "", {}, {"missing maybe major"}},
      {"message with nothing but empty messages", "Get", "policy { premium { } }", "", {}, {"missing policy major"}},
      {"wrapper of zero", "Get", "boxed { value: 0 }", "", {}, {"missing boxed major"}},
      {"entries of a map are there or not",
       "Get",
       "policy { labels { key: 'a' value: '' } number: 'x' }",
       "policy { number: 'x' }",
       {"missing policy.labels[a] major"},
       {"missing policy.labels[a] major"}},
      {"entries of a list too", "Get", "details { }", "", {"missing details[0] major"}, {"missing details[0] major"}},
      {"which member of a oneof is set is a value",
       "Get",
       "accepted: ''",
       "",
       {"missing accepted major"},
       {"missing accepted major"}},
      {"other member of a oneof",
       "Get",
       "accepted: ''",
       "code: 0",
       {"missing accepted major", "extra code major"},
       {"missing accepted major", "extra code major"}},
      {"empty message in a oneof", "Get", "refund { }", "", {"missing refund major"}, {"missing refund major"}},
      {"proto2's own default", "Old", "limit: 10", "", {}, {"missing limit major"}},
      {"proto2's zero is not its default", "Old", "limit: 0", "", {"missing limit major"}, {"missing limit major"}},
      {"proto2 string default", "Old", "", "text: 'hello'", {}, {"extra text major"}},
      {"proto2 enum default", "Old", "colour: BLUE", "", {}, {"missing colour major"}},
      {"proto2 NaN default", "Old", "ratio: nan", "", {}, {"missing ratio major"}},
      {"empty group", "Old", "Box { }", "", {}, {"missing box major"}},
  };
  for (const Case& c : cases) {
    CompareSpec rules;
    EXPECT_EQ(summary(diff_texts(c.legacy, c.fresh, rules, c.method)), c.want_equal) << c.name;
    rules.absent_equals_default = false;
    EXPECT_EQ(summary(diff_texts(c.legacy, c.fresh, rules, c.method)), c.want_presence) << c.name << ", by presence";
  }
}

TEST(MessageDiffTest, NumbersAreComparedByMeaning) {
  EXPECT_THAT(summary(diff_texts("ratio: nan small: nan ratios: nan", "ratio: -nan small: -nan ratios: -nan")),
              IsEmpty());
  EXPECT_THAT(summary(diff_texts("ratio: -0.0 ratios: -0.0 maybe_ratio: -0.0", "ratios: 0.0")), IsEmpty());
  EXPECT_THAT(summary(diff_texts("ratio: inf", "ratio: -inf")), ElementsAre("value ratio major"));
  EXPECT_THAT(summary(diff_texts("ratio: nan", "ratio: 1")), ElementsAre("value ratio major"));
  EXPECT_THAT(summary(diff_texts("ratio: 0.1", "ratio: 0.10000000000000001")), IsEmpty());
  EXPECT_THAT(summary(diff_texts("big: 18446744073709551615", "big: 18446744073709551614")),
              ElementsAre("value big major"));
}

TEST(MessageDiffTest, MapsAreComparedByKeyWhateverTheOrder) {
  expect_all({
      {"order",
       "policy { labels { key: 'a' value: '1' } labels { key: 'b' value: '2' } }",
       "policy { labels { key: 'b' value: '2' } labels { key: 'a' value: '1' } }",
       {},
       {},
       {},
       {}},
      {"value, missing, extra",
       "policy { labels { key: 'a' value: '1' } labels { key: 'b' value: '2' } }",
       "policy { labels { key: 'a' value: '3' } labels { key: 'c' value: '4' } }",
       {},
       {},
       {"value policy.labels[a] major", "missing policy.labels[b] major", "extra policy.labels[c] major"},
       {}},
      {"messages as values",
       "policy { amounts { key: 'a' value { amount: 1 } } }",
       "policy { amounts { key: 'a' value { amount: 2 } } }",
       {},
       {},
       {"value policy.amounts[a].amount major"},
       {}},
      {"numbers as keys",
       "policy { years { key: 10 value: 'x' } years { key: 9 value: 'y' } }",
       "policy { years { key: 9 value: 'z' } years { key: 10 value: 'x' } }",
       {},
       {},
       {"value policy.years[9] major"},
       {}},
      {"bools as keys",
       "policy { flags { key: true value: 1 } }",
       "policy { flags { key: false value: 1 } }",
       {},
       {},
       {"extra policy.flags[false] major", "missing policy.flags[true] major"},
       {}},
      {"the last entry of one key counts",
       "policy { labels { key: 'a' value: 'old' } labels { key: 'a' value: 'new' } }",
       "policy { labels { key: 'a' value: 'new' } }",
       {},
       {},
       {},
       {}},
  });
}

TEST(MessageDiffTest, AnyIsTakenApartWhereTheSchemaHasItsType) {
  const char* money = "detail { [x/testing.Money] { amount: 1 currency: 'EUR' } }";
  expect_all({
      {"equal, other field order on the wire",
       "detail { type_url: 'x/testing.Money' value: '\\010\\001\\022\\003EUR' }",
       "detail { type_url: 'x/testing.Money' value: '\\022\\003EUR\\010\\001' }",
       {},
       {},
       {},
       {}},
      {"a field",
       money,
       "detail { [x/testing.Money] { amount: 2 currency: 'EUR' } }",
       {},
       {},
       {"value detail.amount major"},
       {}},
      {"an ignored field",
       money,
       "detail { [x/testing.Money] { amount: 2 currency: 'EUR' } }",
       {"detail.amount"},
       {},
       {},
       {"detail.amount:1"}},
      {"another type", money, "detail { [x/testing.Endorsement] { id: 'a' } }", {}, {}, {"type detail major"}, {}},
      {"another host",
       money,
       "detail { [y/testing.Money] { amount: 1 currency: 'EUR' } }",
       {},
       {},
       {"value detail.type_url major"},
       {}},
      {"another host, ignored",
       money,
       "detail { [y/testing.Money] { amount: 2 currency: 'EUR' } }",
       {"**.type_url"},
       {},
       {"value detail.amount major"},
       {"**.type_url:1"}},
      {"a type nobody knows, by its bytes",
       "detail { type_url: 'x/un.Known' value: 'a' }",
       "detail { type_url: 'x/un.Known' value: 'b' }",
       {},
       {},
       {"value detail.value major"},
       {}},
      {"payloads that are not of their type, by their bytes",
       "detail { type_url: 'type.googleapis.com/testing.Money' value: '\\377' }",
       "detail { type_url: 'type.googleapis.com/testing.Money' value: '\\376' }",
       {},
       {},
       {"value detail.value major"},
       {}},
      {"a payload that is not of its type against one that is",
       "detail { type_url: 'type.googleapis.com/testing.Money' value: '\\377' }",
       money,
       {"detail.*"},
       {},
       {"type detail major"},
       {}},
      {"set against never set", money, "detail { }", {}, {}, {"type detail major"}, {}},
      {"in an unordered list",
       "details { [x/testing.Money] { amount: 1 } } details { [x/testing.Money] { amount: 2 updated_at { seconds: 1 } "
       "} }",
       "details { [x/testing.Money] { amount: 2 updated_at { seconds: 9 } } } details { [x/testing.Money] { amount: 1 "
       "} }",
       {"**.updated_at"},
       {"details"},
       {},
       {"**.updated_at:1", "details:1"}},
      {"an Any in an Any",
       "detail { [x/google.protobuf.Any] { [x/testing.Money] { amount: 1 } } }",
       "detail { [x/google.protobuf.Any] { [x/testing.Money] { amount: 2 } } }",
       {},
       {},
       {"value detail.amount major"},
       {}},
  });
}

TEST(MessageDiffTest, GroupsExtensionsAndRequiredFieldsOfProto2AreCompared) {
  expect_all(
      {
          {"missing required field", "limit: 3", "limit: 3", {}, {}, {}, {}},
          {"group",
           "name: 'a' Box { width: 1 marks: 'x' }",
           "name: 'a' Box { width: 2 marks: 'x' }",
           {},
           {},
           {"value box.width major"},
           {}},
          {"list of groups",
           "Row { cell: 1 } Row { cell: 2 }",
           "Row { cell: 2 } Row { cell: 1 }",
           {},
           {"row"},
           {},
           {"row:1"}},
          {"extension", "[testing.remark]: 'a'", "[testing.remark]: 'b'", {}, {}, {"value remark major"}, {}},
          {"extension by a rule",
           "[testing.remark]: 'a' [testing.scores]: 1 [testing.scores]: 2",
           "[testing.remark]: 'b' [testing.scores]: 2 [testing.scores]: 1",
           {"remark"},
           {"scores"},
           {},
           {"remark:1", "scores:1"}},
          {"packed", "packed: 1 packed: 2", "packed: 1 packed: 3", {}, {}, {"value packed[1] major"}, {}},
      },
      "Old");
}

TEST(MessageDiffTest, UnknownFieldsAreComparedByNumber) {
  const auto store = test::test_store();
  const auto differ = [&](const std::string& legacy, const std::string& fresh, const CompareSpec& rules = {}) {
    return test::diff(test::answered(Side::kLegacy, {test::wire_of(*store, "testing.AnswerWithMore", legacy)}),
                      test::answered(Side::kNew, {test::wire_of(*store, "testing.AnswerWithMore", fresh)}), "Get",
                      rules, store.get());
  };
  EXPECT_THAT(summary(differ("hidden: 'a'", "hidden: 'a' policy { }")), IsEmpty());
  EXPECT_THAT(summary(differ("hidden: 'a'", "hidden: 'b'")), ElementsAre("value 100 major"));
  EXPECT_THAT(summary(differ("hidden: 'a'", "")), ElementsAre("missing 100 major"));
  EXPECT_THAT(summary(differ("also_hidden: 1", "hidden: 'x'")), ElementsAre("extra 100 major", "missing 101 major"));
  CompareSpec rules;
  rules.ignore = paths({"*"});
  EXPECT_EQ(differ("hidden: 'a'", "hidden: 'b'", rules).verdict, Verdict::kIgnored);

  const auto raw = [&](std::string legacy, std::string fresh) {
    return summary(test::diff(test::answered(Side::kLegacy, {std::move(legacy)}),
                              test::answered(Side::kNew, {std::move(fresh)}), "Get", {}, store.get()));
  };
  EXPECT_THAT(raw("\xa0\x06\x01",
                  "\xa2\x06\x01"
                  "a"),
              ElementsAre("type 100 major"));                                           // varint, bytes
  EXPECT_THAT(raw("\xa0\x06\x01\xa8\x06\x02", "\xa8\x06\x02\xa0\x06\x01"), IsEmpty());  // other numbers, other order
  EXPECT_THAT(raw("\xa0\x06\x01\xa0\x06\x02", "\xa0\x06\x02\xa0\x06\x01"),
              ElementsAre("value 100 major"));  // one number, other order
  EXPECT_THAT(raw("\xa3\x06\x08\x01\x10\x02\xa4\x06", "\xa3\x06\x10\x02\x08\x01\xa4\x06"),
              IsEmpty());  // within a group
  EXPECT_THAT(raw("\xa3\x06\x08\x01\xa4\x06", "\xa3\x06\x08\x02\xa4\x06"), ElementsAre("value 100 major"));
}

TEST(MessageDiffTest, ValuesAreTypedTexts) {
  struct Case {
    const char* legacy;
    const char* fresh;
    RawValue want_legacy, want_new;
  };
  const auto store = test::test_store();
  const Case cases[] = {
      {"policy { number: 'a' }", "policy { number: 'b' }", {true, "string", "a"}, {true, "string", "b"}},
      {"policy { status: ACTIVE }", "policy { status: 77 }", {true, "enum", "ACTIVE"}, {true, "enum", "77"}},
      {"signed: -5", "signed: 2147483647", {true, "int32", "-5"}, {true, "int32", "2147483647"}},
      {"fixed: 1", "fixed: 4294967295", {true, "uint32", "1"}, {true, "uint32", "4294967295"}},
      {"ratio: 0.1", "ratio: nan", {true, "double", "0.1"}, {true, "double", "nan"}},
      {"small: 0.1", "small: -inf", {true, "float", "0.1"}, {true, "float", "-inf"}},
      {"raw: '\\000\\377'", "", {true, "bytes", std::string("\0\xff", 2)}, {true, "bytes", ""}},
      {"done: true", "", {true, "bool", "true"}, {true, "bool", "false"}},
      {"count: 7", "", {true, "int32", "7"}, {false, "", ""}},
      {"", "maybe { amount: 1 }", {false, "", ""}, {true, "message:testing.Money", "\x08\x01"}},
  };
  for (const Case& c : cases) {
    const Comparison got = diff_texts(c.legacy, c.fresh);
    ASSERT_EQ(got.differences.size(), 1u) << c.legacy << " / " << c.fresh;
    for (const auto& [value, want] :
         {std::pair(got.differences[0].legacy, c.want_legacy), std::pair(got.differences[0].new_, c.want_new)}) {
      EXPECT_EQ(value.present, want.present) << c.legacy << " / " << c.fresh;
      EXPECT_EQ(value.type, want.type) << c.legacy << " / " << c.fresh;
      EXPECT_EQ(value.text, want.text) << c.legacy << " / " << c.fresh;
    }
  }
}

TEST(MessageDiffTest, ValueIsPlainOnlyWhereThePolicySaysSo) {
  struct Case {
    const char* name;
    bool values_plain;
    std::vector<std::string> plain, redact;
    const char* legacy;
    const char* fresh;
    bool want;
  };
  const char* amount_1 = "policy { premium { amount: 1 } number: 'x' }";
  const char* amount_2 = "policy { premium { amount: 2 } number: 'x' }";
  const char* gone = "policy { number: 'x' }";
  const Case cases[] = {
      {"hashed by default", false, {}, {}, amount_1, amount_2, false},
      {"values: plain", true, {}, {}, amount_1, amount_2, true},
      {"named", false, {"policy.premium.amount"}, {}, amount_1, amount_2, true},
      {"a parent named", false, {"policy.premium"}, {}, amount_1, amount_2, true},
      {"another named", false, {"policy.deductible.amount"}, {}, amount_1, amount_2, false},
      {"taken back", false, {"policy.**"}, {"policy.premium.amount"}, amount_1, amount_2, false},
      {"values: plain, taken back", true, {}, {"policy.premium"}, amount_1, amount_2, false},
      {"a whole message", false, {"policy.premium"}, {}, amount_1, gone, true},
      {"a whole message of which every field is named", false, {"policy.premium.amount"}, {}, amount_1, gone, true},
      {"a whole message of which one is not",
       false,
       {"policy.premium.amount"},
       {},
       "policy { premium { amount: 1 currency: 'EUR' } number: 'x' }",
       gone,
       false},
      {"a whole message of which one is taken back",
       true,
       {},
       {"**.currency"},
       "policy { premium { amount: 1 currency: 'EUR' } number: 'x' }",
       gone,
       false},
      {"a whole message in which an ignored one is not named",
       false,
       {"policy.premium.amount"},
       {},
       "policy { premium { amount: 1 updated_at { seconds: 1 } } number: 'x' }",
       gone,
       false},
      {"a whole message with a map of which the keys are not named",
       false,
       {"**.amount"},
       {},
       "policy { amounts { key: 'john' value { amount: 1 } } }",
       "",
       false},
      {"a map with its keys",
       false,
       {"policy.amounts"},
       {},
       "policy { amounts { key: 'john' value { amount: 1 } } }",
       "",
       true},
  };
  for (const Case& c : cases) {
    CompareSpec rules;
    rules.values_plain = c.values_plain;
    for (const std::string& path : c.plain) rules.plain.push_back(paths({path})[0]);
    for (const std::string& path : c.redact) rules.redact.push_back(paths({path})[0]);
    rules.ignore = paths({"**.updated_at"});
    const Comparison got = diff_texts(c.legacy, c.fresh, rules);
    ASSERT_EQ(got.differences.size(), 1u) << c.name;
    EXPECT_EQ(got.differences[0].plain, c.want) << c.name;
  }
}

TEST(MessageDiffTest, MapKeyIsPlainOnlyWhereItsEntryIs) {
  const auto key_plain = [](std::initializer_list<std::string_view> plain,
                            std::initializer_list<std::string_view> redact) {
    CompareSpec rules;
    rules.plain = paths(plain);
    rules.redact = paths(redact);
    const Comparison got = diff_texts("policy { amounts { key: 'john' value { amount: 1 } } }",
                                      "policy { amounts { key: 'john' value { amount: 2 } } }", rules);
    EXPECT_EQ(got.differences.size(), 1u);
    return got.differences.at(0).details.at(1).key_plain;
  };
  EXPECT_FALSE(key_plain({}, {}));
  EXPECT_FALSE(key_plain({"**.amount"}, {}));
  EXPECT_TRUE(key_plain({"policy.amounts"}, {}));
  EXPECT_TRUE(key_plain({"policy.amounts[john]"}, {}));
  EXPECT_FALSE(key_plain({"policy.amounts"}, {"policy.amounts[john]"}));
}

TEST(MessageDiffTest, IndicesStandInThePathWhereTheyBelong) {
  const Comparison got =
      diff_texts("policy { endorsements { } endorsements { parts { id: 'a' } parts { id: 'b' tags: 'x' } } }",
                 "policy { endorsements { } endorsements { parts { id: 'a' } parts { id: 'b' tags: 'y' } } }");
  EXPECT_THAT(summary(got), ElementsAre("value policy.endorsements[1].parts[1].tags[0] major"));
  EXPECT_EQ(to_string(got.differences[0].path), "policy.endorsements.parts.tags");
}

}  // namespace
}  // namespace ficus
