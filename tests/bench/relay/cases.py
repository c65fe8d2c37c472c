"""What is measured: each case's load, who takes part, and what Ficus must reach."""
from dataclasses import dataclass, field

EVERYBODY = ("nghttpx", "haproxy", "nginx", "generic")


@dataclass(frozen=True)
class Case:
    """One load: `connections` with `streams` calls in flight each, messages of `message_bytes` both ways.

    `kind` says how it is made and what is compared:
      calls    h2load, proxies side by side                     streams  bench_client, proxies side by side, CPU per message
      shadow   Ficus with and without, h2load and paced         workers  Ficus with two workers and with one, paced
      memory   connections and calls that are held, proxies side by side, memory of each
    """
    name: str
    kind: str
    connections: int
    streams: int
    message_bytes: int
    # Peer -> the most that Ficus's cost may be, relative to that peer's in the same round.
    targets: dict = field(default_factory=dict)
    peers: tuple = EVERYBODY  # those that can take it
    tls: bool = False
    messages_in_flight: int = 1  # streams: of each stream

    @property
    def title(self):
        if self.kind == "memory":
            return "memory of idle connections and of calls in flight"
        text = f"{self.connections} connections x {self.streams} streams, {self.message_bytes:,} byte messages"
        if self.kind == "streams":
            text += f" both ways, {self.messages_in_flight} under way on each"
        if self.tls:
            text += ", TLS 1.3 to the proxy, cleartext to the upstream"
        if self.kind == "shadow":
            text = f"{text}, every call shadowed and none"
        if self.kind == "workers":
            text = f"{self.connections} connections, paced calls, {self.message_bytes:,} byte messages, two workers and one"
        return text

    @property
    def unit(self):
        return "message" if self.kind == "streams" else "call"

    @property
    def in_flight(self):
        return self.connections * self.streams * self.messages_in_flight


# A generic proxy at least 4 times as dear as Ficus: the same as Ficus at most a quarter of it.
GENERIC_AT_LEAST_4 = 0.25

CASES = [
    Case("8x32", "calls", 8, 32, 100, {"nghttpx": 0.85, "generic": GENERIC_AT_LEAST_4}),
    Case("8x1", "calls", 8, 1, 100, {"nghttpx": 1.0}),
    Case("8x16-10k", "calls", 8, 16, 10_000, {"nghttpx": 0.85}),
    Case("tls", "calls", 8, 32, 100, {"nghttpx": 0.9}, peers=("nghttpx", "haproxy", "nginx"), tls=True),
    Case("streams", "streams", 8, 4, 100, {"nghttpx": 0.9}, messages_in_flight=8),
    Case("streams-1k", "streams", 8, 4, 1000, {"nghttpx": 0.9}, messages_in_flight=8),
    Case("shadow", "shadow", 8, 32, 100, {"unshadowed": 2.0}, peers=()),
    Case("workers", "workers", 8, 32, 100, {"1 worker": 1.1}, peers=("nghttpx",)),
    # Without the generic proxy, which holds an answer's head back until its first message (generic_proxy.cc says why).
    Case("memory", "memory", 20, 100, 100, {"nghttpx": 1.0}, peers=("nghttpx", "haproxy", "nginx")),
]
OWN_P99_AT_MOST_US = 100.0  # shadow: what it may add to Ficus's own time per call, either way
BY_NAME = {case.name: case for case in CASES}
CALL_CASES = [case for case in CASES if case.kind == "calls" and not case.tls]  # what profile.sh can make
