"""That the interop tests' judges find what they are there for: whatever is altered in an observation is named."""

import copy
import gzip
import hashlib
import struct
import unittest

import hpack
import hyperframe.frame as frames

import compare
import expectations
import wire_tap
from expectations import CASES, Call, Message, check_client, check_server, check_wire, pb

KEY = "x-interop-call"


def grpc_message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


def head(stream, headers, encoder, *flags):
    return frames.HeadersFrame(stream, encoder.encode(headers), flags=["END_HEADERS", *flags]).serialize()


REQUEST_HEADERS = [(":method", "POST"), (":path", expectations.SERVICE + "UnaryCall"), (":authority", "127.0.0.1:1"),
                   (KEY, "direct case 1"), ("grpc-encoding", "gzip"), ("x-twice", "a"), ("x-twice", "b"),
                   ("x-bin", "q6ur")]


def wire_call(flag=1, reset=None, trailers_only=False):
    """One call as a tap would have copied it, decoded."""
    client, server = hpack.Encoder(), hpack.Encoder()
    message = grpc_message(gzip.compress(b"x" * 1000, mtime=0), flag)
    sent = (wire_tap.PREFACE + frames.SettingsFrame(0).serialize() + head(1, REQUEST_HEADERS, client)
            + frames.DataFrame(1, message[:7]).serialize()
            + frames.DataFrame(1, message[7:], flags=["END_STREAM"]).serialize())
    status = [("grpc-status", "0"), ("x-last-bin", "q6ur")]
    if trailers_only:
        answered = head(1, [(":status", "200"), *status], server, "END_STREAM")
    else:
        answered = (head(1, [(":status", "200")], server)
                    + frames.DataFrame(1, grpc_message(b"reply")).serialize() + head(1, status, server, "END_STREAM"))
    if reset is not None:
        sent += frames.RstStreamFrame(1, error_code=reset).serialize()
    tap = wire_tap.WireTap.__new__(wire_tap.WireTap)
    tap._copies = [(bytearray(sent), bytearray(answered))]
    return tap.calls(KEY)["direct case 1"]


def observation():
    def message():
        return {"bytes": 3, "sha256": "ab", "compressed": True}

    return {"client": {"kind": "client", "path": "/a/b", "call": "direct case 1", "code": 0, "detail": "",
                       "initial": {"x": ["1", "2"]}, "trailing": {"y": ["3"]}, "messages": [message(), message()]},
            "server": {"kind": "server", "path": "/a/b", "cancelled": False, "half_closed": True,
                       "metadata": {KEY: ["direct case 1"], "user-agent": ["me"], "x": ["1"]},
                       "messages": [message()]},
            "client_wire": wire_call(), "server_wire": wire_call()}


def leaves(tree, way=()):
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield from leaves(inner, (*way, name))
    elif isinstance(tree, list):
        for i, inner in enumerate(tree):
            yield from leaves(inner, (*way, i))
    else:
        yield way


def altered(tree, way, change):
    tree = copy.deepcopy(tree)
    inner = tree
    for step in way[:-1]:
        inner = inner[step]
    change(inner, way[-1])
    return tree


def other(inner, step):
    value = inner[step]
    inner[step] = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else value + "!"


def remove(inner, step):
    inner.pop(step)


class CompareTest(unittest.TestCase):
    call = Call("UnaryCall", [])

    def differences(self, through, call=None):
        return compare.compare_call(call or self.call, observation(), through, KEY)

    def test_equal_observations_have_no_differences(self):
        self.assertEqual(self.differences(observation()), [])

    def test_what_ficus_may_add_is_no_difference(self):
        through = observation()
        through["server"]["metadata"]["traceparent"] = ["00-..."]
        through["server_wire"]["request"]["headers"]["traceparent"] = ["00-..."]
        through["server_wire"]["request"]["headers"][":authority"] = ["127.0.0.1:2"]
        self.assertEqual(self.differences(through), [])

    def test_any_leaf_that_is_altered_is_named(self):
        spared = {("client", "call"), ("server", "metadata", KEY, 0), ("client_wire", "request", "headers", KEY, 0),
                  ("server_wire", "request", "headers", KEY, 0)}
        looked_at = 0
        for way in leaves(observation()):
            if way in spared:
                continue
            found = self.differences(altered(observation(), way, other))
            self.assertEqual(len(found), 1, f"{way}: {found}")
            self.assertIn(str(way[-2] if isinstance(way[-1], int) else way[-1]), found[0])
            looked_at += 1
        self.assertGreater(looked_at, 60)

    def test_anything_lost_or_added_is_found(self):
        for way in leaves(observation()):
            # The tag tells runs apart, and is not compared.
            if KEY in way or "call" in way:
                continue
            # A value of a list and, where it is the only one, its name; else the field.
            if way[-1] == 0:
                self.assertTrue(self.differences(altered(observation(), way[:-1], remove)), way)
            self.assertTrue(self.differences(altered(observation(), way, remove)), way)
        for way in (("client", "initial"), ("client", "trailing"), ("server", "metadata")):
            through = observation()
            through[way[0]][way[1]]["x-more"] = ["1"]
            self.assertTrue(self.differences(through), way)

    def test_a_record_that_never_came_is_found(self):
        for who in observation():
            through = observation()
            through[who] = None
            self.assertTrue(self.differences(through), who)

    def test_the_order_of_values_and_messages_counts(self):
        through = observation()
        through["client"]["initial"]["x"].reverse()
        self.assertEqual(len(self.differences(through)), 2)

    def test_a_racing_call_is_excused_its_end_only(self):
        call = Call("FullDuplexCall", [], racing=True)
        through = observation()
        through["client"]["detail"] = "other words"
        through["client_wire"]["response"].update(end="open", trailers={}, blocks=1)
        self.assertEqual(self.differences(through, call), [])
        through["client"]["code"] = 14
        through["client_wire"]["response"]["messages"] = []
        self.assertEqual(len(self.differences(through, call)), 2)


