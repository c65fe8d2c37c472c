"""RFC 9113 8: requests. Section numbers are RFC 9113's (8.2 fields, 8.3 pseudo-header fields, 8.1.1 malformed)."""

import wire as w
from suite import Expect, Skip, answered, case, connection_error, malformed, stream_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)


def request(*extra, drop=(), **replace):
    """A whole call with a head that differs from the well-formed one."""
    return lambda c: w.headers(1, c.block(*extra, drop=drop, **replace)) + c.body(1)


def listed(*fields, end=False):
    """A head of just these fields; `...` stands for the rest of the well-formed ones."""
    def act(c):
        known = c.fields()
        given = [field for field in fields if field is not ...]
        names = {name for name, _ in given}
        out = []
        for field in fields:
            out += [one for one in known if one[0] not in names] if field is ... else [field]
        return w.headers(1, w.block(out), end=end) + (b"" if end else c.body(1))
    return act


def bad(case_id, requirement, act):
    """A malformed request."""
    case(case_id, requirement, malformed(), act)


def unfit(case_id, requirement, act, served=False):
    """Well-formed frames and fields whose content no server can use: an HTTP error does as well as a reset. `served`:
    the RFC only says SHOULD, or leaves it to others, so that an answer does too."""
    expect = malformed() | Expect(("http-error", 1, None))
    case(case_id, requirement, Expect(*expect.reactions) | answered() if served else expect, act)


# ---- 8.1 the sequence of frames

case("8.1/trailers", "A request may end in trailers.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.literal("x-last", "1"), end=True))
case("8.1/data-end-stream-empty", "An empty DATA frame may end the request.", answered(),
     lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.data(1, end=True))
bad("8.1/second-headers-without-end-stream", "A second HEADERS without END_STREAM makes a request malformed.",
    lambda c: c.head(1) + w.headers(1, w.literal("x-late", "1")))
bad("8.1/second-headers-after-data", "So it does after DATA.",
    lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.literal("x-late", "1")))
bad("8.1/trailers-with-pseudo-header", "A pseudo-header field in trailers makes a request malformed.",
    lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.block([(":method", "POST")]), end=True))
bad("8.1/trailers-with-pseudo-header-no-data", "So it does where no DATA came.",
    lambda c: c.head(1) + w.headers(1, w.block([(":method", "POST")]), end=True))
bad("8.1/trailers-with-status", "So does one of answers.",
    lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.block([(":status", "200")]), end=True))
bad("8.1/trailers-in-upper-case", "A name in upper case in trailers makes a request malformed.",
    lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.block([("X-Last", "1")]), end=True))
bad("8.1/trailers-with-connection", "A connection-specific field in trailers makes a request malformed.",
    lambda c: c.head(1) + w.data(1, w.grpc_message(b"m")) + w.headers(1, w.block([("connection", "close")]), end=True))
case("8.1/data-after-trailers", "DATA after trailers is STREAM_CLOSED.", stream_error(w.STREAM_CLOSED),
     lambda c: c.head(1) + w.headers(1, w.literal("x-last", "1"), end=True) + w.data(1, b"x"),
     settings=[(w.INITIAL_WINDOW_SIZE, 0)])

# ---- 8.1.1 content-length

case("8.1.1/content-length-right", "A content-length that is the sum of all DATA is taken.", answered(),
     lambda c: w.headers(1, c.block(("content-length", "10"))) + w.data(1, w.grpc_message(b"hello")[:4]) +
     w.data(1, w.grpc_message(b"hello")[4:], end=True))
case("8.1.1/content-length-and-padding", "Padding is not part of the content-length.", answered(),
     lambda c: w.headers(1, c.block(("content-length", "10"))) + w.data(1, w.grpc_message(b"hello"), end=True, pad=5))
for _name, _length in (("above", "11"), ("below", "3"), ("zero", "0"), ("huge", "18446744073709551615")):
    bad(f"8.1.1/content-length-{_name}", f"A content-length of {_length} for one DATA frame of 10 octets is malformed.",
        request(("content-length", _length)))
    bad(f"8.1.1/content-length-{_name}-several",
        f"A content-length of {_length} for several DATA frames of 10 octets in all is malformed.",
        lambda c, n=_length: w.headers(1, c.block(("content-length", n))) + w.data(1, w.grpc_message(b"hello")[:5]) +
        w.data(1, w.grpc_message(b"hello")[5:7]) + w.data(1, w.grpc_message(b"hello")[7:], end=True))
