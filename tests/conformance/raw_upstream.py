"""An HTTP/2 server whose answers are the caller's bytes: the other side of the relay, for answers that break rules.

It greets, acknowledges SETTINGS and PINGs, reads requests and gives their window back; what it sends on a call is up to
the test's thread. Each connection has a thread that reads; sending is safe from any thread.
"""

import socket
import threading

import hpack

import wire as w
from ficus_harness import PATIENCE


class Call:
    """A request: the connection and stream it came on, and what came."""

    def __init__(self, connection, stream, fields, never_indexed):
        self.connection = connection
        self.stream = stream
        self.fields = fields
        self.never_indexed = never_indexed
        self.data = b""
        self.ended = threading.Event()
        self.reset = threading.Event()

    def send(self, *frames):
        self.connection.send(*frames)

    def head(self, *extra, end=False):
        """The head of a gRPC answer."""
        return w.headers(self.stream, w.block([(":status", "200"), ("content-type", "application/grpc"), *extra]), end=end)

    def message(self, message):
        return w.data(self.stream, w.grpc_message(message))

    def trailers(self, status=0, *extra):
        return w.headers(self.stream, w.block([("grpc-status", str(status)), *extra]), end=True)

    def answer(self, message):
        return self.head() + self.message(message) + self.trailers()


class RawUpstream:
    def __init__(self, *settings, greeting=None):
        """`settings` go out in the greeting; `greeting` replaces all of it, SETTINGS included, and then nothing more is
        sent unless it is empty (b"" closes at once)."""
        self.greeting = greeting
        self.settings = settings
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.calls = {}  # value of x-case -> Call
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_call(self, tag):
        """The call with `x-case: tag`, which is then forgotten."""
        with self.changed:
            if not self.changed.wait_for(lambda: tag in self.calls, PATIENCE):
                raise AssertionError(f"call {tag} did not reach the upstream")
            return self.calls.pop(tag)

    def add_call(self, tag, call):
        with self.changed:
            self.calls[tag] = call
            self.changed.notify_all()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            connection = Connection(self, peer)
            self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()

    def close(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()


class Connection:
    def __init__(self, server, peer):
        self.server = server
        self.socket = peer
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.calls = {}
        self.lock = threading.Lock()
        self.goaway = None           # code of the peer's GOAWAY
        self.ended = threading.Event()
        self.reading = threading.Event()
        self.reading.set()
        self.ping_acks = []
        self.settings_acks = 0

    def send(self, *frames):
        """What the peer no longer wants to hear is dropped."""
        try:
            with self.lock:
                self.socket.sendall(b"".join(frames))
        except OSError:
            pass

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def run(self):
        if self.server.greeting is None:
            self.send(w.settings(*self.server.settings))
        elif self.server.greeting:
            self.send(self.server.greeting)
        else:
            self.close()
        received = b""
        preface = False
        try:
            while True:
                self.reading.wait()
                got = self.socket.recv(1 << 16)
                if not got:
                    break
                received += got
                if not preface and len(received) >= len(w.PREFACE):
                    preface, received = True, received[len(w.PREFACE):]
                while preface and len(received) >= 9:
                    size = int.from_bytes(received[:3], "big")
                    if len(received) < 9 + size:
                        break
                    self._on_frame(received[3], received[4], int.from_bytes(received[5:9], "big"), received[9:9 + size])
                    received = received[9 + size:]
        except OSError:
            pass
        self.ended.set()
        for call in list(self.calls.values()):
            call.reset.set()

    def _on_frame(self, kind, flags, stream, payload):
        if kind == w.SETTINGS:
            if flags & w.ACK:
                self.settings_acks += 1
            elif self.server.greeting is None:
                self.send(w.settings(ack=True))
        elif kind == w.PING:
            if flags & w.ACK:
                self.ping_acks.append(payload)
            else:
                self.send(w.ping(payload, ack=True))
        elif kind == w.GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == w.RST_STREAM and stream in self.calls:
            self.calls[stream].reset.set()
        elif kind == w.HEADERS:
            start = (1 if flags & w.PADDED else 0) + (5 if flags & w.PRIORITY_FLAG else 0)
            self.fragment = payload[start:len(payload) - (payload[0] if flags & w.PADDED else 0)]
            self.fragment_end = flags & w.END_STREAM
        elif kind == w.CONTINUATION:
            self.fragment += payload
        elif kind == w.DATA and stream in self.calls:
            call = self.calls[stream]
            call.data += payload[1:len(payload) - payload[0]] if flags & w.PADDED else payload
            if payload and self.server.greeting is None:
                self.send(w.window_update(0, len(payload)), w.window_update(stream, len(payload)))
            if flags & w.END_STREAM:
                call.ended.set()
        if kind in (w.HEADERS, w.CONTINUATION) and flags & w.END_HEADERS:
            fields = self.decoder.decode(self.fragment)
            call = self.calls.get(stream)
            if call is None:
                never = {field[0] for field in fields if not field.indexable}
                call = self.calls[stream] = Call(self, stream, [tuple(field) for field in fields], never)
                self.server.add_call(dict(call.fields).get("x-case"), call)
            if self.fragment_end:
                call.ended.set()
