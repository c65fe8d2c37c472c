"""What a broken upstream sends on a call, as a table: name, what it does, what the client may be told.

A fault gets the `Call` of raw_upstream.py, whose request came whole, and sends. The third column is the set of grpc-status
values that are right for the client; "0" is among them only where the call may have ended well before the fault, or where
what was sent is no fault. Each reaches the client as trailers: a client must never be left to guess from a reset.
"""

import collections

import wire as w

Fault = collections.namedtuple("Fault", "name act accepted")

# PROTOCOL-HTTP2.md, Errors: a broken stream is INTERNAL; UNAVAILABLE where the connection was lost.
BROKEN = {"13", "14"}
# An answer without a status may pass as it is (None): what a client makes of it straight, it then makes of it through us.
ILL = {"2", "13", "14", None}
# The call was over when the fault came.
OVER = {"0"} | BROKEN
FINE = {"0"}

DEFAULT_HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def head(fields, end=False):
    return lambda call: call.send(w.headers(call.stream, w.block(fields), end=end))


def frames(make):
    return lambda call: call.send(*make(call))


def with_field(name, value):
    return head(DEFAULT_HEAD + [(name, value), ("grpc-status", "0")], end=True)


def sized(length, *parts, trailers=True):
    """An answer that says `content-length: length` and has DATA of these parts."""
    def act(call):
        call.send(call.head(("content-length", length)))
        for part in parts:
            call.send(w.data(call.stream, part, end=not trailers and part is parts[-1]))
        if trailers:
            call.send(call.trailers())
    return act


MESSAGE = w.grpc_message(b"hello")

# ---- faults of one stream: every other call of the same connection goes on

STREAM_FAULTS = [
    Fault("a head without :status", head([("content-type", "application/grpc")], end=True), BROKEN),
    Fault("an empty head", frames(lambda c: [w.headers(c.stream, b"", end=True)]), BROKEN),
    Fault("a :status of letters", head([(":status", "abc")], end=True), BROKEN),
    Fault("a :status of four digits", head([(":status", "2000")], end=True), BROKEN),
    Fault("an empty :status", head([(":status", "")], end=True), BROKEN),
    Fault("two :status", head([(":status", "200"), (":status", "200"), ("grpc-status", "0")], end=True), BROKEN),
    Fault(":path in an answer", head([(":status", "200"), (":path", "/"), ("grpc-status", "0")], end=True), BROKEN),
    Fault("an unknown pseudo-header field", head([(":status", "200"), (":x", "1"), ("grpc-status", "0")], end=True), BROKEN),
    Fault(":status after a field", head([("grpc-status", "0"), (":status", "200")], end=True), BROKEN),
    Fault("a name in upper case", with_field("X-Bad", "1"), BROKEN),
    Fault("a name with a space", with_field("x bad", "1"), BROKEN),
    Fault("an empty name", with_field("", "1"), BROKEN),
    Fault("a value with NUL", with_field("x-bad", "a\0b"), BROKEN),
    Fault("a value with a line feed", with_field("x-bad", "a\r\nb"), BROKEN),
    Fault("transfer-encoding", with_field("transfer-encoding", "chunked"), BROKEN),
    Fault("connection", with_field("connection", "close"), BROKEN),
    Fault("a content-length above the DATA", sized("100", MESSAGE), BROKEN),
    Fault("a content-length below the DATA", sized("3", MESSAGE), BROKEN),
    Fault("a content-length below several DATA", sized("12", MESSAGE, MESSAGE), BROKEN),
    Fault("a content-length of letters", sized("ten", MESSAGE), BROKEN),
    Fault("two content-lengths", head(DEFAULT_HEAD + [("content-length", "0"), ("content-length", "1"),
                                                      ("grpc-status", "0")], end=True), BROKEN),
    Fault("trailers without END_STREAM", frames(
        lambda c: [c.head(), w.headers(c.stream, w.block([("grpc-status", "0")]))]), BROKEN),
    Fault("trailers with :status", frames(lambda c: [c.head(), c.message(b"m"), w.headers(
        c.stream, w.block([(":status", "200"), ("grpc-status", "0")]), end=True)]), BROKEN),
    Fault("trailers in upper case", frames(lambda c: [c.head(), c.message(b"m"), w.headers(
        c.stream, w.block([("Grpc-Status", "0")]), end=True)]), BROKEN),
    Fault("no trailers", frames(lambda c: [c.head(), w.data(c.stream, MESSAGE, end=True)]), ILL),
    Fault("trailers without grpc-status", frames(
        lambda c: [c.head(), w.headers(c.stream, w.block([("x-last", "1")]), end=True)]), ILL),
    Fault("a 1xx that ends the stream", head([(":status", "103")], end=True), BROKEN),
    Fault("DATA after a 1xx alone", frames(
        lambda c: [w.headers(c.stream, w.block([(":status", "100")])), w.data(c.stream, MESSAGE, end=True)]), BROKEN),
    Fault("a stream window that overflows", frames(lambda c: [w.window_update(c.stream, w.MAX_WINDOW)] * 2), BROKEN),
    Fault("RST_STREAM within the head", frames(lambda c: [w.rst_stream(c.stream, w.INTERNAL_ERROR)]), BROKEN),
    Fault("RST_STREAM within the body", frames(
        lambda c: [c.head(), c.message(b"m"), w.rst_stream(c.stream, w.PROTOCOL_ERROR)]), BROKEN),
    Fault("RST_STREAM of an unknown code", frames(lambda c: [c.head(), w.rst_stream(c.stream, 0x1234)]), BROKEN | {"2"}),
    Fault("a cut message, then trailers that say all is well", frames(
        lambda c: [c.head(), w.data(c.stream, MESSAGE[:7]), c.trailers()]), OVER),
]

