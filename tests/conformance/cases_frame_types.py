"""RFC 9113 6.1 to 6.4: DATA, HEADERS, PRIORITY, RST_STREAM."""

import wire as w
from suite import answered, case, connection_error, stream_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)
SIZE = connection_error(w.FRAME_SIZE_ERROR)
# A frame too short for a mandatory field is FRAME_SIZE_ERROR (4.2), a pad length that leaves nothing PROTOCOL_ERROR
# (6.1); where both hold, either will do.
SHORT = connection_error(w.PROTOCOL_ERROR, w.FRAME_SIZE_ERROR)

# ---- 6.1 DATA

case("6.1/whole-call", "DATA carries the request.", answered(), lambda c: c.unary(1))
case("6.1/several-frames", "A message may come in several DATA frames.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"hello")[:3]) + w.data(1, w.grpc_message(b"hello")[3:], end=True))
case("6.1/padding", "DATA may be padded.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m"), end=True, pad=7))
case("6.1/most-padding", "DATA may have 255 octets of padding.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m"), end=True, pad=255))
case("6.1/no-padding", "A pad length of 0 is taken.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m"), end=True, pad=0))
case("6.1/padding-only", "DATA may be all padding.", answered(),
     lambda c: c.head(1) + w.data(1, b"", pad=100) + c.body(1))
