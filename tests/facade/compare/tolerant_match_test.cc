// Matching by nearness against the slow and obvious way: every way to pair.
#include "facade/compare/tolerant_match.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace ficus {
namespace {

using Points = std::vector<std::vector<double>>;

struct Field {
  Points legacy, fresh;
  double near = 1;
  bool alike(int i, int j) const {
    const auto &a = legacy[static_cast<std::size_t>(i)], &b = fresh[static_cast<std::size_t>(j)];
    for (std::size_t k = 0; k < a.size(); ++k) {
      if (std::fabs(a[k] - b[k]) > near) return false;
    }
    return true;
  }
  TolerantClass match(TolerantClass among, std::size_t max_looks) const {
    match_tolerant(
        among, [this](int i, int j) { return alike(i, j); },
        [this](int i) -> auto& { return legacy[static_cast<std::size_t>(i)]; },
        [this](int j) -> auto& { return fresh[static_cast<std::size_t>(j)]; }, max_looks);
    return among;
  }
  // The most pairs there can be.
  std::size_t most(std::size_t i = 0, unsigned taken = 0) const {
    if (i == legacy.size()) return 0;
    std::size_t best = most(i + 1, taken);
    for (std::size_t j = 0; j < fresh.size(); ++j) {
      if ((taken >> j & 1) == 0 && alike(static_cast<int>(i), static_cast<int>(j))) {
        best = std::max(best, 1 + most(i + 1, taken | 1u << j));
      }
    }
    return best;
  }
};

std::vector<int> up_to(std::size_t n) {
  std::vector<int> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<int>(i);
  return out;
}

void expect_whole(const Field& field, const TolerantClass& got) {
  std::vector<int> legacy = got.legacy, fresh = got.fresh;
  for (const auto& [i, j] : got.pairs) {
    EXPECT_TRUE(field.alike(i, j));
    legacy.push_back(i);
    fresh.push_back(j);
  }
  std::sort(legacy.begin(), legacy.end());
  std::sort(fresh.begin(), fresh.end());
  EXPECT_EQ(legacy, up_to(field.legacy.size())) << "an entry was lost, or has two partners";
  EXPECT_EQ(fresh, up_to(field.fresh.size()));
}

TEST(TolerantMatchTest, FindsTheMostPairsThereCanBe) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    SCOPED_TRACE(round);
    Field field;
    const std::size_t values = 1 + random() % 2;
    const auto points = [&] {
      Points out(random() % 6);
      for (auto& point : out) {
        for (std::size_t k = 0; k < values; ++k) point.push_back(static_cast<double>(random() % 60) / 10);
      }
      return out;
    };
    field.legacy = points();
    field.fresh = points();
    TolerantClass start;  // with some pairs that are none of the best
    start.legacy = up_to(field.legacy.size());
    start.fresh = up_to(field.fresh.size());
    for (int tries = 0; tries < 2 && !start.legacy.empty() && !start.fresh.empty(); ++tries) {
      if (!field.alike(start.legacy.back(), start.fresh.back())) break;
      start.pairs.emplace_back(start.legacy.back(), start.fresh.back());
      start.legacy.pop_back();
      start.fresh.pop_back();
    }
    const std::size_t before = start.pairs.size(), most = field.most();
    const TolerantClass small = field.match(start, 4096);
    expect_whole(field, small);
    EXPECT_EQ(small.pairs.size(), most);
    const TolerantClass swept = field.match(start, 0);
    expect_whole(field, swept);
    EXPECT_GE(swept.pairs.size(), before);
    if (values == 1 && before == 0) {
      EXPECT_EQ(swept.pairs.size(), most) << "of one value sorting is enough";
    }
  }
}

TEST(TolerantMatchTest, ManyEntriesAreMatchedWithoutLookingAtEveryPair) {
  Field field;
  field.near = 0.4;
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    field.legacy.push_back({static_cast<double>(i)});
    field.fresh.push_back({static_cast<double>(i) + 0.3});
  }
  std::shuffle(field.fresh.begin(), field.fresh.end(), random);
  std::size_t looks = 0;
  TolerantClass among{{}, up_to(20'000), up_to(20'000)};
  match_tolerant(
      among, [&](int i, int j) { return ++looks, field.alike(i, j); },
      [&](int i) -> auto& { return field.legacy[static_cast<std::size_t>(i)]; },
      [&](int j) -> auto& { return field.fresh[static_cast<std::size_t>(j)]; }, 4096);
  EXPECT_EQ(among.pairs.size(), 20'000u);
  EXPECT_LE(looks, 40'000u);
}

}  // namespace
}  // namespace ficus
