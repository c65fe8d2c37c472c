"""RFC 9113 6.10: CONTINUATION. What may not come within a header block is in cases_frames.py."""

import wire as w
from suite import answered, case, connection_error, stream_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)


def in_pieces(c, stream, count, end=False):
    """HEADERS and `count` CONTINUATIONs."""
    block = c.block(("x-long", "y" * 100))
    size = -(-len(block) // (count + 1))
    parts = [block[at:at + size] for at in range(0, len(block), size)]
    out = w.headers(stream, parts[0], end=end, done=False)
    for part in parts[1:]:
        out += w.continuation(stream, part, done=part is parts[-1])
    return out


def split_anywhere(c):
    block = c.block()
    streams = []
    for at in range(1, len(block) + 1):
        stream = 2 * at - 1
        c.send(w.headers(stream, block[:at], done=False), w.continuation(stream, block[at:]), c.body(stream))
        streams.append(stream)
        if len(streams) % 20 == 0:
            c.need(lambda: c.answered(streams[-1]), "no answer")
    c.need(lambda: all(c.answered(stream) for stream in streams), "not every split was answered")
    return c.unary(2 * len(block) + 3)


case("6.10/one", "A block may go on in a CONTINUATION.", answered(), lambda c: in_pieces(c, 1, 1) + c.body(1))
case("6.10/several", "And in several.", answered(), lambda c: in_pieces(c, 1, 5) + c.body(1))
case("6.10/split-anywhere", "It may be split at every octet.", answered(None), split_anywhere)
case("6.10/end-stream", "END_STREAM on HEADERS holds although CONTINUATION follows.", answered(),
     lambda c: in_pieces(c, 1, 2, end=True))
case("6.10/empty", "A CONTINUATION may be empty.", answered(),
     lambda c: w.headers(1, c.block(), done=False) + w.continuation(1, b"") + c.body(1))
# Nothing forbids it; some refuse it as the begin of a flood.
case("6.10/empty-headers", "HEADERS may be empty and the block all CONTINUATION.",
     answered() | connection_error(w.FRAME_SIZE_ERROR, w.PROTOCOL_ERROR, w.ENHANCE_YOUR_CALM),
     lambda c: w.headers(1, b"", done=False) + w.continuation(1, c.block()) + c.body(1))
case("6.10/padded-headers", "Padding and priority belong to HEADERS alone.", answered(),
     lambda c: w.headers(1, c.block()[:30], done=False, pad=10, priority=(0, 5)) +
     w.continuation(1, c.block()[30:]) + c.body(1))
case("6.10/trailers", "Trailers may go on in a CONTINUATION.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) +
     w.headers(1, w.literal("x-last", "1")[:4], end=True, done=False) + w.continuation(1, w.literal("x-last", "1")[4:]))
case("6.10/large-block", "A block larger than a frame passes.", answered(),
     lambda c: w.headers(1, c.block(), done=False) + w.continuation(1, w.literal("x-a", "a" * 9000), done=False) +
     w.continuation(1, w.literal("x-b", "b" * 9000)) + c.body(1))
case("6.10/then-data", "DATA within the block is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.headers(1, c.block()[:9], done=False) + w.continuation(1, c.block()[9:20], done=False) +
     w.data(1, b"x"))
case("6.10/then-headers-of-another", "HEADERS of another stream within the block are PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.headers(1, c.block()[:9], done=False) + w.continuation(1, c.block()[9:20], done=False) + c.head(3))
case("6.10/of-another-stream", "CONTINUATION of another stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.headers(1, c.block()[:9], done=False) + w.continuation(3, c.block()[9:]))
case("6.10/stream-zero", "CONTINUATION on stream 0 is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.headers(1, c.block()[:9], done=False) + w.continuation(0, c.block()[9:]))
case("6.10/stream-zero-alone", "So it is without HEADERS.", PROTOCOL, lambda c: w.continuation(0, b""))
case("6.10/after-end-headers", "CONTINUATION after END_HEADERS is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(1) + w.continuation(1, w.literal("x-more", "1")))
case("6.10/after-end-headers-in-continuation", "So it is after a CONTINUATION with END_HEADERS.", PROTOCOL,
     lambda c: in_pieces(c, 1, 1) + w.continuation(1, w.literal("x-more", "1")))
case("6.10/after-data", "So it is after DATA.", PROTOCOL,
     lambda c: c.head(1) + w.data(1, b"x") + w.continuation(1, w.literal("x-more", "1")))
case("6.10/after-rst-stream", "So it is after RST_STREAM.", PROTOCOL | stream_error(w.STREAM_CLOSED),
     lambda c: c.head(1) + w.rst_stream(1) + w.continuation(1, w.literal("x-more", "1")))
