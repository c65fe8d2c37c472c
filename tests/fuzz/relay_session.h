// Whole sessions of a relay between clients and two upstreams, in one thread and without waiting: the product's worker,
// calls, routes, pools, shadows and comparison; the sockets' far ends are played by a script. Each session begins and
// ends with nothing open.
//
// A script is bytes, so that any input is one. The first: bits 0-1 the policy (kPolicies), then flags (kOption...).
// Then records: a byte of which the low half is what (Record) and the high half who: 0-3 a client, made when first
// named; 4-7 legacy's connections in the order in which they came, 8-11 the new side's; 12-15 as 0-3. What is said to
// a connection that never came is said to nobody. After each record the loop runs until nothing is left to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ficus::fuzz {

enum class Record : std::uint8_t {
  kBytes,     // LENGTH, so many bytes: sent as they are
  kCall,      // a client: FLAGS (kCall...), LENGTH, so many bytes: opens a call with that message
  kAnswer,    // an upstream: FLAGS (kAnswer...), LENGTH, so many bytes: answers its oldest open call with that message
  kReset,     // CODE: of the client's last call, or the upstream's oldest open one
  kGoaway,    // CODE: GOAWAY that takes no call back up to the last one seen; from 128 on, takes all of them back
  kFinish,    // says that no more comes
  kAbort,     // closes at once
  kData,      // a client: LENGTH, so many bytes: more DATA of its last call; the high bit of LENGTH ends it
  kWindow,    // N: SETTINGS_INITIAL_WINDOW_SIZE of N * 16
  kPause,     // reads no more; and again: reads on
  kCutNext,   // an upstream's side: its next connection is closed as soon as it comes
  kReload,    // N: the policy in force is another one that gives writes the same owners
  kDrain,     // the facade is to stop
  kTogether,  // the loop does not run after the next record
  kMoreWindow,  // N: WINDOW_UPDATE of N * 64, for the connection and the last call
  kHurry,       // the next call has hardly any time
};

inline constexpr std::uint8_t kOptionSilent = 4;        // ends do not greet: preface and SETTINGS are the script's
inline constexpr std::uint8_t kOptionUpstreamsEnd = 8;  // at the end the upstreams go before the clients
inline constexpr std::uint8_t kOptionDrain = 16;        // and the facade was draining
inline constexpr std::uint8_t kOptionStop = 32;         // the facade stops with everything open

// Bits 0-1: Get, Endorse, List, a method of no capability. Bits 2-4: tenant none, acme, shady, pilot, moving, nobody,
// two that contradict each other, one that is no name.
inline constexpr std::uint8_t kCallMarked = 32;
inline constexpr std::uint8_t kCallOpen = 64;  // the request does not end
inline constexpr std::uint8_t kCallForced = 128;

// Bits 0-4: grpc-status.
inline constexpr std::uint8_t kAnswerOpen = 32;          // head and message only
inline constexpr std::uint8_t kAnswerTrailersOnly = 64;  // no message
inline constexpr std::uint8_t kAnswerCompressed = 128;   // says so; it is what the bytes make it

// What came of a session, for who wants to know that a script reaches what it is meant to.
struct SessionOutcome {
  std::size_t legacy_calls = 0, new_calls = 0;      // that reached an upstream, shadows not counted
  std::size_t legacy_shadows = 0, new_shadows = 0;  // that reached an upstream
  std::size_t writes = 0;                           // of the calls
  std::size_t health_checks = 0;
  std::uint64_t begun = 0, match = 0, mismatch = 0, other_verdicts = 0;
  std::uint64_t fallbacks = 0;        // that legacy answered well
  std::uint64_t held_bytes = 0;       // how often that limit cut a client off
  std::vector<std::string> statuses;  // grpc-status (empty: none) of each answer a client saw the end of
};

class RelaySessions {
 public:
  RelaySessions();
  ~RelaySessions();
  // Aborts where something that must hold does not.
  SessionOutcome play(std::string_view script);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus::fuzz
