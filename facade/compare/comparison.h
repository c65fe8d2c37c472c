// The answer of one comparison: verdict, differences, what rules swallowed. Pure values.
#pragma once

#include <cstdint>
#include <string>
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

enum class DifferenceKind : std::uint8_t { kValue, kMissing, kExtra, kOrder, kSize, kType, kStatus };
std::string_view to_string(DifferenceKind kind);

// One side's value of a difference, raw: personal data. trace/redact.h decides what of it leaves the process.
struct RawValue {
  bool present = false;
  std::string type;   // "string", "int64", "enum", "message:insurance.policy.v1.Money", "bytes", ...
  std::string text;   // canonical text of the value (bytes raw, numbers shortest round-trip, messages in wire bytes)
};

// Always legacy -> new, whoever was primary. kMissing: legacy has it, new does not; kExtra: the other way round.
struct Difference {
  std::uint32_t message_index = 0;   // which message of a stream
  FieldPath path;                    // empty for a status or a whole message
  std::string path_text;             // with indices: "policy.endorsements[3].premium.amount"; map keys are raw: redact
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
  // Differences swallowed, by the rule's path text as the policy writes it ("**.updated_at"), with how many.
  std::vector<std::pair<std::string, std::uint64_t>> swallowed;
};

}  // namespace ficus
