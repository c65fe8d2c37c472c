// How sure a rate, or a difference of two rates, is: score intervals, which stay honest at small counts and at rates
// near 0 and 1, where p +- z sqrt(pq/n) says "0 of 20, so never". Pure; any thread; no allocation but for an error.
//
// Sources: E. B. Wilson, JASA 22 (1927) 209-212. R. G. Newcombe, Statistics in Medicine 17 (1998): 857-872 (one
// proportion, method 3), 873-890 (two independent ones, method 10, "hybrid score"), 2635-2650 (two paired ones,
// method 10, with the continuity-corrected correlation).
#pragma once

#include <cstdint>
#include <string>

#include "routing/result.h"

namespace ficus {

// The standard normal's quantile for a two-sided interval of 95 %.
inline constexpr double kZ95 = 1.959963984540054;

// An estimate and what it may be; low <= estimate <= high. Of a rate within [0, 1], of a difference within [-1, 1].
struct Interval {
  double estimate = 0;
  double low = 0;
  double high = 0;
  bool holds(double value) const { return low <= value && value <= high; }
  double half_width() const { return (high - low) / 2; }
};

// What n calls showed when each was looked at twice (or for two things): how many were hits in both looks, and so on.
struct PairedCounts {
  std::uint64_t both = 0;
  std::uint64_t only_first = 0;
  std::uint64_t only_second = 0;
  std::uint64_t neither = 0;
};

// The same as shares of all: what is expected when a sample is planned. `neither` is what is left of 1.
struct PairedShares {
  double both = 0;
  double only_first = 0;
  double only_second = 0;
};

// Wilson's score interval of hits / n. Error: a sentence; n is 0 (nothing can be said), hits > n, z not above 0.
Result<Interval, std::string> rate_interval(std::uint64_t hits, std::uint64_t n, double z = kZ95);

// First rate minus second, of the same calls: (only_first - only_second) / n. Error: no calls, z not above 0.
Result<Interval, std::string> paired_difference(const PairedCounts& counts, double z = kZ95);

// first_hits / first_n - second_hits / second_n, of different calls. Error: as rate_interval, of either.
Result<Interval, std::string> unpaired_difference(std::uint64_t first_hits, std::uint64_t first_n,
                                                  std::uint64_t second_hits, std::uint64_t second_n, double z = kZ95);

// The fewest calls after which rate_interval is expected to be no wider than +- half_width, should the rate be `rate`
// (0.5 is the worst). Error: a rate outside [0, 1], a half width outside (0, 1), more than kMaxSamples.
Result<std::uint64_t, std::string> samples_for_rate(double rate, double half_width, double z = kZ95);

// The same for paired_difference, should the shares be these. Error: as above; shares below 0 or beyond 1 together.
Result<std::uint64_t, std::string> samples_for_paired_difference(const PairedShares& shares, double half_width,
                                                                 double z = kZ95);

// Beyond, no traffic gets there: 1e12 calls are 30 years at 1000 a second.
inline constexpr std::uint64_t kMaxSamples = 1'000'000'000'000;

}  // namespace ficus
