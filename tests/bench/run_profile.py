"""Instructions per call (callgrind) or samples (perf) of one proxy under the bench's load. Called by profile.sh."""
import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from relay import cases, host, load, proxies
from relay.programs import Programs, say

EXIT_OVER, EXIT_FAILED = 1, 4
WARM_UP_CALLS = 5_000  # pools, tables and the dynamic linker have settled by then


def need(program, package):
    if shutil.which(program) is None:
        raise host.BenchError(f"{program} is not installed: apt-get install --no-install-recommends {package}")


def run_tool(command, what):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise host.BenchError(f"{what} failed with {done.returncode}:\n{text}")
    return text


def total_instructions(callgrind_file):
    """The instructions a callgrind dump accounts for: its `totals:` line, or in some versions `summary:`."""
    found = re.findall(r"^(?:totals|summary): (\d+)", callgrind_file.read_text(errors="replace"), re.M)
    if not found:
        raise host.BenchError(f"{callgrind_file} has no totals: callgrind did not finish writing it")
    return int(found[-1])


def profile_instructions(options, programs, cores, directory):
    """Median instructions per call. Prints it with the dearest functions of the last measurement."""
    need("valgrind", "valgrind")
    raw = directory / "callgrind.out"
    wrapper = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={raw}", "--log-file=/dev/null")
    with running(options, programs, cores, directory, wrapper) as (proxy, place):
        load.run(options.case, proxy.port, WARM_UP_CALLS, place)
        counts = []
        for number in range(1, options.repeats + 1):
            run_tool(["callgrind_control", "--zero", proxy.pid], "callgrind_control --zero")
            load.run(options.case, proxy.port, options.calls, place)
            run_tool(["callgrind_control", f"--dump=load{number}", proxy.pid], "callgrind_control --dump")
            counts.append(total_instructions(Path(f"{raw}.{number}")) / options.calls)
            say(f"  measurement {number}/{options.repeats}: {counts[-1]:,.0f} instructions a call")
    print(annotated(Path(f"{raw}.{options.repeats}"), options))
    middle = median(counts)
    print(f"\n{options.subject}, {options.case.title}: {middle:,.0f} instructions per call in user space "
          f"(of {options.repeats}: {min(counts):,.0f} to {max(counts):,.0f})")
    if options.at_most is not None and middle > options.at_most:
        print(f"more than --at-most {options.at_most:,}")
        return EXIT_OVER
    return 0


def without_open_calls(dump):
    """Takes out the calls that were under way when counting began, the event loop's and what is above it.

    Callgrind writes each as `calls=0` and a line with all that happened since, which callgrind_annotate takes for the
    caller's own work.
    """
    lines = iter(dump.read_text(errors="replace").splitlines(keepends=True))
    kept = []
    for line in lines:
        if line.startswith("calls=0 "):
            next(lines, None)
        else:
            kept.append(line)
    dump.write_text("".join(kept))


def read_annotation(text, inclusive=False):
    """callgrind_annotate's table as [(instructions, function, program or library)], dearest first.

    It has a row for each file that a function's instructions come from, headers inlined into it included, and names the
    object in the row of the function's own file only. Here they are one row again: their sum, or with callees, where
    the rows overlap, the largest.
    """
    counts, objects = {}, {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+[^:]*:(.*?)(?: \[(/[^]]*)\])?$", line)
        if found:
            function = found[2]
            count, before = int(found[1].replace(",", "")), counts.get(function, 0)
            counts[function] = max(count, before) if inclusive else count + before
            if found[3]:
                objects[function] = Path(found[3]).name
    return sorted(((count, function, objects.get(function, "?")) for function, count in counts.items()), reverse=True)


def annotated(dump, options):
    """The dearest programs and libraries, then functions, as instructions per call."""
    command = ["callgrind_annotate", "--auto=no", "--threshold=100", dump]
    if options.inclusive:
        command.insert(1, "--inclusive=yes")
    without_open_calls(dump)
    rows = read_annotation(run_tool(command, "callgrind_annotate"), options.inclusive)
    lines = []
    total = total_instructions(dump)
    if not options.inclusive:  # what a caller and its callee share would count twice
        by_object = {}
        for count, _, where in rows:
            by_object[where] = by_object.get(where, 0) + count
        lines.append(f"{'per call':>10} {'share':>8}  program or library")
        lines += [f"{count / options.calls:10,.1f} {count / total:8.2%}  {where}"
                  for where, count in sorted(by_object.items(), key=lambda entry: -entry[1]) if count >= options.calls]
    lines.append(f"{'per call':>10} {'share':>8}  function")
    lines += [f"{count / options.calls:10,.1f} {count / total:8.2%}  {function[:140]} [{where}]"
              for count, function, where in rows[:options.top]]
    return "\n".join(lines)


