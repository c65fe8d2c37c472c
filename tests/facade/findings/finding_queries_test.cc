// Writer and queries together, as one who asks sees them: through a store that keeps its findings in memory.
#include "facade/findings/finding_queries.h"

#include <cmath>

#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "facade/findings/finding_export.h"
#include "tests/facade/findings/finding_fixture.h"

namespace ficus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FindingQueriesTest : public FindingFixture {
 protected:
  FindingQueriesTest() {
    options_.directory.clear();
    options_.limits.resolved_after = 100;
  }
  void start() { store_ = open(); }
  void compare(std::uint64_t n) { store_->comparisons("inquiry", kMethod).add(n); }
  // `n` compared calls, the last of which shows a difference.
  void see(const std::string& path, std::uint64_t n = 1) {
    compare(n);
    store_->add(trace(path));
  }
  Finding one(const std::string& path) {
    const auto detail = store_->show(id_at(path));
    EXPECT_TRUE(detail.has_value()) << detail.error().text;
    return detail ? detail->finding : Finding{};
  }
  std::string state(const std::string& path) { return std::string(to_string(one(path).state)); }
  static std::string error_of(const auto& result) {
    return result ? "none" : std::string(word_of(result.error().fault)) + ": " + result.error().text;
  }

  std::unique_ptr<FindingStore> store_;
};

TEST_F(FindingQueriesTest, AFindingSaysWhenHowOftenAndWithWhom) {
  start();
  const FindingTime first = now_;
  see("policy.status", 10);
  tick(2s);
  compare(9);
  store_->add(trace("policy.status", "globex"));
  compare(1);
  const auto detail = store_->show(id_at("policy.status"));
  ASSERT_TRUE(detail.has_value()) << detail.error().text;
  const Finding& f = detail->finding;
  EXPECT_EQ(f.signature,
            (FindingSignature{"inquiry", kMethod, "policy.status", Difference::VALUE, MismatchTrace::MAJOR}));
  EXPECT_EQ(f.first_seen, first);
  EXPECT_EQ(f.last_seen, first + 2s);
  EXPECT_EQ(f.count, 2u);
  EXPECT_EQ(f.comparisons, 11u) << "from its own first call on";
  ASSERT_TRUE(f.rate.has_value());
  EXPECT_DOUBLE_EQ(f.rate->estimate, 2.0 / 11);
  EXPECT_NEAR(f.rate->low, rate_interval(2, 11)->low, 1e-12);
  EXPECT_EQ(f.state, FindingState::kOpen);
  EXPECT_EQ(f.state_since, first);
  EXPECT_EQ(f.tenants, 2u);
  ASSERT_EQ(detail->tenants.names.size(), 2u);
  EXPECT_EQ(detail->tenants.names[0].name, "globex") << "the latest first";
  EXPECT_EQ(detail->consumers.names.at(0).count, 2u);
  EXPECT_EQ(detail->policies.names.at(0).name, "hash-1");
  ASSERT_EQ(detail->examples.size(), 2u);
  EXPECT_EQ(detail->examples[0].tenant(), "acme");
  EXPECT_EQ(detail->examples[1].tenant(), "globex");
}

TEST_F(FindingQueriesTest, TheRateGoesOnOverCommits) {
  start();
  see("a", 100);
  store_->flush();
  compare(40);
  store_->flush();
  see("a", 10);
  store_->flush();
  EXPECT_EQ(one("a").count, 2u);
  EXPECT_EQ(one("a").comparisons, 51u);
}

TEST_F(FindingQueriesTest, WithoutComparisonsThereIsNoRateAndNoResolution) {
  start();
  store_->add(trace("a"));
  EXPECT_FALSE(one("a").rate.has_value());
  EXPECT_EQ(one("a").comparisons, 0u);
  EXPECT_EQ(state("a"), "open");
}

TEST_F(FindingQueriesTest, IsResolvedWhenNotSeenForLongEnoughAndRegressesWhenSeenAgain) {
  start();
  see("a");
  compare(99);
  EXPECT_EQ(state("a"), "open");
  tick(1min);
  compare(1);
  EXPECT_EQ(state("a"), "resolved");
  EXPECT_EQ(one("a").state_since, now_.load());
  compare(1000);
  EXPECT_EQ(state("a"), "resolved");
  tick(1min);
  see("a");
  EXPECT_EQ(state("a"), "regressed");
  EXPECT_EQ(one("a").state_since, now_.load());
  EXPECT_EQ(one("a").count, 2u);
  compare(50);
  EXPECT_EQ(state("a"), "regressed");
}