bad("8.1.1/content-length-without-data", "A content-length of 10 for a request that is HEADERS alone is malformed.",
    lambda c: w.headers(1, c.block(("content-length", "10")), end=True))
bad("8.1.1/content-length-then-trailers", "A content-length above the DATA before the trailers is malformed.",
    lambda c: w.headers(1, c.block(("content-length", "100"))) + w.data(1, w.grpc_message(b"m")) +
    w.headers(1, w.literal("x-last", "1"), end=True))
bad("8.1.1/content-length-two-values", "Two content-lengths that differ make a request malformed.",
    request(("content-length", "10"), ("content-length", "11")))
for _name, _length in (("empty", ""), ("negative", "-1"), ("text", "ten"), ("plus", "+10")):
    bad(f"8.1.1/content-length-{_name}", f"A content-length of {_length!r} is malformed.",
        request(("content-length", _length)))

# ---- 8.2 fields

bad("8.2/upper-case", "A field name in upper case makes a request malformed.", request(("X-TEST", "1")))
bad("8.2/one-upper-case-letter", "One letter is enough.", request(("x-tesT", "1")))
bad("8.2/upper-case-pseudo", "So is one of a pseudo-header field.", listed((":Method", "POST"), ..., ))
for _name, _field in (("space", "x y"), ("nul", "x\0y"), ("line-feed", "x\ny"), ("colon", "x:y"), ("delete", "x\x7fy"),
                      ("high", "x\xffy"), ("tab", "x\ty")):
    bad(f"8.2.1/name-with-{_name}", f"A field name with {_field[1]!r} makes a request malformed.",
        request((_field, "1")))
bad("8.2.1/empty-name", "An empty field name makes a request malformed.", request(("", "1")))
for _name, _value in (("nul", "a\0b"), ("line-feed", "a\nb"), ("carriage-return", "a\rb")):
    bad(f"8.2.1/value-with-{_name}", f"A field value with {_value[1]!r} makes a request malformed.",
        request(("x-test", _value)))
# RFC 9113 has made it malformed; gRPC lets metadata have it (PROTOCOL-HTTP2.md, ASCII-Value: it may be stripped) and HAProxy
# passes it on, so that both will do.
for _name, _value in (("leading-space", " a"), ("trailing-tab", "a\t")):
    unfit(f"8.2.1/value-with-{_name}", f"A field value like {_value!r} makes a request malformed, or passes.",
          request(("x-test", _value)), served=True)
case("8.2.1/odd-but-allowed", "Names of all token characters, empty and high values are taken.", answered(),
     request(("x!#$%&'*+-.^_`|~0", "1"), ("x-empty", ""), ("x-high", b"\xc3\xa4\xff"), ("x-inner", "a b\tc")))
for _field in (("connection", "keep-alive"), ("connection", "close, te"), ("proxy-connection", "keep-alive"),
               ("keep-alive", "timeout=5"), ("transfer-encoding", "chunked"), ("upgrade", "h2c")):
    bad(f"8.2.2/{_field[0]}{'-list' if ',' in _field[1] else ''}",
        f"The connection-specific field {_field[0]}: {_field[1]} makes a request malformed.", request(_field))
bad("8.2.2/te-gzip", "A te other than trailers makes a request malformed.", request(te="gzip"))
bad("8.2.2/te-trailers-and-more", "So does trailers with more.", request(te="trailers, deflate;q=0.5"))
case("8.2.2/te-trailers", "te: trailers is taken.", answered(), request(te="trailers"))
case("8.2.3/cookies", "Cookies may be split over fields.", answered(), request(("cookie", "a=b"), ("cookie", "c=d")))

# ---- 8.3 pseudo-header fields

