// What answers differ in beside their messages.
#include "facade/compare/metadata_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facade/compare/sight.h"
#include "tests/facade/compare/rule_cases.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;
using test::answered;
using test::summary;
using testing::ElementsAre;
using testing::IsEmpty;
using Metadata = std::vector<ObservedMetadata>;

Observation with(Side side, Metadata metadata, GrpcCode status = GrpcCode::kOk) {
  Observation out = answered(side, {"same"}, status);
  out.metadata = std::move(metadata);
  return out;
}

CompareSpec naming(std::initializer_list<const char*> names) {
  CompareSpec rules;
  for (const char* name : names) rules.metadata.push_back(Text{name, {}});
  return rules;
}

Comparison compare(const Observation& legacy, const Observation& fresh, const CompareSpec& rules,
                   std::string_view method = "Get") {
  return test::diff(legacy, fresh, method, rules, nullptr);  // no schema is needed for any of it
}

TEST(MetadataDiffTest, ValuesOfTheNamesInThePolicyAreCompared) {
  struct Case {
    const char* name;
    Metadata legacy, fresh;
    std::vector<std::string> want;
  };
  const Case cases[] = {
      {"the same", {{"x-a", "1"}}, {{"x-a", "1"}}, {}},
      {"none on either side", {}, {}, {}},
      {"another value", {{"x-a", "1"}}, {{"x-a", "2"}}, {"metadata metadata[x-a] major"}},
      {"only legacy", {{"x-a", "1"}}, {}, {"metadata metadata[x-a] major"}},
      {"only new", {}, {{"x-a", ""}}, {"metadata metadata[x-a] major"}},
      {"a name that no rule has", {{"x-z", "1"}}, {{"x-z", "2"}}, {}},
      {"the order of names means nothing", {{"x-a", "1"}, {"x-b", "2"}}, {{"x-b", "2"}, {"x-a", "1"}}, {}},
      {"that of values does",
       {{"x-a", "1"}, {"x-a", "2"}},
       {{"x-a", "2"}, {"x-a", "1"}},
       {"metadata metadata[x-a] major"}},
      {"a list and one value with commas", {{"x-a", "1"}, {"x-a", "2"}}, {{"x-a", "1,2"}}, {}},
      {"in the policy's order",
       {{"x-b", "1"}, {"x-a", "1"}},
       {},
       {"metadata metadata[x-a] major", "metadata metadata[x-b] major"}},
      {"padding of base64", {{"x-c-bin", "AA=="}}, {{"x-c-bin", "AA"}}, {}},
      {"other bytes", {{"x-c-bin", "AA=="}}, {{"x-c-bin", "AQ=="}}, {"metadata metadata[x-c-bin] major"}},
      {"lists of bytes", {{"x-c-bin", "AA=="}, {"x-c-bin", "AQ"}}, {{"x-c-bin", "AA, AQ=="}}, {}},
      {"two values are not one",
       {{"x-c-bin", "AAAA"}, {"x-c-bin", "AAAA"}},
       {{"x-c-bin", "AAAAAAAA"}},
       {"metadata metadata[x-c-bin] major"}},
      {"what is no base64 is as it came",
       {{"x-c-bin", "A=A"}},
       {{"x-c-bin", "A"}},
       {"metadata metadata[x-c-bin] major"}},
      {"a name that is not binary has its bytes", {{"x-a", "AA=="}}, {{"x-a", "AA"}}, {"metadata metadata[x-a] major"}},
  };
  const CompareSpec rules = naming({"x-a", "x-b", "x-c-bin", "x-a"});
  for (const Case& c : cases) {
    const Comparison got = compare(with(Side::kLegacy, c.legacy), with(Side::kNew, c.fresh), rules);
    EXPECT_EQ(summary(got), c.want) << c.name;
    EXPECT_EQ(got.verdict, c.want.empty() ? Verdict::kMatch : Verdict::kMismatch) << c.name;
    EXPECT_THAT(summary(compare(with(Side::kLegacy, c.legacy), with(Side::kNew, c.fresh), {})), IsEmpty()) << c.name;
  }
}

TEST(MetadataDiffTest, ValuesAreHiddenUnlessEverythingIsShown) {
  const Observation legacy = with(Side::kLegacy, {{"x-a", "secret"}}), fresh = with(Side::kNew, {});
  CompareSpec rules = naming({"x-a"});
  Comparison got = compare(legacy, fresh, rules);
  ASSERT_EQ(got.differences.size(), 1u);
  EXPECT_FALSE(got.differences[0].plain);
  EXPECT_TRUE(got.differences[0].details.at(0).key_plain) << "the name stands in the policy";
  EXPECT_EQ(got.differences[0].legacy.text, "secret");
  EXPECT_FALSE(got.differences[0].new_.present);
  rules.values_plain = true;
  EXPECT_TRUE(compare(legacy, fresh, rules).differences.at(0).plain);
  CompareSpec::PerMethod& get = rules.methods.emplace_back();
  get.method.value = "Get";
  get.redact = test::paths({"policy.notes"});
  EXPECT_FALSE(compare(legacy, fresh, rules, "Get").differences.at(0).plain);
  EXPECT_TRUE(compare(legacy, fresh, rules, "Watch").differences.at(0).plain);
}

