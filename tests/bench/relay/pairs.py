"""Interleaved pairs: every proxy measured once a round, forwards and backwards by turns."""
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from relay import host, load, proxies, report
from relay.programs import Programs, say

FLOOR_SAMPLES = 3
# A proxy slower than this share of the fastest makes fewer calls a sample, so that a round does not last minutes.
AS_MANY_CALLS_FROM = 0.5


@dataclass(frozen=True)
class Run:
    """One run of the bench: what was asked for, and where things lie."""
    options: object  # run_bench.parse_arguments()
    programs: Programs
    proxy_core: int
    load_core: int
    directory: Path

    def place(self, core):
        return host.Place(core, self.directory)


@dataclass(frozen=True)
class Sample:
    """One load through one proxy."""
    calls: int  # or messages
    proxy_us: float  # CPU microseconds of the proxy per call
    upstream_us: float  # of the upstream
    calls_per_second: float
    core_busy: float  # the proxy's share of its core while the load ran


def measure(make_load, proxy, upstream, calls):
    """One sample. The clocks are read around the whole load: connecting and closing its connections is in it."""
    wall, proxy_cpu, upstream_cpu = time.monotonic(), host.cpu_seconds(proxy.pid), host.cpu_seconds(upstream.pid)
    result = make_load(proxy.port, calls)
    proxy_cpu = host.cpu_seconds(proxy.pid) - proxy_cpu
    upstream_cpu = host.cpu_seconds(upstream.pid) - upstream_cpu
    wall = time.monotonic() - wall
    proxy.process.check_alive()
    upstream.process.check_alive()
    made = result.calls
    return Sample(made, proxy_cpu / made * 1e6, upstream_cpu / made * 1e6, made / result.seconds, min(1.0, proxy_cpu / wall))


def rounds(case, measured, counts, make_load, upstream, pairs):
    """`pairs` rounds. Returns proxy name -> its samples, in the order of the rounds."""
    samples = {proxy.name: [] for proxy in measured}
    for number in range(pairs):
        # Forwards, then backwards: what changes with time hits both of a pair alike.
        for proxy in measured if number % 2 == 0 else reversed(measured):
            samples[proxy.name].append(measure(make_load, proxy, upstream, counts[proxy.name]))
        last = "  ".join(f"{name} {list_of[-1].proxy_us:.2f}" for name, list_of in samples.items())
        say(f"  {case.name} round {number + 1}/{pairs}: CPU us/{case.unit}  {last}")
    return samples


def warm_up(measured, make_load, calls):
    """Two short loads through every proxy. Returns proxy name -> calls a second, by its second load."""
    rates = {}
    for proxy in measured:
        for _ in range(2):
            result = make_load(proxy.port, calls)
        rates[proxy.name] = result.calls / result.seconds
    return rates


def calls_a_sample(rates, seconds, at_least):
    """As many calls as the fastest makes in that time, the same for all but those that are far slower: their own."""
    fastest = max(rates.values())
    return {name: max(at_least, round((fastest if rate >= AS_MANY_CALLS_FROM * fastest else rate) * seconds / 100) * 100)
            for name, rate in rates.items()}


def run_case(case, run):
    """Fresh processes, a warm-up, then the rounds. Returns the summary; raises NotAvailable if the subject cannot do it."""
    options = run.options
    proxy_place, load_place = run.place(run.proxy_core), run.place(run.load_core)
    peers = [peer for peer in options.peers if peer.partition("#")[0] in case.peers + (options.subject,)]
    with contextlib.ExitStack() as running:
        def started(proxy):
            running.callback(proxy.stop)
            return proxy

        upstream = started(proxies.start_upstream(run.programs, load_place, "message" if case.kind == "streams" else "end"))
        setup = proxies.Setup(upstream.port, proxies.Certificate.make(run.directory) if case.tls else None)
        measured = []
        for name in [options.subject, *peers]:
            measured.append(started(proxies.STARTERS[name.partition("#")[0]](name, run.programs, setup, proxy_place)))
            load.verify(case, name, measured[-1].port, run.directory)

        def make_load(port, calls):
            if case.kind == "streams":
                return load.run_streams(case, run.programs, port, calls, load_place)
            return load.run(case, port, calls, load_place)

        counts = calls_a_sample(warm_up(measured, make_load, options.warm_up_calls), options.seconds, case.in_flight * 10)
        floor = []
        if not case.tls:  # the upstream speaks cleartext only
            floor = [measure(make_load, upstream, upstream, max(counts.values())) for _ in range(FLOOR_SAMPLES)]
        samples = rounds(case, measured, counts, make_load, upstream, options.pairs)
        peaks = {proxy.name: host.memory_kib(proxy.pid, "VmHWM") for proxy in measured}
        upstream.stop()
        made = sum(sample.calls for list_of in [floor, *samples.values()] for sample in list_of)
        proxies.check_account(upstream.process.last_line(), made, case.unit)
    return report.summarize(case, samples, floor, options.subject, peers, peaks)
