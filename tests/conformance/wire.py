"""HTTP/2 frames (RFC 9113) and header blocks (RFC 7541) as plain bytes, well-formed or not as the caller wants.

Everything here is a pure function. Header blocks are written without an encoder's state (every field a literal that is
not indexed, unless a case asks for more), so that the bytes of a case never depend on what was sent before.
"""

import struct

import hpack.huffman
import hpack.huffman_constants

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Frame types, 6.1 to 6.10.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10  # RFC 9218
UNKNOWN_TYPE = 0xBB     # no specification gives it a meaning

# Flags.
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20

# Error codes, 7.
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY,
 HTTP_1_1_REQUIRED) = range(14)
ERROR_NAMES = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
               "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
               "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")

# Settings, 6.5.2.
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)

DEFAULT_WINDOW = 65535
MAX_WINDOW = 2**31 - 1


def error_name(code):
    return ERROR_NAMES[code] if code < len(ERROR_NAMES) else f"0x{code:x}"


# ---- frames

def frame(kind, flags, stream, payload=b"", reserved=False):
    """Any frame; `reserved` sets the bit before the stream identifier that must be ignored (4.1)."""
    word = stream | (0x80000000 if reserved else 0)
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, word) + payload


def _padded(payload, pad, pad_with=b"\x00"):
    return payload if pad is None else struct.pack(">B", pad) + payload + pad_with * pad


def data(stream, payload=b"", end=False, pad=None, pad_with=b"\x00", flags=0):
    flags |= (END_STREAM if end else 0) | (PADDED if pad is not None else 0)
    return frame(DATA, flags, stream, _padded(payload, pad, pad_with))


def headers(stream, block, end=False, done=True, pad=None, priority=None, flags=0):
    """HEADERS; `priority` is (stream it depends on, weight 1-256, exclusive)."""
    flags |= (END_STREAM if end else 0) | (END_HEADERS if done else 0) | (PADDED if pad is not None else 0)
    if priority is not None:
        flags |= PRIORITY_FLAG
        block = priority_fields(*priority) + block
    return frame(HEADERS, flags, stream, _padded(block, pad))


def priority_fields(depends_on, weight, exclusive=False):
    return struct.pack(">IB", depends_on | (0x80000000 if exclusive else 0), weight - 1)


def priority(stream, depends_on=0, weight=16, exclusive=False):
    return frame(PRIORITY, 0, stream, priority_fields(depends_on, weight, exclusive))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def settings(*pairs, ack=False):
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def push_promise(stream, promised, block, flags=END_HEADERS):
    return frame(PUSH_PROMISE, flags, stream, struct.pack(">I", promised) + block)


def ping(payload=b"ficus---", ack=False):
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last_stream=0, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, code) + debug)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def continuation(stream, fragment, done=True):
    return frame(CONTINUATION, END_HEADERS if done else 0, stream, fragment)


def grpc_message(message):
    """A length-prefixed gRPC message (PROTOCOL-HTTP2.md, Length-Prefixed-Message), not compressed."""
    return struct.pack(">BI", 0, len(message)) + message


# ---- header blocks

# Representations, RFC 7541 6: (pattern in the first octet, bits of its prefix).
INDEXED, INCREMENTAL, SIZE_UPDATE, NOT_INDEXED, NEVER_INDEXED = (0x80, 7), (0x40, 6), (0x20, 5), (0x00, 4), (0x10, 4)

_HUFFMAN = hpack.huffman.HuffmanEncoder(hpack.huffman_constants.REQUEST_CODES,
                                        hpack.huffman_constants.REQUEST_CODES_LENGTH)


def integer(value, bits, pattern=0, zeros=0):
    """RFC 7541 5.1; `zeros` continuation octets that add nothing come before the last."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([pattern | value])
    out = bytearray([pattern | top])
    value -= top
    while value >= 128 or zeros:
        if value < 128:
            zeros -= 1
        out.append(0x80 | (value & 127))
        value >>= 7
    out.append(value)
    return bytes(out)


def _octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def string(text, huffman=False):
    """RFC 7541 5.2."""
    coded = _HUFFMAN.encode(_octets(text)) if huffman else _octets(text)
    return integer(len(coded), 7, 0x80 if huffman else 0) + coded


def indexed(index):
    return integer(index, 7, 0x80)


def size_update(size):
    return integer(size, 5, 0x20)


def literal(name, value, kind=NOT_INDEXED, huffman=False):
    """A literal field; `name` is text, or an index into the tables."""
    pattern, bits = kind
    if isinstance(name, int):
        return integer(name, bits, pattern) + string(value, huffman)
    return bytes([pattern]) + string(name, huffman) + string(value, huffman)


def block(fields, kind=NOT_INDEXED, huffman=False):
    return b"".join(literal(name, value, kind, huffman) for name, value in fields)
