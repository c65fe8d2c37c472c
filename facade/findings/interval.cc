#include "facade/findings/interval.h"

#include <algorithm>
#include <cmath>

namespace ficus {
namespace {

// Counts as doubles, since a planned sample has fractions of calls. hits <= n, n > 0.
Interval wilson(double hits, double n, double z) {
  const double p = hits / n, zz = z * z;
  const double middle = (p + zz / (2 * n)) / (1 + zz / n);
  const double half = z * std::sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n);
  // At 0 of n and n of n the bound is the rate itself; rounding must not leave it a hair off.
  return {p, hits == 0 ? 0 : std::max(0.0, middle - half), hits == n ? 1 : std::min(1.0, middle + half)};
}

// Newcombe's correlation of the two looks; 0 where one of them saw only hits or none. A positive one is cut by half a
// call, so that it is not overstated.
double correlation(double both, double only_first, double only_second, double neither) {
  const double margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither);
  if (margins <= 0) return 0;
  double numerator = both * neither - only_first * only_second;
  if (numerator > 0) numerator = std::max(0.0, numerator - (both + only_first + only_second + neither) / 2);
  return numerator / std::sqrt(margins);
}

// "Square and add": the distances of each rate's bounds, put together as sides of a triangle. phi: their correlation.
Interval difference(const Interval& first, const Interval& second, double phi) {
  const auto side = [phi](double a, double b) { return std::sqrt(std::max(0.0, a * a - 2 * phi * a * b + b * b)); };
  const double estimate = first.estimate - second.estimate;
  return {estimate, std::max(-1.0, estimate - side(first.estimate - first.low, second.high - second.estimate)),
          std::min(1.0, estimate + side(first.high - first.estimate, second.estimate - second.low))};
}

Interval paired(double both, double only_first, double only_second, double neither, double z) {
  const double n = both + only_first + only_second + neither;
  // min: sums of fractions may come out a hair above n.
  return difference(wilson(std::min(n, both + only_first), n, z), wilson(std::min(n, both + only_second), n, z),
                    correlation(both, only_first, only_second, neither));
}

bool is_quantile(double z) { return std::isfinite(z) && z > 0; }
constexpr const char* kBadQuantile = "the normal quantile must be above 0";
constexpr const char* kNoCalls = "no calls, so nothing can be said";

std::string more_than(std::uint64_t hits, std::uint64_t n) {
  return std::to_string(hits) + " of " + std::to_string(n) + " is no rate";
}

// The least n at which `half_width_at(n)` is at most `wanted`; it falls as n grows.
template <class HalfWidthAt>
Result<std::uint64_t, std::string> least_samples(double wanted, HalfWidthAt half_width_at) {
  if (!(wanted > 0 && wanted < 1)) return fail(std::string("a half width must be between 0 and 1"));
  if (half_width_at(static_cast<double>(kMaxSamples)) > wanted) {
    return fail("it would take more than " + std::to_string(kMaxSamples) + " calls");
  }
  std::uint64_t too_few = 0, enough = kMaxSamples;
  while (enough - too_few > 1) {
    const std::uint64_t middle = too_few + (enough - too_few) / 2;
    (half_width_at(static_cast<double>(middle)) <= wanted ? enough : too_few) = middle;
  }
  return enough;
}

}  // namespace

Result<Interval, std::string> rate_interval(std::uint64_t hits, std::uint64_t n, double z) {
  if (!is_quantile(z)) return fail(std::string(kBadQuantile));
  if (n == 0) return fail(std::string(kNoCalls));
  if (hits > n) return fail(more_than(hits, n));
  return wilson(static_cast<double>(hits), static_cast<double>(n), z);
}

Result<Interval, std::string> paired_difference(const PairedCounts& counts, double z) {
  if (!is_quantile(z)) return fail(std::string(kBadQuantile));
  if (counts.both == 0 && counts.only_first == 0 && counts.only_second == 0 && counts.neither == 0) {
    return fail(std::string(kNoCalls));
  }
  return paired(static_cast<double>(counts.both), static_cast<double>(counts.only_first),
                static_cast<double>(counts.only_second), static_cast<double>(counts.neither), z);
}

Result<Interval, std::string> unpaired_difference(std::uint64_t first_hits, std::uint64_t first_n,
                                                  std::uint64_t second_hits, std::uint64_t second_n, double z) {
  const auto first = rate_interval(first_hits, first_n, z);
  if (!first) return fail(first.error());
  const auto second = rate_interval(second_hits, second_n, z);
  if (!second) return fail(second.error());
  return difference(*first, *second, 0);
}

Result<std::uint64_t, std::string> samples_for_rate(double rate, double half_width, double z) {
  if (!is_quantile(z)) return fail(std::string(kBadQuantile));
  if (!(rate >= 0 && rate <= 1)) return fail(std::string("a rate is between 0 and 1"));
  // Not clipped at 0 and 1 as the interval is: half of what is clipped off would make the sample look better than it
  // is.
  return least_samples(half_width, [=](double n) {
    return z * std::sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n);
  });
}

Result<std::uint64_t, std::string> samples_for_paired_difference(const PairedShares& shares, double half_width,
                                                                 double z) {
  if (!is_quantile(z)) return fail(std::string(kBadQuantile));
  const double sum = shares.both + shares.only_first + shares.only_second;
  constexpr double kRounding = 1e-9;  // three decimal fractions that make 1 need not add up to it
  if (!(shares.both >= 0 && shares.only_first >= 0 && shares.only_second >= 0 && sum <= 1 + kRounding)) {
    return fail(std::string("shares are not below 0 and not beyond 1 together"));
  }
  const double neither = std::max(0.0, 1 - sum);
  return least_samples(half_width, [&](double n) {
    return paired(shares.both * n, shares.only_first * n, shares.only_second * n, neither * n, z).half_width();
  });
}

}  // namespace ficus
