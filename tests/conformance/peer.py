"""One connection to the server under test, as a client that may break any rule.

Single-threaded: every wait reads the socket. What the server sends is parsed by hyperframe's rules for the frame header
and by python3-hpack for header blocks, and is itself held to the RFC in every case: no more DATA than the windows given,
no frame above the size allowed, header blocks that decode within the table size allowed, no RST_STREAM for a stream
never opened, no push. A breach is a `Breach`, which fails the case whatever else it expects.
"""

import collections
import select
import socket
import ssl
import struct
import time

import hpack
import hyperframe.frame

import wire as w


class Breach(Exception):
    """The server itself broke the protocol, or an answer is not what it must be."""


class Gone(Exception):
    """The connection ended while a case still needed it."""


Target = collections.namedtuple("Target", "host port path authority scheme grpc tls patience")


class Stream:
    """What the server sent on one stream."""

    def __init__(self):
        self.blocks = []     # lists of (name, value), in order of arrival
        self.never_indexed = set()  # names of fields that came as literals never to be indexed (RFC 7541 6.2.3)
        self.data = b""
        self.ended = False
        self.reset = None    # error code

    @property
    def status(self):
        """The final :status as text; None before it."""
        for fields in self.blocks:
            value = dict(fields).get(":status")
            if value is not None and not value.startswith("1"):
                return value
        return None

    @property
    def grpc_status(self):
        return dict(self.blocks[-1]).get("grpc-status") if self.blocks else None