# ---- faults of the connection: its calls fail, those of others do not

# The first two are stream errors, which may be treated as connection errors (5.4.2).

CONNECTION_FAULTS = [
    Fault("DATA before HEADERS", frames(lambda c: [w.data(c.stream, MESSAGE, end=True)]), BROKEN),
    Fault("a window increment of 0", frames(lambda c: [w.window_update(c.stream, 0)]), BROKEN),
    Fault("garbage", frames(lambda c: [bytes((7 * i * i + 13) & 0xFF for i in range(4000))]), BROKEN),
    Fault("an HTTP/1.1 answer", frames(lambda c: [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]), BROKEN),
    Fault("a frame too large", frames(lambda c: [c.head(), w.data(c.stream, b"x" * (1 << 21))]), BROKEN),
    Fault("a length of 2^24-1", frames(lambda c: [b"\xff\xff\xff\x00\x00" + c.stream.to_bytes(4, "big") + b"x" * 99]), BROKEN),
    Fault("DATA on stream 0", frames(lambda c: [w.data(0, b"x")]), BROKEN),
    Fault("HEADERS on stream 0", frames(lambda c: [w.headers(0, w.block(DEFAULT_HEAD))]), BROKEN),
    Fault("HEADERS on a stream of the server's own", frames(lambda c: [w.headers(2, w.block(DEFAULT_HEAD))]), BROKEN),
    Fault("HEADERS on an idle stream", frames(lambda c: [w.headers(c.stream + 100, w.block(DEFAULT_HEAD))]), BROKEN),
    Fault("DATA on an idle stream", frames(lambda c: [w.data(c.stream + 100, b"x")]), BROKEN),
    Fault("RST_STREAM on an idle stream", frames(lambda c: [w.rst_stream(c.stream + 100)]), BROKEN),
    Fault("RST_STREAM of 3 octets", frames(lambda c: [w.frame(w.RST_STREAM, 0, c.stream, b"abc")]), BROKEN),
    Fault("WINDOW_UPDATE on an idle stream", frames(lambda c: [w.window_update(c.stream + 100, 1)]), BROKEN),
    Fault("WINDOW_UPDATE of 3 octets", frames(lambda c: [w.frame(w.WINDOW_UPDATE, 0, 0, b"abc")]), BROKEN),
    Fault("a connection window that overflows", frames(lambda c: [w.window_update(0, w.MAX_WINDOW)] * 2), BROKEN),
    Fault("a connection window increment of 0", frames(lambda c: [w.window_update(0, 0)]), BROKEN),
    Fault("PING of 6 octets", frames(lambda c: [w.ping(b"123456")]), BROKEN),
    Fault("PING on a stream", frames(lambda c: [w.frame(w.PING, 0, c.stream, b"12345678")]), BROKEN),
    Fault("SETTINGS of 5 octets", frames(lambda c: [w.frame(w.SETTINGS, 0, 0, b"12345")]), BROKEN),
    Fault("SETTINGS on a stream", frames(lambda c: [w.frame(w.SETTINGS, 0, c.stream)]), BROKEN),
    Fault("an acknowledgement with payload", frames(lambda c: [w.frame(w.SETTINGS, w.ACK, 0, b"123456")]), BROKEN),
    Fault("ENABLE_PUSH of a server", frames(lambda c: [w.settings((w.ENABLE_PUSH, 1))]), BROKEN),
    Fault("INITIAL_WINDOW_SIZE of 2^31", frames(lambda c: [w.settings((w.INITIAL_WINDOW_SIZE, 2**31))]), BROKEN),
    Fault("MAX_FRAME_SIZE of 1", frames(lambda c: [w.settings((w.MAX_FRAME_SIZE, 1))]), BROKEN),
    Fault("GOAWAY of 4 octets", frames(lambda c: [w.frame(w.GOAWAY, 0, 0, b"\0" * 4)]), BROKEN),
    Fault("GOAWAY on a stream", frames(lambda c: [w.frame(w.GOAWAY, 0, c.stream, b"\0" * 8)]), BROKEN),
    Fault("a push", frames(lambda c: [w.push_promise(c.stream, 2, w.block([(":method", "GET"), (":scheme", "http"), (
        ":path", "/"), (":authority", "a")]))]), BROKEN),
    Fault("CONTINUATION without HEADERS", frames(lambda c: [w.continuation(c.stream, b"")]), BROKEN),
    Fault("a frame within a header block", frames(
        lambda c: [w.headers(c.stream, b"\x88", done=False), w.ping(), w.continuation(c.stream, b"")]), BROKEN),
    Fault("index 0", frames(lambda c: [w.headers(c.stream, w.indexed(0), end=True)]), BROKEN),
    Fault("an index beyond the tables", frames(lambda c: [w.headers(c.stream, w.indexed(5000), end=True)]), BROKEN),
    Fault("an integer without bounds", frames(lambda c: [w.headers(c.stream, b"\xff" * 20, end=True)]), BROKEN),
    Fault("a table size above the limit", frames(lambda c: [w.headers(c.stream, w.size_update(1 << 30), end=True)]), BROKEN),
    Fault("EOS in a string", frames(lambda c: [w.headers(c.stream, b"\x08\x84\xff\xff\xff\xff", end=True)]), BROKEN),
    Fault("undecodable trailers", frames(lambda c: [c.head(), c.message(b"m"), w.headers(c.stream, b"\x80", end=True)]), BROKEN),
    Fault("a pad length above the payload", frames(
        lambda c: [c.head(), w.frame(w.DATA, w.PADDED, c.stream, b"\xffxx")]), BROKEN),
    Fault("trailers twice", frames(lambda c: [c.answer(b"m"), c.trailers(13)]), OVER),
    Fault("a body after trailers", frames(lambda c: [c.answer(b"m"), w.data(c.stream, b"late", end=True)]), OVER),
    Fault("a second answer", frames(lambda c: [c.answer(b"m"), c.answer(b"again")]), OVER),
    Fault("the end within a frame", lambda c: (c.send(c.head(), c.message(b"m" * 50)[:20]), c.connection.close()), BROKEN),
    Fault("the end within a header block", lambda c: (
        c.send(w.headers(c.stream, b"\x88", done=False)), c.connection.close()), BROKEN),
    Fault("the end within a message", lambda c: (
        c.send(c.head(), w.data(c.stream, MESSAGE[:7])), c.connection.close()), BROKEN),
    Fault("GOAWAY with an error, then the end", lambda c: (
        c.send(c.head(), w.goaway(c.stream, w.INTERNAL_ERROR, b"bug")), c.connection.close()), BROKEN),
]

