#!/usr/bin/python3
"""Load under faults: reloads, a new side that is stopped, killed and started again, a legacy endpoint that dies, a
successor that takes over. Where the policy promises that a client sees none of it, it must see none of it; every other
error must have exactly one of the causes that are named here, in its time. Prints an account of the run.

  tests/e2e/fault_test.py --programs build/dev --ficus build/release/facade/ficus --seconds 60       by hand
"""

import argparse
import ctypes
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from fault_causes import Cause, account  # noqa: E402
from ficus_harness import PATIENCE, SANITIZER_MARKS, Ficus, wait_until  # noqa: E402

CONNECTIONS = 8  # a lane
HEADROOM = 1.1   # offered, of the rate that must be reached
# Deadlines are the clock's. A run that failed while the client did not get a processor for so long tells nothing of the
# facade, and is made again; the last one counts whatever it says.
TOO_LATE_MS, ATTEMPTS = 200, 3
RECOVERED = 2.0  # seconds in which a side that is back serves again: it is tried every second at the latest
DETECTED = 0.5   # seconds in which a dead process is known to be dead: its sockets are reset at once
# name: (method, share of the calls, deadline in ms). Short where the deadline is what ends a call, long where nothing
# may end one.
LANES = {
    "quotes, shadowed": ("fault.v1.Quotes/Get", 0.4, 10_000),
    "orders, writes": ("fault.v1.Orders/Put", 0.2, 10_000),
    "claims, fallback": ("fault.v1.Claims/Get", 0.2, 1_000),
    "ledger, new only": ("fault.v1.Ledger/Get", 0.2, 1_000),
}
QUOTES, ORDERS, CLAIMS, LEDGER = LANES
# When, in shares of the run: the successor, which meets all the rest and is asked at the end for its account; a new side
# that is stopped and goes on; one that is killed; a legacy endpoint that is; a new side that is stopped, then killed.
TAKE_OVER, STOP, CONTINUE, KILL, RESTART = 0.04, 0.14, 0.36, 0.44, 0.54
LOSE, REGAIN, FREEZE, KILL_FROZEN, THAW = 0.62, 0.72, 0.80, 0.84, 0.88