TEST(MetadataDiffTest, NamesOfAMethodAreComparedForItAlone) {
  CompareSpec rules = naming({"x-a"});
  CompareSpec::PerMethod& get = rules.methods.emplace_back();
  get.method.value = "Get";
  get.metadata = {Text{"x-b", {}}};
  const Observation legacy = with(Side::kLegacy, {{"x-a", "1"}, {"x-b", "1"}}), fresh = with(Side::kNew, {});
  EXPECT_THAT(summary(compare(legacy, fresh, rules, "Get")),
              ElementsAre("metadata metadata[x-a] major", "metadata metadata[x-b] major"));
  EXPECT_THAT(summary(compare(legacy, fresh, rules, "Watch")), ElementsAre("metadata metadata[x-a] major"));
}

TEST(MetadataDiffTest, FailuresOfOneStatusAreComparedAndOfTwoAreNot) {
  const CompareSpec rules = naming({"x-a"});
  const Metadata one = {{"x-a", "1"}}, two = {{"x-a", "2"}};
  EXPECT_THAT(summary(compare(with(Side::kLegacy, one, GrpcCode::kNotFound), with(Side::kNew, two, GrpcCode::kNotFound),
                              rules)),
              ElementsAre("metadata metadata[x-a] major"));
  EXPECT_THAT(summary(compare(with(Side::kLegacy, one, GrpcCode::kNotFound), with(Side::kNew, two), rules)),
              ElementsAre("status  critical"));
  EXPECT_EQ(compare(with(Side::kLegacy, one), with(Side::kNew, two, GrpcCode::kUnavailable), rules).verdict,
            Verdict::kAbandoned);
}

// What a server says of a failure, as it stands in its trailers.
std::string details(const std::string& text) {
  const std::string bytes = test::wire_of(*test::test_store(), "google.rpc.Status", text);
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (have += 8; have >= 6;) out += kDigits[bits >> (have -= 6) & 63];
  }
  if (have > 0) out += kDigits[bits << (6 - have) & 63];
  return out;
}

Comparison compare_details(const std::string& legacy, const std::string& fresh, CompareSpec rules = {},
                           GrpcCode code = GrpcCode::kNotFound) {
  rules.metadata = {Text{std::string(kStatusDetails), {}}};
  return test::diff(with(Side::kLegacy, {{std::string(kStatusDetails), legacy}}, code),
                    with(Side::kNew, {{std::string(kStatusDetails), fresh}}, code), "Get", rules,
                    test::test_store().get());
}

TEST(StatusDetailsTest, AreComparedFieldByFieldWhereBothSidesFailAlike) {
  const std::string path = "metadata[grpc-status-details-bin]";
  const std::string one = details("code: 5 message: 'm' details { [x/testing.Money] { amount: 1 currency: 'EUR' } }");
  const std::string two = details("code: 5 message: 'n' details { [x/testing.Money] { amount: 2 currency: 'EUR' } }");
  EXPECT_EQ(compare_details(one, one).verdict, Verdict::kMatch);
  const Comparison got = compare_details(one, two);
  EXPECT_THAT(summary(got),
              ElementsAre("value " + path + ".message major", "value " + path + ".details[0].amount major"));
  EXPECT_TRUE(got.differences[0].details.at(0).key_plain);
  EXPECT_FALSE(got.differences[0].plain);
  EXPECT_EQ(got.differences[1].legacy.text, "1");
  CompareSpec rules;
  rules.ignore = test::paths({path + ".message"});
  rules.tolerance = {test::absolute(path + ".details.amount", 1)};
  const Comparison allowed = compare_details(one, two, rules);
  EXPECT_EQ(allowed.verdict, Verdict::kIgnored);
  EXPECT_THAT(test::swallowed(allowed), ElementsAre(path + ".message:1", path + ".details.amount:1"));
  // A type that no schema has is compared as it is.
  EXPECT_THAT(summary(compare_details(details("details { type_url: 'x/no.Such' value: 'a' }"),
                                      details("details { type_url: 'x/no.Such' value: 'b' }"))),
              ElementsAre("value " + path + ".details[0].value major"));
  CompareSpec whole;
  whole.ignore = test::paths({"metadata"});
  EXPECT_EQ(compare_details(one, two, whole).verdict, Verdict::kIgnored);
}

