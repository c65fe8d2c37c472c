"""Ficus beside itself: with and without shadows, with two workers and with one.

At a fixed rate of calls, below saturation, where it matters: what a call waits for on a full machine is not Ficus's own time,
a shadow that is given up because a machine is full costs nothing, and two workers must not be asked for more than one.
"""
import contextlib
import time
from dataclasses import dataclass

from relay import cases, host, load, metrics, pairs, proxies, report

RATE = 0.25  # of the calls a second that the slower of the two makes when it is not paced
COMPARED_AT_LEAST = 0.99  # of the calls: shadowed, and their answers found equal; else their cost is not judged
SETTLE_LIMIT_S = 20.0
OWN_SECONDS = "ficus_own_seconds"


def run_shadow(case, run):
    """CPU per call with every read shadowed, relative to none; and what shadows add to Ficus's own time per call."""
    with contextlib.ExitStack() as running:
        new = proxies.start_upstream(run.programs, run.place(run.load_core), name="answer_upstream_new")
        running.callback(new.stop)

        def setup(percent):
            return lambda port: proxies.Setup(port, new_port=new.port, shadow_percent=percent)

        with started(case, run, {"shadowed": setup(100), "unshadowed": setup(0)}, run.proxy_core) as (upstream, measured):
            full = take_turns(case, run, upstream, measured, None)
            slow = take_turns(case, run, upstream, measured, rate_of(full.rates))
            new.process.check_alive()
    share = {}
    for name, turns in (("full", full), ("slow", slow)):
        share[name] = compared_share(turns.before["shadowed"], turns.after["shadowed"], turns.made("shadowed"))
    if share["slow"] < COMPARED_AT_LEAST:
        raise host.BenchError(f"only {share['slow']:.1%} of the calls at {slow.rate:,.0f} calls/s were shadowed and found equal")
    # Under full load shadows may be given up, as they should. A figure with such in it would flatter.
    judged, other = (full, slow) if share["full"] >= COMPARED_AT_LEAST else (slow, full)
    summary = _summary(case, judged)
    ratio = _summary(case, other)["ratios"]["unshadowed"]
    summary["unjudged_ratio"] = ratio
    summary["notes"] += [
        f"these figures: {judged.load}, {share['full' if judged is full else 'slow']:.2%} of the calls shadowed and found equal",
        f"beside it, {other.load}: {ratio['median']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}], "
        f"{share['slow' if judged is full else 'full']:.2%} shadowed and found equal"]
    summary["targets"] += own_time_targets(slow.before, slow.after)
    summary["notes"] += [f"own time, {target['direction']}, {slow.load}: {target['detail']}"
                         for target in summary["targets"] if target.get("detail")]
    return summary


def run_workers(case, run):
    """CPU per call of two workers relative to one, all free to use both cores, at the same rate.

    Peers with threads of their own are measured in the same rounds: what a second worker costs anybody on this machine.
    """
    core = f"{run.load_core},{run.proxy_core}"
    setups = {"2 workers": lambda port: proxies.Setup(port, workers=2), "1 worker": lambda port: proxies.Setup(port, workers=1)}
    peers = [peer for peer in run.options.peers if peer in case.peers]
    with contextlib.ExitStack() as running, started(case, run, setups, core) as (upstream, measured):
        rates = pairs.warm_up(measured, _unpaced(case, run), run.options.warm_up_calls)
        for peer in peers:
            for name, setup in setups.items():
                proxy = proxies.STARTERS[peer](f"{peer} {name}", run.programs, setup(upstream.port), run.place(core))
                running.callback(proxy.stop)
                load.verify(case, proxy.name, proxy.port, run.directory)
                measured.append(proxy)
        turns = take_turns(case, run, upstream, measured, rate_of(rates))
    summary = _summary(case, turns)
    summary["notes"].append(turns.load)
    summary["peer_ratios"] = {}
    for peer in peers:
        ratio = report.ratio_of(*([sample.proxy_us for sample in turns.samples[f"{peer} {name}"]] for name in setups))
        summary["peer_ratios"][peer] = ratio
        summary["notes"].append(f"{peer}, two workers by one, in the same rounds: {ratio['median']:.3f} "
                                f"[{ratio['low']:.3f}, {ratio['high']:.3f}]")
    return summary


@dataclass
class Turns:
    """Rounds of one load through both, and what Ficus's metrics said before and after."""
    rate: float | None  # None: as fast as it goes
    rates: dict  # calls a second of the warm-up
    samples: dict
    before: dict
    after: dict
    peaks: dict

    def made(self, name):
        return sum(sample.calls for sample in self.samples[name])

    @property
    def load(self):
        return "full load" if self.rate is None else f"{self.rate:,.0f} calls/s offered"


