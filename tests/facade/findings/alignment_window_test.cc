#include "facade/findings/alignment_window.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ficus {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;

VerdictCounts counts(std::initializer_list<std::pair<Verdict, std::uint64_t>> of) {
  VerdictCounts out;
  for (const auto& [verdict, n] : of) out.by_verdict[static_cast<std::size_t>(verdict)] = n;
  return out;
}

TEST(VerdictCountsTest, AlignmentIsAsThePolicyLanguageDefinesIt) {
  const VerdictCounts c = counts({{Verdict::kMatch, 80},
                                  {Verdict::kIgnored, 10},
                                  {Verdict::kNoise, 3},
                                  {Verdict::kLag, 2},
                                  {Verdict::kMismatch, 5},
                                  {Verdict::kIncomparable, 1},
                                  {Verdict::kAbandoned, 2}});
  EXPECT_EQ(c.begun(), 103u);
  EXPECT_EQ(c.compared(), 100u);
  EXPECT_DOUBLE_EQ(*c.alignment(), 0.90);
  EXPECT_DOUBLE_EQ(*c.alignment_corrected(), 90.0 / 95.0);
  EXPECT_DOUBLE_EQ(*c.coverage(), 100.0 / 103.0);
  EXPECT_TRUE(c.known());
}

TEST(VerdictCountsTest, NothingComparedHasNoAlignment) {
  EXPECT_FALSE(VerdictCounts{}.alignment().has_value());
  EXPECT_FALSE(VerdictCounts{}.coverage().has_value());
  EXPECT_FALSE(VerdictCounts{}.known());
  const VerdictCounts lost = counts({{Verdict::kAbandoned, 7}});
  EXPECT_FALSE(lost.alignment().has_value());
  EXPECT_EQ(lost.coverage(), 0.0);
  EXPECT_FALSE(lost.known());
  const VerdictCounts noisy = counts({{Verdict::kNoise, 7}, {Verdict::kLag, 3}});
  EXPECT_EQ(noisy.alignment(), 0.0);
  EXPECT_FALSE(noisy.alignment_corrected().has_value()) << "a division by nothing";
}

TEST(VerdictCountsTest, BelowNinetyFivePercentCoverageNothingIsKnown) {
  EXPECT_TRUE(counts({{Verdict::kMatch, 95}, {Verdict::kAbandoned, 5}}).known());
  EXPECT_FALSE(counts({{Verdict::kMatch, 949}, {Verdict::kAbandoned, 51}}).known());
}

class AlignmentBoardTest : public testing::Test {
 protected:
  static constexpr std::uint64_t kGeneration = 7;
  AlignmentBoard board(std::size_t pairs = 1000) { return AlignmentBoard({pairs}, metrics_, kGeneration, start_); }
  static void count(AlignmentBoard& board, std::string_view capability, std::string_view tenant,
                    Verdict verdict = Verdict::kMatch, std::uint64_t generation = kGeneration) {
    const auto cell = board.cell(capability, tenant);
    cell->begin();
    cell->end(verdict, generation);
  }
  std::string limit_hits() {
    const std::string name = "ficus_limit_hits_total{limit=\"alignment_pairs\"} ", all = metrics_.expose();
    const std::size_t at = all.find(name);
    return at == std::string::npos ? "" : all.substr(at + name.size(), all.find('\n', at) - at - name.size());
  }

  Metrics metrics_;
  AlignmentBoard::Time start_{1000h};
};

TEST_F(AlignmentBoardTest, CountsInEverySpanByCapabilityAndTenant) {
  AlignmentBoard b = board();
  count(b, "quote", "acme");
  count(b, "inquiry", "globex", Verdict::kMismatch);
  count(b, "inquiry", "acme", Verdict::kIgnored);
  count(b, "inquiry", "acme");
  const auto rows = b.report(start_ + 1s);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].capability + '/' + rows[0].tenant, "inquiry/acme");
  EXPECT_EQ(rows[1].capability + '/' + rows[1].tenant, "inquiry/globex");
  EXPECT_EQ(rows[2].capability + '/' + rows[2].tenant, "quote/acme");
  for (const auto span : {AlignmentSpan::kMinute, AlignmentSpan::kHour, AlignmentSpan::kDay, AlignmentSpan::kPolicy}) {
    EXPECT_EQ(rows[0].over(span), counts({{Verdict::kMatch, 1}, {Verdict::kIgnored, 1}}));
    EXPECT_EQ(total_of(rows, "inquiry").over(span),
              counts({{Verdict::kMatch, 1}, {Verdict::kIgnored, 1}, {Verdict::kMismatch, 1}}));
  }
  EXPECT_EQ(total_of(rows, "nobody").over(AlignmentSpan::kDay), VerdictCounts{});
}

