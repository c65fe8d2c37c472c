"""What the public descriptions ask of each case, as data: the calls in their order, what the client must see, what
must reach the server. Written once, for clients and servers in any language.

Source: grpc/grpc doc/interop-test-descriptions.md. Left out: cacheable_unary (it asks for GET requests, which gRPC does
not send any more, and for a caching proxy, which Ficus is not), the cases about credentials of one vendor's cloud, and
those that the descriptions only sketch."""

import dataclasses
import hashlib

import test_service_pb2 as pb

SERVICE = "/grpc.testing.TestService/"
# What becomes of the server's record of a call.
REQUIRED, OPTIONAL, NEVER = "required", "optional", "never"
# gRPC's core rounds a timeout up to write it in few digits, and a server counts from when it read it.
TIMEOUT_ROUNDING, TIMEOUT_SLACK_MS = 1.02, 5


def zeros(size):
    return pb.Payload(body=bytes(size))


@dataclasses.dataclass
class Message:
    message: object
    compressed: bool = False
    any_bytes: bool = False  # only the length counts

    def complaint_about(self, got):
        data = self.message.SerializeToString()
        want = {"bytes": len(data), "compressed": self.compressed}
        if not self.any_bytes:
            want["sha256"] = hashlib.sha256(data).hexdigest()
        seen = {name: got.get(name) for name in want}
        return None if seen == want else f"wanted {want}, got {seen}"


@dataclasses.dataclass
class Call:
    method: str
    requests: list
    replies: list = dataclasses.field(default_factory=list)
    code: int = 0
    detail: str = None       # None: the descriptions do not say
    initial: dict = dataclasses.field(default_factory=dict)
    trailing: dict = dataclasses.field(default_factory=dict)
    metadata: dict = dataclasses.field(default_factory=dict)
    half_closed: bool = True
    cancelled: bool = False
    server: str = REQUIRED
    deadline_ms: int = None  # the server must be told this one, less what has passed
    # The race of two clocks, the client's and its peer's: words for the client and the end on the wire are either's.
    racing: bool = False

    @property
    def path(self):
        return self.method if self.method.startswith("/") else SERVICE + self.method


def large(**fields):
    return pb.SimpleRequest(response_size=314159, payload=zeros(271828), **fields)


def flag(value):
    return pb.BoolValue(value=value)


def input_of(size, **fields):
    return pb.StreamingInputCallRequest(payload=zeros(size), **fields)


def ask(*sizes, body=None):
    request = pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=size) for size in sizes])
    if body is not None:
        request.payload.CopyFrom(zeros(body))
    return request


def output_of(size, compressed=False):
    return Message(pb.StreamingOutputCallResponse(payload=zeros(size)), compressed)


LARGE_REPLY = pb.SimpleResponse(payload=zeros(314159))
INVALID_ARGUMENT, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED = 3, 1, 2, 4, 12
SIZES = [(31415, 27182), (9, 8), (2653, 1828), (58979, 45904)]  # reply, request


def unary(request, request_compressed=False, reply_compressed=False, **fields):
    return Call("UnaryCall", [Message(request, request_compressed)], [Message(LARGE_REPLY, reply_compressed)], **fields)


def refused(method, request, **fields):
    return Call(method, [Message(request)], code=INVALID_ARGUMENT, **fields)


def summed(requests, total):
    return Call("StreamingInputCall", requests, [Message(pb.StreamingInputCallResponse(aggregated_payload_size=total))])


def with_custom_metadata(method, request, reply):
    name, echoed = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
    sent = {name: ["test_initial_metadata_value"], echoed: ["ababab"], "x-interop-empty": [""],
            "x-interop-twice": ["first, with a comma", "second"], "x-interop-bytes-bin": ["00ff2c01", "fe"]}
    return Call(method, [Message(request)], [Message(reply)], metadata=sent, initial={name: sent[name]},
                trailing={echoed: sent[echoed]})


def status(method, request_kind, message, **fields):
    request = request_kind(response_status=pb.EchoStatus(code=UNKNOWN, message=message))
    return Call(method, [Message(request)], code=UNKNOWN, detail=message, **fields)


def compressed_streaming():
    parameters = [pb.ResponseParameters(size=size, compressed=flag(value))
                  for size, value in ((31415, True), (92653, False))]
    return Call("StreamingOutputCall", [Message(pb.StreamingOutputCallRequest(response_parameters=parameters))],
                [output_of(31415, True), output_of(92653)])


def silent(deadline_ms, server):
    """A server that only listens: the deadline ends it. Without half-close, as the descriptions have it."""
    return Call("FullDuplexCall", [Message(pb.StreamingOutputCallRequest(payload=zeros(27182)))],
                code=DEADLINE_EXCEEDED, half_closed=False, cancelled=True, server=server, deadline_ms=deadline_ms,
                racing=True)


