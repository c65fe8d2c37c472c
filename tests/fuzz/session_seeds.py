#!/usr/bin/python3
"""Writes the seeds of session_fuzz, one file a session. What a record is: relay_session.h.

    session_seeds.py [DIRECTORY]      default: corpus/session_fuzz beside this file
"""
import pathlib
import sys

PASS_THROUGH, MIGRATION, TIGHT, CHECKED = range(4)
SILENT, UPSTREAMS_END, DRAIN, STOP = 4, 8, 16, 32
CLIENT, LEGACY, NEW = 0, 4, 8  # + n: the n-th
GET, ENDORSE, LIST, OTHER = range(4)
NONE, ACME, SHADY, PILOT, MOVING, NOBODY, TWO, NO_NAME = (4 * n for n in range(8))
MARKED, OPEN, FORCED = 32, 64, 128
ANSWER_OPEN, TRAILERS_ONLY, COMPRESSED = 32, 64, 128
NOT_FOUND, UNAVAILABLE = 5, 14
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def record(what, who, *rest):
    return bytes([who << 4 | what]) + b"".join(bytes([r]) if isinstance(r, int) else r for r in rest)


def raw(who, data):
    return b"".join(record(0, who, len(data[i:i + 255]), data[i:i + 255]) for i in range(0, len(data), 255))


def call(flags, message, client=CLIENT):
    return record(1, client, flags, len(message), message)


def answer(upstream, message=b"", flags=0):
    return record(2, upstream, flags, len(message), message)


def reset(who, code):
    return record(3, who, code)


def goaway(who, code):
    return record(4, who, code)


def finish(who):
    return record(5, who)


def abort(who):
    return record(6, who)


def data(client, message, last=False):
    return record(7, client, len(message) | (128 if last else 0), message)


def window(who, n):
    return record(8, who, n)


def pause(who):
    return record(9, who)


def cut_next(who):
    return record(10, who)


def reload(n):
    return record(11, 0, n)


def drain():
    return record(12, 0)


def together():
    return record(13, 0)


def more_window(who, n):
    return record(14, who, n)


def hurry():
    return record(15, 0)


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literals(*fields):
    return b"".join(b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in fields)