TEST_F(AlignmentBoardTest, AVerdictLeavesEachSpanOnceThatIsOverAndNotBefore) {
  AlignmentBoard b = board();
  count(b, "c", "t");
  b.roll(start_);
  const struct {
    AlignmentSpan span;
    std::chrono::seconds length, part;
  } rows[] = {{AlignmentSpan::kMinute, 1min, 1s}, {AlignmentSpan::kHour, 1h, 1min}, {AlignmentSpan::kDay, 24h, 15min}};
  for (const auto& row : rows) {
    EXPECT_EQ(b.report(start_ + row.length)[0].over(row.span).compared(), 1u) << row.length.count();
    EXPECT_EQ(b.report(start_ + row.length + row.part)[0].over(row.span).compared(), 0u) << row.length.count();
  }
  EXPECT_EQ(b.report(start_ + 1000h)[0].over(AlignmentSpan::kPolicy).compared(), 1u) << "the policy did not change";
}

TEST_F(AlignmentBoardTest, ASteadyRateFillsEachSpanAndNoMore) {
  AlignmentBoard b = board();
  const auto cell = b.cell("c", "t");
  for (int second = 0; second < 2 * 86400; ++second) {
    cell->begin();
    cell->end(Verdict::kMatch, kGeneration);
    b.roll(start_ + std::chrono::seconds(second));
  }
  const auto rows = b.report(start_ + std::chrono::seconds(2 * 86400 - 1));
  EXPECT_EQ(rows[0].over(AlignmentSpan::kMinute).compared(), 61u);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kHour).compared(), 3660u);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kDay).compared(), 97u * 900);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kPolicy).compared(), 2u * 86400);
}

TEST_F(AlignmentBoardTest, AJumpOverManyPartsEmptiesThemAll) {
  AlignmentBoard b = board();
  for (int i = 0; i < 200; ++i) {
    count(b, "c", "t");
    b.roll(start_ + std::chrono::seconds(i));
  }
  const auto rows = b.report(start_ + 10000h);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kMinute), VerdictCounts{});
  EXPECT_EQ(rows[0].over(AlignmentSpan::kHour), VerdictCounts{});
  EXPECT_EQ(rows[0].over(AlignmentSpan::kDay), VerdictCounts{});
}

TEST_F(AlignmentBoardTest, ATimeBeforeTheLastOneChangesNothing) {
  AlignmentBoard b = board();
  b.roll(start_ + 10s);
  count(b, "c", "t");
  EXPECT_EQ(b.report(start_)[0].over(AlignmentSpan::kMinute).compared(), 1u);
  EXPECT_EQ(b.report(start_ + 70s)[0].over(AlignmentSpan::kMinute).compared(), 1u) << "counted at 10 s, not at 0";
}

TEST_F(AlignmentBoardTest, APolicyChangeBeginsItsSpanAnewAndNoOther) {
  AlignmentBoard b = board();
  count(b, "c", "t", Verdict::kMismatch);
  b.policy_changed(kGeneration + 1, start_ + 5s);
  EXPECT_EQ(b.policy_since(), start_ + 5s);
  EXPECT_EQ(b.report(start_ + 5s)[0].over(AlignmentSpan::kPolicy), VerdictCounts{});
  EXPECT_EQ(b.report(start_ + 5s)[0].over(AlignmentSpan::kMinute).compared(), 1u);
  count(b, "c", "t", Verdict::kMismatch, kGeneration);  // was decided by the policy before
  count(b, "c", "t", Verdict::kMatch, kGeneration + 1);
  const auto rows = b.report(start_ + 6s);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kPolicy), counts({{Verdict::kMatch, 1}}));
  EXPECT_EQ(rows[0].over(AlignmentSpan::kMinute), counts({{Verdict::kMatch, 1}, {Verdict::kMismatch, 2}}));
}