# ---- what is unusual and right: the client gets the answer

ODDITIES = [
    Fault("a 1xx before the head", frames(
        lambda c: [w.headers(c.stream, w.block([(":status", "103"), ("link", "</a>")])), c.answer(b"hello")]), FINE),
    Fault("three 1xx before the head", frames(
        lambda c: [w.headers(c.stream, w.block([(":status", code)])) for code in ("100", "102", "103")] +
        [c.answer(b"hello")]), FINE),
    Fault("padded frames", frames(lambda c: [
        w.headers(c.stream, w.block(DEFAULT_HEAD), pad=200), w.data(c.stream, MESSAGE, pad=255),
        w.data(c.stream, b"", pad=9), w.headers(c.stream, w.block([("grpc-status", "0")]), end=True, pad=3)]), FINE),
    Fault("octets one by one", frames(lambda c: [c.head()] + [w.data(c.stream, MESSAGE[i:i + 1]) for i in range(10)] +
                                      [w.data(c.stream), c.trailers()]), FINE),
    Fault("blocks in pieces", frames(lambda c: [
        w.headers(c.stream, w.block(DEFAULT_HEAD)[:5], done=False), w.continuation(c.stream, w.block(DEFAULT_HEAD)[5:]),
        c.message(b"hello"), w.headers(c.stream, b"", end=True, done=False),
        w.continuation(c.stream, w.block([("grpc-status", "0")]))]), FINE),
    Fault("unknown frames and settings", frames(lambda c: [
        w.frame(0xBB, 0xFF, 0, b"x"), w.settings((0x9999, 1)), c.head(), w.frame(0xBB, 1, c.stream, b"x"),
        c.message(b"hello"), w.priority(c.stream), w.frame(0x0A, 0, 0, b"\0\0x"), c.trailers()]), FINE),
    Fault("a PING and SETTINGS between", frames(lambda c: [
        c.head(), w.ping(b"between!"), w.settings((w.MAX_CONCURRENT_STREAMS, 100)), c.message(b"hello"), c.trailers()]), FINE),
    Fault("a right content-length", sized("10", MESSAGE[:4], MESSAGE[4:]), FINE),
    Fault("Huffman and the dynamic table", frames(lambda c: [
        w.headers(c.stream, w.block(DEFAULT_HEAD, w.INCREMENTAL, huffman=True)), c.message(b"hello"),
        w.headers(c.stream, w.block([("grpc-status", "0")], w.INCREMENTAL, huffman=True), end=True)]), FINE),
    Fault("table size updates", frames(lambda c: [
        w.headers(c.stream, w.size_update(0) + w.size_update(100) + w.block(DEFAULT_HEAD)), c.message(b"hello"),
        c.trailers()]), FINE),
    Fault("GOAWAY that lets the call finish", frames(
        lambda c: [c.head(), w.goaway(c.stream), c.message(b"hello"), c.trailers()]), FINE),
    Fault("RST_STREAM NO_ERROR behind the answer", frames(
        lambda c: [c.answer(b"hello"), w.rst_stream(c.stream, w.NO_ERROR)]), FINE),
]
