"""What really passes between two HTTP/2 peers: a relay of bytes that keeps a copy, and the calls read out of the copy.

gRPC's APIs hide what the interop descriptions are about (the compressed flag, above all), each language in its own way.
So over cleartext the tap has the last word: flags, message bytes as they were sent, heads and trailers with their
values as they stood on the wire, half-closes and resets. python3-hpack and python3-hyperframe decode; neither shares
code with nghttp2 or gRPC."""

import base64
import hashlib
import socket
import struct
import threading

import hpack
import hyperframe.frame as frames

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TABLE_LIMIT = 1 << 20  # of header tables; gRPC asks for less, and what it asks for is not this decoder's business


class WireTap:
    """Listens on loopback and relays each connection to `target` ("HOST:PORT"). One thread accepts, two relay each."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._copies = []  # (from the client, from the server) of each connection
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            copies = (bytearray(), bytearray())
            self._copies.append(copies)
            self._sockets += [client, server]
            for source, sink, copy in ((client, server, copies[0]), (server, client, copies[1])):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(source, sink, copy), daemon=True).start()

    @staticmethod
    def _pump(source, sink, copy):
        """The copy is made before the bytes go on: what a peer has acted upon is in it."""
        try:
            while chunk := source.recv(1 << 16):
                copy += chunk
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def calls(self, key):
        """The calls so far, by the value of their request's header `key`; those without it are left out."""
        found = {}
        for copies in list(self._copies):
            requests, responses = (_streams(bytes(copy)) for copy in copies)
            for number, request in requests.items():
                tag = dict(request.blocks[0][0]).get(key) if request.blocks else None
                if tag is not None:
                    response = responses.get(number, Half())
                    found[tag] = {"request": request.as_request(), "response": response.as_response()}
        return found

    def close(self):
        for one in (self._listener, *self._sockets):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


class Half:
    """One direction of one stream."""

    def __init__(self):
        self.blocks = []  # (headers, END_STREAM)
        self.data = bytearray()
        self.ended = False
        self.reset = None

    def _end(self):
        # After END_STREAM a reset says only that the other half does not matter any more (RFC 9113 8.1).
        return "ended" if self.ended else "open" if self.reset is None else f"reset {self.reset}"

    def as_request(self):
        return {"headers": by_name(self.blocks[0][0]), "messages": messages(self.data), "end": self._end()}

    def as_response(self):
        """With trailers only, the one block is both head and trailers, and stands as the latter."""
        first, last = (self.blocks[0], self.blocks[-1]) if self.blocks else (([], False), ([], False))
        return {"headers": {} if first[1] else by_name(first[0]), "trailers": by_name(last[0]) if last[1] else {},
                "trailers_only": first[1], "blocks": len(self.blocks), "messages": messages(self.data),
                "end": self._end()}


def by_name(headers):
    """Values of one name keep their order; the order of different names says nothing (RFC 9110 5.3)."""
    lists = {}
    for name, value in headers:
        lists.setdefault(name, []).append(binary_value(value) if name.endswith("-bin") else value)
    return lists


def binary_value(value):
    """The bytes of a -bin header in hex. How they are written is each hop's own affair: in base64, padded or not, or,
    where both ends set gRPC's "true binary" setting (0xfe03), as they are behind a zero byte."""
    if value.startswith("\0"):
        return value[1:].encode("latin-1").hex()
    return ",".join(base64.b64decode(part + "=" * (-len(part) % 4), validate=True).hex() for part in value.split(","))


def messages(data):
    """gRPC's length-prefixed messages: flag, length and digest of the bytes as sent; a cut one says so."""
    found = []
    while data:
        flag, size = struct.unpack(">BI", data[:5]) if len(data) >= 5 else (None, 0)
        body = bytes(data[5:5 + size])
        found.append({"flag": flag, "bytes": size, "sha256": hashlib.sha256(body).hexdigest(),
                      "whole": flag is not None and len(body) == size})
        data = data[5 + size:]
    return found


def _text(header):
    return tuple(part if isinstance(part, str) else part.decode("latin-1") for part in header[:2])


def _streams(copy):
    """The halves that one direction of a connection carried, by stream identifier."""
    position = len(PREFACE) if copy.startswith(PREFACE) else 0
    decoder = hpack.Decoder(max_header_list_size=1 << 20)
    decoder.max_allowed_table_size = TABLE_LIMIT
    halves, block, block_ends = {}, b"", False
    while position + 9 <= len(copy):
        frame, size = frames.Frame.parse_frame_header(memoryview(copy[position:position + 9]))
        if position + 9 + size > len(copy):
            break
        frame.parse_body(memoryview(copy[position + 9:position + 9 + size]))
        position += 9 + size
        if frame.stream_id == 0:
            continue
        half = halves.setdefault(frame.stream_id, Half())
        if isinstance(frame, (frames.HeadersFrame, frames.ContinuationFrame)):
            if isinstance(frame, frames.HeadersFrame):
                block, block_ends = b"", "END_STREAM" in frame.flags
            block += frame.data
            if "END_HEADERS" in frame.flags:
                half.blocks.append(([_text(header) for header in decoder.decode(block, raw=True)], block_ends))
                half.ended |= block_ends
        elif isinstance(frame, frames.DataFrame):
            half.data += frame.data
            half.ended |= "END_STREAM" in frame.flags
        elif isinstance(frame, frames.RstStreamFrame):
            half.reset = frame.error_code
    return halves
