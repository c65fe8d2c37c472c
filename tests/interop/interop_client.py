"""The interop test client in Python: plays the cases of the public descriptions, each as its procedure says, and prints
a record of every call. It judges nothing: what a case must show stands in expectations.py, once for all clients.

Two things grpcio cannot say, and how they are done all the same: an uncompressed message in a compressed call is one
that gzip does not shrink, which core then sends as it is; flags of messages that come are read off undecoded bytes."""

import argparse
import queue
import random

import grpc
import test_service_pb2 as pb

import peer

LARGE_REQUEST, LARGE_REPLY = 271828, 314159
END = object()


def incompressible(size):
    return random.Random(size).randbytes(size)


def large_request(**fields):
    return pb.SimpleRequest(response_size=LARGE_REPLY, payload=pb.Payload(body=bytes(LARGE_REQUEST)), **fields)


def ask(reply, body):
    return pb.StreamingOutputCallRequest(response_parameters=[pb.ResponseParameters(size=reply)],
                                         payload=pb.Payload(body=bytes(body)))


def flag(value):
    return pb.BoolValue(value=value)


class Requests:
    """The requests of one call, given one by one; iterating waits for the next."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def send(self, request):
        self._queue.put(request)

    def half_close(self):
        self._queue.put(END)

    def __iter__(self):
        return iter(self._queue.get, END)


class Client:
    def __init__(self, channel, run):
        coders = {"request_serializer": lambda message: message.SerializeToString(),
                  "response_deserializer": peer.Received}
        self._kinds = {kind: lambda path, make=getattr(channel, kind): make(path, **coders)
                       for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")}
        self._run, self._case, self._calls = run, "", 0

    def play(self, case):
        self._case, self._calls = case, 0
        getattr(self, case)()

    # One call each: makes it, awaits it, writes its record.

    def _prepare(self, kind, path, metadata=(), **options):
        """A record, and what begins the call: start(NAME_OF_THE_CALLABLE'S_METHOD, REQUEST)."""
        self._calls += 1
        tag = f"{self._run} {self._case} {self._calls}"
        record = peer.Record("client", path)
        record.fields["call"] = tag
        method = self._kinds[kind](path)
        return record, lambda how, request: getattr(method, how)(
            request, metadata=((peer.CALL_KEY, tag), *metadata), wait_for_ready=True, **options)

    def _begin(self, kind, path, request, **options):
        record, start = self._prepare(kind, path, **options)
        return record, start("__call__" if kind.endswith("_stream") else "future", request)

    @staticmethod
    def _end(record, call):
        """A call's end, awaited; a unary answer's message was read by then, if there is one."""
        record.fields["code"] = call.code().value[0]
        record.fields["detail"] = call.details() or ""
        record.add_metadata("initial", call.initial_metadata())
        record.add_metadata("trailing", call.trailing_metadata())
        record.write()

    def _end_with_reply(self, record, call):
        if call.code() is grpc.StatusCode.OK:
            record.add_message(call.result())
        self._end(record, call)

    @staticmethod
    def _read(record, call):
        """The next message, or None at the end, whatever the end is."""
        try:
            received = next(call)
        except (StopIteration, grpc.RpcError):
            return None
        record.add_message(received)
        return received

    def _unary(self, method, request, service=peer.SERVICE, **options):
        self._end_with_reply(*self._begin("unary_unary", service + method, request, **options))

    def _input(self, requests, half_close=True, **options):
        """Blocking: grpcio 1.51's stream_unary(...).future() takes `compression` and forgets it."""
        stream = Requests()
        for request in requests:
            stream.send(request)
        if half_close:
            stream.half_close()
        record, start = self._prepare("stream_unary", peer.SERVICE + "StreamingInputCall", **options)
        try:
            reply, call = start("with_call", iter(stream))
            record.add_message(reply)
        except grpc.RpcError as error:
            call = error
        stream.half_close()  # of a call that is over: lets grpcio's consuming thread go
        self._end(record, call)

    def _output(self, request):
        record, call = self._begin("unary_stream", peer.SERVICE + "StreamingOutputCall", request)
        while self._read(record, call):
            pass
        self._end(record, call)

    def _duplex(self, requests, cancel_after_first=False, half_close=True, **options):
        """Each request goes once its predecessor is answered."""
        stream = Requests()
        record, call = self._begin("stream_stream", peer.SERVICE + "FullDuplexCall", iter(stream), **options)
        for request in requests:
            stream.send(request)
            if not self._read(record, call):
                break
            if cancel_after_first:
                call.cancel()
        if half_close and not cancel_after_first:
            stream.half_close()
        while self._read(record, call):
            pass
        stream.half_close()  # see _input
        self._end(record, call)

    # The cases, in the descriptions' order.

    def empty_unary(self):
        self._unary("EmptyCall", pb.Empty())

    def large_unary(self):
        self._unary("UnaryCall", large_request())

    def client_compressed_unary(self):
        self._unary("UnaryCall", large_request(expect_compressed=flag(True)))  # the probe
        self._unary("UnaryCall", large_request(expect_compressed=flag(True)), compression=grpc.Compression.Gzip)
        self._unary("UnaryCall", large_request(expect_compressed=flag(False)))

    def server_compressed_unary(self):
        for compressed in (True, False):
            self._unary("UnaryCall", large_request(response_compressed=flag(compressed)))

    def client_streaming(self):
        self._input([pb.StreamingInputCallRequest(payload=pb.Payload(body=bytes(size)))
                     for size in (27182, 8, 1828, 45904)])

    def client_compressed_streaming(self):
        first = pb.StreamingInputCallRequest(expect_compressed=flag(True), payload=pb.Payload(body=bytes(27182)))
        second = pb.StreamingInputCallRequest(expect_compressed=flag(False),
                                              payload=pb.Payload(body=incompressible(45904)))
        self._input([first], half_close=False)  # the probe
        self._input([first, second], compression=grpc.Compression.Gzip)

    def server_streaming(self):
        self._output(pb.StreamingOutputCallRequest(
            response_parameters=[pb.ResponseParameters(size=size) for size in (31415, 9, 2653, 58979)]))

    def server_compressed_streaming(self):
        self._output(pb.StreamingOutputCallRequest(
            response_parameters=[pb.ResponseParameters(size=size, compressed=flag(compressed))
                                 for size, compressed in ((31415, True), (92653, False))]))

    def ping_pong(self):
        self._duplex([ask(31415, 27182), ask(9, 8), ask(2653, 1828), ask(58979, 45904)])

    def empty_stream(self):
        self._duplex([])

    def custom_metadata(self):
        custom = ((peer.ECHO_INITIAL, "test_initial_metadata_value"), (peer.ECHO_TRAILING, b"\xab\xab\xab"),
                  # Beyond the description: what a relay likes to spoil.
                  ("x-interop-twice", "first, with a comma"), ("x-interop-twice", "second"), ("x-interop-empty", ""),
                  ("x-interop-bytes-bin", b"\x00\xff,\x01"), ("x-interop-bytes-bin", b"\xfe"))
        self._unary("UnaryCall", large_request(), metadata=custom)
        self._duplex([ask(LARGE_REPLY, LARGE_REQUEST)], metadata=custom)

    def status_code_and_message(self):
        status = pb.EchoStatus(code=2, message="test status message")
        self._unary("UnaryCall", pb.SimpleRequest(response_status=status))
        self._duplex([pb.StreamingOutputCallRequest(response_status=status)])

    def special_status_message(self):
        message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
        self._unary("UnaryCall", pb.SimpleRequest(response_status=pb.EchoStatus(code=2, message=message)))

    def unimplemented_method(self):
        self._unary("UnimplementedCall", pb.Empty())

    def unimplemented_service(self):
        self._unary("UnimplementedCall", pb.Empty(), service="/grpc.testing.UnimplementedService/")

    def cancel_after_begin(self):
        stream = Requests()
        record, call = self._begin("stream_unary", peer.SERVICE + "StreamingInputCall", iter(stream))
        call.cancel()
        stream.half_close()
        self._end(record, call)

    def cancel_after_first_response(self):
        self._duplex([ask(31415, 27182)], cancel_after_first=True)

    def _time_out(self, seconds):
        self._duplex([pb.StreamingOutputCallRequest(payload=pb.Payload(body=bytes(27182)))], half_close=False,
                     timeout=seconds)

    def timeout_on_sleeping_server(self):
        self._time_out(0.001)

    def timeout_seen_by_server(self):
        """Beyond the description: long enough to be seen by the server, whose side of it is the point."""
        self._time_out(2.0)


CASES = [name for name in vars(Client) if not name.startswith("_") and name != "play"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--run", default="run", help="a word that every call carries")
    parser.add_argument("--case", nargs="*", default=CASES, choices=CASES)
    parser.add_argument("--tls-ca", help="trusted certificates (PEM); makes the channel TLS")
    parser.add_argument("--tls-name", help="the name to expect in the certificate, and :authority")
    arguments = parser.parse_args()
    options = list(peer.OPTIONS)
    if arguments.tls_name:
        options.append(("grpc.ssl_target_name_override", arguments.tls_name))
    if arguments.tls_ca:
        credentials = grpc.ssl_channel_credentials(peer.file_bytes(arguments.tls_ca))
        channel = grpc.secure_channel(arguments.target, credentials, options=options)
    else:
        channel = grpc.insecure_channel(arguments.target, options=options)
    with channel:
        client = Client(channel, arguments.run)
        for case in arguments.case:
            client.play(case)


if __name__ == "__main__":
    main()
