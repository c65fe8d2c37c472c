"""HTTP/2 peers on python3-h2, which shares no code with nghttp2 or gRPC: a client, and a small gRPC upstream."""

import collections
import socket
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from ficus_harness import PATIENCE


def grpc_frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def grpc_messages(data):
    messages = []
    while len(data) >= 5:
        size = struct.unpack(">I", data[1:5])[0]
        messages.append(data[5:5 + size])
        data = data[5 + size:]
    return messages


class Stream:
    def __init__(self):
        self.headers = None
        self.trailers = None
        self.data = b""
        self.ended = False
        self.reset = None

    def header(self, name):
        return dict(self.headers or []).get(name)

    def trailer(self, name):
        return dict(self.trailers or self.headers or []).get(name)


class H2Client:
    """One connection. Single-threaded: every wait reads the socket."""

    def __init__(self, address, settings=None, give_window=True):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.give_window = give_window
        self.streams = collections.defaultdict(Stream)
        self.events = []
        self.closed = False
        if settings:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={**dict(self.h2.local_settings), **settings})
            self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def open(self, path, extra=(), end_stream=False, **pseudo):
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", pseudo.get("method", "POST")), (":scheme", "http"), (":path", path),
                   (":authority", "inventory.test"), ("te", "trailers"), ("content-type", "application/grpc"), *extra]
        self.h2.send_headers(stream, headers, end_stream=end_stream)
        self.flush()
        return stream

    def send(self, stream, data, end_stream=False):
        """Within flow control, reading while it waits for window."""
        end = time.monotonic() + PATIENCE
        if not data and end_stream:
            self.h2.end_stream(stream)
            self.flush()
        while data:
            size = min(len(data), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size == 0:
                self.pump(max(0.01, end - time.monotonic()))
                if time.monotonic() > end:
                    raise AssertionError("no window")
                continue
            self.h2.send_data(stream, data[:size], end_stream=end_stream and size == len(data))
            data = data[size:]
            self.flush()

    def pump(self, patience):
        """Reads once; handles what came."""
        self.socket.settimeout(patience)
        try:
            received = self.socket.recv(1 << 20)
        except socket.timeout:
            return
        except ConnectionError:
            received = b""
        if not received:
            self.closed = True
            return
        for event in self.h2.receive_data(received):
            self.events.append(event)
            stream = self.streams[getattr(event, "stream_id", 0) or 0]
            if isinstance(event, h2.events.ResponseReceived):
                stream.headers = event.headers
            elif isinstance(event, h2.events.TrailersReceived):
                stream.trailers = event.headers
            elif isinstance(event, h2.events.DataReceived):
                stream.data += event.data
                if self.give_window and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                stream.ended = True
            elif isinstance(event, h2.events.StreamReset):
                stream.reset = event.error_code
        self.flush()

    def wait(self, condition, patience=PATIENCE):
        end = time.monotonic() + patience
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or self.closed:
                return condition()
            self.pump(left)
        return True

    def wait_over(self, stream):
        return self.wait(lambda: self.streams[stream].ended or self.streams[stream].reset is not None)

    def call(self, path, message, extra=()):
        stream = self.open(path, extra)
        self.send(stream, grpc_frame(message), end_stream=True)
        if not self.wait_over(stream):
            raise AssertionError("no end of the call")
        return self.streams[stream]

    def close(self):
        self.socket.close()


class H2Upstream:
    """Echoes each request's bytes when it ended; `respond(server, connection, stream, headers, data)` may differ."""

    def __init__(self, settings=None, respond=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.settings = settings or {}
        self.respond = respond or H2Upstream.echo
        self.requests = []  # (headers, data)
        self.connections = 0
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def echo(_server, connection, stream, _headers, data):
        connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        connection.queue(stream, data, [("grpc-status", "0")])

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=_UpstreamConnection(self, peer).run, daemon=True).start()

    def close(self):
        self.listener.close()


class _UpstreamConnection:
    def __init__(self, server, peer):
        self.server = server
        self.socket = peer
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        if server.settings:
            self.h2.local_settings = h2.settings.Settings(
                client=False, initial_values={**dict(self.h2.local_settings), **server.settings})
        self.open = {}     # stream -> (headers, data)
        self.outgoing = {}  # stream -> [data, trailers]

    def send_headers(self, stream, headers, end_stream=False):
        self.h2.send_headers(stream, headers, end_stream=end_stream)

    def queue(self, stream, data, trailers):
        self.outgoing[stream] = [data, trailers]

    def _send_what_fits(self):
        for stream, (data, trailers) in list(self.outgoing.items()):
            while data:
                # Four bytes of padding, which count as data, where there is room.
                window = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                padding = 3 if window > 4 and len(data) < 1000 else None
                size = min(len(data), window - (4 if padding else 0))
                if size <= 0:
                    break
                self.h2.send_data(stream, data[:size], pad_length=padding)
                data = data[size:]
            self.outgoing[stream][0] = data
            if not data:
                self.h2.send_headers(stream, trailers, end_stream=True)
                del self.outgoing[stream]

    def run(self):
        try:
            self.h2.initiate_connection()
            self.socket.sendall(self.h2.data_to_send())
            while True:
                received = self.socket.recv(1 << 20)
                if not received:
                    return
                for event in self.h2.receive_data(received):
                    if isinstance(event, h2.events.RequestReceived):
                        self.open[event.stream_id] = (event.headers, b"")
                    elif isinstance(event, h2.events.DataReceived):
                        headers, data = self.open[event.stream_id]
                        self.open[event.stream_id] = (headers, data + event.data)
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, h2.events.StreamEnded):
                        headers, data = self.open.pop(event.stream_id)
                        with self.server.lock:
                            self.server.requests.append((headers, data))
                        self.server.respond(self.server, self, event.stream_id, headers, data)
                    elif isinstance(event, h2.events.StreamReset):
                        self.open.pop(event.stream_id, None)
                        self.outgoing.pop(event.stream_id, None)
                self._send_what_fits()
                self.socket.sendall(self.h2.data_to_send())
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the peer left, or went on after our GOAWAY, which h2 does not expect
        finally:
            self.socket.close()