@contextlib.contextmanager
def started(case, run, setups, core):
    """The upstream and a Ficus for each setup (name -> upstream's port -> Setup). Yields (upstream, [proxy, ...])."""
    with contextlib.ExitStack() as running:
        upstream = proxies.start_upstream(run.programs, run.place(run.load_core))
        running.callback(upstream.stop)
        measured = []
        for name, setup in setups.items():
            measured.append(proxies.start_ficus(name, run.programs, setup(upstream.port), run.place(core)))
            running.callback(measured[-1].stop)
            load.verify(case, name, measured[-1].port, run.directory)
        yield upstream, measured
        upstream.stop()
        proxies.check_account(upstream.process.last_line(), 1)


def rate_of(rates):
    return max(1000.0, RATE * min(rates.values()))


def _unpaced(case, run):
    return lambda port, calls: load.run(case, port, calls, run.place(run.load_core))


def take_turns(case, run, upstream, measured, rate):
    options = run.options
    make_load, rates = _unpaced(case, run), {}
    if rate is None:
        rates = pairs.warm_up(measured, make_load, options.warm_up_calls)
        calls = max(case.in_flight * 10, round(min(rates.values()) * options.seconds))
    else:
        calls = max(1000, round(rate * options.seconds))
        make_load = lambda port, count: load.run_paced(case, run.programs, port, count, rate, run.place(run.load_core),
                                                         strict=not options.quick)  # noqa: E731
    before = {proxy.name: settled_metrics(proxy) for proxy in measured if proxy.admin}
    samples = pairs.rounds(case, measured, {proxy.name: calls for proxy in measured}, make_load, upstream, options.pairs)
    after = {proxy.name: settled_metrics(proxy) for proxy in measured if proxy.admin}
    return Turns(rate, rates, samples, before, after, {proxy.name: host.memory_kib(proxy.pid, "VmHWM") for proxy in measured})


def _summary(case, turns):
    subject, peer, *_ = turns.samples
    return report.summarize(case, turns.samples, [], subject, [peer], turns.peaks, judged=True)


def settled_metrics(proxy):
    """/metrics once no shadow is on its way any more: as many verdicts as shadows begun."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while True:
        read = metrics.read(proxy.admin)
        begun, ended = (metrics.total(read, name) or 0 for name in ("ficus_shadow_begun_total", "ficus_shadow_verdicts_total"))
        if begun == ended:
            return read
        if time.monotonic() > deadline:
            raise host.BenchError(f"{proxy.name}: of {begun:,.0f} shadows begun {ended:,.0f} have a verdict after {SETTLE_LIMIT_S:.0f} s")
        time.sleep(0.02)


def compared_share(before, after, calls):
    """The share of `calls` that were shadowed and whose answers were compared and found equal."""
    def matches(read):
        return metrics.total(read, "ficus_shadow_verdicts_total", verdict="match") or 0

    return (matches(after) - matches(before)) / calls


def own_time_targets(before, after):
    """Of each direction: the p99 of Ficus's own time with shadows minus that without."""
    targets = []
    for direction in ("request", "answer"):
        target = {"what": f"shadow: own time p99, {direction}", "unit": "us more than unshadowed", "direction": direction,
                  "at_most": cases.OWN_P99_AT_MOST_US, "measured": None, "met": None}
        p99 = {}
        for name in ("shadowed", "unshadowed"):
            now = metrics.buckets(after[name], OWN_SECONDS, direction=direction)
            p99[name] = metrics.quantile(metrics.since(metrics.buckets(before[name], OWN_SECONDS, direction=direction), now), 0.99)
            if not now:
                target["why"] = f"not available in this build: /metrics has no {OWN_SECONDS}"
            elif p99[name] is None:
                target.setdefault("why", f"{name}: no calls in {OWN_SECONDS}, or the p99 lies beyond its last bucket")
        if "why" not in target:
            target["measured"] = (p99["shadowed"][0] - p99["unshadowed"][0]) * 1e6
            target["met"] = target["measured"] <= target["at_most"]
            target["detail"] = ", ".join(
                f"p99 {name} {value * 1e6:.1f} us (in the bucket {low * 1e6:.0f} to {high * 1e6:.0f} us)"
                for name, (value, low, high) in p99.items())
        targets.append(target)
    return targets
