"""Instructions per call of Ficus under callgrind, held against a committed reference. Called by instructions.sh."""
import argparse
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from relay import host, load, proxies
from relay.programs import Programs, say
from run_profile import need, run_tool, total_instructions

EXIT_OVER, EXIT_FAILED = 1, 4
REFERENCE = Path(__file__).parent / "instructions.json"
SLACK = 1.03  # what a change may cost without anybody deciding that it should
BATCHES_WARM_UP = 40  # pools, tables and the dynamic linker have settled by then


@dataclass(frozen=True)
class LockstepCase:
    """`in_flight` calls in one write on one connection, then all their answers, `batches` times.

    Nobody's speed decides how many calls Ficus meets at a time, so that the count repeats. All bytes of a batch fit into one
    segment of the loopback device (64 KiB), else the kernel could deliver them in parts.
    """
    name: str
    in_flight: int
    message_bytes: int
    batches: int


CASES = [
    LockstepCase("32-in-flight", 32, 100, 60),
    LockstepCase("1-in-flight", 1, 100, 600),
    LockstepCase("4-in-flight-10k", 4, 10_000, 150),
]


def versions(programs):
    """What the count depends on besides our own code."""
    comment = run_tool(["readelf", "--string-dump=.comment", programs.ficus], "readelf")
    compilers = sorted(set(re.findall(r"\]\s+(.+)", comment)))
    valgrind = run_tool(["valgrind", "--version"], "valgrind --version").strip()
    libc = os.confstr("CS_GNU_LIBC_VERSION")
    return {"compiler": ", ".join(compilers), "valgrind": valgrind, "libc": libc}


def count(case, repeats, programs, proxy, raw, dumps, place):
    """Instructions per call, once a repeat. `dumps`: how many dumps callgrind wrote before; returns (counts, dumps)."""
    def make(batches):
        calls = batches * case.in_flight
        said = load.run_client(programs, "lockstep", proxy.port, case.message_bytes, ["--in-flight", case.in_flight, "--calls", calls], place)
        if said["calls"] != calls or said["messages"] != calls:
            raise host.BenchError(f"{calls} calls were to be answered; bench_client says {said}")
        return calls

    make(BATCHES_WARM_UP)
    counts = []
    for _ in range(repeats):
        run_tool(["callgrind_control", "--zero", proxy.pid], "callgrind_control --zero")
        calls = make(case.batches)
        dumps += 1
        run_tool(["callgrind_control", f"--dump={case.name}", proxy.pid], "callgrind_control --dump")
        counts.append(total_instructions(Path(f"{raw}.{dumps}")) / calls)
    return counts, dumps


def count_all(options, programs, cores, directory):
    """Case name -> its counts, all from one Ficus under callgrind."""
    need("valgrind", "valgrind")
    raw = directory / "callgrind.out"
    wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={raw}", "--log-file=/dev/null")
    load_place = host.Place(cores[1], directory)
    measured, dumps = {}, 0
    with contextlib.ExitStack() as running:
        upstream = proxies.start_upstream(programs, load_place)
        running.callback(upstream.stop)
        proxy = proxies.start_ficus("ficus", programs, proxies.Setup(upstream.port), host.Place(cores[0], directory, wrapper))
        running.callback(proxy.stop)
        for case in options.cases:
            measured[case.name], dumps = count(case, options.repeats, programs, proxy, raw, dumps, load_place)
            say(f"  {case.name}: {', '.join(f'{each:,.0f}' for each in measured[case.name])} instructions a call")
        upstream.stop()
        proxies.check_account(upstream.process.last_line(), sum(case.in_flight * case.batches for case in options.cases))
    return measured


def judge(measured, reference, slack=SLACK):
    """Lines for a person, and whether every case is within the slack. A case without a reference fails: nobody guards it."""
    lines, good = [], True
    for name, counts in measured.items():
        middle = median(counts)
        line = f"{name:18} {middle:10,.0f} instructions a call (of {len(counts)}: {min(counts):,.0f} to {max(counts):,.0f})"
        known = reference.get("cases", {}).get(name)
        if known is None:
            lines.append(f"{line}; no reference: NOT GUARDED")
            good = False
            continue
        ratio = middle / known
        verdict = "ok" if ratio <= slack else "TOO MANY"
        lines.append(f"{line}; reference {known:,}: {ratio:.3f}, at most {slack:.2f}: {verdict}")
        good = good and ratio <= slack
        if ratio < 2 - slack:
            lines.append(f"{'':18} cheaper than the reference by more than the slack: "
                         f"lower it (tests/bench/instructions.sh --update), else the gain is not guarded")
    return lines, good


def differing_versions(now, reference):
    """Lines about tools that are not the reference's: the count is judged all the same."""
    return [f"note: {what} is {now[what]}, the reference was taken with {then}: the difference may be the tool's"
            for what, then in reference.get("versions", {}).items() if now.get(what) != then]


def parse_arguments(arguments):
    of_name = {case.name: case for case in CASES}
    parser = argparse.ArgumentParser(prog="tests/bench/instructions.sh", usage="tests/bench/instructions.sh --help", add_help=False)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--parse-only", action="store_true")  # so that the script learns of a mistake before it builds
    parser.add_argument("--case", action="append", choices=sorted(of_name))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    if options.update and options.case and options.reference == REFERENCE:
        parser.error("--update of the committed reference takes all cases: it is one file, of one build")
    options.cases = [case for case in CASES if options.case is None or case.name in options.case]
    return options


def main(arguments):
    options = parse_arguments(arguments)
    if options.parse_only:
        return 0
    programs = Programs.of_build_tree(options.programs)
    try:
        reference = json.loads(options.reference.read_text()) if options.reference.exists() else {}
        allowed = sorted(os.sched_getaffinity(0))  # one core would do as well: nobody's speed is in the count
        cores = allowed[-1], allowed[0]
        os.sched_setaffinity(0, {cores[1]})
        now = versions(programs)
        with tempfile.TemporaryDirectory(prefix="ficus-instructions-") as directory:
            measured = count_all(options, programs, cores, Path(directory))
    except host.BenchError as error:
        say(f"run_instructions: {error}")
        return EXIT_FAILED
    lines, good = judge(measured, reference)
    print("\n".join(lines + differing_versions(now, reference)))
    if options.update:
        record = {"versions": now, "cases": {name: round(median(counts)) for name, counts in measured.items()}}
        options.reference.write_text(json.dumps(record, indent=2) + "\n")
        print(f"wrote {options.reference}")
        return 0
    return 0 if good else EXIT_OVER


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        sys.exit(130)