class WireTapTest(unittest.TestCase):
    def test_a_call_is_read_out_of_the_bytes(self):
        got = wire_call()
        self.assertEqual(got["request"]["headers"]["x-twice"], ["a", "b"])
        self.assertEqual(got["request"]["headers"]["x-bin"], ["ababab"])
        self.assertEqual([(m["flag"], m["whole"]) for m in got["request"]["messages"]], [(1, True)])
        self.assertEqual(got["request"]["end"], "ended")
        self.assertEqual(got["response"]["headers"], {":status": ["200"]})
        self.assertEqual(got["response"]["trailers"], {"grpc-status": ["0"], "x-last-bin": ["ababab"]})
        self.assertEqual(got["response"]["messages"][0]["bytes"], 5)

    def test_trailers_only_is_told_from_an_empty_answer(self):
        got = wire_call(trailers_only=True)["response"]
        self.assertTrue(got["trailers_only"])
        self.assertEqual((got["headers"], got["trailers"]["grpc-status"]), ({}, ["0"]))

    def test_a_cut_message_says_so(self):
        self.assertFalse(wire_tap.messages(grpc_message(b"abc")[:-1])[0]["whole"])
        self.assertFalse(wire_tap.messages(b"\0\0\0")[0]["whole"])

    def test_binary_values_mean_the_same_however_written(self):
        for value in ("q6ur", "\0\xab\xab\xab"):
            self.assertEqual(wire_tap.binary_value(value), "ababab")
        self.assertEqual(wire_tap.binary_value("/g"), wire_tap.binary_value("/g=="))
        self.assertNotEqual(wire_tap.binary_value("/g"), wire_tap.binary_value("/w"))

    def test_a_reset_after_the_end_says_nothing_and_before_it_says_how(self):
        self.assertEqual(wire_call(reset=8)["request"]["end"], "ended")
        half = wire_tap.Half()
        half.blocks, half.reset = [([], False)], 8
        self.assertEqual(half.as_request()["end"], "reset 8")


class ExpectationsTest(unittest.TestCase):
    def test_a_wrong_compressed_flag_is_complained_about_on_either_side(self):
        call = Call("UnaryCall", [Message(None, compressed=True)], [Message(None)])
        self.assertEqual(check_wire(call, wire_call(), wire_call()), [])
        self.assertEqual(len(check_wire(call, wire_call(flag=0), wire_call())), 1)
        self.assertEqual(len(check_wire(call, wire_call(), wire_call(flag=0))), 1)

    def test_the_client_must_see_what_is_asked(self):
        reply = Message(pb.StreamingInputCallResponse(aggregated_payload_size=5))
        call = Call("StreamingInputCall", [], [reply], detail="", initial={"x": ["1"]})
        data = reply.message.SerializeToString()
        good = {"path": call.path, "code": 0, "detail": "", "initial": {"x": ["1"]}, "trailing": {},
                "messages": [{"bytes": len(data), "compressed": False, "sha256": hashlib.sha256(data).hexdigest()}]}
        self.assertEqual(check_client(call, good), [])
        for name, bad in (("path", "/x/y"), ("code", 1), ("detail", "no"), ("initial", {}), ("messages", []),
                          ("messages", good["messages"] * 2),
                          ("messages", [{**good["messages"][0], "compressed": True}]),
                          ("messages", [{**good["messages"][0], "sha256": "00"}])):
            self.assertEqual(len(check_client(call, {**good, name: bad})), 1, (name, bad))
        self.assertEqual(check_client(call, None), ["no record"])

    def test_the_server_must_see_what_is_asked(self):
        good = {"path": expectations.SERVICE + "EmptyCall", "metadata": {}, "messages": [], "cancelled": False,
                "half_closed": True}
        call = Call("EmptyCall", [])
        self.assertEqual(check_server(call, good), [])
        for name, bad in (("path", "/x/y"), ("cancelled", True), ("half_closed", False), ("deadline_ms", 5),
                          ("messages", [{"bytes": 0}])):
            self.assertEqual(len(check_server(call, {**good, name: bad})), 1, name)
        self.assertEqual(check_server(call, None), ["no record"])
        self.assertTrue(check_server(Call("EmptyCall", [], server=expectations.NEVER), good))
        timed = Call("EmptyCall", [], deadline_ms=1000)
        for left, complaints in ((900, 0), (1020, 0), (1100, 1), (None, 1)):
            self.assertEqual(len(check_server(timed, {**good, "deadline_ms": left})), complaints, left)

    def test_every_case_of_the_descriptions_is_here(self):
        self.assertEqual(
            set(CASES) - {"timeout_seen_by_server"},
            set("empty_unary large_unary client_compressed_unary server_compressed_unary client_streaming "
                "client_compressed_streaming server_streaming server_compressed_streaming ping_pong empty_stream "
                "custom_metadata status_code_and_message special_status_message unimplemented_method "
                "unimplemented_service cancel_after_begin cancel_after_first_response "
                "timeout_on_sleeping_server".split()))


if __name__ == "__main__":
    unittest.main()
