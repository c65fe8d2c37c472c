"""The load: h2load or bench_client with real gRPC frames, and the checks that make its calls count."""
import json
import re
import subprocess
import time
from dataclasses import dataclass

from relay.host import BenchError

METHOD_PATH = "/bench.v1.Bench/Echo"
# What a gRPC client sends with every call, and whom the policy asks for.
HEADERS = [
    "content-type: application/grpc",
    "te: trailers",
    "user-agent: grpc-c++/1.51.1",
    "grpc-accept-encoding: identity, deflate, gzip",
    "x-tenant-id: acme",
    "x-consumer-id: mobile-app",
]
RUN_LIMIT_S = 300
TLS_CIPHER = "TLS_AES_128_GCM_SHA256"  # the same for all: what it costs is in the figure
PACE_AT_LEAST = 0.97  # of the rate asked for; a load that falls further behind measured saturation


@dataclass(frozen=True)
class LoadResult:
    calls: int  # or messages, of long streams
    seconds: float  # by the client's own clock, from its first connect (bench_client: first call) to its last answer


def message_file(case, directory):
    """The request: one uncompressed gRPC message, a protobuf with one bytes field (number 1)."""
    # The field's length may be a varint longer than it must be: some sizes could not be met otherwise.
    prefix = next(b"\x0a" + _varint(case.message_bytes - 1 - width, width) for width in range(1, 6)
                  if case.message_bytes - 1 - width < 1 << 7 * width)
    message = prefix + b"q" * (case.message_bytes - len(prefix))
    path = directory / f"{case.name}.grpc"
    path.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    return path


def _varint(value, width):
    return bytes(value >> 7 * i & 0x7F | (0x80 if i + 1 < width else 0) for i in range(width))


def _url(case, port):
    return f"{'https' if case.tls else 'http'}://127.0.0.1:{port}{METHOD_PATH}"


