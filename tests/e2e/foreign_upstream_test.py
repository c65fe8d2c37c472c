"""Upstreams on python3-h2 behind ficus, called by grpcio: ficus's client side against a foreign stack."""

import concurrent.futures
import os
import sys
import unittest

import grpc
import h2.settings

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from ficus_harness import FicusTestCase, GRPC_OPTIONS, PATH, wait_until  # noqa: E402
from h2_peer import H2Upstream, grpc_frame  # noqa: E402

Codes = h2.settings.SettingCodes


class ForeignUpstreamTest(FicusTestCase):
    def reach(self, **options):
        """A callable for unary calls of bytes that go through ficus to a python3-h2 upstream."""
        self.upstream = H2Upstream(**options)
        self.addCleanup(self.upstream.close)
        self.ficus = self.start_ficus(self.upstream.address)
        channel = grpc.insecure_channel(self.ficus.address, options=GRPC_OPTIONS)
        self.addCleanup(channel.close)
        self.channel = channel
        return channel.unary_unary(PATH)

    def test_calls_pass_both_ways(self):
        call = self.reach()
        for size in (0, 1, 1000, 70000):
            message = os.urandom(size)
            self.assertEqual(call(message, timeout=10), message)

    def test_small_windows_and_no_header_table_do(self):
        call = self.reach(settings={Codes.INITIAL_WINDOW_SIZE: 1000, Codes.HEADER_TABLE_SIZE: 0})
        for i in range(5):
            message = os.urandom(100000)
            self.assertEqual(call(message, timeout=10, metadata=(("x-turn", str(i) * 200),)), message)
        headers = dict(self.upstream.requests[-1][0])
        self.assertEqual(headers["x-turn"], "4" * 200)
        self.assertIn("traceparent", headers)
        self.assertNotIn("connection", headers)

    def test_four_megabytes_pass(self):
        message = os.urandom(4 << 20)
        self.assertEqual(self.reach()(message, timeout=20), message)

    def test_one_stream_a_connection_makes_more_connections(self):
        call = self.reach(settings={Codes.MAX_CONCURRENT_STREAMS: 1})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(call, b"%d" % i, 10) for i in range(40)]
            self.assertEqual([future.result() for future in futures], [b"%d" % i for i in range(40)])

    def test_a_trailers_only_error_arrives(self):
        def refuse(_server, connection, stream, _headers, _data):
            connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc"),
                                             ("grpc-status", "7"), ("grpc-message", "not%20you"),
                                             ("x-why", "because")], end_stream=True)

        with self.assertRaises(grpc.RpcError) as caught:
            self.reach(respond=refuse)(b"m", timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(caught.exception.details(), "not you")
        self.assertIn(("x-why", "because"), list(caught.exception.trailing_metadata()))

    def test_a_reset_becomes_a_status(self):
        def reset(_server, connection, stream, _headers, _data):
            connection.h2.reset_stream(stream, error_code=11)  # ENHANCE_YOUR_CALM

        with self.assertRaises(grpc.RpcError) as caught:
            self.reach(respond=reset)(b"m", timeout=10)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertTrue(caught.exception.details().startswith("policy-new: "), caught.exception.details())

    def test_after_a_goaway_the_next_call_takes_a_new_connection(self):
        def answer_and_leave(_server, connection, stream, headers, data):
            H2Upstream.echo(_server, connection, stream, headers, data)
            connection._send_what_fits()
            connection.h2.close_connection()

        call = self.reach(respond=answer_and_leave)
        for i in range(10):
            self.assertEqual(call(b"%d" % i, timeout=10), b"%d" % i)
        self.assertTrue(wait_until(lambda: self.upstream.connections >= 10))

    def test_grpcio_calls_of_all_four_kinds(self):
        self.reach()
        self.assertEqual(list(self.channel.unary_stream(PATH)(b"u", timeout=10)), [b"u"])
        self.assertEqual(self.channel.stream_unary(PATH)(iter([b"s"]), timeout=10), b"s")
        self.assertEqual(list(self.channel.stream_stream(PATH)(iter([b"a", b"", b"c"]), timeout=10)), [b"a", b"", b"c"])
        self.assertEqual(list(self.channel.stream_stream(PATH)(iter([]), timeout=10)), [])

    def test_compressed_messages_pass_undecoded(self):
        def short(_server, connection, stream, _headers, _data):
            H2Upstream.echo(_server, connection, stream, _headers, grpc_frame(b"short"))

        message = b"z" * 50000
        self.assertEqual(self.reach(respond=short)(message, timeout=10, compression=grpc.Compression.Gzip), b"short")
        headers, data = self.upstream.requests[-1]
        self.assertEqual(dict(headers)["grpc-encoding"], "gzip")
        self.assertEqual(data[0], 1, "the compressed flag is gone")
        self.assertLess(len(data), 5000, "the message was inflated on the way")


if __name__ == "__main__":
    unittest.main()
