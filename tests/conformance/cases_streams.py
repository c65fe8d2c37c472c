"""RFC 9113 5.1 to 5.4: states, identifiers and number of streams, priorities, and what an error does."""

import wire as w
from suite import Breach, Skip, answered, case, connection_error, stream_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)
# Keeps a stream half-closed (remote): its answer's DATA has no window.
HOLD = [(w.INITIAL_WINDOW_SIZE, 0)]


def after_answer(*parts):
    """Stream 1 is closed by its answer; then what `parts` say, each a function of the peer."""
    def act(c):
        c.send(c.unary(1))
        c.need(lambda: c.answered(1), "no answer")
        return b"".join(part(c) for part in parts)
    return act


def after_own_reset(*parts):
    """Stream 1 is closed by our RST_STREAM."""
    def act(c):
        c.send(c.head(1), w.rst_stream(1))
        return b"".join(part(c) for part in parts)
    return act


def another_head(c):
    return c.head(1, end=True)


def one_data(_):
    return w.data(1, b"x", end=True)


def one_continuation(c):
    return w.continuation(1, c.block())


# ---- 5.1 idle

case("5.1/idle-data", "DATA on an idle stream is a connection error PROTOCOL_ERROR.",
     connection_error(w.PROTOCOL_ERROR) | stream_error(w.STREAM_CLOSED), lambda c: w.data(1, b"x", end=True))