TEST_F(FindingQueriesTest, ARareOneMustBeMissedForThreeTimesItsDistance) {
  start();
  see("rare");
  see("rare", 1000);
  store_->flush();
  compare(2999);
  EXPECT_EQ(state("rare"), "open") << "it could be bad luck";
  compare(1);
  EXPECT_EQ(state("rare"), "resolved");
}

TEST_F(FindingQueriesTest, ComparisonsOfAnotherMethodResolveNothing) {
  start();
  see("a");
  store_->comparisons("inquiry", "s/Other").add(100'000);
  store_->comparisons("other", kMethod).add(100'000);
  EXPECT_EQ(state("a"), "open");
}

TEST_F(FindingQueriesTest, AnAcknowledgementHoldsUntilItsDayAndEndsWithARegression) {
  start();
  see("a");
  const auto acked = store_->acknowledge(id_at("a"), {"maria", "known: FIC-7", now_.load() + 1h, {}});
  ASSERT_TRUE(acked.has_value()) << acked.error().text;
  EXPECT_EQ(acked->state, FindingState::kAcknowledged);
  EXPECT_EQ(acked->acknowledgement->by, "maria");
  EXPECT_EQ(acked->acknowledgement->at, now_.load());
  see("a");
  EXPECT_EQ(state("a"), "acknowledged") << "that it is seen is known";
  tick(1h);
  EXPECT_EQ(state("a"), "acknowledged") << "its last moment";
  tick(1ms);
  EXPECT_EQ(state("a"), "open");
  EXPECT_TRUE(one("a").acknowledgement.has_value()) << "who had it stays to be seen";

  ASSERT_TRUE(store_->acknowledge(id_at("a"), {"maria", "for ever", std::nullopt, {}}).has_value());
  tick(1000h);
  EXPECT_EQ(state("a"), "acknowledged");
  compare(300);
  EXPECT_EQ(state("a"), "resolved");
  see("a");
  EXPECT_EQ(state("a"), "regressed");
  EXPECT_FALSE(one("a").acknowledgement.has_value());
}

TEST_F(FindingQueriesTest, AnAcknowledgementIsTakenBack) {
  start();
  see("a");
  ASSERT_TRUE(store_->acknowledge(id_at("a"), {"maria", "known", std::nullopt, {}}).has_value());
  EXPECT_EQ(store_->withdraw(id_at("a"))->state, FindingState::kOpen);
  EXPECT_EQ(store_->withdraw(id_at("a"))->state, FindingState::kOpen) << "twice is no error";
}

TEST_F(FindingQueriesTest, AcknowledgementsThatSayNothingAreRefused) {
  start();
  see("a");
  const struct {
    Acknowledgement ack;
    const char* want;
  } rows[] = {{{"", "why", {}, {}}, "who acknowledges is missing"},
              {{"me", "", {}, {}}, "the reason is missing"},
              {{std::string(257, 'x'), "why", {}, {}}, "longer than 256"},
              {{"me", std::string(1025, 'x'), {}, {}}, "longer than 1024"},
              {{"me", "\x1b[31mred", {}, {}}, "plain UTF-8"},
              {{"me", "\xff", {}, {}}, "plain UTF-8"},
              {{"me", "why", now_.load() - 1ms, {}}, "passed"}};
  for (const auto& row : rows) {
    const auto got = store_->acknowledge(id_at("a"), row.ack);
    EXPECT_THAT(error_of(got), HasSubstr(row.want));
    EXPECT_THAT(error_of(got), HasSubstr("invalid"));
  }
  EXPECT_THAT(error_of(store_->acknowledge("0123456789abcdef", {"me", "why", {}, {}})), HasSubstr("not_found"));
  EXPECT_EQ(state("a"), "open");
}

TEST_F(FindingQueriesTest, IdsAreFoundByTheirBeginning) {
  start();
  std::map<char, int> first_digits;
  for (int i = 0; i < 40; ++i) {
    const std::string path = "f" + std::to_string(i);
    ++first_digits[id_at(path)[0]];
    see(path);
  }
  const auto shared = std::find_if(first_digits.begin(), first_digits.end(), [](auto& d) { return d.second > 1; });
  ASSERT_NE(shared, first_digits.end());
  EXPECT_THAT(error_of(store_->show(std::string(1, shared->first))), HasSubstr("ambiguous: several findings"));
  for (int i = 0; i < 40; ++i) {
    const std::string path = "f" + std::to_string(i), id = id_at(path);
    for (const std::size_t digits : {10u, 16u}) {
      const auto found = store_->show(id.substr(0, digits));
      ASSERT_TRUE(found.has_value()) << found.error().text;
      EXPECT_EQ(found->finding.signature.path, path);
    }
  }
  for (const char* id : {"", "xyz", "0123456789abcdef0", "-1", "1 "}) {
    EXPECT_THAT(error_of(store_->show(id)), HasSubstr("invalid")) << id;
  }
  EXPECT_THAT(error_of(store_->show("0000000000000000")), HasSubstr("not_found"));
}

TEST_F(FindingQueriesTest, ListsTheGravestFirstAndFilters) {
  start();
  compare(10);
  store_->add(trace("minor", "acme", MismatchTrace::MINOR));
  tick(1s);
  store_->add(trace("major-old"));
  tick(1s);
  const FindingTime late = now_;
  store_->add(trace("major-late"));
  store_->add(trace("critical", "acme", MismatchTrace::CRITICAL));
  MismatchTrace other = trace("elsewhere");
  other.set_capability("quote");
  store_->add(other);
  ASSERT_TRUE(store_->acknowledge(id_at("major-old"), {"me", "why", {}, {}}).has_value());

  EXPECT_THAT(paths(store_->list({})).front(), "critical");
  EXPECT_THAT(paths(store_->list({.capability = "inquiry"})),
              ElementsAre("critical", "major-late", "major-old", "minor"));
  EXPECT_THAT(paths(store_->list({.capability = "quote"})), ElementsAre("elsewhere"));
  EXPECT_THAT(paths(store_->list({.capability = "nobody"})), IsEmpty());
  EXPECT_THAT(paths(store_->list({.at_least = MismatchTrace::CRITICAL})), ElementsAre("critical"));
  EXPECT_THAT(paths(store_->list({.capability = "inquiry", .at_least = MismatchTrace::MAJOR})),
              ElementsAre("critical", "major-late", "major-old"));
  EXPECT_THAT(paths(store_->list({.state = FindingState::kAcknowledged})), ElementsAre("major-old"));
  EXPECT_THAT(paths(store_->list({.state = FindingState::kResolved})), IsEmpty());
  EXPECT_THAT(paths(store_->list({.capability = "inquiry", .since = late})), ElementsAre("critical", "major-late"));
  EXPECT_THAT(paths(store_->list({.since = late + 1ms})), IsEmpty());
  const auto page = store_->list({.capability = "inquiry", .limit = 2});
  EXPECT_THAT(paths(page), ElementsAre("critical", "major-late"));
  EXPECT_TRUE(page->more);
  EXPECT_FALSE(store_->list({.capability = "inquiry", .limit = 4})->more);
}

TEST_F(FindingQueriesTest, KeepsTheFirstExampleAndTheLatest) {
  options_.limits.examples = 3;
  start();
  for (int i = 0; i < 10; ++i) {
    store_->add(trace("a", "t" + std::to_string(i)));
    store_->flush();
  }
  const auto detail = store_->show(id_at("a"));
  std::vector<std::string> of;
  for (const auto& example : detail->examples) of.push_back(example.tenant());
  EXPECT_THAT(of, ElementsAre("t0", "t8", "t9"));
}

TEST_F(FindingQueriesTest, KeepsTheLatestNamesAndCountsTheRest) {
  options_.limits.names = 2;
  start();
  for (int i = 0; i < 5; ++i) {
    tick(1s);
    store_->add(trace("a", "t" + std::to_string(i)));
    store_->flush();
  }
  store_->add(trace("a", "t3"));
  const auto detail = store_->show(id_at("a"));
  ASSERT_EQ(detail->tenants.names.size(), 2u);
  EXPECT_EQ(detail->tenants.other, 3u);
  EXPECT_EQ(detail->tenants.names[0].count + detail->tenants.names[1].count, 3u);
}

TEST_F(FindingQueriesTest, BeyondTheirNumberTheOldestResolvedGoFirst) {
  options_.limits.findings = 3;
  start();
  for (const char* path : {"oldest-open", "resolved"}) {
    tick(1s);
    see(path);
  }
  store_->flush();
  compare(99);
  see("oldest-open");  // still there
  compare(5);
  EXPECT_EQ(state("resolved"), "resolved");
  tick(1s);
  for (const char* path : {"c", "d"}) {
    tick(1s);
    see(path);
  }
  EXPECT_THAT(paths(store_->list({})), UnorderedElementsAre("oldest-open", "c", "d"));
  tick(1s);
  see("e");
  EXPECT_THAT(paths(store_->list({})), UnorderedElementsAre("c", "d", "e"));
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"findings_kept\"}"), "2");
}