TEST_F(AlignmentBoardTest, CallsUnderWayAreShownAndLowerNoCoverage) {
  AlignmentBoard b = board();
  const auto cell = b.cell("c", "t");
  cell->begin();
  cell->begin();
  EXPECT_EQ(b.report(start_)[0].in_flight, 2u);
  cell->end(Verdict::kMatch, kGeneration);
  const auto rows = b.report(start_);
  EXPECT_EQ(rows[0].in_flight, 1u);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kMinute).coverage(), 1.0);
}

TEST_F(AlignmentBoardTest, PairsBeyondTheLimitAreTheirCapabilitysOther) {
  AlignmentBoard b = board(2);
  const auto a = b.cell("c", "a"), d = b.cell("c", "d");
  for (int i = 0; i < 1000; ++i) count(b, "c", "stranger-" + std::to_string(i));
  count(b, "second", "a");
  a->begin();
  a->end(Verdict::kMatch, kGeneration);
  const auto rows = b.report(start_);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].tenant, "a");
  EXPECT_EQ(rows[0].over(AlignmentSpan::kMinute).compared(), 1u);
  EXPECT_EQ(rows[1].tenant, "other");
  EXPECT_EQ(rows[1].over(AlignmentSpan::kMinute).compared(), 1000u);
  EXPECT_EQ(rows[2].capability + '/' + rows[2].tenant, "second/other");
  EXPECT_EQ(limit_hits(), "1001");
}

TEST_F(AlignmentBoardTest, CapabilitiesWithoutEndAreBoundedToo) {
  AlignmentBoard b = board(3);
  for (int i = 0; i < 100; ++i) count(b, "c" + std::to_string(i), "t");
  const auto rows = b.report(start_);
  EXPECT_EQ(rows.size(), 7u) << "three pairs, three capabilities' others, and the rest";
  std::uint64_t all = 0;
  for (const auto& row : rows) all += row.over(AlignmentSpan::kHour).begun();
  EXPECT_EQ(all, 100u);
}

TEST_F(AlignmentBoardTest, APairThatNobodyKeepsGivesItsPlaceWhenItIsEmpty) {
  AlignmentBoard b = board(1);
  count(b, "c", "gone");
  b.policy_changed(kGeneration + 1, start_ + 1s);
  b.roll(start_ + 23h);
  count(b, "c", "early", Verdict::kMatch, kGeneration + 1);
  EXPECT_EQ(b.report(start_ + 23h).back().tenant, "other") << "the last day still knows the first";
  b.roll(start_ + 100h);
  b.policy_changed(kGeneration + 2, start_ + 100h);
  b.roll(start_ + 200h);
  const auto kept = b.cell("c", "next");
  kept->begin();
  kept->end(Verdict::kMatch, kGeneration + 2);
  const auto rows = b.report(start_ + 200h);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].tenant, "next");
  b.roll(start_ + 300h);
  b.policy_changed(kGeneration + 3, start_ + 300h);
  count(b, "c", "newcomer", Verdict::kMatch, kGeneration + 3);
  EXPECT_EQ(b.report(start_ + 300h)[0].tenant, "other") << "somebody keeps the cell of 'next'";
}

TEST_F(AlignmentBoardTest, ACellOutlivesItsBoard) {
  auto b = std::make_unique<AlignmentBoard>(AlignmentLimits{}, metrics_, kGeneration, start_);
  const auto cell = b->cell("c", "t");
  cell->begin();
  b.reset();
  cell->end(Verdict::kMatch, kGeneration);
}

TEST_F(AlignmentBoardTest, NoVerdictIsLostBetweenThreads) {
  AlignmentBoard b = board();
  constexpr int kThreads = 3, kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&b] {
      const auto cell = b.cell("c", "t");
      for (int i = 0; i < kEach; ++i) {
        cell->begin();
        cell->end(Verdict::kMatch, kGeneration);
      }
    });
  }
  for (int i = 0; i < 100; ++i) b.roll(start_ + std::chrono::milliseconds(i));
  for (auto& thread : threads) thread.join();
  const auto rows = b.report(start_ + 1s);
  EXPECT_EQ(rows[0].over(AlignmentSpan::kPolicy).compared(), static_cast<std::uint64_t>(kThreads) * kEach);
  EXPECT_EQ(rows[0].in_flight, 0u);
}

}  // namespace
}  // namespace ficus