case("5.1/idle-rst-stream", "RST_STREAM on an idle stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.rst_stream(1))
case("5.1/idle-window-update", "WINDOW_UPDATE on an idle stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.window_update(1, 100))
case("5.1/idle-continuation", "CONTINUATION on an idle stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     one_continuation)
case("5.1/idle-above-an-open-one", "A stream above the highest opened one is idle: WINDOW_UPDATE there is an error.",
     PROTOCOL, lambda c: c.head(1) + w.window_update(5, 1))
case("5.1/idle-data-above-an-open-one", "A stream above the highest opened one is idle: DATA there is an error.",
     PROTOCOL | stream_error(w.STREAM_CLOSED, stream=5), lambda c: c.head(1) + w.data(5, b"x"))
case("5.1/idle-of-the-server", "A stream of the server that was never promised is idle: DATA there is an error.",
     PROTOCOL | stream_error(w.STREAM_CLOSED, stream=2), lambda c: w.data(2, b"x"))
case("5.1/idle-window-update-of-the-server", "WINDOW_UPDATE on an idle stream of the server is an error.",
     PROTOCOL, lambda c: w.window_update(2, 10))
case("5.1/idle-priority", "PRIORITY on an idle stream is taken.", answered(), lambda c: w.priority(1) + c.unary(1))

# ---- 5.1 half-closed (remote)

CLOSED = stream_error(w.STREAM_CLOSED)
case("5.1/half-closed-data", "DATA after END_STREAM is a stream error STREAM_CLOSED.", CLOSED,
     lambda c: c.unary(1) + one_data(c), settings=HOLD)
case("5.1/half-closed-headers", "HEADERS after END_STREAM are a stream error STREAM_CLOSED.", CLOSED,
     lambda c: c.unary(1) + another_head(c), settings=HOLD)
case("5.1/half-closed-continuation", "CONTINUATION after END_STREAM is STREAM_CLOSED or PROTOCOL_ERROR.",
     stream_error(w.STREAM_CLOSED, w.PROTOCOL_ERROR), lambda c: c.unary(1) + one_continuation(c), settings=HOLD)
case("5.1/half-closed-by-headers-data", "DATA after HEADERS with END_STREAM is a stream error STREAM_CLOSED.", CLOSED,
     lambda c: another_head(c) + one_data(c), settings=HOLD)
case("5.1/half-closed-priority", "PRIORITY on a half-closed stream is taken.", answered(3),
     lambda c: c.unary(1) + w.priority(1) + c.unary(3))


def half_closed_window_update(c):
    c.send(c.unary(1))
    c.need(lambda: c.streams[1].status, "no head")
    c.give(1, 1000)


case("5.1/half-closed-window-update", "WINDOW_UPDATE on a half-closed (remote) stream lets its answer go on.",
     answered(), half_closed_window_update, settings=HOLD)


def half_closed_reset(c):
    c.send(c.unary(1), w.rst_stream(1), c.unary(3))
    c.give(3, 1000)


case("5.1/half-closed-rst-stream", "RST_STREAM on a half-closed (remote) stream ends it and nothing else.",
     answered(3), half_closed_reset, settings=HOLD)

# ---- 5.1 closed: RFC 9113 lets a server drop the frames, RFC 7540 asked for STREAM_CLOSED.

case("5.1/reset-then-data", "DATA on a stream that its sender reset is STREAM_CLOSED.", CLOSED.also(answered(3)),
     after_own_reset(one_data, lambda c: c.unary(3)))
case("5.1/reset-then-headers", "HEADERS on a stream that their sender reset are STREAM_CLOSED.",
     CLOSED.also(answered(3) | PROTOCOL), after_own_reset(another_head, lambda c: c.unary(3)))
case("5.1/reset-then-continuation", "CONTINUATION on a stream that its sender reset is an error.",
     stream_error(w.STREAM_CLOSED, w.PROTOCOL_ERROR), after_own_reset(one_continuation))
case("5.1/closed-data", "DATA on a closed stream is STREAM_CLOSED.", CLOSED.also(answered(3)),
     after_answer(one_data, lambda c: c.unary(3)))
case("5.1/closed-headers", "HEADERS on a closed stream are a connection error STREAM_CLOSED.",
     CLOSED.also(PROTOCOL), after_answer(another_head))
case("5.1/closed-continuation", "CONTINUATION on a closed stream is an error.",
     connection_error(w.STREAM_CLOSED, w.PROTOCOL_ERROR), after_answer(one_continuation))
case("5.1/closed-priority", "PRIORITY on a closed stream is taken.", answered(3),
     after_answer(lambda c: w.priority(1), lambda c: c.unary(3)))
case("5.1/closed-window-update", "WINDOW_UPDATE shortly after the end of a stream is ignored.",
     answered(3).also(connection_error(w.STREAM_CLOSED)),
     after_answer(lambda c: w.window_update(1, 10), lambda c: c.unary(3)))
case("5.1/closed-rst-stream", "RST_STREAM shortly after the end of a stream is ignored.",
     answered(3).also(connection_error(w.STREAM_CLOSED)),
     after_answer(lambda c: w.rst_stream(1), lambda c: c.unary(3)))
case("5.1/own-reset-then-window-update", "WINDOW_UPDATE after one's own RST_STREAM harms no other stream.",
     answered(3) | stream_error(w.STREAM_CLOSED),
     after_own_reset(lambda c: w.window_update(1, 10), lambda c: c.unary(3)))


def frames_in_flight_after_a_reset(c):
    """The server resets a malformed request whose body is on its way."""
    c.send(c.head(1, ("Upper", "x")))
    for _ in range(4):
        c.send(w.data(1, b"x" * 1000), w.window_update(1, 10))
    c.send(w.data(1, b"x", end=True), c.unary(3))


case("5.1/frames-in-flight-after-a-reset", "Frames that crossed the server's RST_STREAM are dropped.",
     answered(3) | PROTOCOL, frames_in_flight_after_a_reset)

# ---- 5.1.1


def smaller_after_answer(c):
    c.send(c.unary(5))
    c.need(lambda: c.answered(5), "no answer")
    return c.head(3, end=True)


case("5.1.1/even-identifier", "A client's streams are odd: an even one is a connection error PROTOCOL_ERROR.",
     PROTOCOL, lambda c: c.head(2, end=True))
case("5.1.1/smaller-identifier", "A new stream below one already seen is a connection error PROTOCOL_ERROR.",
     connection_error(w.PROTOCOL_ERROR).also(connection_error(w.STREAM_CLOSED)),
     lambda c: c.head(5, end=True) + c.head(3, end=True))
case("5.1.1/smaller-after-answer", "So it is after the greater one was answered.",
     connection_error(w.PROTOCOL_ERROR).also(connection_error(w.STREAM_CLOSED)), smaller_after_answer)
case("5.1.1/skipped-identifiers", "Identifiers may be skipped.", answered(101), lambda c: c.unary(1) + c.unary(101))
case("5.1.1/data-on-a-skipped-stream", "A skipped stream is closed: DATA there is an error.",
     connection_error(w.PROTOCOL_ERROR, w.STREAM_CLOSED) | stream_error(w.STREAM_CLOSED, stream=3),
     lambda c: c.head(5) + w.data(3, b"x", end=True))
case("5.1.1/largest-identifier", "The last identifier, 2^31-1, is as good as any.", answered(2**31 - 1),
     lambda c: c.unary(2**31 - 1))
case("5.1.1/stream-zero", "HEADERS on stream 0 are a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(0, end=True))

# ---- 5.1.2


def limit_of(c):
    limit = c.server_settings.get(w.MAX_CONCURRENT_STREAMS)
    if limit is None or limit > 5000:
        raise Skip("the server announces no limit that can be reached")
    return limit


def beyond_the_limit(c):
    limit = limit_of(c)
    c.send(b"".join(c.head(2 * i + 1) for i in range(limit)))
    c.excess = 2 * limit + 1
    c.send(c.head(c.excess, end=True))
    c.need(lambda: c.goaways or c.closed or c.streams[c.excess].reset is not None, "no refusal")


case("5.1.2/beyond-the-limit", "A stream above SETTINGS_MAX_CONCURRENT_STREAMS is REFUSED_STREAM or PROTOCOL_ERROR.",
     stream_error(w.REFUSED_STREAM, w.PROTOCOL_ERROR, stream=None), beyond_the_limit)


def refused_leaves_others(c):
    limit = limit_of(c)
    c.send(b"".join(c.head(2 * i + 1) for i in range(limit)), c.head(2 * limit + 1), c.body(1))


case("5.1.2/others-go-on", "A refused stream leaves those within the limit alone.",
     answered(1) | PROTOCOL, refused_leaves_others)


def up_to_the_limit_again(c):
    limit = limit_of(c)
    for turn in range(2):
        first = 2 * limit * turn + 1
        ours = [first + 2 * i for i in range(limit)]
        c.send(b"".join(c.head(stream) for stream in ours), b"".join(c.body(stream) for stream in ours))
        c.need(lambda: all(c.answered(stream) for stream in ours), "not all were answered")
    return c.unary(4 * limit + 1)


case("5.1.2/closed-streams-do-not-count", "Closed streams do not count; the limit may be used in full again.",
     answered(None), up_to_the_limit_again)

# ---- 5.3: priorities, which RFC 9113 keeps only as frames to be read

case("5.3.1/headers-depend-on-themselves", "HEADERS that depend on their own stream are PROTOCOL_ERROR.",
     stream_error(w.PROTOCOL_ERROR).also(answered()), lambda c: c.head(1, priority=(1, 16)) + c.body(1))
case("5.3.1/priority-depends-on-itself", "PRIORITY that depends on its own stream is PROTOCOL_ERROR.",
     stream_error(w.PROTOCOL_ERROR).also(answered()), lambda c: w.priority(1, depends_on=1) + c.unary(1))

# ---- 5.4


def close_follows(c):
    c.send(w.ping(b"short1"))
    c.need(lambda: c.closed, "the connection stays open")


def goaway_with_last_stream(c):
    c.send(c.unary(1))
    c.need(lambda: c.answered(1), "no answer")
    c.send(w.ping(b"short1"))
    if c.wait(lambda: c.goaways) and c.goaways[-1][0] < 1:
        raise Breach("GOAWAY does not name the last stream that was served")


def no_reset_for_a_reset(c):
    c.send(c.head(1), w.rst_stream(1))
    c.barrier()
    c.send(c.unary(3))
    c.need(lambda: c.answered(3), "no answer")
    if c.streams[1].reset is not None:
        raise Breach("RST_STREAM in answer to RST_STREAM")


def malformed_leaves_others(c):
    c.send(c.head(1), c.head(3, ("Upper", "x"), end=True))
    c.need(lambda: c.goaways or c.closed or c.streams[3].reset is not None or c.streams[3].ended, "no reaction")
    return c.body(1)


case("5.4.1/connection-is-closed", "After a connection error the server closes the connection.",
     connection_error(), close_follows)
case("5.4.1/goaway-names-the-last-stream", "GOAWAY names the last stream that was or may be served.",
     connection_error(w.FRAME_SIZE_ERROR), goaway_with_last_stream)
case("5.4.2/no-reset-for-a-reset", "RST_STREAM is not answered with RST_STREAM.", answered(3), no_reset_for_a_reset)
case("5.4.2/stream-error-leaves-others", "A stream error costs its stream; the others go on.",
     answered(1) | PROTOCOL, malformed_leaves_others)


def many_resets_give_window_back(c):
    """DATA of streams that are reset counts on the connection's window (5.1, 6.9), so it must be given back."""
    total = 0
    for stream in range(1, 41, 2):
        c.send(c.head(stream))
        payload = b"x" * 8000
        if c.send_window < len(payload) and not c.wait(lambda: c.send_window >= 8000):
            raise Breach(f"window of reset streams is not given back ({total} octets sent)")
        c.account(stream, len(payload))
        c.send(w.data(stream, payload), w.rst_stream(stream))
        total += len(payload)
    return c.unary(41)


case("5.1/reset-streams-give-window-back", "DATA of streams that were reset is given back to the connection's window.",
     answered(41), many_resets_give_window_back)
