"""Direct against through Ficus: two observations of the same call, and every place where they differ.

An observation is what expectations.py's calls are held against: {"client": record, "server": record, "client_wire":
call, "server_wire": call}; directly, both wires are the same one. What may differ is written here and nowhere else."""

import copy
import re

# Of the head that reaches the server: what Ficus adds, and why it may. A client that sends one finds it passed on.
ADDED_REQUEST_HEADERS = {
    "traceparent": "W3C trace context, begun for calls that carry none, so that a call can be found in every log",
}
# The port in :authority is that of whatever the client dialled.
AUTHORITY = re.compile(r"^127\.0\.0\.1:\d+$")


def differences(left, right, where=""):
    """Every leaf that is not the same, as "where: left -> right"."""
    if isinstance(left, dict) and isinstance(right, dict):
        found = []
        for name in sorted(set(left) | set(right)):
            inner = f"{where}.{name}" if where else str(name)
            if name not in left:
                found.append(f"{inner}: (absent) -> {right[name]!r}")
            elif name not in right:
                found.append(f"{inner}: {left[name]!r} -> (absent)")
            else:
                found += differences(left[name], right[name], inner)
        return found
    if isinstance(left, list) and isinstance(right, list):
        found = [] if len(left) == len(right) else [f"{where}: {len(left)} of them -> {len(right)}"]
        for i, (one, other) in enumerate(zip(left, right)):
            found += differences(one, other, f"{where}[{i}]")
        return found
    return [] if left == right and type(left) is type(right) else [f"{where}: {left!r} -> {right!r}"]


def _drop(mapping, *names):
    for name in names:
        mapping.pop(name, None)


def _plain_client(call, record):
    if record is None:
        return None
    record = copy.deepcopy(record)
    _drop(record, "call")  # tells runs apart, on purpose
    if call.racing:
        _drop(record, "detail", "trailing")  # either clock's words
    return record


def _plain_server(record, key):
    if record is None:
        return None
    record = copy.deepcopy(record)
    _drop(record["metadata"], key, *ADDED_REQUEST_HEADERS)
    if "deadline_ms" in record:
        record["deadline_ms"] = "given"  # how much is left is expectations.py's concern
    return record


def _plain_wire(call, wire, key):
    if wire is None:
        return None
    wire = copy.deepcopy(wire)
    headers = wire["request"]["headers"]
    _drop(headers, key, *ADDED_REQUEST_HEADERS)
    if "grpc-timeout" in headers:
        headers["grpc-timeout"] = ["given"]
    if ":authority" in headers:
        headers[":authority"] = ["(dialled)" if AUTHORITY.match(value) else value for value in headers[":authority"]]
    if call.racing or call.cancelled:
        # After the client's reset, what the server still said is in flight, or not, and nobody listens.
        _drop(wire["response"], "trailers", "trailers_only", "blocks", "end")
    if call.racing or (not call.half_closed and not call.cancelled):
        # The server ended it first, or one of two clocks did: whether the client's own end still went out is chance.
        _drop(wire["request"], "end")
    return wire


def compare_call(call, direct, through, key):
    """Differences of one call, each naming the observer. Where arrival itself is chance, only the client counts."""
    found = differences(_plain_client(call, direct["client"]), _plain_client(call, through["client"]), "client")
    if call.server == "optional":
        return found
    found += differences(_plain_server(direct["server"], key), _plain_server(through["server"], key), "server")
    for edge in ("client_wire", "server_wire"):
        found += differences(_plain_wire(call, direct[edge], key), _plain_wire(call, through[edge], key), edge)
    return found
