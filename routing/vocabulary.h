// The words of the policy language as types: Side, Stage, ShareBy, MethodKind, Balance, GrpcCode, GrpcCodeSet, Percent.
// Pure values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace ficus {

// Which side: the system being replaced, or its replacement. Fixed for the whole migration.
enum class Side : std::uint8_t { kLegacy, kNew };
constexpr Side other(Side side) { return side == Side::kLegacy ? Side::kNew : Side::kLegacy; }
std::string_view to_string(Side side);  // "legacy", "new"
std::optional<Side> parse_side(std::string_view text);

// A named step of the migration; expands to StageFacts (policy.h). POLICY "Stages".
enum class Stage : std::uint8_t { kOff, kDualWrite, kShadow, kCanary, kLive, kRampdown, kComplete };
std::string_view to_string(Stage stage);  // "off", "dual_write", ...
std::optional<Stage> parse_stage(std::string_view text);

// What a share is counted by. kRequest: the call's own random draw (shadows only).
enum class ShareBy : std::uint8_t { kTenant, kConsumer, kKey, kRequest };
std::string_view to_string(ShareBy by);
std::optional<ShareBy> parse_share_by(std::string_view text);

enum class MethodKind : std::uint8_t { kRead, kWrite };
std::string_view to_string(MethodKind kind);  // "read", "write"

// How an upstream's calls are spread over its endpoints.
enum class Balance : std::uint8_t { kLeastRequest, kRoundRobin };
std::string_view to_string(Balance balance);  // "least_request", "round_robin"
std::optional<Balance> parse_balance(std::string_view text);

// A percentage with four decimals, exactly: 0..1'000'000 millionths; 10'000 means 1 %.
struct Percent {
  std::uint32_t millionths = 0;
  static constexpr std::uint32_t kFull = 1'000'000;
  constexpr bool none() const { return millionths == 0; }
  constexpr bool all() const { return millionths == kFull; }
  constexpr bool between() const { return !none() && !all(); }
  auto operator<=>(const Percent&) const = default;
};
std::string to_string(Percent percent);  // shortest exact decimal, no sign: "5", "0.25"

// gRPC status codes by their numbers, so that routing/ needs no gRPC header.
// Source: gRPC doc/statuscodes.md.
enum class GrpcCode : std::uint8_t {
  kOk = 0, kCancelled = 1, kUnknown = 2, kInvalidArgument = 3, kDeadlineExceeded = 4, kNotFound = 5,
  kAlreadyExists = 6, kPermissionDenied = 7, kResourceExhausted = 8, kFailedPrecondition = 9, kAborted = 10,
  kOutOfRange = 11, kUnimplemented = 12, kInternal = 13, kUnavailable = 14, kDataLoss = 15, kUnauthenticated = 16,
};
std::string_view to_string(GrpcCode code);  // "OK", "FAILED_PRECONDITION", ...
std::optional<GrpcCode> parse_grpc_code(std::string_view name);

// Some of the seventeen codes: on which ones something is done. A code off the wire that is none of them is in no set.
class GrpcCodeSet {
 public:
  constexpr GrpcCodeSet() = default;
  constexpr GrpcCodeSet(std::initializer_list<GrpcCode> codes) {
    for (const GrpcCode code : codes) add(code);
  }
  constexpr void add(GrpcCode code) {
    if (static_cast<std::uint8_t>(code) < 32) bits_ |= 1u << static_cast<std::uint8_t>(code);
  }
  constexpr bool has(GrpcCode code) const {
    return static_cast<std::uint8_t>(code) < 32 && (bits_ >> static_cast<std::uint8_t>(code) & 1u) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const GrpcCodeSet&) const = default;

 private:
  std::uint32_t bits_ = 0;
};
std::string to_string(GrpcCodeSet codes);  // "NOT_FOUND, UNAVAILABLE", by number; "none"

}  // namespace ficus
