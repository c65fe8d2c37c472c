"""RFC 9113 6.5: SETTINGS, their values and their acknowledgement."""

import wire as w
from suite import Breach, answered, case, connection_error

PROTOCOL = connection_error(w.PROTOCOL_ERROR)
SIZE = connection_error(w.FRAME_SIZE_ERROR)
FLOW = connection_error(w.FLOW_CONTROL_ERROR)

case("6.5/ack-with-payload", "An acknowledgement with a payload is a connection error FRAME_SIZE_ERROR.", SIZE,
     lambda c: w.frame(w.SETTINGS, w.ACK, 0, b"\0\1\0\0\0\0"))
case("6.5/ack-with-one-octet", "Even one octet.", SIZE, lambda c: w.frame(w.SETTINGS, w.ACK, 0, b"\0"))
case("6.5/on-a-stream", "SETTINGS on a stream are a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.frame(w.SETTINGS, 0, 1, b"\0\3\0\0\0\x64"))
case("6.5/on-an-open-stream", "SETTINGS on an open stream are a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: c.head(1) + w.frame(w.SETTINGS, 0, 1))
case("6.5/ack-on-a-stream", "An acknowledgement on a stream is a connection error PROTOCOL_ERROR.", PROTOCOL,
     lambda c: w.frame(w.SETTINGS, w.ACK, 1))
for _size in (1, 3, 5, 7):
    case(f"6.5/{_size}-octets", f"SETTINGS of {_size} octets are a connection error FRAME_SIZE_ERROR.", SIZE,
         lambda c, s=_size: w.frame(w.SETTINGS, 0, 0, b"\0" * s))
case("6.5/empty", "SETTINGS without a value are acknowledged.", answered(), lambda c: (
    c.own_settings(w.settings()) + c.unary(1)))


def change(*pairs, then=None):
    """New SETTINGS in mid-connection are acknowledged; then a call."""
    def act(c):
        acks = c.settings_acks
        c.send_settings(*pairs)
        c.need(lambda: c.settings_acks == acks + 1, "SETTINGS were not acknowledged")
        return c.unary(1)
    return act


# ---- 6.5.2 values

for _value in (2, 3, 0xFFFFFFFF):
    case(f"6.5.2/enable-push-{_value}", f"ENABLE_PUSH of {_value} is a connection error PROTOCOL_ERROR.", PROTOCOL,
         lambda c, v=_value: w.settings((w.ENABLE_PUSH, v)))
case("6.5.2/enable-push-values", "ENABLE_PUSH of 0 and 1 is taken.", answered(),
     change((w.ENABLE_PUSH, 1), (w.ENABLE_PUSH, 0)))
for _value in (2**31, 0xFFFFFFFF):
    case(f"6.5.2/initial-window-{_value}",
         f"INITIAL_WINDOW_SIZE of {_value} is a connection error FLOW_CONTROL_ERROR.", FLOW,
         lambda c, v=_value: w.settings((w.INITIAL_WINDOW_SIZE, v)))
case("6.5.2/initial-window-largest", "INITIAL_WINDOW_SIZE of 2^31-1 is taken.", answered(),
     change((w.INITIAL_WINDOW_SIZE, w.MAX_WINDOW)))
for _value in (0, 1, 16383):
    case(f"6.5.2/max-frame-{_value}", f"MAX_FRAME_SIZE of {_value} is a connection error PROTOCOL_ERROR.", PROTOCOL,
         lambda c, v=_value: w.settings((w.MAX_FRAME_SIZE, v)))
for _value in (2**24, 0xFFFFFFFF):
    case(f"6.5.2/max-frame-{_value}", f"MAX_FRAME_SIZE of {_value} is a connection error PROTOCOL_ERROR.", PROTOCOL,
         lambda c, v=_value: w.settings((w.MAX_FRAME_SIZE, v)))
for _value in (16384, 2**24 - 1):
    case(f"6.5.2/max-frame-{_value}", f"MAX_FRAME_SIZE of {_value} is taken.", answered(),
         change((w.MAX_FRAME_SIZE, _value)))
case("6.5.2/header-table-largest", "HEADER_TABLE_SIZE of 2^32-1 is taken.", answered(),
     change((w.HEADER_TABLE_SIZE, 0xFFFFFFFF)))
case("6.5.2/no-concurrent-streams", "MAX_CONCURRENT_STREAMS of 0 only keeps the server from pushing.", answered(),
     change((w.MAX_CONCURRENT_STREAMS, 0)))
case("6.5.2/header-list-largest", "MAX_HEADER_LIST_SIZE of 2^32-1 is taken.", answered(),
     change((w.MAX_HEADER_LIST_SIZE, 0xFFFFFFFF)))
case("6.5.2/unknown-settings", "Unknown settings are ignored, and acknowledged with the rest.", answered(),
     change((0xFF, 1), (0, 0), (0x4D44, 0xFFFFFFFF)))
case("6.5.2/bad-value-after-good", "A bad value is an error wherever in the frame it stands.", PROTOCOL,
     lambda c: w.settings((w.MAX_CONCURRENT_STREAMS, 1), (w.HEADER_TABLE_SIZE, 0), (w.ENABLE_PUSH, 2)))


def small_table(c):
    """The server's encoder shrinks its table (RFC 7541 4.2); the peer's decoder checks that it says so."""
    c.send(c.unary(1, extra=[("x-first", "1")]))
    c.need(lambda: c.answered(1), "no answer")
    for at, size in enumerate((0, 4096, 0, 100)):
        acks = c.settings_acks
        c.send_settings((w.HEADER_TABLE_SIZE, size))
        c.need(lambda: c.settings_acks == acks + 1, "SETTINGS were not acknowledged")
        stream = 3 + 2 * at
        c.send(c.unary(stream))
        c.need(lambda: c.answered(stream), "no answer")
    return c.unary(11)


case("6.5.2/header-table-shrinks", "Answers keep within a header table that shrinks and grows.", answered(11),
     small_table)
case("6.5.2/header-table-of-the-preface", "Answers keep within a header table of no size.", answered(3),
     lambda c: c.unary(1) + c.unary(3), settings=[(w.HEADER_TABLE_SIZE, 0)])

# ---- 6.5.3


def every_one_acknowledged(c):
    c.send(b"".join(c.own_settings(w.settings((w.MAX_CONCURRENT_STREAMS, value))) for value in range(10, 30)))
    c.need(lambda: c.settings_acks == 21, "not every SETTINGS frame was acknowledged")
    return c.unary(1)


def last_value_counts(c):
    c.send_settings((w.INITIAL_WINDOW_SIZE, 100), (w.INITIAL_WINDOW_SIZE, 1))
    c.refill = False
    c.send(c.unary(1))
    c.need(lambda: c.streams[1].data, "no DATA came")
    c.barrier()
    if len(c.streams[1].data) != 1:
        raise Breach(f"{len(c.streams[1].data)} octets came in a window of 1")
    c.refill = True
    c.give(1, 1000)


def acknowledged_at_once(c):
    """While the answer of an open stream is awaited."""
    c.send(c.head(1))
    c.send_settings((w.MAX_CONCURRENT_STREAMS, 7))
    c.need(lambda: c.settings_acks == 2, "SETTINGS were not acknowledged")
    return c.body(1)


case("6.5.3/every-one-acknowledged", "Each SETTINGS frame is acknowledged.", answered(), every_one_acknowledged)
case("6.5.3/last-value-counts", "Values are taken in their order: the last of one kind counts.", answered(),
     last_value_counts)
case("6.5.3/acknowledged-at-once", "SETTINGS are acknowledged while calls are open.", answered(), acknowledged_at_once)
case("6.5.3/surplus-ack", "An acknowledgement of nothing is ignored or refused.", answered() | PROTOCOL,
     lambda c: w.settings(ack=True) * 2 + c.unary(1))
