"""The suite can fail: against a server that greets, acknowledges and then never answers nor complains, each case does."""

import os
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import h2_conformance  # noqa: E402
import suite  # noqa: E402
import wire as w  # noqa: E402
from peer import Target  # noqa: E402


class DeafServer:
    """Acknowledges SETTINGS and PINGs as far as it can read frames, and is silent about everything else."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.kept = []  # never closed before the end: not a word, not even an end
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.kept.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def close(self):
        self.listener.close()
        for peer in self.kept:
            peer.close()

    @staticmethod
    def _serve(peer):
        received = b""
        try:
            peer.sendall(w.settings((w.MAX_CONCURRENT_STREAMS, 10)))
            while True:
                got = peer.recv(1 << 16)
                if not got:
                    return
                received += got
                if received.startswith(w.PREFACE):
                    received = received[len(w.PREFACE):]
                while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3], "big"):
                    size = int.from_bytes(received[:3], "big")
                    kind, flags, payload = received[3], received[4], received[9:9 + size]
                    received = received[9 + size:]
                    if kind == w.SETTINGS and not flags & w.ACK:
                        peer.sendall(w.settings(ack=True))
                    elif kind == w.PING and not flags & w.ACK and size == 8:
                        peer.sendall(w.ping(payload, ack=True))
        except OSError:
            pass


class SuiteTest(unittest.TestCase):
    def test_every_case_fails_against_a_server_that_is_deaf(self):
        server = DeafServer()
        self.addCleanup(server.close)
        target = Target("127.0.0.1", server.port, "/s/M", "a.test", "http", True, False, 0.1)
        results = suite.run(h2_conformance.chosen(None), target, strict=False, jobs=32, watch=False)
        self.assertGreaterEqual(len(results), 400)
        self.assertEqual([one.id for one in results if one.passed], [])

    def test_a_bystander_without_an_answer_fails_a_case(self):
        server = DeafServer()
        self.addCleanup(server.close)
        target = Target("127.0.0.1", server.port, "/s/M", "a.test", "http", True, False, 0.1)
        self.assertEqual(suite.Watcher(target).harm(), "no answer")

    def test_strict_refuses_what_only_the_newer_rfc_permits(self):
        expect = suite.stream_error(w.STREAM_CLOSED).also(suite.answered(3))
        self.assertTrue(expect.accepts({("answer", 3, None)}, strict=False))
        self.assertFalse(expect.accepts({("answer", 3, None)}, strict=True))
        for reaction in (("reset", 1, w.STREAM_CLOSED), ("goaway", None, w.STREAM_CLOSED), ("close", None, None)):
            self.assertTrue(expect.accepts({reaction}, strict=True), reaction)
        for reaction in (("reset", 3, w.STREAM_CLOSED), ("reset", 1, w.CANCEL), ("goaway", None, w.PROTOCOL_ERROR)):
            self.assertFalse(expect.accepts({reaction}, strict=False), reaction)


if __name__ == "__main__":
    unittest.main()
