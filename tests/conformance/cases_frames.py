"""RFC 9113 4 and 5.5: the frame's header, its size, header blocks as a whole, and what is unknown."""

import wire as w
from suite import answered, case, connection_error, stream_error

SIZE = connection_error(w.FRAME_SIZE_ERROR)
PROTOCOL = connection_error(w.PROTOCOL_ERROR)
COMPRESSION = connection_error(w.COMPRESSION_ERROR)


def server_max_frame(c):
    return c.server_settings.get(w.MAX_FRAME_SIZE, 16384)


def after_ping(frame):
    """The PING in `frame` is acknowledged; then a call."""
    def act(c):
        c.send(frame)
        c.need(lambda: frame[9:] in c.ping_acks, "no acknowledgement")
        return c.unary(1)
    return act


def after_settings(frame):
    def act(c):
        c.send(c.own_settings(frame))
        c.need(lambda: c.settings_acks == 2, "no acknowledgement")
        return c.unary(1)
    return act


# ---- 4.1, 5.5: unknown and undefined things are ignored

case("4.1/unknown-type", "A frame of an unknown type on stream 0 is ignored.", answered(),
     lambda c: w.frame(w.UNKNOWN_TYPE, 0, 0, b"12345678") + c.unary(1))
case("4.1/unknown-type-every-flag", "A frame of an unknown type is ignored whatever its flags.", answered(),
     lambda c: w.frame(0xFF, 0xFF, 0, b"\xff" * 100) + w.frame(0x0A, 0x55, 0) + c.unary(1))
case("4.1/unknown-type-on-open-stream", "A frame of an unknown type within a request is ignored.", answered(),
     lambda c: c.head(1) + w.frame(w.UNKNOWN_TYPE, 1, 1, b"x" * 20) + c.body(1))
case("4.1/undefined-flags-ping", "Undefined flags of a PING are ignored.", answered(),
     after_ping(w.frame(w.PING, 0xFE, 0, b"flagged!")))
case("4.1/undefined-flags-settings", "Undefined flags of SETTINGS are ignored.", answered(),
     after_settings(w.frame(w.SETTINGS, 0xFE, 0)))
case("4.1/undefined-flags-headers", "Undefined flags of HEADERS are ignored.", answered(),
     lambda c: c.head(1, flags=0xD2) + c.body(1))
case("4.1/undefined-flags-data", "Undefined flags of DATA are ignored.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m"), end=True, flags=0xF6))
case("4.1/undefined-flags-window-update", "Undefined flags of WINDOW_UPDATE are ignored.", answered(),
     lambda c: w.frame(w.WINDOW_UPDATE, 0xFF, 0, b"\0\0\0\1") + c.unary(1))
case("4.1/undefined-flags-rst-stream", "Undefined flags of RST_STREAM are ignored.", answered(3),
     lambda c: c.head(1) + w.frame(w.RST_STREAM, 0xFF, 1, b"\0\0\0\x08") + c.unary(3))
case("4.1/undefined-flags-priority", "Undefined flags of PRIORITY are ignored.", answered(),
     lambda c: w.frame(w.PRIORITY, 0xFF, 1, w.priority_fields(0, 16)) + c.unary(1))
case("4.1/undefined-flags-continuation", "Undefined flags of CONTINUATION are ignored.", answered(),
     lambda c: w.headers(1, c.block()[:9], done=False) + w.frame(w.CONTINUATION, 0xFF, 1, c.block()[9:]) + c.body(1))
case("4.1/reserved-bit-ping", "The reserved bit before the stream identifier is ignored: PING.", answered(),
     after_ping(w.frame(w.PING, 0, 0, b"reserved", reserved=True)))
case("4.1/reserved-bit-settings", "The reserved bit before the stream identifier is ignored: SETTINGS.", answered(),
     after_settings(w.frame(w.SETTINGS, 0, 0, reserved=True)))
case("4.1/reserved-bit-request", "The reserved bit before the stream identifier is ignored: HEADERS and DATA.",
     answered(), lambda c: w.frame(w.HEADERS, w.END_HEADERS, 1, c.block(), reserved=True) +
     w.frame(w.DATA, w.END_STREAM, 1, w.grpc_message(b"m"), reserved=True))

# ---- 4.2: sizes


def exactly_the_maximum(c):
    size = min(server_max_frame(c), 65535)
    c.send(c.head(1))
    c.send_body(1, w.grpc_message(b"x" * (size - 5)), size=size)


case("4.2/data-of-maximum-size", "A DATA frame of the maximum size is taken.", answered(), exactly_the_maximum)
case("4.2/data-too-large", "A DATA frame above SETTINGS_MAX_FRAME_SIZE is FRAME_SIZE_ERROR.",
     stream_error(w.FRAME_SIZE_ERROR), lambda c: c.head(1) + w.data(1, b"x" * (server_max_frame(c) + 1), end=True))
case("4.2/headers-too-large", "A HEADERS frame above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR.",
     SIZE, lambda c: w.headers(1, c.block(("x-much", "x" * server_max_frame(c)))))
case("4.2/continuation-too-large", "A CONTINUATION above the maximum is a connection error FRAME_SIZE_ERROR.", SIZE,
     lambda c: w.headers(1, c.block(), done=False) +
     w.continuation(1, w.literal("x-much", "x" * server_max_frame(c))))