case("6.1/padding-not-zero", "Padding that is not zero is ignored or PROTOCOL_ERROR.",
     answered() | stream_error(w.PROTOCOL_ERROR),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m"), end=True, pad=4, pad_with=b"\xff"))
case("6.1/stream-zero", "DATA on stream 0 is a connection error PROTOCOL_ERROR.", PROTOCOL, lambda c: w.data(0, b"x"))
case("6.1/stream-not-open", "DATA on a stream that is not open is STREAM_CLOSED.", stream_error(w.STREAM_CLOSED),
     lambda c: c.unary(1) + w.data(1, b"x", end=True), settings=[(w.INITIAL_WINDOW_SIZE, 0)])
case("6.1/pad-length-is-payload", "A pad length as large as the payload is a connection error PROTOCOL_ERROR.",
     PROTOCOL, lambda c: c.head(1) + w.frame(w.DATA, w.PADDED | w.END_STREAM, 1, b"\x05" + b"x" * 4))
case("6.1/pad-length-above-payload", "A pad length above the payload is a connection error PROTOCOL_ERROR.",
     PROTOCOL, lambda c: c.head(1) + w.frame(w.DATA, w.PADDED | w.END_STREAM, 1, b"\xff" + b"x" * 4))
case("6.1/pad-length-missing", "A padded DATA frame of no octets is a connection error.", SHORT,
     lambda c: c.head(1) + w.frame(w.DATA, w.PADDED, 1))


def padding_is_given_back(c):
    """Padding counts (6.9.1): what it took of the windows must come back."""
    c.send(c.head(1))
    for _ in range(400):  # 102,400 octets, beyond the first window
        if not c.wait(lambda: min(c.send_window, c.send_windows[1] + c.initial_send_window) >= 256):
            return None
        c.account(1, 256)
        c.send(w.data(1, b"", pad=255))
    return c.body(1)


case("6.1/padding-is-given-back", "Padding counts for flow control, and its window is given back.", answered(),
     padding_is_given_back)


def a_megabyte(c):
    c.send(c.head(1))
    c.send_body(1, w.grpc_message(b"m" * (1 << 20)))


case("6.1/a-megabyte", "A message far above the windows passes both ways.", answered(), a_megabyte)

# ---- 6.2 HEADERS

case("6.2/padding", "HEADERS may be padded.", answered(), lambda c: c.head(1, pad=9) + c.body(1))
case("6.2/most-padding", "HEADERS may have 255 octets of padding.", answered(), lambda c: c.head(1, pad=255) + c.body(1))
case("6.2/priority", "HEADERS may have a priority.", answered(), lambda c: c.head(1, priority=(0, 256)) + c.body(1))
case("6.2/exclusive", "The priority may be exclusive and on a stream that is idle.", answered(),
     lambda c: c.head(1, priority=(21, 1, True)) + c.body(1))
case("6.2/padding-and-priority", "HEADERS may have both.", answered(),
     lambda c: c.head(1, pad=5, priority=(0, 10)) + c.body(1))
case("6.2/stream-zero", "HEADERS on stream 0 are a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(0, end=True))
case("6.2/pad-length-above-payload", "A pad length above the payload is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.frame(w.HEADERS, w.PADDED | w.END_HEADERS | w.END_STREAM, 1, bytes([len(c.block()) + 1]) + c.block()))
case("6.2/pad-length-above-fragment", "Padding that reaches into the priority fields is an error.",
     SHORT, lambda c: w.frame(w.HEADERS, w.PADDED | w.PRIORITY_FLAG | w.END_HEADERS | w.END_STREAM, 1,
                              b"\x09" + w.priority_fields(0, 16) + b"\0" * 8))
case("6.2/pad-length-missing", "A padded HEADERS frame of no octets is a connection error.", SHORT,
     lambda c: w.frame(w.HEADERS, w.PADDED | w.END_HEADERS, 1))
case("6.2/priority-cut-short", "HEADERS too short for their priority fields are a connection error.", SHORT,
     lambda c: w.frame(w.HEADERS, w.PRIORITY_FLAG | w.END_HEADERS, 1, b"\0\0\0\0"))
case("6.2/empty-block", "An empty header block is a malformed request.", stream_error(w.PROTOCOL_ERROR).also(
    connection_error(w.COMPRESSION_ERROR)), lambda c: w.headers(1, b"", end=True))
case("6.2/end-stream-on-headers", "A request may be HEADERS alone.", answered(), lambda c: c.head(1, end=True))
case("6.2/no-end-headers-then-priority", "HEADERS without END_HEADERS, then PRIORITY: PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.headers(1, c.block(), done=False) + w.priority(1))
case("6.2/no-end-headers-then-other-stream", "HEADERS without END_HEADERS, then HEADERS of another: PROTOCOL_ERROR.",
     PROTOCOL, lambda c: w.headers(1, c.block(), done=False) + c.head(3, end=True))

# ---- 6.3 PRIORITY

case("6.3/weights", "PRIORITY of weight 1 and 256 is taken.", answered(),
     lambda c: w.priority(1, 0, 1) + w.priority(1, 0, 256) + c.unary(1))
case("6.3/dependency", "PRIORITY may name a stream that is idle, open or closed.", answered(3),
     lambda c: c.head(1) + w.priority(3, 1) + w.priority(5, 3) + w.priority(1, 7, 200, True) + c.unary(3))
case("6.3/within-a-request", "PRIORITY may come between HEADERS and DATA.", answered(),
     lambda c: c.head(1) + w.priority(1, 0, 99) + c.body(1))
case("6.3/idle-then-lower", "PRIORITY for an idle stream does not open it: a lower one may be opened after it.",
     answered(), lambda c: w.priority(9) + c.unary(1))
case("6.3/even-idle-stream", "PRIORITY may name an idle stream of the server.", answered().also(PROTOCOL),
     lambda c: w.priority(2) + c.unary(1))
case("6.3/stream-zero", "PRIORITY on stream 0 is a connection error PROTOCOL_ERROR.", PROTOCOL, lambda c: w.priority(0))
for _size in (0, 4, 6):
    case(f"6.3/{_size}-octets", f"PRIORITY of {_size} octets is a stream error FRAME_SIZE_ERROR.",
         stream_error(w.FRAME_SIZE_ERROR), lambda c, s=_size: c.head(1) + w.frame(w.PRIORITY, 0, 1, b"\0" * s))
case("6.3/idle-4-octets", "PRIORITY of 4 octets on an idle stream is FRAME_SIZE_ERROR.",
     stream_error(w.FRAME_SIZE_ERROR), lambda c: w.frame(w.PRIORITY, 0, 1, b"\0" * 4))

# ---- 6.4 RST_STREAM

case("6.4/next-call-works", "RST_STREAM ends its stream only.", answered(3),
     lambda c: c.head(1) + w.rst_stream(1) + c.unary(3))
case("6.4/unknown-code", "RST_STREAM with an unknown code is as any other (7).", answered(3),
     lambda c: c.head(1) + w.rst_stream(1, 0xFF) + w.ping() + c.unary(3))
case("6.4/no-error", "RST_STREAM with NO_ERROR ends its stream.", answered(3),
     lambda c: c.head(1) + w.rst_stream(1, w.NO_ERROR) + c.unary(3))
case("6.4/stream-zero", "RST_STREAM on stream 0 is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.rst_stream(0))
case("6.4/idle", "RST_STREAM on an idle stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.rst_stream(7))
for _size in (0, 3, 5):
    case(f"6.4/{_size}-octets", f"RST_STREAM of {_size} octets is a connection error FRAME_SIZE_ERROR.", SIZE,
         lambda c, s=_size: c.head(1) + w.frame(w.RST_STREAM, 0, 1, b"\0" * s))