def field(number, text):
    """A protobuf string field, shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(text)]) + text


A, B = field(1, b"P-1"), field(1, b"P-2")  # messages: policy numbers, of which a canary by key puts both on new
GRPC_A = b"\0" + len(A).to_bytes(4, "big") + A
HEAD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/fuzz.v1.Policies/Get"), (b":authority", b"fuzz"),
        (b"te", b"trailers"), (b"content-type", b"application/grpc")]


def session(options, *records):
    return bytes([options]) + b"".join(records)


SEEDS = {
    "unary": session(PASS_THROUGH, call(GET, A), answer(NEW, A)),
    "unary_in_raw_bytes": session(
        PASS_THROUGH | SILENT,
        raw(CLIENT, PREFACE + frame(4, 0, 0) + frame(1, 4, 1, literals(*HEAD)) + frame(0, 1, 1, GRPC_A)),
        raw(NEW, frame(4, 0, 0) + frame(4, 1, 0)),
        raw(NEW, frame(1, 4, 1, literals((b":status", b"200"), (b"content-type", b"application/grpc"))) +
            frame(0, 0, 1, GRPC_A) + frame(1, 5, 1, literals((b"grpc-status", b"0"))))),
    "canary_by_key": session(MIGRATION, *(
        call(GET | PILOT, field(1, b"P-%d" % i)) for i in range(4)), answer(LEGACY, A), answer(NEW, A),
        answer(LEGACY, A), answer(NEW, A), answer(LEGACY, A), answer(NEW, A)),
    "shadow_equal": session(MIGRATION, call(GET | SHADY, A), answer(LEGACY, A), answer(NEW + 1, A)),
    "shadow_ignored": session(MIGRATION, call(GET | SHADY, A), answer(LEGACY, A + b"\x10\1"), answer(NEW + 1, A)),
    "shadow_unequal": session(MIGRATION, call(GET | SHADY, A), answer(LEGACY, A), answer(NEW + 1, B)),
    "shadow_on_legacy": session(MIGRATION, call(LIST | ACME, A), answer(LEGACY + 1, B), answer(NEW, A)),
    "shadow_unanswered": session(MIGRATION, call(GET | SHADY, A), answer(LEGACY, A)),
    "shadow_refused": session(MIGRATION, call(GET | SHADY, A), reset(NEW + 1, 7), answer(LEGACY, A)),
    "write_to_legacy": session(MIGRATION, call(ENDORSE | NOBODY, A), answer(LEGACY, A)),
    "write_to_new": session(MIGRATION, call(ENDORSE | ACME, A), answer(NEW, A)),
    "write_refused": session(MIGRATION, call(ENDORSE | MARKED | ACME, A), call(ENDORSE | NONE, A),
                             call(ENDORSE | TWO, A), call(ENDORSE | NO_NAME, A)),
    "marked_read": session(MIGRATION, call(GET | MARKED | SHADY, A), answer(LEGACY, A)),
    "marked_read_that_fails": session(MIGRATION, call(GET | MARKED | MOVING, A), answer(NEW, b"none", NOT_FOUND)),
    "forced_read": session(MIGRATION, call(GET | FORCED | SHADY, A), answer(NEW, A)),
    "trailers_only": session(PASS_THROUGH, call(GET, A), answer(NEW, b"no", TRAILERS_ONLY | NOT_FOUND)),
    "reset_by_client": session(MIGRATION, call(GET | SHADY, A), reset(CLIENT, 8), answer(LEGACY, A)),
    "reset_by_upstream": session(MIGRATION, call(GET | NOBODY, A), reset(LEGACY, 2), call(GET | NOBODY, A),
                                 answer(LEGACY, A, ANSWER_OPEN), abort(LEGACY)),
    "goaway_before_the_call": session(MIGRATION, goaway(LEGACY, 0), call(GET | NOBODY, A), answer(LEGACY + 1, A)),
    "goaway_under_the_call": session(MIGRATION, call(GET | NOBODY, A), goaway(LEGACY, 128), answer(LEGACY + 1, A)),
    "garbage_upstream": session(MIGRATION, call(GET | NOBODY, A), raw(LEGACY, b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "upstream_cut": session(MIGRATION, abort(LEGACY), cut_next(0), call(GET | NOBODY, A)),
    "fallback": session(MIGRATION, call(GET | MOVING, A), answer(NEW, b"none", NOT_FOUND), answer(LEGACY, B)),
    "fallback_on_transport": session(MIGRATION, call(GET | MOVING, A), abort(NEW), answer(LEGACY, B)),
    "fallback_on_shadow": session(MIGRATION, call(GET | PILOT, A), answer(NEW, b"none", NOT_FOUND),
                                  answer(LEGACY + 1, B)),
    "fallback_on_shadow_that_came": session(MIGRATION, call(GET | PILOT, A), answer(LEGACY + 1, B),
                                            answer(NEW, b"none", TRAILERS_ONLY | NOT_FOUND)),
    "fallback_on_shadow_that_fails": session(MIGRATION, call(GET | PILOT, A), answer(NEW, b"none", NOT_FOUND),
                                             abort(LEGACY + 1), answer(LEGACY, B)),
    "deadline": session(MIGRATION, hurry(), call(GET | SHADY, A), hurry(), call(GET | PILOT | OPEN, A)),
    "heads_too_large": session(
        TIGHT, raw(CLIENT, frame(1, 5, 1, literals(*HEAD, *((b"x-%d" % i, b"v" * 100) for i in range(7))))),
        call(GET | NOBODY, A, CLIENT + 1),
        raw(LEGACY, frame(1, 5, 1, literals((b":status", b"200"), *((b"x-%d" % i, b"v" * 100) for i in range(7)))))),
    "held_bytes": session(TIGHT, window(CLIENT, 0), call(GET | NOBODY, A), call(GET | NOBODY, A), answer(LEGACY, A),
                          answer(LEGACY, A)),
    "health_checks": session(CHECKED, answer(LEGACY, b"\x08\1"), answer(NEW, b"\x08\2"), call(GET | ACME, A),
                             answer(LEGACY, A)),
    "streams_both_ways": session(PASS_THROUGH, call(OPEN | GET, A), data(CLIENT, GRPC_A), answer(NEW, A, ANSWER_OPEN),
                                 data(CLIENT, b"", True), more_window(NEW, 4)),
    "tight": session(TIGHT, *(call(GET | SHADY, A) for _ in range(3)), call(GET | PILOT, A, CLIENT + 1),
                     answer(LEGACY, A), answer(NEW + 1, A), answer(LEGACY, A, UNAVAILABLE)),
    "windows": session(TIGHT, window(CLIENT, 0), window(NEW, 1), call(GET | ACME | OPEN, A), data(CLIENT, b"x" * 100),
                       more_window(NEW, 2), answer(NEW, B * 20), more_window(CLIENT, 255)),
    "reader_pauses": session(MIGRATION, pause(CLIENT), call(GET | NOBODY, A), answer(LEGACY, A * 40), pause(CLIENT)),
    "reload": session(MIGRATION, call(GET | SHADY, A), reload(1), call(ENDORSE | ACME, A), answer(LEGACY, A),
                      answer(NEW, A), reload(0), call(GET | SHADY, B, CLIENT + 1), answer(LEGACY, B)),
    "drain": session(MIGRATION | DRAIN, call(GET | NOBODY, A), drain(), answer(LEGACY, A)),
    "stop": session(MIGRATION | STOP, call(GET | SHADY, A), call(GET | PILOT | OPEN, B), together(),
                    call(ENDORSE | ACME, A), call(GET | OTHER, A)),
    "upstreams_go_first": session(MIGRATION | UPSTREAMS_END, call(GET | SHADY, A), call(ENDORSE | ACME, A)),
    "clients_half_close": session(MIGRATION, call(GET | NOBODY, A), finish(CLIENT), answer(LEGACY, A)),
}


def main():
    here = pathlib.Path(__file__).resolve().parent
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "corpus" / "session_fuzz"
    directory.mkdir(parents=True, exist_ok=True)
    for name, script in SEEDS.items():
        (directory / name).write_bytes(script)
    print(f"{len(SEEDS)} seeds in {directory}")


if __name__ == "__main__":
    main()
