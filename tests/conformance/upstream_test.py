"""ficus before an upstream that breaks the protocol: the call fails cleanly, and no other call notices.

Cleanly: the client gets an end with the right grpc-status within its patience, never silence, never a reset it has to
guess from, never octets of another call. Two arrangements: an upstream that takes one stream a connection, so that each
call has a connection of its own (faults of a connection), and one that takes many (faults of a stream).
"""

import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import wire as w  # noqa: E402
from ficus_harness import FicusTestCase, PATH, PATIENCE, wait_until  # noqa: E402
from peer import Peer, Target  # noqa: E402
from raw_upstream import RawUpstream  # noqa: E402
from upstream_faults import BROKEN, CONNECTION_FAULTS, MESSAGE, ODDITIES, STREAM_FAULTS  # noqa: E402


class Client:
    """A connection to ficus whose calls have tags."""

    def __init__(self, test, *settings):
        host, port = test.ficus.address.rsplit(":", 1)
        self.test = test
        self.peer = Peer(Target(host, int(port), PATH, "inventory.test", "http", True, False, PATIENCE))
        test.addCleanup(self.peer.close)
        self.peer.handshake(*settings)
        self.next = 1

    def begin(self, message=b"hello", extra=()):
        """A call at the upstream, its request whole: (our stream, the upstream's Call)."""
        stream, self.next = self.next, self.next + 2
        self.test.tags += 1
        tag = str(self.test.tags)
        self.peer.send(self.peer.head(stream, ("x-case", tag), *extra), self.peer.body(stream, message))
        call = self.test.upstream.wait_call(tag)
        self.test.assertTrue(call.ended.wait(PATIENCE), "the request did not arrive whole")
        return stream, call

    def end(self, stream, patience=PATIENCE):
        """What the client got: ended, or a failure."""
        got = self.peer.streams[stream]
        if not self.peer.wait(lambda: got.ended or got.reset is not None, patience):
            raise AssertionError("the connection ended" if self.peer.closed else "the call hangs")
        return got

    def expect_answer(self, stream, call, message):
        call.send(call.answer(message))
        self.expect_answered(stream, message)

    def expect_answered(self, stream, message):
        got = self.end(stream)
        self.test.assertEqual((got.reset, got.grpc_status, got.data), (None, "0", w.grpc_message(message)))


