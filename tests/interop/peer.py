"""What the Python peers share: records (the lines that record.h describes), channel options, messages as they came.

Messages are taken undecoded (grpc.per_message_decompression is off), since grpcio shows no message flags: a message
that begins with gzip's magic came compressed, and none of ours can begin so (0x1f would be field 3 of wire type 7)."""

import gzip
import hashlib
import json
import sys
import threading

CALL_KEY = "x-interop-call"
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
SERVICE = "/grpc.testing.TestService/"

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0), ("grpc.so_reuseport", 0),
           ("grpc.per_message_decompression", 0)]

_one_line_at_a_time = threading.Lock()


class Received:
    """A message as it was received: its bytes, inflated, and whether they came compressed."""

    def __init__(self, wire_bytes):
        self.compressed = wire_bytes[:2] == b"\x1f\x8b"
        self.bytes = gzip.decompress(wire_bytes) if self.compressed else wire_bytes

    def parse(self, kind):
        return kind.FromString(self.bytes)


class Record:
    """What one side of one call saw. The fields are those of record.h."""

    def __init__(self, kind, path):
        self.fields = {"kind": kind, "path": path, "messages": []}

    def add_message(self, received):
        self.fields["messages"].append({"bytes": len(received.bytes), "compressed": received.compressed,
                                        "sha256": hashlib.sha256(received.bytes).hexdigest()})

    def add_metadata(self, where, metadata):
        lists = {}
        for name, value in metadata or ():
            lists.setdefault(name, []).append(value.hex() if name.endswith("-bin") else value)
        self.fields[where] = lists

    def write(self):
        line = json.dumps(self.fields, sort_keys=True) + "\n"
        with _one_line_at_a_time:
            sys.stdout.write(line)
            sys.stdout.flush()


def file_bytes(path):
    with open(path, "rb") as file:
        return file.read()
