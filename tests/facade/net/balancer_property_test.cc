// What holds of every history: random endpoints, results, health and time, and after each step the rules hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "facade/net/balancer.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;
using Id = Balancer::EndpointId;

struct Known {
  bool unhealthy = false, reachable = true;
};

class BalancerPropertyTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(BalancerPropertyTest, EveryPickObeysTheRules) {
  std::mt19937 random(GetParam());
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  BalanceSettings settings;
  settings.kind = below(2) == 0 ? BalanceSettings::Kind::kRoundRobin : BalanceSettings::Kind::kLeastRequest;
  settings.slow_start = milliseconds(below(3) * 500);
  if (below(4) != 0) {
    settings.outlier = EjectionSettings{};
    settings.outlier->consecutive_failures = 1 + below(3);
    settings.outlier->base_ejection = milliseconds(1 + below(1000));
    settings.outlier->max_ejected_percent = below(101);
  }
  Balancer balancer;
  balancer.configure(settings);
  std::map<Id, Known> known;
  std::vector<Id> ids;
  std::map<Id, std::size_t> in_flight;
  Id last = 0;
  Balancer::Time now = Balancer::Time{} + std::chrono::hours(1);
  for (int step = 0; step < 2000; ++step) {
    now += milliseconds(below(50));
    switch (below(12)) {
      case 0: {  // the set changes
        std::vector<Id> next;
        for (const Id id : ids) {
          if (below(4) != 0) next.push_back(id);
        }
        while (next.size() < 1 + below(6)) next.push_back(++last);
        std::shuffle(next.begin(), next.end(), random);
        std::map<Id, Known> kept;
        for (const Id id : next) kept[id] = known[id];
        for (const Id id : ids) {
          if (!kept.contains(id)) in_flight.erase(id);
        }
        known = std::move(kept);
        ids = next;
        balancer.set_endpoints(ids, now);
        break;
      }
      case 1:
        if (!ids.empty()) {
          const Id id = ids[below(static_cast<unsigned>(ids.size()))];
          known[id].unhealthy = below(2) == 0;
          balancer.set_health(id, known[id].unhealthy ? Balancer::Health::kUnhealthy : Balancer::Health::kHealthy, now);
        }
        break;
      case 2:
        if (!ids.empty()) {
          const Id id = ids[below(static_cast<unsigned>(ids.size()))];
          known[id].reachable = below(3) != 0;
          balancer.set_reachable(id, known[id].reachable, now);
        }
        break;
      case 3:
      case 4:
        if (!ids.empty()) balancer.on_result(ids[below(static_cast<unsigned>(ids.size()))], below(3) != 0, now);
        break;
      default: {
        std::vector<Id> tried;
        for (const Id id : ids) {
          if (below(4) == 0) tried.push_back(id);
        }
        const auto picked = balancer.pick(now, tried);
        const bool all_tried = tried.size() == ids.size();
        ASSERT_EQ(picked.has_value(), !all_tried) << "step " << step;
        if (!picked) break;
        const Id id = balancer.id_at(*picked);
        ASSERT_EQ(std::count(tried.begin(), tried.end(), id), 0) << "step " << step << ": it was tried already";
        const bool reachable_left = std::any_of(ids.begin(), ids.end(), [&](Id other) {
          return known[other].reachable && std::count(tried.begin(), tried.end(), other) == 0;
        });
        // One endpoint alone is not asked how it is.
        if (ids.size() > 1 && reachable_left) {
          ASSERT_TRUE(known[id].reachable) << "step " << step;
        }
        balancer.begin(id);
        ++in_flight[id];
        if (below(2) == 0) {
          balancer.end(id);
          --in_flight[id];
        }
      }
    }
    const Balancer::Counts counts = balancer.counts();
    ASSERT_EQ(counts.healthy + counts.unhealthy + counts.ejected, ids.size());
    if (!settings.outlier) {
      ASSERT_EQ(counts.ejected, 0u);
    }
    if (counts.ejected != 0) {
      balancer.release(now);
      const auto next = balancer.release(now);
      if (balancer.counts().ejected != 0) {
        ASSERT_TRUE(next);
        ASSERT_GT(*next, now);
        ASSERT_LE(*next, now + settings.outlier->max_ejection);
      }
    }
  }
}

// Over any set of healthy endpoints, round robin gives each the same share of every whole number of turns.
TEST_P(BalancerPropertyTest, RoundRobinSharesEvenlyAfterAnyHistory) {
  std::mt19937 random(GetParam());
  Balancer balancer;
  balancer.configure({.kind = BalanceSettings::Kind::kRoundRobin, .outlier = {}, .slow_start = {}});
  const std::size_t count = 2 + random() % 7;
  std::vector<Id> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = i + 1;
  balancer.set_endpoints(ids, {});
  for (int i = 0; i < 100; ++i) {
    const Id id = 1 + random() % count;
    balancer.set_health(id, random() % 2 == 0 ? Balancer::Health::kUnhealthy : Balancer::Health::kHealthy, {});
    balancer.pick({});
  }
  for (const Id id : ids) balancer.set_health(id, Balancer::Health::kHealthy, {});
  for (int i = 0; i < 200; ++i) balancer.pick({});  // until old debts are paid
  std::map<Id, int> taken;
  for (std::size_t i = 0; i < count * 50; ++i) ++taken[balancer.id_at(*balancer.pick({}))];
  for (const Id id : ids) EXPECT_NEAR(taken[id], 50, 1) << "of " << count;
}

INSTANTIATE_TEST_SUITE_P(Seeds, BalancerPropertyTest, ::testing::Range(1u, 41u));

}  // namespace
}  // namespace ficus
