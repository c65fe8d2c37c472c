"""What a case is, which reactions it accepts, and how one is run and judged.

A reaction is what the server did on the connection of the case: a GOAWAY with a code, a RST_STREAM with a code, the end of
the connection, the whole answer of a stream, an HTTP error. A case names those that satisfy its requirement. Silence never
does: where nothing is the right reaction to some bytes, the case sends a call after them and wants its answer.

Two strengths. The base set of a case is what RFC 7540's and RFC 9113's text ask for at their strictest, and what public
conformance suites demand. `also` holds what RFC 9113 permits besides (a 400 before the reset of a malformed request, 8.1.1;
frames on a closed stream that are dropped, 5.1); `--strict` refuses those.
"""

import collections
import threading
import time

import wire as w
from peer import Breach, Gone, Peer

CASES = collections.OrderedDict()
Case = collections.namedtuple("Case", "id rfc requirement expect act settings raw")
Result = collections.namedtuple("Result", "id rfc requirement passed reaction why seconds skipped debatable")


class Skip(Exception):
    """The target offers nothing to test this with."""


class Expect:
    """A set of reactions, as (kind, stream, code); None matches anything."""

    def __init__(self, *reactions, also=(), never=()):
        self.reactions = frozenset(reactions)
        self.permitted = frozenset(also)  # by RFC 9113, yet not by --strict
        self.never = frozenset(never)

    def __or__(self, other):
        return Expect(*(self.reactions | other.reactions), also=self.permitted | other.permitted,
                      never=self.never | other.never)

    def also(self, other):
        return Expect(*self.reactions, also=self.permitted | other.reactions, never=self.never)

    def accepts(self, seen, strict):
        accepted = self.reactions if strict else self.reactions | self.permitted
        return any(_matches(want, one) for want in accepted for one in seen)

    def refuses(self, seen):
        return any(_matches(want, one) for want in self.never for one in seen)


def _matches(want, seen):
    return want[0] == seen[0] and all(a is None or a == b for a, b in zip(want[1:], seen[1:]))


def connection_error(*codes):
    """5.4.1: GOAWAY with one of the codes; or the connection just ends, since the GOAWAY is a SHOULD."""
    return Expect(*(("goaway", None, code) for code in codes), ("close", None, None))


def stream_error(*codes, stream=1):
    """5.4.2: RST_STREAM with one of the codes; a stream error may be treated as one of the connection."""
    return connection_error(*codes) | Expect(*(("reset", stream, code) for code in codes))


def malformed(stream=1):
    """8.1.1: a stream error PROTOCOL_ERROR, before which an HTTP error may be sent; never forwarded and answered."""
    return Expect(*stream_error(w.PROTOCOL_ERROR, stream=stream).reactions, also=[("http-error", stream, None)],
                  never=[("success", stream, None)])


def answered(stream=1):
    return Expect(("answer", stream, None))


def case(case_id, requirement, expect, act, settings=(), raw=False, rfc=9113):
    """Adds a case. `act(peer)` sends, and returns bytes that are still to be sent, or None. `settings` go out in the
    handshake; `raw` cases begin with an open socket on which nothing was sent."""
    if case_id in CASES:
        raise ValueError(f"two cases {case_id}")
    CASES[case_id] = Case(case_id, rfc, requirement, expect, act, tuple(settings), raw)


# ---- reactions

def reactions(peer):
    seen = set()
    for _, code in peer.goaways:
        seen.add(("goaway", None, code))
    for stream, got in list(peer.streams.items()):
        if got.reset is not None:
            seen.add(("reset", stream, got.reset))
        status = got.status
        if status is not None and status.startswith("2"):
            seen.add(("success", stream, None))
        if status is not None and status[0] in "45" and (got.ended or got.reset is not None):
            seen.add(("http-error", stream, None))
        if status is not None and got.ended and got.reset is None:
            # Where the target is a gRPC server, only a good answer counts as one.
            if not peer.target.grpc or (status == "200" and got.grpc_status == "0"):
                seen.add(("answer", stream, None))
    if peer.garbage:
        seen.add(("not-http2", None, None))
    if peer.closed:
        seen.add(("close", None, None))
    return seen


