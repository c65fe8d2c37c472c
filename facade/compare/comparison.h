// The answer of one comparison: verdict, differences, what rules swallowed. Pure values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/field_path.h"
#include "routing/vocabulary.h"

namespace ficus {

// POLICY 6. noise and lag come with the comparison work and are never given before.
enum class Verdict : std::uint8_t { kMatch, kIgnored, kNoise, kLag, kMismatch, kIncomparable, kAbandoned };
std::string_view to_string(Verdict verdict);

// Ordered: a higher one is graver.
enum class Severity : std::uint8_t { kNone, kMinor, kMajor, kCritical };
std::string_view to_string(Severity severity);

enum class DifferenceKind : std::uint8_t {
  kValue,
  kMissing,
  kExtra,
  kOrder,
  kSize,
  kType,
  kStatus,
  kMetadata,  // path: metadata[NAME]
  kLatency,   // of new; without a path
};
std::string_view to_string(DifferenceKind kind);

// What a step of a difference's path says beyond the FieldStep that rules are matched against.
struct StepDetail {
  std::int64_t index = -1;  // which entry of a list; -1: the list itself, or no list
  std::string key_type;     // of a map key: "string", "int32", ...
  bool key_plain = false;   // by the policy's plain/redact: the key may be shown
  bool operator==(const StepDetail&) const = default;
};

// One side's value of a difference, raw: personal data. trace/redact.h decides what of it leaves the process.
struct RawValue {
  bool present = false;
  std::string type;   // "string", "int64", "enum", "bytes", "message:insurance.policy.v1.Money", "unknown", "status",
                      // "size", "order", "duration"
  std::string text;   // canonical text of the value: bytes raw, numbers shortest round-trip, unknown fields in wire
                      // bytes; messages in wire bytes, or in protobuf's text format where the difference is plain
};

// Always legacy -> new, whoever was primary. kMissing: legacy has it, new does not; kExtra: the other way round.
struct Difference {
  std::uint32_t message_index = 0;   // which message of a stream
  FieldPath path;                    // empty for a status, a latency or a whole message
  std::vector<StepDetail> details;   // one a step of `path`
  DifferenceKind kind = DifferenceKind::kValue;
  Severity severity = Severity::kMajor;
  RawValue legacy, new_;
  bool plain = false;                // by the policy's plain/redact: the values may be shown
};

struct Comparison {
  Verdict verdict = Verdict::kMatch;
  std::string reason;                     // for kIncomparable and kAbandoned; a metrics label
  Severity severity = Severity::kNone;    // of the gravest difference
  std::vector<Difference> differences;    // at most CompareLimits::differences; the rest are counted
  std::uint64_t differences_more = 0;
  // Fields whose difference was swallowed, by the rule's path text as the policy writes it ("**.updated_at"), with how
  // many.
  std::vector<std::pair<std::string, std::uint64_t>> swallowed;
};

// "policy.endorsements[3].labels[KEY].note", each map key as `show_key` gives it. An index counts in legacy's list, or
// in new's where legacy has no such entry.
std::string path_text(const Difference& difference,
                      const std::function<std::string(const FieldStep&, const StepDetail&)>& show_key);

}  // namespace ficus