CASES = {
    "empty_unary": [Call("EmptyCall", [Message(pb.Empty())], [Message(pb.Empty())])],
    "large_unary": [unary(large())],
    "client_compressed_unary": [
        refused("UnaryCall", large(expect_compressed=flag(True))),
        unary(large(expect_compressed=flag(True)), request_compressed=True),
        unary(large(expect_compressed=flag(False)))],
    "server_compressed_unary": [
        unary(large(response_compressed=flag(True)), reply_compressed=True),
        unary(large(response_compressed=flag(False)))],
    "client_streaming": [summed([Message(input_of(size)) for _, size in SIZES], 74922)],
    "client_compressed_streaming": [
        refused("StreamingInputCall", input_of(27182, expect_compressed=flag(True)), half_closed=False),
        summed([Message(input_of(27182, expect_compressed=flag(True)), compressed=True),
                # The Python client sends noise here: see there.
                Message(input_of(45904, expect_compressed=flag(False)), any_bytes=True)], 73086)],
    "server_streaming": [Call("StreamingOutputCall", [Message(ask(*(reply for reply, _ in SIZES)))],
                              [output_of(reply) for reply, _ in SIZES])],
    "server_compressed_streaming": [compressed_streaming()],
    "ping_pong": [Call("FullDuplexCall", [Message(ask(reply, body=size)) for reply, size in SIZES],
                       [output_of(reply) for reply, _ in SIZES])],
    "empty_stream": [Call("FullDuplexCall", [])],
    "custom_metadata": [
        with_custom_metadata("UnaryCall", large(), LARGE_REPLY),
        with_custom_metadata("FullDuplexCall", ask(314159, body=271828), output_of(314159).message)],
    "status_code_and_message": [
        status("UnaryCall", pb.SimpleRequest, "test status message"),
        # The server ends the call without reading on.
        status("FullDuplexCall", pb.StreamingOutputCallRequest, "test status message", half_closed=False)],
    "special_status_message": [
        status("UnaryCall", pb.SimpleRequest,
               "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n")],
    "unimplemented_method": [Call("UnimplementedCall", [Message(pb.Empty())], code=UNIMPLEMENTED, server=NEVER)],
    "unimplemented_service": [Call("/grpc.testing.UnimplementedService/UnimplementedCall", [Message(pb.Empty())],
                                   code=UNIMPLEMENTED, server=NEVER)],
    # Whether the server hears of it is a race that the client's cancel may win.
    "cancel_after_begin": [Call("StreamingInputCall", [], code=CANCELLED, half_closed=False, cancelled=True,
                                server=OPTIONAL)],
    "cancel_after_first_response": [Call("FullDuplexCall", [Message(ask(31415, body=27182))], [output_of(31415)],
                                         code=CANCELLED, half_closed=False, cancelled=True)],
    "timeout_on_sleeping_server": [silent(1, OPTIONAL)],
    # Beyond the descriptions: a deadline that the server lives to see.
    "timeout_seen_by_server": [silent(2000, REQUIRED)],
}


def _messages(wanted, got, what):
    complaints = []
    if len(wanted) != len(got):
        complaints.append(f"{what}: wanted {len(wanted)}, got {len(got)}")
    for i, (want, have) in enumerate(zip(wanted, got)):
        complaint = want.complaint_about(have)
        if complaint:
            complaints.append(f"{what} {i + 1}: {complaint}")
    return complaints


def _metadata(wanted, got, what):
    return [f"{what} {name}: wanted {values}, got {got.get(name)}" for name, values in wanted.items()
            if got.get(name) != values]


def check_client(call, record):
    """What the client's record lacks of what the descriptions ask, in words."""
    if record is None:
        return ["no record"]
    complaints = []
    for name, want in (("path", call.path), ("code", call.code), ("detail", call.detail)):
        if want is not None and record[name] != want:
            complaints.append(f"{name}: wanted {want!r}, got {record[name]!r}")
    return (complaints + _messages(call.replies, record["messages"], "reply")
            + _metadata(call.initial, record["initial"], "initial metadata")
            + _metadata(call.trailing, record["trailing"], "trailing metadata"))


def check_server(call, record):
    """The same for the server's record."""
    if record is None:
        return ["no record"] if call.server == REQUIRED else []
    if call.server == NEVER:
        return ["reached a server that does not implement it"]
    complaints = [f"{name}: wanted {want!r}, got {record[name]!r}"
                  for name, want in (("path", call.path), ("cancelled", call.cancelled)) if record[name] != want]
    left = record.get("deadline_ms")
    if call.deadline_ms is None:
        if left is not None:
            complaints.append(f"a deadline of {left} ms that nobody set")
    elif left is None or left > call.deadline_ms * TIMEOUT_ROUNDING + TIMEOUT_SLACK_MS:
        complaints.append(f"deadline: wanted at most {call.deadline_ms} ms, got {left}")
    complaints += _metadata(call.metadata, record["metadata"], "metadata")
    if call.server == REQUIRED:  # of one that the client gave up, any part may have come
        complaints += _messages(call.requests, record["messages"], "request")
        if record["half_closed"] != call.half_closed:
            complaints.append(f"half_closed: wanted {call.half_closed}, got {record['half_closed']}")
    return complaints


def check_wire(call, client_wire, server_wire):
    """The compressed flags as they stood on the wire, on both sides of what lies between; None: nobody listened."""
    complaints = []
    if call.server == OPTIONAL:
        return complaints
    for edge, wire in (("client's side", client_wire), ("server's side", server_wire)):
        if wire is None:
            continue
        for half, messages in (("request", call.requests), ("response", call.replies)):
            want = [1 if message.compressed else 0 for message in messages]
            flags = [message["flag"] for message in wire[half]["messages"]]
            if flags != want:
                complaints.append(f"{edge}, {half}: wanted compressed flags {want}, got {flags}")
            encoding = wire[half]["headers"].get("grpc-encoding", [])
            if 1 in want and encoding != ["gzip"]:
                complaints.append(f"{edge}, {half}: compressed messages, but grpc-encoding is {encoding}")
    return complaints