def describe(seen, peer):
    words = []
    for kind, stream, code in sorted(seen, key=str):
        if kind == "goaway":
            words.append(f"GOAWAY {w.error_name(code)}")
        elif kind == "reset":
            words.append(f"RST_STREAM({stream}) {w.error_name(code)}")
        elif kind == "success":
            if ("answer", stream, None) not in seen:
                words.append(f"2xx head({stream})")
        elif kind == "answer":
            words.append(f"answer({stream})")
        elif kind == "http-error":
            words.append(f"HTTP {peer.streams[stream].status}({stream})")
        else:
            words.append(kind)
    shown = sorted(words, key=lambda word: word == "close")
    return ", ".join(shown if len(shown) < 6 else shown[:5] + ["..."]) or "silence"


# ---- running

def run_case(one, target, strict, watcher):
    begun = time.monotonic()
    peer, why, passed, skipped = None, "", False, False
    try:
        peer = Peer(target)
        try:
            if not one.raw:
                peer.handshake(*one.settings)
            rest = one.act(peer)
            if rest:
                peer.send(rest)
        except Gone as gone:
            why = ": ".join(gone.args)
        if not why:
            peer.wait(lambda: one.expect.accepts(reactions(peer), strict))
        seen = reactions(peer)
        # What a case had to wait for and did not get fails it, unless its very reaction is the reason.
        passed = one.expect.accepts(seen, strict) and not (why and ("answer" in {k for k, _, _ in one.expect.reactions}))
        if passed and one.expect.refuses(seen):
            passed, why = False, "a malformed request was served"
    except Skip as skip:
        skipped, passed, why = True, True, str(skip)
    except Breach as breach:
        passed, why = False, str(breach)
    except OSError as error:
        passed, why = False, f"no connection: {error}"
    reaction = describe(reactions(peer), peer) if peer else "no connection"
    if peer:
        peer.close()
    harm = watcher.harm() if watcher else ""
    if harm:
        passed, why = False, f"a bystander on another connection: {harm}"
    return Result(one.id, one.rfc, one.requirement, passed, reaction, why, time.monotonic() - begun, skipped,
                  bool(one.expect.permitted))


class Watcher:
    """A well-behaved client on a connection of its own, which must get its answers whatever others do."""

    def __init__(self, target):
        self.target = target
        self.peer = None
        self.stream = 1

    def harm(self):
        """Makes a call; a sentence of what went wrong, or nothing."""
        for _ in range(2):
            try:
                if self.peer is None:
                    self.peer = Peer(self.target)
                    self.peer.handshake()
                    self.stream = 1
                message = b"w" * (1 + self.stream % 97)  # the upstream of the suite answers with as many octets
                self.peer.send(self.peer.unary(self.stream, message))
                stream, self.stream = self.stream, self.stream + 2
                if self.peer.wait(lambda: self.peer.answered(stream)):
                    if self.target.grpc and len(self.peer.streams[stream].data) != len(message) + 5:
                        return "not its own answer"
                    del self.peer.streams[stream]
                    return ""
                leaving = self.peer.closed and all(code == w.NO_ERROR for _, code in self.peer.goaways)
                self.close()
                if not leaving:
                    return "no answer"
            except (Breach, OSError) as error:
                self.close()
                return str(error)
        return "no answer"

    def close(self):
        if self.peer:
            self.peer.close()
        self.peer = None


def run(cases, target, strict, jobs, watch=True, progress=None):
    """Runs the cases on `jobs` threads; results in the order of the cases."""
    results, waiting, lock = {}, collections.deque(cases), threading.Lock()

    def work():
        watcher = Watcher(target) if watch else None
        while True:
            with lock:
                if not waiting:
                    break
                one = waiting.popleft()
            result = run_case(one, target, strict, watcher)
            with lock:
                results[one.id] = result
                if progress:
                    progress(result)
        if watcher:
            watcher.close()

    threads = [threading.Thread(target=work) for _ in range(max(1, min(jobs, len(waiting))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[one.id] for one in cases if one.id in results]