def profile_samples(options, programs, cores, directory):
    need("perf", "linux-perf")
    raw = directory / "perf.data"
    with running(options, programs, cores, directory, ()) as (proxy, place):
        load.run(options.case, proxy.port, WARM_UP_CALLS, place)
        before = host.cpu_seconds(proxy.pid)
        # The processor's own cycle counter is missing in many virtual machines; the CPU clock is everywhere.
        record = ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", "4999", "--pid", str(proxy.pid), "--output", str(raw)]
        if options.callers:
            record += ["--call-graph", "dwarf,16384"]
        recorder = host.Process("perf", record, place)
        try:
            recorder.wait_until(raw.exists, "recording")
            result = load.run(options.case, proxy.port, options.calls, place)
        finally:
            recorder.stop(signal.SIGINT)
        used = (host.cpu_seconds(proxy.pid) - before) / result.calls * 1e6
    report = run_tool(["perf", "report", "--stdio", "--no-children", "--percent-limit", "0.2", "--sort", "dso,symbol",
                       *([] if options.callers else ["--call-graph", "none"]), "--input", raw], "perf report")
    rows = [re.sub(r"(\s+-)+\s*$", "", line.rstrip()) for line in report.splitlines() if line.strip() and not line.startswith("#")]
    print("\n".join(rows[:options.top if not options.callers else len(rows)]))
    print(f"\n{options.subject}, {options.case.title}: {used:.2f} us of CPU per call while sampled")
    return 0


@contextlib.contextmanager
def running(options, programs, cores, directory, wrapper):
    """The upstream and the proxy under `wrapper`. Yields (proxy, where the load runs)."""
    proxy_place, load_place = host.Place(cores[0], directory, wrapper), host.Place(cores[1], directory)
    with contextlib.ExitStack() as stack:
        upstream = proxies.start_upstream(programs, load_place)
        stack.callback(upstream.stop)
        proxy = proxies.STARTERS[options.subject](options.subject, programs, proxies.Setup(upstream.port), proxy_place)
        stack.callback(proxy.stop)
        load.verify(options.case, options.subject, proxy.port, directory)
        yield proxy, load_place


def parse_arguments(arguments):
    of_name = {case.name: case for case in cases.CALL_CASES}
    parser = argparse.ArgumentParser(prog="tests/bench/profile.sh", usage="tests/bench/profile.sh --help", add_help=False)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--parse-only", action="store_true")  # so that the script learns of a mistake before it builds
    parser.add_argument("--case", choices=sorted(of_name), default="8x32")
    parser.add_argument("--calls", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--subject", choices=sorted(proxies.STARTERS), default="ficus")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--at-most", type=int)
    for flag in ("--perf", "--inclusive", "--callers"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args(arguments)
    options.case = of_name[options.case]
    if options.calls is None:
        options.calls = 1_000_000 if options.perf else 20_000
    if options.calls < options.case.in_flight or options.repeats < 1 or options.top < 1:
        parser.error(f"--calls must be at least {options.case.in_flight}, --repeats and --top at least 1")
    if options.perf and (options.inclusive or options.at_most is not None):
        parser.error("--inclusive and --at-most go with callgrind, not with --perf")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        parser.error(f"--out: {options.out} is not a directory")
    if options.callers and not options.perf:
        parser.error("--callers goes with --perf; under callgrind ask for --inclusive")
    return options


def main(arguments):
    options = parse_arguments(arguments)
    if options.parse_only:
        return 0
    programs = Programs.of_build_tree(options.programs)
    try:
        proxies.check_installed(options.subject)
        cores = host.pick_cores()
        os.sched_setaffinity(0, {cores[1]})
        with contextlib.ExitStack() as stack:
            if options.out is None:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ficus-profile-")))
            else:
                directory = options.out.resolve()
                directory.mkdir(parents=True, exist_ok=True)
            profile = profile_samples if options.perf else profile_instructions
            return profile(options, programs, cores, directory)
    except host.BenchError as error:
        say(f"run_profile: {error}")
        return EXIT_FAILED


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        sys.exit(130)
