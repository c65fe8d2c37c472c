"""RFC 9113 6.9: flow control. That the server never sends more than it may is checked in every case (peer.py)."""

import wire as w
from suite import Breach, answered, case, connection_error, stream_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)
SIZE = connection_error(w.FRAME_SIZE_ERROR)
FLOW = connection_error(w.FLOW_CONTROL_ERROR)

# ---- 6.9 the frame

case("6.9/zero-on-connection", "An increment of 0 on stream 0 is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.window_update(0, 0))
case("6.9/zero-on-stream", "An increment of 0 on a stream is a stream error PROTOCOL_ERROR.",
     stream_error(w.PROTOCOL_ERROR), lambda c: c.head(1) + w.window_update(1, 0))
case("6.9/zero-with-reserved-bit", "The reserved bit does not make an increment of 0 another.", PROTOCOL,
     lambda c: w.frame(w.WINDOW_UPDATE, 0, 0, b"\x80\0\0\0"))
case("6.9/reserved-bit", "The reserved bit of the increment is ignored.", answered(),
     lambda c: w.frame(w.WINDOW_UPDATE, 0, 0, b"\x80\0\0\1") + c.head(1) +
     w.frame(w.WINDOW_UPDATE, 0, 1, b"\x80\0\0\1") + c.body(1))
for _size in (0, 3, 5):
    case(f"6.9/{_size}-octets", f"WINDOW_UPDATE of {_size} octets is a connection error FRAME_SIZE_ERROR.", SIZE,
         lambda c, s=_size: w.frame(w.WINDOW_UPDATE, 0, 0, b"\1" * s))
case("6.9/3-octets-on-stream", "So it is on a stream.", SIZE,
     lambda c: c.head(1) + w.frame(w.WINDOW_UPDATE, 0, 1, b"\0\0\1"))
case("6.9/on-connection", "WINDOW_UPDATE on stream 0 is taken.", answered(),
     lambda c: w.window_update(0, 1) + c.unary(1))
case("6.9/on-stream", "WINDOW_UPDATE on an open stream is taken.", answered(),
     lambda c: c.head(1) + w.window_update(1, 1) + c.body(1))

# ---- 6.9.1 windows

case("6.9.1/overflow-on-connection", "A connection window above 2^31-1 is a connection error FLOW_CONTROL_ERROR.",
     FLOW, lambda c: w.window_update(0, w.MAX_WINDOW) * 2)
case("6.9.1/overflow-by-one", "Also by one.", FLOW,
     lambda c: w.window_update(0, w.MAX_WINDOW - w.DEFAULT_WINDOW) + w.window_update(0, 1))
case("6.9.1/largest-connection-window", "A connection window of 2^31-1 is taken.", answered(),
     lambda c: w.window_update(0, w.MAX_WINDOW - w.DEFAULT_WINDOW) + c.unary(1))
case("6.9.1/overflow-on-stream", "A stream window above 2^31-1 is a stream error FLOW_CONTROL_ERROR.",
     stream_error(w.FLOW_CONTROL_ERROR), lambda c: c.head(1) + w.window_update(1, w.MAX_WINDOW) * 2)
case("6.9.1/overflow-on-stream-by-one", "Also by one.", stream_error(w.FLOW_CONTROL_ERROR),
     lambda c: c.head(1) + w.window_update(1, w.MAX_WINDOW - w.DEFAULT_WINDOW) + w.window_update(1, 1))
case("6.9.1/largest-stream-window", "A stream window of 2^31-1 is taken.", answered(),
     lambda c: c.head(1) + w.window_update(1, w.MAX_WINDOW - w.DEFAULT_WINDOW) + c.body(1))


def no_overflow_without_window(c):
    c.refill = False
    c.send(c.unary(1, b"m" * 1000))
    c.need(lambda: c.streams[1].ended, "no answer")


def step_by_step(sizes):
    """The answer comes in steps as large as the window that is given for each."""
    def act(c):
        c.refill = False
        c.send(c.unary(1, b"m" * 200))
        given = 0
        for size in sizes:
            c.give(1, size)
            given += size
            c.need(lambda: len(c.streams[1].data) == given, f"no {given} octets in a window of that size")
            c.barrier()
            if len(c.streams[1].data) != given:
                raise Breach("more DATA than window")
        c.give(1, 1000)
    return act


def connection_window_stops_all(c):
    """Two answers that together exceed the connection's window, whose streams have more than enough."""
    c.refill = False
    c.send(c.head(1), c.head(3))
    c.send_body(1, w.grpc_message(b"m" * 50000))
    c.send_body(3, w.grpc_message(b"n" * 50000))

    def got():
        return len(c.streams[1].data) + len(c.streams[3].data)
    c.need(lambda: got() == w.DEFAULT_WINDOW, "the connection's window is not used up")
    c.barrier()
    if got() != w.DEFAULT_WINDOW:
        raise Breach("more DATA than the connection's window")
    c.give(0, 100000)
    c.need(lambda: c.answered(1), "the first answer does not go on")


def others_pass_an_exhausted_window(c):
    """Without connection window, PING is acknowledged and heads still come: only DATA is flow controlled."""
    c.refill = False
    c.send(c.head(1))
    c.send_body(1, w.grpc_message(b"m" * 70000))
    c.need(lambda: len(c.streams[1].data) == w.DEFAULT_WINDOW, "the connection's window is not used up")
    c.send(c.unary(3))
    c.need(lambda: c.streams[3].status, "no head without window")
    c.barrier()
    c.give(0, 100000)
    c.give(1, 100000)
    c.need(lambda: c.answered(1), "the answer does not go on")


def stalled_stream_stops_itself_only(c):
    c.refill = False
    c.send(c.unary(1, b"m" * 100))
    c.need(lambda: c.streams[1].status, "no head")
    c.send(c.unary(3))
    c.give(3, 1000)
    c.need(lambda: c.answered(3), "another stream waits for the stalled one")
    c.give(1, 1000)


case("6.9.1/answer-within-the-window", "An answer within the windows needs no WINDOW_UPDATE.", answered(),
     no_overflow_without_window)
case("6.9.1/window-of-1", "A window of 1 is used, and no more.", answered(), step_by_step([1, 1, 1, 5, 50]),
     settings=[(w.INITIAL_WINDOW_SIZE, 0)])
case("6.9.1/connection-window-stops-all", "The connection's window holds for all streams together.", answered(3),
     connection_window_stops_all)
case("6.9.1/only-data-is-controlled", "Frames other than DATA pass an exhausted window.", answered(3),
     others_pass_an_exhausted_window)
case("6.9.1/stalled-stream", "A stream without window stops itself only.", answered(1),
     stalled_stream_stops_itself_only, settings=[(w.INITIAL_WINDOW_SIZE, 0)])

# ---- 6.9.2 the initial window changes


def grows_while_open(c):
    c.refill = False
    c.send(c.unary(1, b"m" * 100))
    c.need(lambda: c.streams[1].status, "no head")
    c.barrier()
    c.send_settings((w.INITIAL_WINDOW_SIZE, 1))
    c.need(lambda: len(c.streams[1].data) == 1, "the new window is not used")
    c.send_settings((w.INITIAL_WINDOW_SIZE, 1000))


def becomes_negative(c):
    """A window of 3 is used up, made -2, and only a WINDOW_UPDATE above 2 lets the answer go on."""
    c.refill = False
    c.send(c.unary(1, b"m" * 100))
    c.need(lambda: len(c.streams[1].data) == 3, "the window of 3 is not used")
    c.send_settings((w.INITIAL_WINDOW_SIZE, 1))
    c.need(lambda: c.settings_acks == 2, "SETTINGS were not acknowledged")
    c.give(1, 2)
    c.barrier()
    if len(c.streams[1].data) != 3:
        raise Breach("DATA in a window of 0")
    c.give(1, 1)
    c.need(lambda: len(c.streams[1].data) == 4, "a window of 1 is not used")
    c.give(1, 1000)


def shrinks_before_the_answer(c):
    c.refill = False
    c.send_settings((w.INITIAL_WINDOW_SIZE, 10))
    c.need(lambda: c.settings_acks == 2, "SETTINGS were not acknowledged")
    c.send(c.unary(1, b"m" * 100))
    c.need(lambda: len(c.streams[1].data) == 10, "the window of 10 is not used")
    c.barrier()
    c.send_settings((w.INITIAL_WINDOW_SIZE, 0))
    c.need(lambda: c.settings_acks == 3, "SETTINGS were not acknowledged")
    c.give(1, 500)


def overflow_by_settings(c):
    c.send(c.head(1), w.window_update(1, w.MAX_WINDOW - w.DEFAULT_WINDOW))
    c.send(c.own_settings(w.settings((w.INITIAL_WINDOW_SIZE, w.DEFAULT_WINDOW + 1))))


def connection_window_does_not_change(c):
    """INITIAL_WINDOW_SIZE is about streams: the connection's window stays 65,535."""
    c.refill = False
    c.send_settings((w.INITIAL_WINDOW_SIZE, 1 << 20))
    c.send(c.head(1))
    c.send_body(1, w.grpc_message(b"m" * 100000))
    c.need(lambda: len(c.streams[1].data) == w.DEFAULT_WINDOW, "the connection's window is not used up")
    c.barrier()
    if len(c.streams[1].data) != w.DEFAULT_WINDOW:
        raise Breach("SETTINGS changed the connection's window")
    c.give(0, 1 << 20)


case("6.9.2/grows-while-open", "A greater INITIAL_WINDOW_SIZE opens the windows of open streams.", answered(),
     grows_while_open, settings=[(w.INITIAL_WINDOW_SIZE, 0)])
case("6.9.2/becomes-negative", "A smaller one may make a window negative, which is remembered.", answered(),
     becomes_negative, settings=[(w.INITIAL_WINDOW_SIZE, 3)])
case("6.9.2/shrinks-before-the-answer", "A window that was made smaller is kept to.", answered(),
     shrinks_before_the_answer)
case("6.9.2/above-maximum", "INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR.", FLOW,
     lambda c: c.head(1) + w.settings((w.INITIAL_WINDOW_SIZE, 2**31)))
case("6.9.2/overflow-by-settings",
     "One that lifts a stream's window above 2^31-1 is a connection error FLOW_CONTROL_ERROR.", FLOW, overflow_by_settings)
case("6.9.2/connection-window-stays", "It does not change the connection's window.", answered(),
     connection_window_does_not_change)