POLICY = """\
apiVersion: ficus/v1
name: fault
upstreams:
  # Room for all that waits for a stopped process until its deadline, or for a processor that others keep busy.
  side-legacy: {{endpoints: ["127.0.0.1:{legacy[0]}", "127.0.0.1:{legacy[1]}"], max_concurrent_requests: 65536, max_pending: 65536, outlier: {{consecutive: 5, eject: 1s}}}}
  side-new: {{endpoints: ["127.0.0.1:{new}"], max_concurrent_requests: 65536, max_pending: 65536}}
default_upstream: side-legacy
capabilities:
  quotes: {{legacy: side-legacy, new: side-new, service: fault.v1.Quotes, reads: [Get], staleness: 2s}}
  orders: {{legacy: side-legacy, new: side-new, service: fault.v1.Orders, writes: [Put]}}
  claims: {{legacy: side-legacy, new: side-new, service: fault.v1.Claims, reads: [Get], staleness: 2s}}
  ledger: {{legacy: side-legacy, new: side-new, service: fault.v1.Ledger, reads: [Get], staleness: 2s}}
rules:
  - {{name: quotes, capability: quotes, stage: shadow, reads: {{shadow: {{percent: 100, max_in_flight: {shadows}}}, retry: {{on: [UNAVAILABLE]}}}}}}
  - {{name: orders, capability: orders, stage: shadow}}
  # All of its reads may go to legacy for as long as ten seconds.
  - {{name: claims, capability: claims, stage: canary, reads: {{serve: new, shadow: {{percent: 0}}, retry: {{on: [UNAVAILABLE], budget_percent: 100}}, fallback: {{on: [UNAVAILABLE]}}}}}}
  - {{name: ledger, capability: ledger, stage: canary, reads: {{serve: new, shadow: {{percent: 0}}}}}}
ownership_epoch: 1
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a run that is killed leaves no stopped process


class Upstream:
    """answer_upstream as a process, which can be killed and started again on its port."""

    def __init__(self, programs, directory, name):
        self.program = os.path.join(programs, "tests", "bench", "answer_upstream")
        self.port_file = os.path.join(directory, name + ".json")
        self.port = 0
        self.start()

    def start(self):
        if os.path.exists(self.port_file):
            os.remove(self.port_file)
        self.process = subprocess.Popen([self.program, "--port", str(self.port), "--port-file", self.port_file,
                                         "--max-streams", "65536"], stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        if not wait_until(lambda: os.path.exists(self.port_file) or self.process.poll() is not None):
            raise AssertionError("an upstream does not start")
        with open(self.port_file, encoding="utf-8") as file:
            self.port = int(json.load(file)["listen"].rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def calls(self):
        """Ends it; calls that it answered since its last start."""
        self.process.terminate()
        return json.loads(self.process.communicate(timeout=PATIENCE)[0])["calls"]


class Reloads(threading.Thread):
    """Writes the policy anew `count` times, evenly over `seconds`, and waits each time until it is in force."""

    def __init__(self, text, count, seconds):
        super().__init__()
        self.text, self.count, self.pause = text, count, seconds / count
        self.applied, self.slowest, self.problem = 0, 0.0, None
        self.ficus = None
        self.turn = threading.Lock()  # held while a reload is under way, and by who starts a successor

    def run(self):
        begin = time.monotonic()
        for i in range(self.count):
            time.sleep(max(0.0, begin + i * self.pause - time.monotonic()))
            with self.turn:
                if not self.reload(self.text(127 + i % 2)):
                    return
                self.applied += 1

    def reload(self, text):
        begin, before = time.monotonic(), generation(self.ficus)
        path = os.path.join(self.ficus.dir.name, "policy.yaml")
        with open(path + ".draft", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".draft", path)
        self.ficus.process.send_signal(signal.SIGHUP)
        if not wait_until(lambda: generation(self.ficus) > before):
            self.problem = f"reload {self.applied + 1} was not applied"
            return False
        self.slowest = max(self.slowest, time.monotonic() - begin)
        return True


def admin_get(ficus, path):
    host, port = ficus.admin.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def generation(ficus):
    """Of the policy that every worker goes by; 0 while one is being published."""
    policy = json.loads(admin_get(ficus, "/policy"))["in_force"]
    return policy["generation"] if policy["by_all_workers"] else 0


def metric(ficus, name, label=""):
    return sum(float(line.rsplit(" ", 1)[1]) for line in admin_get(ficus, "/metrics").splitlines()
               if line.startswith((name + "{", name + " ")) and label in line)


class Run:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.problems = []
        self.legacy = [Upstream(options.programs, directory, f"legacy-{i}") for i in range(2)]
        self.new = Upstream(options.programs, directory, "new")
        self.reloads = Reloads(self.policy, options.reloads, options.seconds * 0.95)
        self.ficus = self.reloads.ficus = self.start_ficus()

    def policy(self, shadows=126):  # as no reload says it, so that each finds something changed
        return POLICY.format(legacy=[upstream.port for upstream in self.legacy], new=self.new.port, shadows=shadows)

    def start_ficus(self):
        # As users run it: that shadows wait while the loop is late is among what is tried here.
        return Ficus(self.policy(), workers=2, drain_seconds=30, shadow_max_lag="5ms",
                     flags=["--takeover", os.path.join(self.directory, "takeover.sock"), "--log-level", "warn"])

    def expect(self, condition, sentence):
        if not condition:
            self.problems.append(sentence)

    def until(self, share):
        """Waits for that moment of the run."""
        time.sleep(max(0.0, self.began + share * self.options.seconds - time.monotonic()))
        return time.monotonic()

    def start_load(self):
        command = [os.path.join(self.options.programs, "tests", "e2e", "fault_load"), "--port",
                   self.ficus.address.rsplit(":", 1)[1], "--connections", str(CONNECTIONS)]
        for name, (path, share, timeout) in LANES.items():
            command += ["--lane", f"{name.split(',')[0]} /{path} {self.options.rate * HEADROOM * share} {timeout}"]
        self.load_output = open(os.path.join(self.directory, "load.json"), "w+", encoding="utf-8")
        self.load = subprocess.Popen(command, stdout=self.load_output, preexec_fn=die_with_parent)
        self.began = time.monotonic()

    def faults(self):
        """Does everything that goes wrong; gives the causes that follow from when it did."""
        self.until(TAKE_OVER)
        with self.reloads.turn:  # a reload meanwhile is put off, and would be waited for in vain
            old, self.ficus = self.ficus, self.start_ficus()
            self.reloads.ficus = self.ficus
        try:
            code = old.process.wait(PATIENCE)
            self.expect(code == 0, f"the replaced facade ended with {code}\n{old.log()}")
        except subprocess.TimeoutExpired:
            self.problems.append("the replaced facade does not end\n" + old.log())
        self.old = old

        stopped = self.until(STOP)
        self.new.process.send_signal(signal.SIGSTOP)
        self.until(CONTINUE)
        self.new.process.send_signal(signal.SIGCONT)
        yield self.silent("new side stopped", stopped)

        killed = self.until(KILL)
        self.new.kill()
        self.until(RESTART)
        self.new.start()
        yield self.down("new side killed", killed)

        lost = self.until(LOSE)
        self.legacy[1].kill()
        self.until(REGAIN)
        self.legacy[1].start()
        yield Cause("write in flight on a legacy endpoint that died", (ORDERS,), "UNAVAILABLE",
                    "side-legacy: connection (closed|reset)", lost, lost + DETECTED, began_by=lost + DETECTED)

        frozen = self.until(FREEZE)
        self.new.process.send_signal(signal.SIGSTOP)
        killed = self.until(KILL_FROZEN)
        self.new.kill()
        yield self.silent("new side stopped, before it was killed", frozen, least=0)  # shorter than a deadline, perhaps
        self.until(THAW)
        self.new.start()
        yield self.down("stopped new side killed", killed)
        # POLICY 4: within the deadline that is left. So few were at theirs when the connections were lost.
        deadline = LANES[CLAIMS][2] / 1000
        yield Cause("no deadline left to ask legacy in", (CLAIMS,), "UNAVAILABLE",
                    "side-new: connection (closed|reset|refused)", killed, killed + DETECTED, aged=deadline)
        self.until(1)

    @staticmethod
    def silent(name, begin, least=1):
        """The new side said nothing from `begin` until now. Legacy may be asked when the deadline is nearly over."""
        return Cause(name, (CLAIMS, LEDGER), "DEADLINE_EXCEEDED", "side-(new|legacy): deadline exceeded", begin,
                     time.monotonic() + LANES[LEDGER][2] / 1000, least=least)

    @staticmethod
    def down(name, begin):
        """There was no new side from `begin` until now. Where legacy is asked, nobody sees it."""
        return Cause(name, (LEDGER,), "UNAVAILABLE", "side-new: connection (closed|reset|refused)", begin,
                     time.monotonic() + RECOVERED, least=1)

    def end_load(self):
        self.load.terminate()
        code = self.load.wait(2 * PATIENCE)
        self.seconds = time.monotonic() - self.began
        self.expect(code == 0, f"the load ended with {code}")
        self.load_output.seek(0)
        printed = json.load(self.load_output)
        self.lanes = {name: printed["lanes"][name.split(",")[0]] for name in LANES}
        self.longest_pause = printed["longest_pause"]

    def judge(self, causes):
        most_writes = self.lanes[ORDERS]["most_open"]
        causes = [replace(cause, most=most_writes) if cause.lanes == (ORDERS,) else cause for cause in causes]
        # In a short run a side goes down again before the time to recover is over: the latest fault is the cause.
        causes = [replace(cause, end=min([cause.end] + [later.begin for later in causes if later.begin > cause.begin
                                                        and later.lanes == cause.lanes and later.code == cause.code]))
                  for cause in causes]
        rows, problems = account(self.lanes, causes, self.began)
        self.problems += problems
        calls = sum(lane["begun"] for lane in self.lanes.values())
        rate = calls / self.seconds
        self.expect(rate >= self.options.rate, f"{rate:.0f} calls/s, not {self.options.rate}")
        self.expect(self.reloads.applied == self.options.reloads,
                    f"{self.reloads.applied} of {self.options.reloads} reloads: {self.reloads.problem}")
        for name, lane in self.lanes.items():
            self.expect(lane["connects"] <= 2 * CONNECTIONS,
                        f"{name}: {lane['connects']} connections; only the takeover should have ended one")
        # Each shadow has one verdict, and no call of either kind is left over (POLICY 6).
        def unaccounted():
            return (metric(self.ficus, "ficus_shadow_begun_total") - metric(self.ficus, "ficus_shadow_verdicts_total"),
                    metric(self.ficus, "ficus_streams"))
        self.expect(wait_until(lambda: unaccounted() == (0, 0)), "shadows without a verdict, streams left: %s, %s" %
                    unaccounted())
        after = {"shadows": metric(self.ficus, "ficus_shadow_begun_total"),
                 "refused reloads": metric(self.ficus, "ficus_policy_reloads_total", 'outcome="refused"')}
        self.expect(after["shadows"] > 0, "the successor shadows nothing")
        self.expect(after["refused reloads"] == 0, "a reload was refused")
        if self.problems:
            told = ("ficus_fallbacks_total", "ficus_read_retries", "ficus_limit_hits", "ficus_upstream_failures")
            self.problems.append("ficus counted\n" + "\n".join(
                line for line in admin_get(self.ficus, "/metrics").splitlines()
                if line.startswith(told) and not line.endswith(" 0")))
        for name, upstream in (("legacy 0", self.legacy[0]), ("legacy 1", self.legacy[1]), ("new", self.new)):
            after[name] = upstream.calls()
            self.expect(after[name] > 0, f"{name} answered nothing after it came back")
        self.ficus.stop()
        log = self.old.log()
        self.expect(not any(mark in log for mark in SANITIZER_MARKS), "a sanitizer reported:\n" + log)
        return {"seconds": round(self.seconds, 2), "calls": calls, "calls_per_second": round(rate),
                "longest_pause_ms": round(self.longest_pause * 1000), "reloads": self.reloads.applied,
                "slowest_reload_ms": round(self.reloads.slowest * 1000),
                "lanes": {name: {**{key: value for key, value in lane.items() if key != "errors"},
                                 "errors": len(lane["errors"])} for name, lane in self.lanes.items()},
                "causes": rows, "answered_since_start": after, "problems": self.problems}


def show(report):
    print(f"{report['calls']} calls in {report['seconds']} s: {report['calls_per_second']} calls/s; "
          f"{report['reloads']} reloads, the slowest took {report['slowest_reload_ms']} ms; one takeover; "
          f"the client itself stood still for {report['longest_pause_ms']} ms at the most")
    print(f"\n{'capability':<20}{'calls':>9}{'ok':>9}{'errors':>8}{'sent again':>12}{'most open':>11}{'connects':>10}")
    for name, lane in report["lanes"].items():
        print(f"{name:<20}{lane['begun']:>9}{lane['ok']:>9}{lane['errors']:>8}{lane['resent']:>12}"
              f"{lane['most_open']:>11}{lane['connects']:>10}")
    print(f"\n{'capability':<20}{'errors':>8}  {'code':<19}{'window, s':<17}{'seen, s':<17}cause")
    for row in report["causes"]:
        window = "{:.2f} - {:.2f}".format(*row["window"])
        seen = f"{row['first']:.2f} - {row['last']:.2f}" if row["count"] else "-"
        print(f"{row['lane']:<20}{row['count']:>8}  {row['code']:<19}{window:<17}{seen:<17}{row['cause']}")
    for problem in report["problems"]:
        print("\nFAILED: " + problem)


def run_once(options):
    with tempfile.TemporaryDirectory(prefix="ficus-fault-") as directory:
        run = Run(options, directory)
        try:
            run.start_load()
            run.reloads.start()
            causes = list(run.faults())
            run.reloads.join()
            run.end_load()
            return run.judge(causes)
        finally:
            for process in (run.load, run.ficus.process):
                if process.poll() is None:
                    process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", required=True, help="a build tree, for answer_upstream, fault_load and ficus")
    parser.add_argument("--ficus", help="another ficus than the tree's")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=5000, help="calls/s that must be reached (default: %(default)s)")
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--json", help="where to write the account, too")
    options = parser.parse_args()
    os.environ["FICUS_BINARY"] = options.ficus or os.path.join(options.programs, "facade", "ficus")
    begin = time.monotonic()
    for _ in range(ATTEMPTS):
        report = run_once(options)
        show(report)
        late = report["longest_pause_ms"] > TOO_LATE_MS and time.monotonic() - begin < 2 * PATIENCE
        if not report["problems"] or not late:
            break
        print("\nThe machine let the client itself wait, so this run judges nobody: once more.\n")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
