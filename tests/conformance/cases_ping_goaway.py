"""RFC 9113 6.6 to 6.8 and 7: PUSH_PROMISE, PING, GOAWAY, unknown error codes."""

import wire as w
from suite import Breach, answered, case, connection_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)
SIZE = connection_error(w.FRAME_SIZE_ERROR)
# After the client's GOAWAY the server may finish and leave.
LEAVES = connection_error(w.NO_ERROR)

# ---- 6.6, 8.4: a client never pushes

case("6.6/from-a-client", "PUSH_PROMISE from a client is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(1) + w.push_promise(1, 2, c.block()))
case("6.6/on-idle-stream", "So it is on an idle stream.", PROTOCOL, lambda c: w.push_promise(1, 2, c.block()))
case("6.6/on-stream-zero", "So it is on stream 0.", PROTOCOL, lambda c: w.push_promise(0, 2, c.block()))
case("6.6/odd-promise", "So it is of an odd stream.", PROTOCOL,
     lambda c: c.head(1) + w.push_promise(1, 3, c.block()))
case("6.6/too-short", "A PUSH_PROMISE too short for its identifier is an error too.",
     connection_error(w.PROTOCOL_ERROR, w.FRAME_SIZE_ERROR),
     lambda c: c.head(1) + w.frame(w.PUSH_PROMISE, w.END_HEADERS, 1, b"\0\0"))

# ---- 6.7 PING


def acknowledged(count, inside=False):
    def act(c):
        payloads = [b"ping%04d" % i for i in range(count)]
        c.send(c.head(1) if inside else b"", b"".join(w.ping(payload) for payload in payloads))
        c.need(lambda: len(c.ping_acks) >= count, "not every PING was acknowledged")
        if c.ping_acks != payloads:
            raise Breach("acknowledgements of other payloads, or out of order")
        return c.body(1) if inside else c.unary(1)
    return act


def ack_is_not_answered(c):
    c.send(w.ping(b"unasked!", ack=True), w.ping(b"question"))
    c.need(lambda: b"question" in c.ping_acks, "a PING was not acknowledged")
    if c.ping_acks != [b"question"]:
        raise Breach("an acknowledgement was answered")
    return c.unary(1)


case("6.7/acknowledged", "A PING is acknowledged with its payload.", answered(), acknowledged(1))
case("6.7/within-a-request", "So it is while a request is open.", answered(), acknowledged(1, inside=True))
case("6.7/many", "Each of 50 PINGs in a row is acknowledged.", answered(), acknowledged(50))
case("6.7/ack-is-not-answered", "An acknowledgement is not answered.", answered(), ack_is_not_answered)
case("6.7/on-a-stream", "PING on a stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.frame(w.PING, 0, 1, b"12345678"))
case("6.7/on-an-open-stream", "PING on an open stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(1) + w.frame(w.PING, 0, 1, b"12345678"))
case("6.7/ack-on-a-stream", "So is an acknowledgement.", PROTOCOL, lambda c: w.frame(w.PING, w.ACK, 1, b"12345678"))
for _size in (0, 6, 7, 9):
    case(f"6.7/{_size}-octets", f"PING of {_size} octets is a connection error FRAME_SIZE_ERROR.", SIZE,
         lambda c, s=_size: w.ping(b"x" * s))
case("6.7/ack-of-6-octets", "So is an acknowledgement of 6 octets.", SIZE, lambda c: w.ping(b"x" * 6, ack=True))

# ---- 6.8 GOAWAY

case("6.8/on-a-stream", "GOAWAY on a stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.frame(w.GOAWAY, 0, 1, b"\0" * 8))
case("6.8/on-an-open-stream", "GOAWAY on an open stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(1) + w.frame(w.GOAWAY, 0, 1, b"\0" * 8))
for _size in (0, 4, 7):
    case(f"6.8/{_size}-octets", f"GOAWAY of {_size} octets is a connection error FRAME_SIZE_ERROR.", SIZE,
         lambda c, s=_size: w.frame(w.GOAWAY, 0, 0, b"\0" * s))


def open_call_goes_on(code, debug=b""):
    def act(c):
        c.send(c.head(1), w.goaway(0, code, debug), c.body(1))
    return act


case("6.8/open-call-goes-on", "After the client's GOAWAY its open calls are answered.", answered(),
     open_call_goes_on(w.NO_ERROR))
case("6.8/debug-data", "GOAWAY may have debug data.", answered(), open_call_goes_on(w.NO_ERROR, b"bye" * 100))
case("6.8/then-ping", "After the client's GOAWAY the server acknowledges a PING or leaves.", answered() | LEAVES,
     lambda c: w.goaway() + w.ping() + c.unary(1))
case("6.8/twice", "A second GOAWAY is taken.", answered() | LEAVES,
     lambda c: w.goaway(2**31 - 2) + w.goaway() + c.unary(1))

# ---- 7

case("7/unknown-code-in-goaway", "An unknown code in GOAWAY has no effect of its own.", answered() | LEAVES,
     lambda c: w.goaway(0, 0xFF) + w.ping() + c.unary(1))
case("7/unknown-code-in-goaway-open-call", "So it has while a call is open: it is answered, or the server leaves.",
     answered() | LEAVES, open_call_goes_on(0xABCDEF))
case("7/unknown-code-in-rst-stream", "An unknown code in RST_STREAM has no effect of its own.", answered(3),
     lambda c: c.head(1) + w.rst_stream(1, 0xFFFFFFFF) + c.unary(3))
