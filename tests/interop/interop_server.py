"""The interop test server in Python: grpc.testing.TestService as the descriptions have it, and a record of each call.

Prints {"port":N} when it listens, a record a line as calls end, and goes when its standard input closes. A call's
record is written by grpcio's termination callback: only then is "cancelled" a fact."""

import argparse
import concurrent.futures
import json
import math
import sys
import threading

import grpc
import test_service_pb2 as pb

import peer

# Threads that play handlers. A duplex call holds one until it ends, and one is over before the next begins.
THREADS = 8
# Seconds. grpcio tells a call without a deadline as one that has some 300 thousand million years.
FOREVER = 1e9


class ServedCall:
    def __init__(self, context, method):
        self.context = context
        self.record = peer.Record("server", peer.SERVICE + method)
        self.requests_ended = False
        self._over = threading.Event()
        metadata = context.invocation_metadata()
        self.record.add_metadata("metadata", metadata)
        left = context.time_remaining()
        if left is not None and left < FOREVER:
            self.record.fields["deadline_ms"] = math.ceil(left * 1000)
        found = dict(metadata)
        if peer.ECHO_INITIAL in found:
            context.send_initial_metadata(((peer.ECHO_INITIAL, found[peer.ECHO_INITIAL]),))
        if peer.ECHO_TRAILING in found:
            context.set_trailing_metadata(((peer.ECHO_TRAILING, found[peer.ECHO_TRAILING]),))
        if not context.add_callback(self._on_done):
            self._on_done()

    def _on_done(self):
        if not self._over.is_set():
            self._over.set()
            # No public word tells a cancelled call from one that ended by itself once the handler is through, and a
            # handler may be: to a stream's reader a reset can look like a half-close.
            cancelled = self.context._state.client == "cancelled"  # pylint: disable=protected-access
            self.record.fields["cancelled"] = cancelled
            self.record.fields["half_closed"] = self.requests_ended and not cancelled
            self.record.write()

    def on_request(self, received, kind):
        """Gives the message, or ends the call if it did not come as it says."""
        self.record.add_message(received)
        request = received.parse(kind)
        if "expect_compressed" in kind.DESCRIPTOR.fields_by_name and request.HasField("expect_compressed") \
                and request.expect_compressed.value != received.compressed:
            self.abort(grpc.StatusCode.INVALID_ARGUMENT, "compressed" if received.compressed else "not compressed")
        return request

    def abort(self, code, detail):
        self.context.abort(code, detail)

    def end_if_asked(self, request):
        if request.HasField("response_status"):
            code = next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code)
            self.abort(code, request.response_status.message)


def payload(size):
    return pb.Payload(body=bytes(size))


def empty_call(received, context):
    call = ServedCall(context, "EmptyCall")
    call.on_request(received, pb.Empty)
    call.requests_ended = True
    return pb.Empty()


def unary_call(received, context):
    call = ServedCall(context, "UnaryCall")
    call.requests_ended = True
    request = call.on_request(received, pb.SimpleRequest)
    call.end_if_asked(request)
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    return pb.SimpleResponse(payload=payload(request.response_size))


def streaming_input_call(requests, context):
    call = ServedCall(context, "StreamingInputCall")
    total = 0
    for received in requests:
        total += len(call.on_request(received, pb.StreamingInputCallRequest).payload.body)
    call.requests_ended = True
    return pb.StreamingInputCallResponse(aggregated_payload_size=total)


def replies(request, context):
    for wanted in request.response_parameters:
        if not wanted.compressed.value:
            context.disable_next_message_compression()
        yield pb.StreamingOutputCallResponse(payload=payload(wanted.size))


def streaming_output_call(received, context):
    call = ServedCall(context, "StreamingOutputCall")
    call.requests_ended = True
    request = call.on_request(received, pb.StreamingOutputCallRequest)
    call.end_if_asked(request)
    if any(wanted.compressed.value for wanted in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    yield from replies(request, context)


def full_duplex_call(requests, context):
    call = ServedCall(context, "FullDuplexCall")
    for received in requests:
        request = call.on_request(received, pb.StreamingOutputCallRequest)
        call.end_if_asked(request)
        yield from replies(request, context)
    call.requests_ended = True


def service():
    coders = {"request_deserializer": peer.Received, "response_serializer": lambda message: message.SerializeToString()}
    return grpc.method_handlers_generic_handler("grpc.testing.TestService", {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(empty_call, **coders),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(unary_call, **coders),
        "StreamingInputCall": grpc.stream_unary_rpc_method_handler(streaming_input_call, **coders),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(streaming_output_call, **coders),
        "FullDuplexCall": grpc.stream_stream_rpc_method_handler(full_duplex_call, **coders),
    })


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--tls-cert", help="certificate chain (PEM); with --tls-key: TLS")
    parser.add_argument("--tls-key")
    arguments = parser.parse_args()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(THREADS), handlers=[service()], options=peer.OPTIONS)
    if arguments.tls_cert:
        pair = (peer.file_bytes(arguments.tls_key), peer.file_bytes(arguments.tls_cert))
        port = server.add_secure_port(arguments.listen, grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port(arguments.listen)
    server.start()
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()
    server.stop(0).wait()


if __name__ == "__main__":
    main()
