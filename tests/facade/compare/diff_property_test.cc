// What holds of every comparison, tried on random messages, rules and bytes. A failure prints its seed.
#include <gmock/gmock.h>
#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "facade/compare/canonical.h"
#include "facade/compare/message_diff.h"
#include "tests/facade/compare/random_message.h"
#include "tests/facade/compare/rule_cases.h"
#include "tests/facade/compare/schema_fixture.h"

namespace ficus {
namespace {

using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;
using test::RandomMessages;
using test::test_store;
using testing::IsEmpty;

constexpr int kRounds = 1000;
const char* const kTypes[] = {"testing.Answer", "testing.OldAnswer"};

// Everything that one comparison of two messages needs.
class Bench {
 public:
  explicit Bench(CompareSpec spec) : spec_(std::move(spec)) {}

  Findings diff(const Message& legacy, const Message& fresh) {
    Findings found;
    MessageDiff(context_, found).compare(legacy, fresh, 0);
    EXPECT_FALSE(budget_.stopped()) << budget_.reason();
    return found;
  }
  std::string canonical(const Message& message) {
    PathCursor cursor;
    return Canonicalizer(context_, cursor, Canonicalizer::Rules::kApply).message(message);
  }

 private:
  CompareSpec spec_;
  PathRules rules_{spec_};
  CompareLimits limits_ = [] {
    CompareLimits limits;
    limits.differences = 100'000;
    return limits;
  }();
  std::function<WorkBudget::Clock::time_point()> now_ = [] { return WorkBudget::Clock::time_point{}; };
  WorkBudget budget_{100'000'000, std::chrono::milliseconds(1000), now_};
  DiffContext context_{rules_, *test_store(), limits_, budget_};
};

CompareSpec random_rules(RandomMessages& random) {
  static const std::vector<std::string> ignores = {"**.updated_at",
                                                   "policy.premium.amount",
                                                   "policy.*.currency",
                                                   "policy.labels[k0]",
                                                   "**.tags",
                                                   "policy.riders.parts.id",
                                                   "detail.amount",
                                                   "*",
                                                   "nested.**.note",
                                                   "box",
                                                   "row.cell",
                                                   "remark",
                                                   "policy.amounts.amount",
                                                   "**.type_url",
                                                   "maybe",
                                                   "**.count"};
  static const std::vector<std::string> lists = {
      "policy.endorsements", "**.parts", "numbers", "**.tags", "details", "row", "**.ratios", "policy.riders", "blobs"};
  CompareSpec rules;
  for (const std::string& path : ignores) {
    if (random.chance(0.12)) rules.ignore.push_back(test::paths({path})[0]);
  }
  for (const std::string& path : lists) {
    if (random.chance(0.3)) rules.unordered.push_back(test::paths({path})[0]);
  }
  static const std::vector<std::pair<std::string, std::string>> keys = {{"policy.endorsements", "id"},
                                                                        {"**.parts", "note"},
                                                                        {"policy.riders", "id"},
                                                                        {"row", "cell"},
                                                                        {"details", "type_url"}};
  for (const auto& [path, by] : keys) {
    if (random.chance(0.2)) rules.keyed.push_back(test::keyed(path, by));
  }
  rules.absent_equals_default = random.chance(0.6);
  return rules;
}

std::vector<ToleranceRule> random_tolerances(RandomMessages& random) {
  std::vector<ToleranceRule> out;
  for (const char* path : {"**.amount", "numbers", "**.ratios", "**", "code", "policy.flags", "packed"}) {
    const double part = static_cast<double>(1 + random.below(30)) / 32;
    if (random.chance(0.4)) {
      out.push_back(random.chance(0.6) ? test::absolute(path, part * (random.chance(0.5) ? 4 : 1e15))
                                       : test::relative(path, part));
    }
  }
  if (random.chance(0.5))
    out.push_back(test::window("**.updated_at", std::chrono::milliseconds(1 + random.below(500'000'000))));
  return out;
}

// A pair that has much in common.
std::pair<std::unique_ptr<Message>, std::unique_ptr<Message>> random_pair(RandomMessages& random,
                                                                          const std::string& type) {
  auto a = random.make(type);
  std::unique_ptr<Message> b(a->New());
  b->CopyFrom(*a);
  const std::size_t changes = random.below(4);
  for (std::size_t i = 0; i < changes; ++i) random.change(*b);
  if (random.chance(0.3)) random.shuffle(*b);
  return {std::move(a), std::move(b)};
}

template <class Check>
void each_round(Check&& check, test::RandomMessageOptions options = {}) {
  for (const char* type : kTypes) {
    for (std::uint32_t seed = 1; seed <= kRounds; ++seed) {
      SCOPED_TRACE(std::string(type) + " seed " + std::to_string(seed));
      RandomMessages random(*test_store(), seed, options);
      check(random, type);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(DiffPropertyTest, MessageMatchesItselfWhateverTheRules) {
  each_round([](RandomMessages& random, const std::string& type) {
    const auto message = random.make(type);
    Bench bench(random_rules(random));
    const Findings found = bench.diff(*message, *message);
    EXPECT_EQ(found.count, 0u);
    EXPECT_THAT(found.swallowed, IsEmpty());
  });
}

TEST(DiffPropertyTest, OrderOfFieldsOnTheWireMeansNothing) {
  each_round([](RandomMessages& random, const std::string& type) {
    const std::string wire = random.make(type)->SerializePartialAsString();
    const auto method = type == "testing.Answer" ? "Get" : "Old";
    const Comparison got = test::diff(test::answered(Side::kLegacy, {wire}),
                                      test::answered(Side::kNew, {test::reordered(wire, random.random())}), method,
                                      random_rules(random), test_store().get());
    EXPECT_EQ(got.verdict, Verdict::kMatch);
    EXPECT_THAT(got.swallowed, IsEmpty());
  });
}

TEST(DiffPropertyTest, SwappingTheSidesSwapsTheSidesOfEachDifference) {
  const auto flat = [](const Findings& found, bool swapped) {
    std::multiset<std::string> out;
    for (const Difference& d : found.differences) {
      DifferenceKind kind = d.kind;
      if (swapped && kind == DifferenceKind::kMissing) kind = DifferenceKind::kExtra;
      else if (swapped && kind == DifferenceKind::kExtra) kind = DifferenceKind::kMissing;
      std::string line =
          std::string(to_string(kind)) + ' ' + to_string(d.path) + ' ' + std::string(to_string(d.severity));
      // Positions are told from legacy's point of view.
      if (kind != DifferenceKind::kOrder)
        line += " [" + (swapped ? d.new_ : d.legacy).text + "] [" + (swapped ? d.legacy : d.new_).text + ']';
      out.insert(line);
    }
    return out;
  };
  each_round([&](RandomMessages& random, const std::string& type) {
    const auto [a, b] = random_pair(random, type);
    Bench bench(random_rules(random));
    const Findings forth = bench.diff(*a, *b);
    const Findings back = bench.diff(*b, *a);
    EXPECT_EQ(flat(forth, false), flat(back, true)) << a->ShortDebugString() << "\n" << b->ShortDebugString();
    EXPECT_EQ(forth.swallowed, back.swallowed);
    EXPECT_EQ(forth.severity, back.severity);
  });
}

TEST(DiffPropertyTest, CanonicalBytesAreEqualExactlyWhereNothingDiffers) {
  each_round([](RandomMessages& random, const std::string& type) {
    const auto [a, b] = random_pair(random, type);
    Bench bench(random_rules(random));
    const Findings found = bench.diff(*a, *b);
    EXPECT_EQ(bench.canonical(*a) == bench.canonical(*b), found.count == 0) << a->ShortDebugString() << "\n"
                                                                            << b->ShortDebugString();
  });
}

TEST(DiffPropertyTest, AnotherIgnoreRuleOnlyTakesAway) {
  const auto related = [](const FieldPath& a, const FieldPath& b) {  // one within the other
    return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())), b.begin());
  };
  each_round([&](RandomMessages& random, const std::string& type) {
    const auto [a, b] = random_pair(random, type);
    CompareSpec rules = random_rules(random);
    Bench before(rules);
    for (const PathRule& rule : random_rules(random).ignore) rules.ignore.push_back(rule);
    Bench after(rules);
    const Findings more = before.diff(*a, *b);
    const Findings fewer = after.diff(*a, *b);
    if (more.count == 0) {
      EXPECT_EQ(fewer.count, 0u);
    }
    // Entries of a list may be paired otherwise, but no place differs that did not.
    for (const Difference& d : fewer.differences) {
      EXPECT_TRUE(std::any_of(more.differences.begin(), more.differences.end(),
                              [&](const Difference& m) { return related(d.path, m.path); }))
          << to_string(d.path) << "\n"
          << a->ShortDebugString() << "\n"
          << b->ShortDebugString();
    }
  });
}

TEST(DiffPropertyTest, RulesNeverMakeTwoAnswersDiffer) {
  int saved = 0;
  each_round([&](RandomMessages& random, const std::string& type) {
    const auto [a, b] = random_pair(random, type);
    CompareSpec rules = random_rules(random);
    const std::uint64_t before = Bench(rules).diff(*a, *b).count;
    rules.tolerance = random_tolerances(random);
    const std::uint64_t with_tolerance = Bench(rules).diff(*a, *b).count;
    EXPECT_LE(with_tolerance, before) << a->ShortDebugString() << "\n" << b->ShortDebugString();
    saved += before > 0 && with_tolerance == 0;
    if (with_tolerance > 0) return;
    for (const KeyedRule& rule : random_rules(random).keyed) rules.keyed.push_back(rule);
    for (const PathRule& rule : random_rules(random).unordered) rules.unordered.push_back(rule);
    EXPECT_EQ(Bench(rules).diff(*a, *b).count, 0u) << a->ShortDebugString() << "\n" << b->ShortDebugString();
  });
  EXPECT_GT(saved, kRounds / 50) << "tolerances had nothing to do";
}

TEST(DiffPropertyTest, TolerancesMakeNothingOfAMessageAndItself) {
  each_round([](RandomMessages& random, const std::string& type) {
    const auto message = random.make(type);
    CompareSpec rules = random_rules(random);
    rules.tolerance = random_tolerances(random);
    const Findings found = Bench(rules).diff(*message, *message);
    EXPECT_EQ(found.count, 0u);
    EXPECT_THAT(found.swallowed, IsEmpty());
  });
}

TEST(DiffPropertyTest, WhetherAnythingDiffersIsTheSameFromBothSides) {
  each_round([](RandomMessages& random, const std::string& type) {
    const auto [a, b] = random_pair(random, type);
    CompareSpec rules = random_rules(random);
    rules.tolerance = random_tolerances(random);
    Bench bench(rules);
    EXPECT_EQ(bench.diff(*a, *b).count == 0, bench.diff(*b, *a).count == 0) << a->ShortDebugString() << "\n"
                                                                            << b->ShortDebugString();
  });
}

TEST(DiffPropertyTest, UnorderedMessagesMatchAfterAnyShuffle) {
  each_round([](RandomMessages& random, const std::string& type) {
    const auto a = random.make(type);
    std::unique_ptr<Message> b(a->New());
    b->CopyFrom(*a);
    random.shuffle(*b);
    CompareSpec rules;
    rules.unordered = test::paths({"**"});
    Bench bench(rules);
    const Findings found = bench.diff(*a, *b);
    EXPECT_EQ(found.count, 0u) << a->ShortDebugString() << "\n" << b->ShortDebugString();
  });
}

// The walk of our own against protobuf's, where the two mean the same: no rules, no oneofs (MessageDifferencer's
// EQUIVALENT takes `accepted: ""` for unset) and no unknown fields (which EQUIVALENT passes over), or else by presence,
// without negative zeros (it takes -0 for set).
TEST(DiffPropertyTest, AgreesWithMessageDifferencerWithoutRules) {
  for (const bool absent_equals_default : {true, false}) {
    test::RandomMessageOptions options;
    options.real_oneofs = false;
    options.negative_zero = absent_equals_default;
    options.unknown_fields = !absent_equals_default;
    int alike = 0, unlike = 0;
    each_round(
        [&](RandomMessages& random, const std::string& type) {
          const auto [a, b] = random_pair(random, type);
          CompareSpec rules;
          rules.absent_equals_default = absent_equals_default;
          Bench bench(rules);
          google::protobuf::util::DefaultFieldComparator numbers;
          numbers.set_treat_nan_as_equal(true);
          MessageDifferencer oracle;
          oracle.set_field_comparator(&numbers);
          oracle.set_message_field_comparison(absent_equals_default ? MessageDifferencer::EQUIVALENT
                                                                    : MessageDifferencer::EQUAL);
          std::string report;
          oracle.ReportDifferencesToString(&report);
          const bool want = oracle.Compare(*a, *b);
          const Findings found = bench.diff(*a, *b);
          EXPECT_EQ(found.count == 0, want) << report << "\n" << a->ShortDebugString() << "\n" << b->ShortDebugString();
          ++(want ? alike : unlike);
        },
        options);
    EXPECT_GT(alike, kRounds / 10);
    EXPECT_GT(unlike, kRounds / 10);
  }
}

TEST(DiffPropertyTest, BytesOfAnyKindEndInAVerdict) {
  std::map<std::string, int> seen;
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomMessages random(*test_store(), seed);
    const bool old = random.chance(0.3);
    const auto [a, b] = random_pair(random, old ? "testing.OldAnswer" : "testing.Answer");
    std::string wire = b->SerializePartialAsString();
    const std::size_t hits = random.below(4);
    for (std::size_t i = 0; i < hits && !wire.empty(); ++i) {
      const std::size_t at = random.below(wire.size());
      switch (random.below(4)) {
        case 0: wire[at] = static_cast<char>(random.below(256)); break;
        case 1: wire.erase(at, random.below(8)); break;
        case 2: wire.insert(at, wire.substr(random.below(wire.size()), random.below(30))); break;
        default: wire.resize(at); break;
      }
    }
    CompareLimits limits;
    if (random.chance(0.2)) limits.elements = random.below(40);
    if (random.chance(0.2)) limits.recursion = static_cast<int>(random.below(4));
    if (random.chance(0.2)) limits.unordered_elements = random.below(3);
    if (random.chance(0.2)) limits.differences = random.below(3);
    const CompareSpec rules = random_rules(random);
    const auto method = old ? "Old" : "Get";
    const Observation legacy = test::answered(Side::kLegacy, {a->SerializePartialAsString()});
    const Observation fresh = test::answered(Side::kNew, {wire});
    const Comparison got = test::diff(legacy, fresh, method, rules, test_store().get(), limits);
    const Comparison again = test::diff(legacy, fresh, method, rules, test_store().get(), limits);
    EXPECT_EQ(got.verdict, again.verdict);
    EXPECT_EQ(test::summary(got), test::summary(again));
    EXPECT_LE(got.differences.size(), limits.differences);
    EXPECT_EQ(got.verdict == Verdict::kMismatch, got.differences.size() + got.differences_more > 0);
    EXPECT_EQ(got.verdict == Verdict::kIncomparable, !got.reason.empty());
    ++seen[std::string(to_string(got.verdict)) + ' ' + got.reason];
  }
  for (const char* verdict : {"match ", "ignored ", "mismatch ", "incomparable undecodable", "incomparable too_large",
                              "incomparable too_deep"}) {
    EXPECT_GT(seen[verdict], 10) << verdict << ": the bytes are too tame";
  }
}

}  // namespace
}  // namespace ficus
