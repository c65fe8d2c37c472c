// How long a client's connection may be silent, slow or old: plain values, from the command line to the sessions. What
// bounds a peer's memory and rates is H2Limits. Durations of 0 mean "never" where a comment says so.
#pragma once

#include <chrono>

namespace ficus {

struct ClientManners {
  // A connection without a call for this long is told to go away (GOAWAY, then closed). 0: never, the default: a gRPC
  // client holds its connection for days and expects it to be there, and max_connections bounds what idleness costs.
  std::chrono::milliseconds idle_timeout{0};
  // A PING to a client from which nothing was read for this long, and how long its answer may take before the
  // connection is closed as dead. Two hours and 20 s are what gRPC's servers do; below a minute it wakes up phones.
  // Interval 0: never.
  std::chrono::milliseconds keepalive_interval{std::chrono::hours(2)};
  std::chrono::milliseconds keepalive_timeout{std::chrono::seconds(20)};
  // A connection older than this (a tenth more or less, so that they do not all end at once) is told to go away; what
  // is still open after the grace ends with UNAVAILABLE. 0, the default: never, since a stream may live for days; set
  // it where a balancer in front spreads connections. Grace 0: no end to waiting, as with gRPC's servers by default.
  std::chrono::milliseconds max_connection_age{0};
  std::chrono::milliseconds max_connection_age_grace{std::chrono::seconds(30)};
  // From the accept to the end of the client's preface and first SETTINGS (over TLS: the handshake too). A client on a
  // bad line needs three or four round trips; 10 s leaves room for a lost packet's retransmissions. Limit
  // "preface_time".
  std::chrono::milliseconds preface_timeout{std::chrono::seconds(10)};
  // From the first byte of a request's head to its end, CONTINUATIONs included. Limit "head_time".
  std::chrono::milliseconds head_timeout{std::chrono::seconds(10)};
  // For a message of a request, once it has begun, to get on at 240 bytes a second (rpc/client_waits.h); where the
  // schema says that only one message comes, from the head to the request's end. Kestrel gives 5 s; the lines behind a
  // company's edge may stall for longer when they change over, and TCP tries again for half a minute before it doubts.
  // Between two messages a stream may be silent for days, but once its upstream is full
  // gives way after as long. 0: never. Limit "message_time".
  std::chrono::milliseconds message_timeout{std::chrono::seconds(30)};
  // PINGs closer together than this, with no HEADERS or DATA sent between them, are strikes; the client that has more
  // than max_ping_strikes is told ENHANCE_YOUR_CALM ("too_many_pings", as gRPC's servers say) and closed. gRPC's own
  // servers want five minutes, which fails clients that worked before: Go and Java let an application ask for 10 s, so
  // half of that never strikes an honest one. A PING that is no strike wipes out those before it. 0: PINGs are not
  // judged by time. Limit "ping_strikes".
  std::chrono::milliseconds min_ping_interval{std::chrono::seconds(5)};
  unsigned max_ping_strikes = 2;
};

}  // namespace ficus