case("4.2/settings-too-large", "SETTINGS above the maximum are a connection error FRAME_SIZE_ERROR.", SIZE,
     lambda c: w.settings(*[(0x7777, 0)] * (server_max_frame(c) // 6 + 1)))
case("4.2/ping-too-large", "A PING above the maximum is a connection error FRAME_SIZE_ERROR.", SIZE,
     lambda c: w.ping(b"x" * (server_max_frame(c) + 1)))
case("4.2/unknown-too-large", "A frame above the maximum is FRAME_SIZE_ERROR even if its type is unknown.",
     SIZE.also(answered()),
     lambda c: w.frame(w.UNKNOWN_TYPE, 0, 0, b"x" * (server_max_frame(c) + 1)) + c.unary(1))
case("4.2/largest-length", "A length of 2^24-1 is refused at the frame's header.", SIZE | stream_error(
    w.FRAME_SIZE_ERROR), lambda c: c.head(1) + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 20000)
case("4.2/empty-data", "DATA frames of no octets are taken.", answered(),
     lambda c: c.head(1) + w.data(1) + w.data(1, w.grpc_message(b"m")) + w.data(1) + w.data(1, end=True))

# ---- 4.3: header blocks

case("4.3/undecodable-block", "A header block that does not decode is a connection error COMPRESSION_ERROR.",
     COMPRESSION, lambda c: w.headers(1, b"\x00\xff\xff\xff\xff\xff", end=True))
case("4.3/undecodable-in-continuation", "So it is where the error lies in a CONTINUATION.", COMPRESSION,
     lambda c: w.headers(1, c.block(), done=False) + w.continuation(1, w.indexed(0)))
case("4.3/undecodable-trailers", "So it is in trailers.", COMPRESSION,
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, b"\x80", end=True))
case("4.3/block-that-ends-early", "A block that ends within a field is a connection error COMPRESSION_ERROR.",
     COMPRESSION, lambda c: w.headers(1, c.block()[:-3], end=True))

WITHIN = {
    "priority": ("PRIORITY", lambda c: w.priority(1)),
    "headers-of-another-stream": ("HEADERS of another stream", lambda c: c.head(3)),
    "headers-of-the-same-stream": ("HEADERS of the same stream", lambda c: c.head(1)),
    "data": ("DATA", lambda c: w.data(1, b"x")),
    "settings": ("SETTINGS", lambda c: w.settings()),
    "settings-ack": ("an acknowledgement of SETTINGS", lambda c: w.settings(ack=True)),
    "ping": ("PING", lambda c: w.ping()),
    "goaway": ("GOAWAY", lambda c: w.goaway()),
    "window-update": ("WINDOW_UPDATE", lambda c: w.window_update(0, 1)),
    "rst-stream": ("RST_STREAM", lambda c: w.rst_stream(1)),
    "unknown": ("a frame of an unknown type", lambda c: w.frame(w.UNKNOWN_TYPE, 0, 1, b"x")),
}
for _name, (_what, _frame) in WITHIN.items():
    case(f"4.3/interleaved-{_name}",
         f"A header block is contiguous: {_what} within it is a connection error PROTOCOL_ERROR.", PROTOCOL,
         lambda c, f=_frame: w.headers(1, c.block()[:20], done=False) + f(c) + w.continuation(1, c.block()[20:]))


def state_survives(first):
    """The compression state is the connection's: a block counts although its stream is refused or reset."""
    def act(c):
        added = w.literal("x-kept", "value", w.INCREMENTAL)
        c.send(first(c, added))
        c.send(w.headers(3, c.block() + w.indexed(62)), c.body(3))
    return act


case("4.3/block-of-a-reset-stream-counts", "A block of a stream that is reset at once still changes the table.",
     answered(3), state_survives(lambda c, added: w.headers(1, c.block() + added) + w.rst_stream(1)))
case("4.3/block-of-a-malformed-request-counts", "A block of a malformed request still changes the table.",
     answered(3) | connection_error(w.PROTOCOL_ERROR),
     state_survives(lambda c, added: w.headers(1, c.block(("UPPER", "x")) + added, end=True)))
case("4.3/trailers-change-the-table", "The block of trailers changes the table too.", answered(3),
     state_survives(lambda c, added: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, added, end=True)))

# ---- 5.5: extensions

case("5.5/unknown-setting-and-frames", "Unknown frames and settings at any place change nothing.", answered(),
     lambda c: c.own_settings(w.settings((0xFFFF, 1), (0x0A0A, 0xFFFFFFFF))) + w.frame(0x42, 0, 0, b"") + c.head(1) +
     w.frame(0x43, 4, 1, b"x") + c.body(1))
case("5.5/priority-update", "PRIORITY_UPDATE (RFC 9218) on stream 0 is understood or ignored.", answered(),
     lambda c: w.frame(w.PRIORITY_UPDATE, 0, 0, b"\0\0\0\1u=1, i") + c.unary(1))
case("5.5/unknown-on-idle-stream", "A frame of an unknown type on an idle stream is ignored (5.5) or an error (5.1).",
     answered() | PROTOCOL, lambda c: w.frame(w.UNKNOWN_TYPE, 0, 9, b"x") + c.unary(1))


def unknown_on_closed_stream(c):
    c.send(c.unary(1))
    c.need(lambda: c.answered(1), "no answer")
    return w.frame(w.UNKNOWN_TYPE, 0, 1, b"x") + c.unary(3)


case("5.5/unknown-on-closed-stream", "A frame of an unknown type on a closed stream is ignored.",
     answered(3).also(connection_error(w.STREAM_CLOSED)), unknown_on_closed_stream)
