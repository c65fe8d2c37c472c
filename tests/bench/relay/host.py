"""Processes of a measurement: started on a core of their own, watched through /proc, ended by their own process id."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0


class BenchError(Exception):
    """A measurement that cannot be trusted or taken; its text says what happened and what to do."""


def pick_cores():
    """(proxy's core, everybody else's core) of those this process may use: the last and the first."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the bench needs two processor cores, one for the proxy and one for the rest; this process may "
                         f"use only {cores}. Run it where `nproc` says 2 or more")
    return cores[-1], cores[0]


def cpu_seconds(pid):
    """User and system time of a process with all its threads, those that ended included.

    The process's own CPU clock (clock_getcpuclockid(3)) counts in nanoseconds; utime and stime of /proc/PID/stat say the
    same in ticks of 10 ms.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        raise BenchError(f"process {pid} is gone: {error}") from error


def memory_kib(pid, field):
    """VmHWM (peak) or VmRSS (now) of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise BenchError(f"/proc/{pid}/status has no {field}: process {pid} is ending")


def pss_kib(pid):
    """The memory that is the process's own, shared pages by its share of them (Pss of smaps_rollup), in KiB."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError as error:
        raise BenchError(f"/proc/{pid}/smaps_rollup cannot be read: {error}") from error
    raise BenchError(f"/proc/{pid}/smaps_rollup has no Pss: process {pid} is ending")


def raise_file_limit():
    """The soft limit of open files to the hard one, for all that is started from here. Returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


# 127.0.0.1 as /proc/net/tcp writes it, and as /proc/net/tcp6 does where a program (gRPC) listens on ::ffff:127.0.0.1.
_LOOPBACK = {"/proc/net/tcp": "0100007F", "/proc/net/tcp6": "0000000000000000FFFF00000100007F"}


def owns_listener(pid, port):
    """Whether the socket that listens on 127.0.0.1:port is a descriptor of this very process."""
    inodes = set()
    for table, address in _LOOPBACK.items():
        if not os.path.exists(table):
            continue  # a kernel without IPv6
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == f"{address}:{port:04X}" and fields[3] == "0A":
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return False
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"/proc/{pid}/fd/{descriptor}") in inodes:
                return True
        except OSError:
            pass  # closed meanwhile
    return False


def free_port():
    """A port that nobody listened on a moment ago. Who takes it proves that with owns_listener()."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Place:
    """Where processes run: their core, the directory of their files, and a command that runs them (valgrind), if any."""
    core: int | str  # as taskset -c takes it
    directory: Path
    wrapper: tuple = ()


class Process:
    """One process of the bench, pinned to a core; ended by stop(), and by the kernel should the bench itself be killed."""

    def __init__(self, name, command, place):
        self.name = name
        self.log = place.directory / f"{name}.log"
        # taskset and setpriv exec what follows (so does valgrind), so that the process id is the program's own.
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in ("setpriv", "--pdeathsig", "KILL", "taskset", "-c", place.core, *place.wrapper, *command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self._process.pid

    def wait_until(self, condition, what):
        """Waits until condition() is true; an error with the log's end if the process ends or takes too long."""
        end = time.monotonic() + START_LIMIT_S
        while not condition():
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self._process.returncode} before {what}:\n{self.log_end()}")
            if time.monotonic() > end:
                raise BenchError(f"{self.name}: not {what} after {START_LIMIT_S:.0f} s:\n{self.log_end()}")
            time.sleep(0.01)

    def check_alive(self):
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} ended with {self._process.returncode} while it was measured:\n{self.log_end()}")

    def log_end(self):
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join("    " + line for line in lines) or "    (it printed nothing)"

    def last_line(self):
        return (self.log.read_text(errors="replace").splitlines() or [""])[-1]

    def stop(self, gently=signal.SIGTERM):
        """Asks it to end, and kills it if it has not after a while. Returns the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(gently)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode


def start_with_port_file(name, command, place):
    """Starts a program that takes --port-file and picks its own port. Returns (process, port)."""
    port_file = place.directory / f"{name}.port"
    port_file.unlink(missing_ok=True)
    process = Process(name, [*command, "--port-file", port_file], place)
    try:
        process.wait_until(port_file.exists, "listening")
        port = int(re.search(r":(\d+)$", json.loads(port_file.read_text())["listen"]).group(1))
        if not owns_listener(process.pid, port):
            raise BenchError(f"{name} says it listens on port {port}, but the socket there is not its own")
    except BaseException:
        process.stop()
        raise
    return process, port


def start_on_port(name, command_for, place):
    """Starts a program that must be told its port. Returns (process, port); another port if one was taken meanwhile."""
    for attempt in range(5):
        port = free_port()
        process = Process(name, command_for(port), place)
        try:
            process.wait_until(lambda: owns_listener(process.pid, port), f"listening on port {port}")
            return process, port
        except BenchError:
            process.stop()
            if attempt == 4:
                raise
        except BaseException:
            process.stop()
            raise
