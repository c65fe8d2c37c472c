// The loads of bench_client, one a file. Each prints one line of JSON when all of it was answered, and ends the program
// with 1 and a message otherwise. Times are the wall clock's, in seconds, from the first byte sent to the last answer.
#pragma once

#include <cstdint>

#include "tests/bench/client_session.h"

namespace ficus::bench {

struct LoadOptions {
  std::uint16_t port = 0;
  ClientOptions client;
  std::size_t connections = 1;
  std::size_t message_bytes = 100;
  std::size_t calls = 0;      // paced, lockstep: in all; hold: per connection
  std::size_t streams = 1;    // streams: per connection
  std::size_t messages = 0;   // streams: per stream
  std::size_t in_flight = 1;  // streams: messages per stream; lockstep: calls sent in one write
  double rate = 0;            // paced: calls per second in all
  std::size_t sources = 1;    // hold: addresses the connections come from
};

// Long streams both ways: each keeps `in_flight` messages under way until it has had `messages` answers.
void stream_load(const LoadOptions& options);
// Calls at a fixed rate, spread evenly over connections and time (a tick of 200 us), whatever the answers take.
void paced_load(const LoadOptions& options);
// In turn: `in_flight` calls in one write, then all their answers. The peer meets the same bytes in the same portions
// each time, so that what it executes does not hang on anybody's speed.
void lockstep_load(const LoadOptions& options);
// Opens connections, says so, and waits for a line; opens calls, says so when each has its head, and waits for a line;
// then sees to it that all calls end well and every connection still answers a PING.
void hold_load(const LoadOptions& options);

}  // namespace ficus::bench
