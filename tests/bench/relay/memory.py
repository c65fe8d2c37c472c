"""Memory of what a proxy holds: idle connections, and calls in flight."""
import contextlib
import os
import selectors
import signal
import subprocess
import time

from relay import host, load, proxies, report
from relay.programs import say

SOURCES = 4  # addresses that connections come from: 10,000 of one proxy, and those of earlier rounds not yet forgotten
HOLD_LIMIT_S = 120.0
MAX_STREAMS = 8192  # all calls in flight may share the proxy's connection to the upstream
IDLE, IN_FLIGHT = "idle connection", "call in flight"


class Holder:
    """bench_client hold: says `connected` and `held`, and goes on at a line."""

    def __init__(self, programs, port, connections, calls, message_bytes, place):
        command = load.client_command(programs, "hold", port, message_bytes,
                                      ["--connections", connections, "--calls", calls, "--sources", SOURCES], place)
        self._errors = place.directory / "hold.log"
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE, stderr=errors)

    def line(self, on_wait=lambda: None):
        """Its next line, asking on_wait() ten times a second meanwhile."""
        deadline = time.monotonic() + HOLD_LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not selector.select(0.1):
                on_wait()
                if time.monotonic() > deadline:
                    raise host.BenchError(f"bench_client hold said nothing for {HOLD_LIMIT_S:.0f} s")
        said = self._process.stdout.readline().decode().strip()
        if not said:
            self._process.wait()
            raise host.BenchError(f"bench_client hold ended with {self._process.returncode}: {self._errors.read_text().strip()}")
        return said

    def expect(self, word):
        said = self.line()
        if said != word:
            raise host.BenchError(f"bench_client hold was to say '{word}', it said '{said}'")

    def go_on(self):
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def finish(self, on_wait=lambda: None):
        """Its account, once it has seen every call end well and every connection answer a PING."""
        said = self.line(on_wait)
        self._process.wait(HOLD_LIMIT_S)
        return load.parse_client(self._process.returncode, said, self._errors.read_text())

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def grown(run, name, connections, calls, message_bytes):
    """By how many bytes a fresh proxy grew for `connections` idle ones; or, with `calls` a connection, for those calls."""
    with contextlib.ExitStack() as running:
        load_place = run.place(run.load_core)
        upstream = proxies.start_upstream(run.programs, load_place, "released", max_streams=MAX_STREAMS)
        running.callback(upstream.stop)
        proxy = proxies.STARTERS[name.partition("#")[0]](name, run.programs, proxies.Setup(upstream.port), run.place(run.proxy_core))
        running.callback(proxy.stop)
        release = lambda: os.kill(upstream.pid, signal.SIGUSR1)  # noqa: E731

        # One call first: what a process sets up once is nobody's share.
        hold(run, proxy, 1, 1, message_bytes, load_place, release)
        before, after = hold(run, proxy, connections, calls, message_bytes, load_place, release)
        proxy.process.check_alive()
    return (after - before) * 1024


def hold(run, proxy, connections, calls, message_bytes, place, release):
    """Memory in KiB before and after. With calls: of the calls alone, on connections that stand already."""
    before = host.pss_kib(proxy.pid)
    with contextlib.ExitStack() as running:
        holder = Holder(run.programs, proxy.port, connections, calls, message_bytes, place)
        running.callback(holder.stop)
        holder.expect("connected")
        after = host.pss_kib(proxy.pid)
        if calls:
            before = after
            holder.go_on()
            holder.expect("held")
            after = host.pss_kib(proxy.pid)
            release()
        holder.go_on()
        said = holder.finish(release if calls else lambda: None)
        if (said["connections"], said["calls"], said["messages"]) != (connections, connections * calls, connections * calls):
            raise host.BenchError(f"{connections} connections with {calls} calls each were to be held; bench_client says {said}")
    return before, after


def run_case(case, run):
    options = run.options
    room = host.raise_file_limit()
    if room < options.idle + 100:
        raise host.BenchError(f"{options.idle} idle connections need as many open files; the hard limit is {room} "
                              f"(`ulimit -Hn`): raise it, or ask for fewer with --idle")
    peers = [peer for peer in options.peers if peer.partition("#")[0] in case.peers + (options.subject,)]
    figures = {IDLE: (options.idle, 0, options.idle), IN_FLIGHT: (case.connections, case.streams, case.connections * case.streams)}
    bytes_each = {figure: {name: [] for name in [options.subject, *peers]} for figure in figures}
    for number in range(options.pairs):
        names = [options.subject, *peers]
        # Forwards, then backwards, as the other cases.
        for name in names if number % 2 == 0 else reversed(names):
            for figure, (connections, calls, count) in figures.items():
                try:
                    each = grown(run, name, connections, calls, case.message_bytes) / count
                except host.BenchError as error:
                    raise host.BenchError(f"{name}, {connections} connections with {calls} calls each: {error}") from error
                if each <= 0:
                    raise host.BenchError(f"{name} did not grow at all for {count} of: {figure}; that is no figure")
                bytes_each[figure][name].append(each)
        last = "  ".join(f"{name} {bytes_each[IDLE][name][-1] / 1024:.1f} and {bytes_each[IN_FLIGHT][name][-1] / 1024:.1f}" for name in names)
        say(f"  {case.name} round {number + 1}/{options.pairs}: KiB per {IDLE}, per {IN_FLIGHT}  {last}")
    counts = {figure: count for figure, (_, _, count) in figures.items()}
    return report.summarize_memory(case, bytes_each, counts, options.subject, peers)