bad("8.3/unknown", "An unknown pseudo-header field makes a request malformed.", listed((":test", "1"), ...))
bad("8.3/empty-name", "So does a field named by a colon alone.", listed((":", "1"), ...))
bad("8.3/of-answers", "A pseudo-header field of answers makes a request malformed.", listed((":status", "200"), ...))
bad("8.3/after-fields", "A pseudo-header field after a regular one makes a request malformed.",
    lambda c: w.headers(1, w.block(c.fields(drop=(":path",)) + [(":path", c.target.path)])) + c.body(1))
bad("8.3/method-last", "So does :method at the end.",
    lambda c: w.headers(1, w.block(c.fields(drop=(":method",)) + [(":method", "POST")])) + c.body(1))
bad("8.3/authority-last", "So does :authority at the end.",
    lambda c: w.headers(1, w.block(c.fields(drop=(":authority",)) + [(":authority", "a")])) + c.body(1))
case("8.3/any-order", "Pseudo-header fields may come in any order.", answered(),
     lambda c: w.headers(1, w.block(list(reversed(c.fields()[:4])) + c.fields()[4:])) + c.body(1))
for _name in ("method", "scheme", "path"):
    bad(f"8.3.1/no-{_name}", f"A request without :{_name} is malformed.", request(drop=(f":{_name}",)))
    bad(f"8.3.1/two-{_name}s", f"A request with two :{_name} is malformed.",
        lambda c, n=":" + _name: w.headers(1, w.block([(n, dict(c.fields())[n])] + c.fields())) + c.body(1))
bad("8.3.1/empty-path", "A request with an empty :path is malformed.", request(path=""))
unfit("8.3.1/empty-method", "A request with an empty :method is malformed.", request(method=""))
unfit("8.3.1/empty-scheme", "A request with an empty :scheme is malformed.", request(scheme=""))
bad("8.3.1/two-authorities", "A request with two :authority is malformed.",
    lambda c: w.headers(1, w.block([(":authority", "other.test")] + c.fields())) + c.body(1))
bad("8.3.1/none", "A request without any pseudo-header field is malformed.",
    request(drop=(":method", ":scheme", ":path", ":authority")))
unfit("8.3.1/path-without-slash", "A :path that does not begin with a slash is malformed.", request(path="inventory"))
unfit("8.3.1/path-with-space", "A :path with a space is malformed or looked up.", request(path="/a b/c"), served=True)
bad("8.3.1/path-with-nul", "A :path with NUL is malformed.", request(path="/a\0b/c"))
unfit("8.3.1/method-with-space", "A :method that is no token is malformed.", request(method="PO ST"))
case("8.3.1/no-authority", "A request without :authority that has host is taken.", answered(),
     lambda c: w.headers(1, w.block(c.fields(("host", c.target.authority), drop=(":authority",)))) + c.body(1))
unfit("8.3.1/host-differs", "A host other than :authority should make a request malformed; there is a reaction.",
      request(("host", "elsewhere.test")), served=True)
case("8.3.1/host-equal", "A host equal to :authority is taken.", answered(),
     lambda c: w.headers(1, c.block(("host", c.target.authority))) + c.body(1))

# ---- methods other than POST: well-formed, so there is an answer, if only an error

ANY = Expect(("answer", 1, None), ("http-error", 1, None))
for _method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"):
    case(f"8.3.1/method-{_method.lower()}", f"{_method} is answered, be it with an error.", ANY,
         lambda c, m=_method: w.headers(1, c.block(method=m), end=True))

# ---- 8.5 CONNECT

bad("8.5/connect-with-path", "CONNECT with :scheme and :path is malformed.", request(method="CONNECT"))
bad("8.5/connect-without-authority", "CONNECT without :authority is malformed.",
    request(method="CONNECT", drop=(":scheme", ":path", ":authority")))
case("8.5/connect", "CONNECT is answered or refused, not left open.", ANY | stream_error(*range(14)),
     lambda c: w.headers(1, w.block([(":method", "CONNECT"), (":authority", "a.test:80")]), end=True))


def extended_connect(c):
    if c.server_settings.get(8):  # SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441
        raise Skip("the server speaks extended CONNECT")
    return w.headers(1, w.block([(":protocol", "websocket")]) + c.block(method="CONNECT"))


bad("8.5/extended-connect", "CONNECT with :protocol is malformed unless the server announced it (RFC 8441).",
    extended_connect)
