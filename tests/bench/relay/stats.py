"""Medians and their distribution-free intervals."""
from dataclasses import dataclass
from math import comb
from statistics import median


@dataclass(frozen=True)
class Interval:
    """The median of a sample, and an interval that covers the true median with at least `coverage`."""
    middle: float
    low: float
    high: float
    coverage: float


def median_interval(values, wanted_coverage=0.95):
    """The narrowest interval between two order statistics, symmetric in rank, that covers the median often enough.

    Each value is above the true median with probability 1/2 whatever it is distributed like (the sign test), so the k-th
    smallest and the k-th largest of n enclose it with probability 1 - 2 P(Binomial(n, 1/2) < k). Nine values reach 96 %
    with k = 2; fewer than six cannot reach 95 %, and then all of them are the interval and `coverage` says what that is worth.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        raise ValueError("no values, no median")
    best = 1
    for k in range(1, (n + 1) // 2 + 1):
        if _coverage(n, k) >= wanted_coverage:
            best = k
    return Interval(median(ordered), ordered[best - 1], ordered[n - best], _coverage(n, best))


def _coverage(n, k):
    return max(0.0, 1 - 2 * sum(comb(n, i) for i in range(k)) / 2 ** n)
