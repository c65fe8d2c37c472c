// All that one upstream did with one call. Immutable once made. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "routing/vocabulary.h"

namespace ficus {

// One gRPC message as it came: PROTOCOL-HTTP2.md, "Length-Prefixed-Message", without the five-byte prefix.
struct ObservedMessage {
  std::string bytes;
  bool compressed = false;
};

// A header or trailer of an answer, raw: personal data.
struct ObservedMetadata {
  std::string name;   // lower case
  std::string value;  // as it came: base64 where the name ends with -bin
  bool operator==(const ObservedMetadata&) const = default;
};

struct Observation {
  Side side = Side::kLegacy;
  // How it ended.
  enum class End : std::uint8_t {
    kAnswered,       // a grpc-status came from the upstream
    kFailed,         // transport: refused, reset, closed, garbage; grpc_status is what the facade made of it
    kCancelled,      // by the client (primary) before the answer's end
    kOverLimit,      // the answer is larger than the capture limit; messages are incomplete
    kTimedOut,       // the deadline ran out at the facade
  };
  End end = End::kAnswered;
  GrpcCode grpc_status = GrpcCode::kOk;
  std::string grpc_message;        // decoded; personal data
  std::string grpc_encoding;       // "" = identity
  std::vector<ObservedMessage> messages;
  // Headers, then trailers, in the order they came: only those that the policy compares.
  std::vector<ObservedMetadata> metadata;
  std::uint64_t message_bytes = 0; // of the whole answer's messages, prefixes not counted, captured or not
  std::chrono::system_clock::time_point started{};
  std::chrono::nanoseconds latency{};          // from the request's head sent to the answer's end
  std::string upstream;            // its name in the policy
  std::string detail;              // for kFailed: the class ("connection refused")
};
using ObservationPtr = std::shared_ptr<const Observation>;

}  // namespace ficus
