"""Measures Ficus beside other proxies: what a call costs the proxy in CPU time. Called by run.sh; see README.md."""
import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from relay import host, load, proxies, report
from relay.programs import Programs, say

EXIT_MISSED, EXIT_USAGE, EXIT_FAILED = 1, 2, 4
WARM_UP_CALLS = 20_000
FLOOR_SAMPLES = 3


@dataclass(frozen=True)
class Sample:
    """One run of h2load through one proxy."""
    calls: int
    proxy_us: float  # CPU microseconds of the proxy per call
    upstream_us: float  # of the upstream
    calls_per_second: float
    core_busy: float  # the proxy's share of its core while the load ran


def measure(case, proxy, upstream, calls, place):
    """One sample. The clocks are read around the whole load: connecting and closing 8 connections is in it."""
    wall, proxy_cpu, upstream_cpu = time.monotonic(), host.cpu_seconds(proxy.pid), host.cpu_seconds(upstream.pid)
    result = load.run(case, proxy.port, calls, place)
    proxy_cpu = host.cpu_seconds(proxy.pid) - proxy_cpu
    upstream_cpu = host.cpu_seconds(upstream.pid) - upstream_cpu
    wall = time.monotonic() - wall
    proxy.process.check_alive()
    upstream.process.check_alive()
    return Sample(calls, proxy_cpu / calls * 1e6, upstream_cpu / calls * 1e6, calls / result.seconds, min(1.0, proxy_cpu / wall))


def run_case(case, options, programs, cores, directory):
    """Fresh processes, a warm-up, then rounds in which every proxy is measured once, in alternating order."""
    proxy_place, load_place = (host.Place(core, directory) for core in cores)
    with contextlib.ExitStack() as running:
        def started(proxy):
            running.callback(proxy.stop)
            return proxy

        upstream = started(proxies.start_upstream(programs, load_place))
        measured = []
        for name in [options.subject, *options.peers]:
            kind = name.partition("#")[0]
            measured.append(started(proxies.STARTERS[kind](name, programs, upstream.port, proxy_place)))
            load.verify(case, name, measured[-1].port, directory)

        # As many calls a sample as the fastest proxy makes in the time given; the same for all.
        fastest = warm_up(case, measured, options, load_place)
        calls = max(case.in_flight * 10, round(fastest * options.seconds / 1000) * 1000)

        floor = [measure(case, upstream, upstream, calls, load_place) for _ in range(FLOOR_SAMPLES)]
        samples = {proxy.name: [] for proxy in measured}
        for round_number in range(options.pairs):
            # Forwards, then backwards: what changes with time hits both of a pair alike.
            for proxy in measured if round_number % 2 == 0 else reversed(measured):
                samples[proxy.name].append(measure(case, proxy, upstream, calls, load_place))
            last = "  ".join(f"{name} {list_of[-1].proxy_us:.2f}" for name, list_of in samples.items())
            say(f"  {case.name} round {round_number + 1}/{options.pairs}: CPU us/call  {last}")
        peaks = {proxy.name: host.memory_kib(proxy.pid, "VmHWM") for proxy in measured}
        upstream.stop()
        made = calls * (FLOOR_SAMPLES + options.pairs * len(measured))
        proxies.check_account(upstream.process.last_line(), made)
    return report.summarize(case, samples, floor, options.subject, options.peers, peaks)


def warm_up(case, measured, options, place):
    """Two short loads through every proxy. Returns the calls per second of the fastest, by its second."""
    rates = []
    for proxy in measured:
        for _ in range(2):
            result = load.run(case, proxy.port, options.warm_up_calls, place)
        rates.append(result.calls / result.seconds)
    return max(rates)


def parse_arguments(arguments):
    names = [case.name for case in load.CASES]
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", usage="tests/bench/run.sh --help", add_help=False)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--parse-only", action="store_true")  # so that the script learns of a mistake before it builds
    parser.add_argument("--case", action="append", choices=names)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--peers", default="nghttpx")
    parser.add_argument("--subject", default="ficus", choices=sorted(proxies.STARTERS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)

    options.pairs = options.pairs if options.pairs is not None else (2 if options.quick else 9)
    options.seconds = options.seconds if options.seconds is not None else (0.2 if options.quick else 2.0)
    options.warm_up_calls = 2_000 if options.quick else WARM_UP_CALLS
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    if not 0 < options.seconds <= 60:
        parser.error("--seconds must be more than 0 and at most 60")
    options.cases = [case for case in load.CASES if options.case is None or case.name in options.case]
    peers = [peer for peer in options.peers.split(",") if peer]
    for peer in peers:
        if peer not in proxies.STARTERS:
            parser.error(f"--peers: no such proxy '{peer}'; there are {', '.join(sorted(proxies.STARTERS))}")
    if len(set(peers)) != len(peers):
        parser.error("--peers names a proxy twice")
    # The subject may be its own peer: such a pair must come out at 1, and shows how far from it chance leads.
    options.peers = [f"{peer}#2" if peer == options.subject else peer for peer in peers]
    return options


def main(arguments):
    options = parse_arguments(arguments)
    if options.parse_only:
        return 0
    programs = Programs.of_build_tree(options.programs)
    kinds = list(dict.fromkeys([options.subject, *(peer.partition("#")[0] for peer in options.peers)]))
    try:
        for kind in kinds:
            proxies.check_installed(kind)
        cores = host.pick_cores()
        os.sched_setaffinity(0, {cores[1]})
        if os.getloadavg()[0] > 0.5:
            say(f"note: this machine is busy (load {os.getloadavg()[0]:.1f}); intervals will be wide")
        summaries = []
        with tempfile.TemporaryDirectory(prefix="ficus-bench-") as directory:
            for case in options.cases:
                say(f"{case.name}: {case.title}")
                summary = run_case(case, options, programs, cores, Path(directory))
                print(report.format_case(summary, options.subject), end="\n\n", flush=True)
                summaries.append(summary)
        versions = {kind: proxies.version(kind, programs) for kind in kinds}
    except host.BenchError as error:
        say(f"run_bench: {error}")
        return EXIT_FAILED
    verdict = report.format_verdict(summaries)
    missed = any(summary["target"] is not None and not summary["target"]["met"] for summary in summaries)
    if verdict and options.quick:
        verdict += "\n(--quick: too short to judge by, so the exit code does not)"
    if verdict:
        print(verdict)
    if options.json is not None:
        record = {"subject": options.subject, "quick": options.quick, "versions": versions, "cases": summaries}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
        say(f"wrote {options.json}")
    return EXIT_MISSED if missed and not options.quick else 0


if __name__ == "__main__":
    # SIGTERM ends like Ctrl-C: through the exit stacks, which stop what was started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        sys.exit(130)