TEST_F(FindingQueriesTest, BeyondTheirBytesTheOldestGoAndTheNewStay) {
  options_.limits.bytes = 4 << 20;  // in memory a quarter of it: 1 MiB
  options_.limits.example_bytes = 64 << 10;
  start();
  for (int i = 0; i < 100; ++i) {
    tick(1s);
    MismatchTrace large = trace("f" + std::to_string(i));
    large.set_reason(std::string(40'000, 'x'));
    store_->add(large);
    store_->flush();
  }
  const auto kept = paths(store_->list({}));
  EXPECT_GT(kept.size(), 10u);
  EXPECT_LT(kept.size(), 30u) << "40 KB each, 1 MiB in all";
  EXPECT_EQ(kept.front(), "f99");
  EXPECT_EQ(metric("ficus_limit_hits_total{limit=\"findings_bytes\"}"), std::to_string(100 - kept.size()));
  EXPECT_TRUE(store_->health().ok) << store_->health().text;
}

TEST_F(FindingQueriesTest, WhatIsTooOldGoesWithItsExamples) {
  start();
  see("old");
  store_->flush();
  tick(options_.limits.age);
  see("new");
  EXPECT_THAT(paths(store_->list({})), UnorderedElementsAre("old", "new")) << "to the day";
  tick(1ms);
  compare(1);
  EXPECT_THAT(paths(store_->list({})), ElementsAre("new"));
}

TEST_F(FindingQueriesTest, ExportGivesEachFindingAsOneLineOfJson) {
  start();
  see("a", 4);
  see("b", 4);
  ASSERT_TRUE(store_->acknowledge(id_at("a"), {"maria", "a \"known\" one", now_.load() + 1h, {}}).has_value());
  std::vector<std::string> lines;
  ASSERT_TRUE(
      store_->export_all({}, [&](const FindingDetail& detail) { lines.push_back(to_json(detail)); }).has_value());
  ASSERT_EQ(lines.size(), 2u);
  for (const std::string& line : lines) {
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    google::protobuf::Struct parsed;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(line, &parsed).ok()) << line;
    const auto& fields = parsed.fields();
    const std::string path = fields.at("path").string_value();
    EXPECT_EQ(fields.at("id").string_value(), id_at(path));
    EXPECT_EQ(fields.at("severity").string_value(), "major");
    EXPECT_EQ(fields.at("kind").string_value(), "value");
    EXPECT_EQ(fields.at("count").number_value(), 1);
    EXPECT_EQ(fields.at("firstSeen").string_value(), "2027-01-15T08:00:00.000Z");
    EXPECT_EQ(fields.at("tenants").list_value().values(0).struct_value().fields().at("name").string_value(), "acme");
    EXPECT_EQ(fields.at("examples").list_value().values(0).struct_value().fields().at("traceId").string_value(),
              path + "/acme");
    EXPECT_EQ(fields.count("acknowledgement"), path == "a" ? 1u : 0u);
    EXPECT_EQ(fields.at("state").string_value(), path == "a" ? "acknowledged" : "open");
  }
}

TEST(FindingTimeTest, IsWrittenAsRfc3339) {
  EXPECT_EQ(to_rfc3339(FindingTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(FindingTime(1'700'000'000'123ms)), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(to_rfc3339(FindingTime(-1ms)), "1969-12-31T23:59:59.999Z");
}

TEST(FindingStateTest, IsReadBackFromItsWord) {
  for (const auto state :
       {FindingState::kOpen, FindingState::kAcknowledged, FindingState::kResolved, FindingState::kRegressed}) {
    EXPECT_EQ(parse_finding_state(to_string(state)), state);
  }
  EXPECT_FALSE(parse_finding_state("Open").has_value());
}

}  // namespace
}  // namespace ficus