TEST(StatusDetailsTest, AreComparedAsBytesWhereTheyCannotBeTakenApart) {
  const std::string good = details("code: 5 message: 'm'");
  const std::string whole = "metadata metadata[grpc-status-details-bin] major";
  EXPECT_THAT(summary(compare_details(good, "%%%")), ElementsAre(whole)) << "no base64";
  EXPECT_THAT(summary(compare_details(good, "CP8")), ElementsAre(whole)) << "no message";
  EXPECT_THAT(summary(compare_details(good, good + "," + good)), ElementsAre(whole)) << "two of them";
  EXPECT_THAT(summary(compare_details(good, details("code: 6"), {}, GrpcCode::kOk)), ElementsAre(whole))
      << "no failures";
  const auto without_schema = [](const std::string& value) {
    return with(Side::kNew, {{std::string(kStatusDetails), value}}, GrpcCode::kNotFound);
  };
  Observation legacy = without_schema(good);
  legacy.side = Side::kLegacy;
  EXPECT_THAT(summary(compare(legacy, without_schema(details("code: 6")), naming({"grpc-status-details-bin"}))),
              ElementsAre(whole));
  EXPECT_THAT(summary(compare(legacy, without_schema(good), naming({"grpc-status-details-bin"}))), IsEmpty());
}

struct Slow {
  std::optional<milliseconds> absolute;
  std::optional<double> relative;
  int legacy, fresh;
  bool too_slow;
};

TEST(LatencyDiffTest, NewMayBeSlowerByWhatTheRuleAllowsAndNoMore) {
  const Slow cases[] = {
      {milliseconds(50), {}, 10, 60, false},
      {milliseconds(50), {}, 10, 61, true},
      {milliseconds(50), {}, 1000, 10, false},  // faster
      {{}, 0.5, 100, 150, false},
      {{}, 0.5, 100, 151, true},
      {{}, 0.5, 0, 1, true},
      {{}, 0.5, 0, 0, false},
      {milliseconds(50), 0.5, 10, 30, false},      // three times as long, but few
      {milliseconds(50), 0.5, 1000, 1100, false},  // many, but a tenth
      {milliseconds(50), 0.5, 100, 151, true},
      {milliseconds(50), 0.5, 100, 150, false},
  };
  for (const Slow& c : cases) {
    CompareSpec rules;
    LatencyRule& rule = rules.latency.emplace();
    if (c.absolute) rule.absolute = At<milliseconds>{*c.absolute, {}};
    if (c.relative) rule.relative = At<double>{*c.relative, {}};
    Observation legacy = answered(Side::kLegacy, {"same"}), fresh = answered(Side::kNew, {"same"});
    legacy.latency = milliseconds(c.legacy);
    fresh.latency = milliseconds(c.fresh);
    const std::string what = std::to_string(c.legacy) + " -> " + std::to_string(c.fresh);
    const Comparison got = compare(legacy, fresh, rules);
    EXPECT_EQ(got.verdict, c.too_slow ? Verdict::kMismatch : Verdict::kMatch) << what;
    EXPECT_EQ(got.severity, c.too_slow ? Severity::kMinor : Severity::kNone) << what;
    // Whoever is primary, and at sight too.
    EXPECT_EQ(compare(fresh, legacy, rules).verdict, got.verdict) << what;
    EXPECT_EQ(equal_at_sight(legacy, fresh, &*rules.latency), !c.too_slow) << what;
    EXPECT_EQ(equal_at_sight(fresh, legacy, &*rules.latency), !c.too_slow) << what;
    EXPECT_EQ(compare(legacy, fresh, {}).verdict, Verdict::kMatch) << what;
  }
}

TEST(LatencyDiffTest, SaysBothTimesAndIsNoReasonToCallTheAnswersUnlike) {
  CompareSpec rules;
  rules.latency.emplace().absolute = At<milliseconds>{milliseconds(1), {}};
  CompareSpec::PerMethod& watch = rules.methods.emplace_back();
  watch.method.value = "Watch";
  watch.latency.emplace().absolute = At<milliseconds>{milliseconds(1000), {}};
  Observation legacy = answered(Side::kLegacy, {"same"}), fresh = answered(Side::kNew, {"same"});
  legacy.latency = std::chrono::microseconds(1500);
  fresh.latency = milliseconds(12);
  const Comparison got = compare(legacy, fresh, rules);
  ASSERT_THAT(summary(got), ElementsAre("latency  minor"));
  EXPECT_EQ(got.differences[0].legacy.text, "1.500ms");
  EXPECT_EQ(got.differences[0].new_.text, "12.000ms");
  EXPECT_TRUE(got.differences[0].plain);
  EXPECT_EQ(compare(legacy, fresh, rules, "Watch").verdict, Verdict::kMatch) << "the method's own stands instead";
  fresh.grpc_status = GrpcCode::kNotFound;
  EXPECT_THAT(summary(compare(legacy, fresh, rules)), ElementsAre("status  critical"));
}

}  // namespace
}  // namespace ficus
