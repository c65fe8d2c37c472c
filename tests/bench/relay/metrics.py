"""What Ficus says of itself: its /metrics, as counters and histograms."""
import math
import re
import urllib.request

from relay.host import BenchError


def read(admin):
    """/metrics of `admin` (HOST:PORT), parsed."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy of the environment
    try:
        with opener.open(f"http://{admin}/metrics", timeout=10) as answer:
            return parse(answer.read().decode())
    except OSError as error:
        raise BenchError(f"http://{admin}/metrics cannot be read: {error}") from error


def parse(text):
    """Prometheus's text format as {(name, ((label, value), ...)): number}, labels sorted."""
    samples = {}
    for line in text.splitlines():
        found = re.match(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$", line)
        if found and not line.startswith("#"):
            labels = tuple(sorted((name, re.sub(r"\\(.)", r"\1", value))
                                  for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")))
            samples[(found[1], labels)] = float(found[3])
    return samples


def total(samples, name, **wanted):
    """The sum of a family's samples that have these labels; None if the family is not there."""
    values = [value for (family, labels), value in samples.items()
              if family == name and all((key, want) in labels for key, want in wanted.items())]
    return sum(values) if values else None


def buckets(samples, name, **wanted):
    """A histogram's cumulative counts as {upper bound: count}, summed over other labels; empty if it is not there."""
    counts = {}
    for (family, labels), value in samples.items():
        if family == f"{name}_bucket" and all((key, want) in labels for key, want in wanted.items()):
            bound = float(dict(labels)["le"].replace("+Inf", "inf"))
            counts[bound] = counts.get(bound, 0) + value
    return counts


def since(before, after):
    """Of two readings of a histogram's buckets, what came in between."""
    return {bound: count - before.get(bound, 0) for bound, count in after.items()}


def quantile(counts, q):
    """The q-quantile, taken as evenly spread within its bucket. Returns (value, the bucket's two bounds).

    None if nothing was counted or the quantile lies beyond the last bound: then no number would be true.
    """
    bounds = sorted(counts)
    if not bounds or counts[bounds[-1]] <= 0:
        return None
    rank = q * counts[bounds[-1]]
    low, below = 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank:
            if math.isinf(bound):
                return None
            share = (rank - below) / (counts[bound] - below) if counts[bound] > below else 1.0
            return low + (bound - low) * share, low, bound
        low, below = bound, counts[bound]
    return None
