"""Measures Ficus beside other proxies: what a call costs the proxy in CPU time. Called by run.sh; see README.md."""
import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from relay import cases, host, memory, paced, pairs, proxies, report
from relay.programs import Programs, say

EXIT_MISSED, EXIT_USAGE, EXIT_FAILED, EXIT_UNMEASURED = 1, 2, 4, 5
WARM_UP_CALLS = 20_000
IDLE_CONNECTIONS = 10_000

RUN = {"calls": pairs.run_case, "streams": pairs.run_case, "shadow": paced.run_shadow, "workers": paced.run_workers,
       "memory": memory.run_case}


def run_case(case, run):
    try:
        return RUN[case.kind](case, run)
    except proxies.NotAvailable as missing:
        return report.not_available(case, str(missing))


def parse_arguments(arguments):
    names = list(cases.BY_NAME)
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", usage="tests/bench/run.sh --help", add_help=False)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--parse-only", action="store_true")  # so that the script learns of a mistake before it builds
    parser.add_argument("--case", action="append", choices=names)
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--peers", default=",".join(cases.EVERYBODY))
    parser.add_argument("--idle", type=int)
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
    options.idle = options.idle if options.idle is not None else (500 if options.quick else IDLE_CONNECTIONS)
    if not 1 <= options.idle <= 100_000:
        parser.error("--idle must be 1 to 100000")
    options.cases = [case for case in cases.CASES if options.case is None or case.name in options.case]
    peers = [peer for peer in options.peers.split(",") if peer]
    for peer in peers:
        if peer not in proxies.STARTERS:
            parser.error(f"--peers: no such proxy '{peer}'; there are {', '.join(sorted(proxies.STARTERS))}")
    if len(set(peers)) != len(peers):
        parser.error("--peers names a proxy twice")
    # The subject may be its own peer: such a pair must come out at 1, and shows how far from it chance leads.
    options.peers = [f"{peer}#2" if peer == options.subject else peer for peer in peers]
    return options


def kinds_needed(options):
    """The programs that take part: the subject, and of the peers those that some case at hand can measure."""
    wanted = [peer.partition("#")[0] for peer in options.peers]
    able = {peer for case in options.cases for peer in case.peers}
    return list(dict.fromkeys([options.subject, *(peer for peer in wanted if peer in able or peer == options.subject)]))


def main(arguments):
    options = parse_arguments(arguments)
    if options.parse_only:
        return 0
    programs = Programs.of_build_tree(options.programs)
    kinds = kinds_needed(options)
    try:
        for kind in kinds:
            proxies.check_installed(kind)
        proxy_core, load_core = host.pick_cores()
        os.sched_setaffinity(0, {load_core})
        if os.getloadavg()[0] > 0.5:
            say(f"note: this machine is busy (load {os.getloadavg()[0]:.1f}); intervals will be wide")
        summaries = []
        with tempfile.TemporaryDirectory(prefix="ficus-bench-") as directory:
            run = pairs.Run(options, programs, proxy_core, load_core, Path(directory))
            for case in options.cases:
                say(f"{case.name}: {case.title}")
                summary = run_case(case, run)
                print(report.format_case(summary, options.subject), end="\n\n", flush=True)
                summaries.append(summary)
        versions = {kind: proxies.version(kind, programs) for kind in kinds}
    except host.BenchError as error:
        say(f"run_bench: {error}")
        return EXIT_FAILED
    verdict = report.format_verdict(summaries)
    if verdict and options.quick:
        verdict += "\n(--quick: too short to judge by, so the exit code does not)"
    if verdict:
        print(verdict)
    if options.json is not None:
        record = {"subject": options.subject, "quick": options.quick, "versions": versions, "cases": summaries}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
        say(f"wrote {options.json}")
    return exit_code(summaries, options.quick)


def exit_code(summaries, quick):
    if quick:
        return 0
    if report.missed(summaries):
        return EXIT_MISSED
    return EXIT_UNMEASURED if report.unmeasured(summaries) else 0


if __name__ == "__main__":
    # SIGTERM ends like Ctrl-C: through the exit stacks, which stop what was started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        sys.exit(130)
