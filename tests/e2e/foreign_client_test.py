"""The listener driven by an HTTP/2 stack that is neither nghttp2 nor gRPC: python3-h2, towards a grpcio server."""

import concurrent.futures
import os
import sys
import unittest

import grpc
import h2.events
import h2.settings

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from ficus_harness import FicusTestCase, PATH  # noqa: E402
from h2_peer import H2Client, grpc_frame, grpc_messages  # noqa: E402

Codes = h2.settings.SettingCodes


class EchoHandler(grpc.GenericRpcHandler):
    """Every method echoes its messages; `Fail` ends with NOT_FOUND and trailers."""

    def service(self, details):
        if details.method.endswith("/Fail"):
            return grpc.stream_stream_rpc_method_handler(self.fail)
        return grpc.stream_stream_rpc_method_handler(self.echo)

    @staticmethod
    def echo(requests, context):
        context.send_initial_metadata((("x-early", "1"), ("x-early-bin", b"\x00\xff")))
        yield from requests
        context.set_trailing_metadata((("x-last", "2"),))

    @staticmethod
    def fail(requests, context):
        for _ in requests:
            pass
        context.set_trailing_metadata((("x-why", "gone"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 %")
        yield b""  # makes this a generator


class ForeignClientTest(FicusTestCase):
    def setUp(self):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=[EchoHandler()],
                                  options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1),
                                           ("grpc.max_send_message_length", -1)])
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.addCleanup(lambda: self.server.stop(0).wait())
        self.ficus = self.start_ficus("127.0.0.1:%d" % port)

    def connect(self, **options):
        client = H2Client(self.ficus.address, **options)
        self.addCleanup(client.close)
        return client

    def test_a_unary_call_arrives_with_metadata_and_trailers(self):
        got = self.connect().call(PATH, b"hello")
        self.assertEqual(got.header(":status"), "200")
        self.assertEqual(got.header("x-early"), "1")
        self.assertEqual(got.header("x-early-bin").rstrip("="), "AP8")
        self.assertEqual(grpc_messages(got.data), [b"hello"])
        self.assertEqual(got.trailer("grpc-status"), "0")
        self.assertEqual(got.trailer("x-last"), "2")

    def test_an_error_arrives_with_message_and_trailers(self):
        got = self.connect().call("/s.S/Fail", b"hello")
        self.assertEqual(got.trailer("grpc-status"), "5")
        self.assertIn("no such thing: 100 %25", got.trailer("grpc-message"))
        self.assertEqual(got.trailer("x-why"), "gone")

    def test_a_stream_is_answered_message_by_message(self):
        client = self.connect()
        stream = client.open(PATH)
        for i in range(20):
            client.send(stream, grpc_frame(b"m%d" % i))
            self.assertTrue(client.wait(lambda: len(grpc_messages(client.streams[stream].data)) == i + 1))
        client.send(stream, b"", end_stream=True)
        self.assertTrue(client.wait_over(stream))
        self.assertEqual(client.streams[stream].trailer("grpc-status"), "0")

    def test_ten_megabytes_pass_within_flow_control(self):
        message = os.urandom(10 << 20)
        for settings in ({}, {Codes.INITIAL_WINDOW_SIZE: 4096},
                         {Codes.INITIAL_WINDOW_SIZE: 1 << 24, Codes.MAX_FRAME_SIZE: 1 << 20}):
            got = self.connect(settings=settings).call(PATH, message)
            self.assertEqual(grpc_messages(got.data), [message], settings)
            self.assertEqual(got.trailer("grpc-status"), "0")

    def test_header_tables_of_any_size_do(self):
        for size in (0, 1, 4096, 65536):
            client = self.connect(settings={Codes.HEADER_TABLE_SIZE: size})
            for i in range(10):
                extra = [("x-repeated", "v" * 100), ("x-changing", str(i) * 50)]
                got = client.call(PATH, b"m", extra)
                self.assertEqual(got.trailer("grpc-status"), "0", f"table of {size}, call {i}")

    def test_settings_changed_in_the_middle_are_honoured(self):
        client = self.connect(give_window=False)
        stream = client.open(PATH)
        client.send(stream, grpc_frame(b"x" * 200000), end_stream=True)
        self.assertTrue(client.wait(lambda: len(client.streams[stream].data) >= 65535))
        client.h2.update_settings({Codes.INITIAL_WINDOW_SIZE: 150000})
        client.h2.increment_flow_control_window(1 << 20)
        client.flush()
        self.assertTrue(client.wait(lambda: len(client.streams[stream].data) >= 150000))
        self.assertFalse(client.streams[stream].ended)
        client.h2.increment_flow_control_window(1 << 20, stream)
        client.flush()
        self.assertTrue(client.wait_over(stream))
        self.assertEqual(len(client.streams[stream].data), 200005)

    def test_a_hundred_streams_at_once_keep_apart(self):
        client = self.connect()
        streams = {client.open(PATH): b"call %d" % i for i in range(100)}
        for stream, message in reversed(list(streams.items())):
            client.send(stream, grpc_frame(message), end_stream=True)
        for stream, message in streams.items():
            self.assertTrue(client.wait_over(stream))
            self.assertEqual(grpc_messages(client.streams[stream].data), [message])

    def test_pings_are_answered_and_priorities_ignored(self):
        client = self.connect()
        client.h2.ping(b"12345678")
        client.flush()
        self.assertTrue(client.wait(lambda: any(isinstance(e, h2.events.PingAckReceived) for e in client.events)))
        stream = client.open(PATH)
        client.h2.prioritize(stream, weight=200, depends_on=0, exclusive=True)
        client.send(stream, grpc_frame(b"m"), end_stream=True)
        self.assertTrue(client.wait_over(stream))
        self.assertEqual(client.streams[stream].trailer("grpc-status"), "0")

    def test_a_foreign_content_type_is_answered_with_415(self):
        client = self.connect()
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "a"),
                                        ("content-type", "application/json")], end_stream=True)
        client.flush()
        self.assertTrue(client.wait_over(stream))
        self.assertEqual(client.streams[stream].header(":status"), "415")

    def test_draining_finishes_the_open_call_and_says_goaway_twice(self):
        client = self.connect()
        stream = client.open(PATH)
        client.send(stream, grpc_frame(b"one"))
        self.assertTrue(client.wait(lambda: client.streams[stream].data))
        self.ficus.terminate()

        def goaways():
            return [e for e in client.events if isinstance(e, h2.events.ConnectionTerminated)]

        # h2 closes its state machine at the first GOAWAY, so that only its arrival and content are judged here.
        self.assertTrue(client.wait(goaways))
        self.assertEqual(goaways()[0].last_stream_id, 2**31 - 1)
        self.assertEqual(goaways()[0].error_code, 0)


if __name__ == "__main__":
    unittest.main()
