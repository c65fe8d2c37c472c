"""Literals that are never to be indexed (RFC 7541 7.1.3) stay so on both ways through ficus, and out of its logs."""

import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import urllib.request  # noqa: E402

import wire as w  # noqa: E402
from ficus_harness import FicusTestCase, PATH, PATIENCE  # noqa: E402
from peer import Peer, Target  # noqa: E402
from raw_upstream import RawUpstream  # noqa: E402

SECRETS = ("s3cr3t-request", "s3cr3t-known-name", "s3cr3t-answer", "s3cr3t-trailer", "s3cr3t-malformed")


class NeverIndexedTest(FicusTestCase):
    def setUp(self):
        self.upstream = RawUpstream()
        self.addCleanup(self.upstream.close)
        self.ficus = self.start_ficus(self.upstream.address)
        host, port = self.ficus.address.rsplit(":", 1)
        self.target = Target(host, int(port), PATH, "inventory.test", "http", True, False, PATIENCE)

    def connect(self):
        peer = Peer(self.target)
        self.addCleanup(peer.close)
        peer.handshake()
        return peer

    def exchange(self, peer, stream, secret_kind=w.NEVER_INDEXED):
        """A call with secrets in the request, the answer's head and its trailers; (client's stream, upstream's call)."""
        tag = f"{id(peer)}-{stream}"
        secrets = w.literal("x-secret", SECRETS[0], secret_kind) + w.literal(23, SECRETS[1], secret_kind)
        peer.send(w.headers(stream, peer.block(("x-case", tag), ("x-open", "o")) + secrets), peer.body(stream))
        call = self.upstream.wait_call(tag)
        self.assertTrue(call.ended.wait(PATIENCE))
        call.send(
            w.headers(call.stream, w.block([(":status", "200"), ("content-type", "application/grpc"), ("x-plain", "p")]) +
                      w.literal("x-answer-secret", SECRETS[2], secret_kind)),
            call.message(b"m"),
            w.headers(call.stream, w.block([("grpc-status", "0"), ("x-plain-trailer", "p")]) +
                      w.literal("x-trailer-secret", SECRETS[3], secret_kind), end=True))
        self.assertTrue(peer.wait(lambda: peer.answered(stream)), "no answer")
        return peer.streams[stream], call

    def test_never_indexed_fields_stay_so_both_ways_and_others_do_not_become_so(self):
        peer = self.connect()
        for stream in (1, 3, 5):  # again: an encoder that remembered the field would index it now
            got, call = self.exchange(peer, stream)
            self.assertLessEqual({"x-secret", "authorization"}, call.never_indexed)
            self.assertFalse({"x-open", "x-case", "content-type", ":path"} & call.never_indexed)
            self.assertIn(("x-secret", SECRETS[0]), call.fields)
            self.assertIn(("authorization", SECRETS[1]), call.fields)
            self.assertLessEqual({"x-answer-secret", "x-trailer-secret"}, got.never_indexed)
            self.assertFalse({"x-plain", "x-plain-trailer", "grpc-status"} & got.never_indexed)
            self.assertEqual(dict(got.blocks[0])["x-answer-secret"], SECRETS[2])
            self.assertEqual(dict(got.blocks[-1])["x-trailer-secret"], SECRETS[3])

    def test_a_field_indexed_once_is_never_indexed_when_it_is_asked_for(self):
        """The same name and value first as an ordinary field, which both encoders may remember, then as a secret one."""
        peer = self.connect()
        self.exchange(peer, 1, w.INCREMENTAL)
        got, call = self.exchange(peer, 3)
        self.assertLessEqual({"x-secret", "authorization"}, call.never_indexed)
        self.assertLessEqual({"x-answer-secret", "x-trailer-secret"}, got.never_indexed)

    def test_their_values_stand_in_no_log_and_no_metric(self):
        peer = self.connect()
        self.exchange(peer, 1)
        # What makes a proxy log: a malformed head beside the secret, an answer that breaks the protocol, a lost upstream.
        bad = self.connect()
        bad.send(w.headers(1, bad.block(("Upper", "x")) + w.literal("x-secret", SECRETS[4], w.NEVER_INDEXED), end=True))
        self.assertTrue(bad.wait(lambda: bad.closed or bad.goaways or bad.streams[1].reset is not None or
                                 bad.streams[1].ended))
        for tag, breakage in (("broken", w.headers(0, b"\x80")), ("lost", None)):
            peer = self.connect()
            peer.send(w.headers(1, peer.block(("x-case", tag)) + w.literal("x-secret", SECRETS[0], w.NEVER_INDEXED)),
                      peer.body(1))
            call = self.upstream.wait_call(tag)
            if breakage:
                call.send(w.headers(call.stream, w.block([(":status", "200")]) +
                                    w.literal("x-answer-secret", SECRETS[2], w.NEVER_INDEXED)), breakage)
            else:
                call.connection.close()
            self.assertTrue(peer.wait(lambda: peer.streams[1].ended or peer.streams[1].reset is not None))
        with urllib.request.urlopen(f"http://{self.ficus.admin}/metrics", timeout=PATIENCE) as reply:
            metrics = reply.read().decode()
        self.assertIn("ficus_calls_total", metrics)
        log = self.ficus.log()
        self.assertTrue(log, "ficus logs nothing at all, so that this test shows nothing")
        for secret in SECRETS:
            self.assertNotIn(secret, log)
            self.assertNotIn(secret, metrics)


if __name__ == "__main__":
    unittest.main()