class Peer:
    def __init__(self, target):
        self.target = target
        self.socket = socket.create_connection((target.host, target.port), timeout=target.patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname=target.authority)
        self.received = b""
        self.first_frame = None      # type and flags of the server's first frame
        self.frames = 0
        self.streams = collections.defaultdict(Stream)
        self.server_settings = {}
        self.settings_acks = 0
        self.ping_acks = []
        self.goaways = []            # (last stream, code)
        self.closed = False          # FIN or RST, or bytes that are no HTTP/2
        self.garbage = False
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.header_fragment = None  # (stream, flags, bytes) of a block that is not complete
        # Windows we give: what the server may still send. New limits hold from the moment we send them where they
        # grow, and from the server's acknowledgement where they shrink (6.5.3, 6.9.2).
        self.window = w.DEFAULT_WINDOW
        self.initial_window = w.DEFAULT_WINDOW
        self.stream_windows = {}
        self.refill = True
        self.max_frame = 16384
        self.pending_settings = collections.deque()
        # Windows the server gives.
        self.send_window = w.DEFAULT_WINDOW
        self.send_windows = collections.Counter()

    # ---- sending

    def send(self, *parts):
        """Writes; a connection that is gone is noticed by the next read, which still finds what the server said."""
        try:
            self.socket.settimeout(self.target.patience)
            self.socket.sendall(b"".join(parts))
        except (OSError, ssl.SSLError):
            pass

    def handshake(self, *pairs):
        """Preface and SETTINGS, until both sides' SETTINGS are acknowledged."""
        self.send(w.PREFACE)
        self.send_settings(*pairs)
        if not self.wait(lambda: self.first_frame and self.settings_acks):
            raise Breach("no SETTINGS, or no acknowledgement of ours")

    def send_settings(self, *pairs):
        for key, value in pairs:
            if key == w.MAX_FRAME_SIZE:
                self.max_frame = max(self.max_frame, value)
            if key == w.INITIAL_WINDOW_SIZE and value > self.initial_window:
                self._change_initial_window(value)
        self.pending_settings.append(pairs)
        self.send(w.settings(*pairs))

    def own_settings(self, frame):
        """A SETTINGS frame that a case made itself and whose acknowledgement is to be expected."""
        self.pending_settings.append(())
        return frame

    def give(self, stream, increment):
        if stream == 0:
            self.window += increment
        else:
            self.stream_windows[stream] = self.stream_windows.get(stream, self.initial_window) + increment
        self.send(w.window_update(stream, increment))

    def _change_initial_window(self, value):
        delta = value - self.initial_window
        self.initial_window = value
        for stream in self.stream_windows:
            self.stream_windows[stream] += delta

    # ---- requests

    def fields(self, *extra, drop=(), **replace):
        """The header list of a gRPC call: `replace` by name (method, path ...; `te` and so on), `drop` by name."""
        fields = [(":method", "POST"), (":scheme", self.target.scheme), (":path", self.target.path),
                  (":authority", self.target.authority), ("te", "trailers"), ("content-type", "application/grpc")]
        out = []
        for name, value in fields:
            if name not in drop:
                out.append((name, replace.get(name.lstrip(":").replace("-", "_"), value)))
        return out + list(extra)

    def block(self, *extra, drop=(), **replace):
        return w.block(self.fields(*extra, drop=drop, **replace))

    def head(self, stream, *extra, end=False, **options):
        return w.headers(stream, self.block(*extra), end=end, **options)

    def unary(self, stream, message=b"hello", extra=()):
        """A whole well-formed call."""
        return self.head(stream, *extra) + self.body(stream, message)

    @staticmethod
    def body(stream, message=b"hello"):
        return w.data(stream, w.grpc_message(message), end=True)

    def send_body(self, stream, payload, end=True, size=16384):
        """DATA within the server's windows, until it is all sent or the server ended the stream. Returns octets sent."""
        got, sent = self.streams[stream], 0

        def room():
            return min(self.send_window, self.send_windows[stream] + self.initial_send_window, size)
        while sent < len(payload):
            if not self.wait(lambda: room() > 0 or got.ended or got.reset is not None):
                raise Breach("the server gives no window back for what it took")
            if got.ended or got.reset is not None:
                break
            part = payload[sent:sent + room()]
            sent += len(part)
            self.account(stream, len(part))
            self.send(w.data(stream, part, end=end and sent == len(payload)))
        return sent

    def account(self, stream, size):
        self.send_window -= size
        self.send_windows[stream] -= size

    @property
    def initial_send_window(self):
        return self.server_settings.get(w.INITIAL_WINDOW_SIZE, w.DEFAULT_WINDOW)

    def answered(self, stream):
        """Whether the stream has its whole answer; raises where it is not one of a call that went well."""
        got = self.streams[stream]
        if not got.ended or got.reset is not None:
            return False
        if self.target.grpc and (got.status != "200" or got.grpc_status != "0"):
            raise Breach(f"stream {stream} was answered with :status {got.status}, grpc-status {got.grpc_status}")
        return got.status is not None

    # ---- receiving

    def wait(self, condition, patience=None):
        """Reads until the condition holds (True), or the connection ends or nothing comes for that long (False)."""
        patience = patience or self.target.patience
        hard = time.monotonic() + 10 * patience
        while not condition():
            if self.closed or time.monotonic() > hard or not self._pump(patience):
                return bool(condition())
        return True

    def need(self, condition, what):
        if not self.wait(condition):
            raise Gone("the connection ended" if self.closed else "silence", what)

    def barrier(self):
        """Everything sent so far was read by the server: a PING came back."""
        mark = struct.pack(">Q", 0xF1C0500000000000 + len(self.ping_acks))
        self.send(w.ping(mark))
        self.need(lambda: mark in self.ping_acks, "a PING was not acknowledged")

    def _pump(self, patience):
        """Reads once. False: silence."""
        pending = self.target.tls and self.socket.pending()
        if not pending and not select.select([self.socket], [], [], patience)[0]:
            return False
        try:
            got = self.socket.recv(1 << 18)
        except (OSError, ssl.SSLError):
            got = b""
        if not got:
            self.closed = True
            return True
        self.received += got
        while len(self.received) >= 9 and not self.closed:
            size = int.from_bytes(self.received[:3], "big")
            kind = self.received[3]
            if self.frames == 0 and kind != w.SETTINGS and kind != w.GOAWAY:
                self.garbage = True  # HTTP/1.1, most likely; only its end counts
                self.received = b""
                break
            if size > self.max_frame:
                raise Breach(f"a frame of {size} octets, type {kind}")
            if len(self.received) < 9 + size:
                break
            payload, head = self.received[9:9 + size], self.received[:9]
            self.received = self.received[9 + size:]
            self._on_frame(head, payload)
        return True

    def _on_frame(self, head, payload):
        parsed, _ = hyperframe.frame.Frame.parse_frame_header(memoryview(head))
        kind, flags, stream = head[3], head[4], parsed.stream_id & 0x7FFFFFFF
        self.frames += 1
        if self.first_frame is None:
            self.first_frame = (kind, flags)
        if self.header_fragment and (kind != w.CONTINUATION or stream != self.header_fragment[0]):
            raise Breach("another frame within a header block")
        if kind == w.SETTINGS:
            self._on_settings(flags, payload)
        elif kind == w.PING:
            if len(payload) != 8:
                raise Breach("a PING that has not 8 octets")
            if flags & w.ACK:
                self.ping_acks.append(payload)
            else:
                self.send(w.ping(payload, ack=True))
        elif kind == w.GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            if self.goaways and last > self.goaways[-1][0]:
                raise Breach("the last stream of a GOAWAY grew")
            self.goaways.append((last, code))
        elif kind == w.RST_STREAM:
            if self.streams[stream].reset is None:
                self.streams[stream].reset = struct.unpack(">I", payload)[0]
        elif kind == w.WINDOW_UPDATE:
            increment = struct.unpack(">I", payload)[0] & 0x7FFFFFFF
            if stream == 0:
                self.send_window += increment
            else:
                self.send_windows[stream] += increment
        elif kind == w.DATA:
            self._on_data(flags, stream, payload)
        elif kind == w.HEADERS:
            start = (1 if flags & w.PADDED else 0) + (5 if flags & w.PRIORITY_FLAG else 0)
            end = len(payload) - (payload[0] if flags & w.PADDED else 0)
            self._on_fragment(stream, flags, payload[start:end])
        elif kind == w.CONTINUATION:
            if not self.header_fragment:
                raise Breach("a CONTINUATION without HEADERS")
            _, first, before = self.header_fragment
            self._on_fragment(stream, first | (flags & w.END_HEADERS), before + payload)
        elif kind == w.PUSH_PROMISE:
            raise Breach("a push")

    def _on_settings(self, flags, payload):
        if not flags & w.ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at:at + 6])
                self.server_settings[key] = value
                if key == w.ENABLE_PUSH and value != 0:
                    raise Breach("a server that says ENABLE_PUSH (6.5.2)")
            self.send(w.settings(ack=True))
            return
        if payload or not self.pending_settings:
            raise Breach("an acknowledgement of SETTINGS with content, or of none")
        self.settings_acks += 1
        for key, value in self.pending_settings.popleft():
            if key == w.INITIAL_WINDOW_SIZE:
                self._change_initial_window(value)
            elif key == w.HEADER_TABLE_SIZE:
                self.decoder.max_allowed_table_size = value

    def _on_data(self, flags, stream, payload):
        got = self.streams[stream]
        if got.ended:
            raise Breach(f"DATA after the end of stream {stream}")
        if got.status is None:
            raise Breach(f"DATA before HEADERS on stream {stream}")
        self.window -= len(payload)
        self.stream_windows[stream] = self.stream_windows.get(stream, self.initial_window) - len(payload)
        if payload and (self.window < 0 or self.stream_windows[stream] < 0):
            raise Breach(f"more DATA than the windows allow on stream {stream}")
        padding = payload[0] + 1 if flags & w.PADDED else 0
        got.data += payload[1:len(payload) - padding + 1] if padding else payload
        got.ended = bool(flags & w.END_STREAM)
        if self.refill and payload:
            self.give(0, len(payload))
            if not got.ended:
                self.give(stream, len(payload))

    def _on_fragment(self, stream, flags, fragment):
        if not flags & w.END_HEADERS:
            self.header_fragment = (stream, flags, fragment)
            return
        self.header_fragment = None
        got = self.streams[stream]
        if got.ended:
            raise Breach(f"HEADERS after the end of stream {stream}")
        try:
            fields = self.decoder.decode(fragment)
        except hpack.HPACKError as error:
            raise Breach(f"a header block that does not decode: {error}") from error
        if any(name != name.lower() for name, _ in fields):
            raise Breach("a field name in upper case")
        got.blocks.append([(name, value) for name, value in fields])
        got.never_indexed.update(field[0] for field in fields if not field.indexable)
        got.ended = bool(flags & w.END_STREAM)

    def close(self):
        self.socket.close()
