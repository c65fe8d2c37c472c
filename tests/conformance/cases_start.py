"""RFC 9113 3.4: how a connection begins."""

import socket

import wire as w
from suite import Breach, Expect, answered, case, connection_error

BEGIN = w.PREFACE + w.settings()
BAD_START = connection_error(w.PROTOCOL_ERROR)


def first_is_settings(c):
    c.send(c.own_settings(BEGIN))
    c.need(lambda: c.first_frame, "no frame came")
    if c.first_frame != (w.SETTINGS, 0):
        raise Breach(f"the first frame has type {c.first_frame[0]}, flags {c.first_frame[1]}")
    return c.unary(1)


def byte_by_byte(c):
    for octet in c.own_settings(BEGIN) + c.unary(1):
        c.send(bytes([octet]))


def half_a_preface_then_end(c):
    c.send(w.PREFACE[:10])
    c.socket.shutdown(socket.SHUT_WR)


case("3.4/settings-come-first", "A server's first frame is SETTINGS, not an acknowledgement.", answered(),
     first_is_settings, raw=True)
case("3.4/one-write", "A client may send requests before the server's preface arrived.", answered(3),
     lambda c: c.own_settings(BEGIN) + c.unary(1) + c.unary(3), raw=True)
case("3.4/byte-by-byte", "Preface and frames may be split anywhere.", answered(), byte_by_byte, raw=True)
case("3.4/settings-with-values", "The SETTINGS of the preface may hold values.", answered(), lambda c: c.unary(1),
     settings=[(w.HEADER_TABLE_SIZE, 1024), (w.ENABLE_PUSH, 0), (w.MAX_CONCURRENT_STREAMS, 10)])
case("3.4/http1-request", "An HTTP/1.1 request is no preface: connection error PROTOCOL_ERROR, or HTTP/1.1 is spoken.",
     BAD_START | Expect(("not-http2", None, None)),
     lambda c: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", raw=True)
case("3.4/wrong-preface", "A preface of other octets is a connection error PROTOCOL_ERROR.", BAD_START,
     lambda c: b"XXX * HTTP/2.0\r\n\r\nSM\r\n\r\n" + w.settings() + c.unary(1), raw=True)
case("3.4/wrong-last-octet", "A preface that differs in its last octet is a connection error PROTOCOL_ERROR.", BAD_START,
     lambda c: w.PREFACE[:-1] + b"\r" + w.settings() + c.unary(1), raw=True)
case("3.4/no-preface", "Frames without a preface are a connection error PROTOCOL_ERROR.", BAD_START,
     lambda c: w.settings() + c.unary(1), raw=True)
case("3.4/half-a-preface", "A client that leaves within the preface is let go.", connection_error(
    w.PROTOCOL_ERROR, w.NO_ERROR), half_a_preface_then_end, raw=True)
case("3.4/ping-before-settings", "The client's first frame must be SETTINGS: PING.", BAD_START,
     lambda c: w.PREFACE + w.ping() + w.settings() + c.unary(1), raw=True)
case("3.4/request-before-settings", "The client's first frame must be SETTINGS: HEADERS.", BAD_START,
     lambda c: w.PREFACE + c.unary(1), raw=True)
case("3.4/settings-ack-first", "The client's first SETTINGS is not an acknowledgement.", BAD_START.also(answered()),
     lambda c: w.PREFACE + w.settings(ack=True) + c.unary(1), raw=True)
case("3.4/unknown-frame-first", "The client's first frame must be SETTINGS: an unknown type.",
     BAD_START.also(answered()),
     lambda c: c.own_settings(w.PREFACE + w.frame(w.UNKNOWN_TYPE, 0, 0, b"x" * 8) + w.settings()) + c.unary(1), raw=True)