def run(case, port, calls, place):
    """Makes `calls` calls. An error unless each of them got status 2xx and all the bytes of a real answer."""
    command = ["taskset", "-c", str(place.core), "h2load", "--requests", str(calls), "--clients", str(case.connections),
               "--max-concurrent-streams", str(case.streams), "--threads", "1", "--data", str(message_file(case, place.directory))]
    if case.tls:
        command += ["--tls13-ciphers", TLS_CIPHER]
    for header in HEADERS:
        command += ["--header", header]
    try:
        done = subprocess.run([*command, _url(case, port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=RUN_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"h2load had not made its {calls} calls after {RUN_LIMIT_S} s") from error
    return parse_h2load(done.stdout.decode(errors="replace"), calls, case.message_bytes + 5)


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def parse_h2load(text, calls, answer_bytes):
    """Reads h2load's summary (nghttp2 1.52) and refuses it unless every call had its full answer."""
    finished = re.search(r"^finished in ([\d.]+)(us|ms|s|m),", text, re.M)
    requests = re.search(r"^requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, "
                         r"(\d+) timeout", text, re.M)
    codes = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text, re.M)
    data = re.search(r"\((\d+)\) data$", text, re.M)
    if not (finished and requests and codes and data):
        raise BenchError(f"h2load's summary was not understood; it printed:\n{text}")
    if not (int(requests[3]) == int(codes[1]) == calls):
        raise BenchError(f"of {calls} calls {requests[3]} succeeded and {codes[1]} had status 2xx:\n{requests[0]}\n{codes[0]}")
    # A call that fails has no message, so this holds for grpc-status as well, which h2load does not look at.
    if int(data[1]) != calls * answer_bytes:
        raise BenchError(f"{calls} answers should have {calls * answer_bytes} bytes of messages, h2load counted {data[1]}")
    return LoadResult(calls, float(finished[1]) * _UNITS[finished[2]])


def client_command(programs, mode, port, message_bytes, arguments, place):
    command = ["taskset", "-c", place.core, programs.bench_client, mode, "--port", port, "--path", METHOD_PATH,
               "--message-bytes", message_bytes, *arguments]
    for header in HEADERS:
        command += ["--header", header]
    return [str(word) for word in command]


def run_client(programs, mode, port, message_bytes, arguments, place):
    """One run of bench_client, which ends with 0 only if every call was answered as it should be. Returns what it says."""
    command = client_command(programs, mode, port, message_bytes, arguments, place)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=RUN_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"bench_client {mode} had not finished after {RUN_LIMIT_S} s") from error
    return parse_client(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def parse_client(status, text, errors):
    """bench_client's line of JSON; an error unless it ended with 0."""
    try:
        if status == 0:
            return json.loads(text.splitlines()[-1])
    except (ValueError, IndexError):
        pass
    raise BenchError(f"bench_client ended with {status}: {errors.strip() or text.strip() or '(it printed nothing)'}")


def run_streams(case, programs, port, messages, place):
    """Long streams, `messages` in all, rounded up to as many on each."""
    each = -(-messages // (case.connections * case.streams))
    said = run_client(programs, "streams", port, case.message_bytes,
                      ["--connections", case.connections, "--streams", case.streams, "--in-flight", case.messages_in_flight,
                       "--messages", each], place)
    wanted = each * case.connections * case.streams
    if said["messages"] != wanted or said["calls"] != case.connections * case.streams:
        raise BenchError(f"{wanted} messages on {case.connections * case.streams} streams were to be answered; bench_client says {said}")
    return LoadResult(wanted, said["seconds"])


def run_paced(case, programs, port, calls, rate, place, strict=True):
    """`calls` calls at `rate` a second. An error if the load could not keep the rate: then it measured saturation."""
    said = run_client(programs, "paced", port, case.message_bytes,
                      ["--connections", case.connections, "--rate", round(rate), "--calls", calls], place)
    return check_pace(said, calls, rate if strict else 0)


def check_pace(said, calls, rate):
    """`rate`: 0 takes any."""
    if said["calls"] != calls or said["messages"] != calls:
        raise BenchError(f"of {calls} calls bench_client says {said}")
    if calls / said["seconds"] < PACE_AT_LEAST * rate:
        raise BenchError(f"{rate:,.0f} calls a second were to be made, {calls / said['seconds']:,.0f} were: something on this machine "
                         f"is saturated; try again when it is quieter")
    return LoadResult(calls, said["seconds"])


def verify(case, name, port, directory):
    """One call with another client (nghttp), looked at closely: status, grpc-status in the trailers, the message's size."""
    command = ["nghttp", "--data", str(message_file(case, directory)), "--timeout", "10"]
    for header in HEADERS:
        command += ["--header", header]
    deadline = time.monotonic() + 10
    while True:  # a proxy may listen a moment before its own connection to the upstream stands
        seen = subprocess.run([*command, "--verbose", "--null-out", _url(case, port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30, check=False).stdout.decode(errors="replace")
        problem = problem_in_answer(seen)
        if problem is None:
            break
        if time.monotonic() > deadline:
            raise BenchError(f"a call through {name} went wrong: {problem}. nghttp saw:\n{seen}")
        time.sleep(0.05)
    body = subprocess.run([*command, _url(case, port)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=30, check=False).stdout
    want = b"\0" + case.message_bytes.to_bytes(4, "big")
    if body[:5] != want or len(body) != case.message_bytes + 5:
        raise BenchError(f"the answer through {name} is not one gRPC message of {case.message_bytes} bytes: {len(body)} bytes, "
                         f"beginning {body[:16]!r}")


def problem_in_answer(nghttp_output):
    """What is wrong with the answer that `nghttp --verbose` shows; None if nothing is."""
    received = re.findall(r"recv \(stream_id=\d+\) ([^\s:]+|:[^\s:]+): (.*)", re.sub(r"\x1b\[[\d;]*m", "", nghttp_output))
    values = {}
    for name, value in received:
        values.setdefault(name, []).append(value.strip())
    for name, want in ((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")):
        if values.get(name) != [want]:
            return f"{name} should be {want} once, it was {values.get(name, 'missing')}"
    return None