class UpstreamTest(FicusTestCase):
    def begin(self, *settings, greeting=None):
        self.tags = 0
        self.upstream = RawUpstream(*settings, greeting=greeting)
        self.addCleanup(self.upstream.close)
        self.ficus = self.start_ficus(self.upstream.address)

    def run_faults(self, faults, shared):
        """Each fault on a call of its own, while a bystander's call is in flight."""
        client, bystander = Client(self), Client(self)
        for fault in faults:
            with self.subTest(fault.name):
                before = self.tags
                other, held = bystander.begin()
                held.send(held.head(), held.message(b"first"))
                stream, call = client.begin()
                self.assertEqual(call.connection is held.connection, shared, "the arrangement is not as meant")
                fault.act(call)
                try:
                    got = client.end(stream)
                    self.assertIsNone(got.reset, "a reset instead of a status")
                    self.assertIn(got.grpc_status, fault.accepted)
                    if fault.accepted == {"0"}:
                        self.assertEqual(got.data, MESSAGE)
                    else:
                        self.assertNotIn(b"first", got.data, "octets of another call")
                        message = dict(got.blocks[-1]).get("grpc-message", "")
                        if got.grpc_status not in ("0", None):
                            self.assertTrue(message.startswith("policy-new: "), f"grpc-message {message!r}")
                finally:
                    held.send(held.message(b"second"), held.trailers())
                    whole = bystander.end(other)
                    self.assertEqual((whole.grpc_status, whole.data), (
                        "0", w.grpc_message(b"first") + w.grpc_message(b"second")), "the bystander was harmed")
                    if client.peer.closed:
                        client = Client(self)
                stream, call = client.begin()
                client.expect_answer(stream, call, b"next")
                self.assertEqual(self.tags, before + 3)

    def test_faults_of_a_connection_cost_its_calls_only(self):
        self.begin((w.MAX_CONCURRENT_STREAMS, 1))
        self.run_faults(CONNECTION_FAULTS, shared=False)

    def test_faults_of_a_stream_cost_its_call_only(self):
        self.begin((w.MAX_CONCURRENT_STREAMS, 100))
        self.run_faults(STREAM_FAULTS, shared=True)

    def test_oddities_that_are_right_pass(self):
        self.begin((w.MAX_CONCURRENT_STREAMS, 1))
        self.run_faults(ODDITIES, shared=False)

    def test_an_upstream_that_greets_badly_is_unavailable(self):
        greetings = {
            "garbage": b"\x00\xff" * 500, "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "a head first": w.headers(1, b"\x88"), "a PING first": w.ping(), "an acknowledgement first": w.settings(ack=True),
            "SETTINGS of 5 octets": w.frame(w.SETTINGS, 0, 0, b"12345"), "SETTINGS on a stream": w.frame(w.SETTINGS, 0, 1),
            "MAX_FRAME_SIZE of 1": w.settings((w.MAX_FRAME_SIZE, 1)),
            "INITIAL_WINDOW_SIZE of 2^31": w.settings((w.INITIAL_WINDOW_SIZE, 2**31)),
            "ENABLE_PUSH": w.settings((w.ENABLE_PUSH, 1)), "the end": b"",
            "GOAWAY": w.settings() + w.goaway(0, w.ENHANCE_YOUR_CALM)}
        for name, greeting in greetings.items():
            with self.subTest(name):
                self.begin(greeting=greeting)
                client = Client(self)
                client.peer.send(client.peer.head(1, ("x-case", "x"), ("grpc-timeout", "5S")), client.peer.body(1))
                got = client.end(1)
                self.assertIsNone(got.reset)
                self.assertIn(got.grpc_status, BROKEN)

    def test_a_header_list_of_a_megabyte_costs_its_call_only(self):
        self.begin((w.MAX_CONCURRENT_STREAMS, 100))
        client, bystander = Client(self), Client(self)
        for where in ("head", "trailers"):
            with self.subTest(where):
                other, held = bystander.begin()
                stream, call = client.begin()
                self.assertIs(call.connection, held.connection)
                # The table must be kept up: what the huge list adds at its end, the bystander's answer uses.
                block = w.block(([(":status", "200")] if where == "head" else [("grpc-status", "0")]) +
                                [(f"x-{i}", "v" * 5000) for i in range(200)])
                block += w.literal("x-kept", "yes", w.INCREMENTAL)
                parts = [block[at:at + 16384] for at in range(0, len(block), 16384)]
                if where == "trailers":
                    call.send(call.head(), call.message(b"m"))
                call.send(w.headers(call.stream, parts[0], end=True, done=False))
                for part in parts[1:-1]:
                    call.send(w.continuation(call.stream, part, done=False))
                call.send(w.continuation(call.stream, parts[-1]))
                got = client.end(stream)
                self.assertEqual((got.reset, got.grpc_status), (None, "8"))
                held.send(w.headers(held.stream, w.block([(":status", "200"), ("content-type", "application/grpc")]) +
                                    w.indexed(62)), held.message(b"other"), held.trailers())
                bystander.expect_answered(other, b"other")
                self.assertIn(("x-kept", "yes"), bystander.peer.streams[other].blocks[0])

    def test_silence_ends_at_the_deadline(self):
        """An upstream that stops in the middle: nothing, half a block, half a frame, half a message, half an answer."""
        self.begin((w.MAX_CONCURRENT_STREAMS, 1))
        silences = {
            "no answer": lambda c: [], "half a header block": lambda c: [w.headers(c.stream, b"\x88", done=False)],
            "half a frame's head": lambda c: [c.head(), b"\0\0"],
            "half a frame": lambda c: [c.head(), c.message(b"m" * 100)[:30]],
            "half a message": lambda c: [c.head(), w.data(c.stream, MESSAGE[:7])],
            "no trailers": lambda c: [c.head(), c.message(b"m")]}
        client, bystander = Client(self), Client(self)
        for name, make in silences.items():
            with self.subTest(name):
                other, held = bystander.begin()
                stream, call = client.begin(extra=[("grpc-timeout", "300m")])
                call.send(*make(call))
                got = client.end(stream)
                self.assertEqual((got.reset, got.grpc_status), (None, "4"))
                bystander.expect_answer(other, held, b"other")
                call.connection.close()

    def test_an_upstream_that_stops_reading_stalls_its_call_only(self):
        self.begin((w.MAX_CONCURRENT_STREAMS, 1), (w.INITIAL_WINDOW_SIZE, w.MAX_WINDOW))
        bystander, client = Client(self), Client(self)
        other, held = bystander.begin()
        self.tags += 1
        tag = str(self.tags)
        client.peer.send(client.peer.head(1, ("x-case", tag), ("grpc-timeout", "1S")))
        call = self.upstream.wait_call(tag)
        call.send(w.window_update(0, 1 << 30))
        call.connection.reading.clear()
        # Far more than the kernel's buffers on the way: ficus must stop giving window back.
        sent = client.peer.send_body(1, w.grpc_message(b"m" * (64 << 20)))
        got = client.end(1)
        self.assertLess(sent, 32 << 20, "ficus buffers without end")
        call.connection.reading.set()
        # RST_STREAM NO_ERROR behind the end tells the client to stop its upload (RFC 9113 8.1).
        self.assertIn(got.reset, (None, w.NO_ERROR))
        self.assertEqual(got.grpc_status, "4")
        bystander.expect_answer(other, held, b"other")

    def test_a_client_that_ignores_the_window_is_cut_off(self):
        """The listener's side of the same: the upstream reads nothing, so that ficus can give no window back."""
        self.begin((w.MAX_CONCURRENT_STREAMS, 1))
        client, bystander = Client(self), Client(self)
        other, held = bystander.begin()
        self.tags += 1
        tag = str(self.tags)
        client.peer.send(client.peer.head(1, ("x-case", tag)))
        call = self.upstream.wait_call(tag)
        call.connection.reading.clear()
        got = client.peer.streams[1]

        def cut_off():
            codes = {got.reset} | {code for _, code in client.peer.goaways}
            return w.FLOW_CONTROL_ERROR in codes or client.peer.closed
        for _ in range(64):
            client.peer.send(w.data(1, b"x" * 16384) * 16)
            if client.peer.wait(cut_off, 0.02):
                break
        call.connection.reading.set()
        self.assertTrue(client.peer.wait(cut_off), "16 MiB beyond the window were taken")
        bystander.expect_answer(other, held, b"other")

    def test_an_upstream_that_ignores_the_window_is_cut_off(self):
        """Far more than the window that ficus gave, for a client that reads nothing."""
        self.begin((w.MAX_CONCURRENT_STREAMS, 1))
        client, bystander = Client(self, (w.INITIAL_WINDOW_SIZE, 0)), Client(self)
        other, held = bystander.begin()
        stream, call = client.begin()
        call.send(call.head())
        for _ in range(64):
            call.send(w.data(call.stream, b"x" * 16384) * 16)
            if call.connection.ended.is_set() or call.reset.is_set():
                break
        self.assertTrue(wait_until(lambda: call.connection.ended.is_set() or call.reset.is_set()),
                        "16 MiB beyond the window were taken")
        client.peer.barrier()
        self.assertEqual(client.peer.streams[stream].data, b"", "DATA in a window of 0")
        client.peer.send_settings((w.INITIAL_WINDOW_SIZE, 1 << 24))  # what came within the window may still be sent
        got = client.end(stream)
        self.assertIsNone(got.reset)
        self.assertIn(got.grpc_status, BROKEN)
        self.assertEqual(got.data.strip(b"x"), b"")
        bystander.expect_answer(other, held, b"other")


if __name__ == "__main__":
    unittest.main()
