// Which finding a difference belongs to: the same capability, method, place, kind and severity, whoever called and
// whatever the values were. Pure; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

using FindingKind = ficus::trace::v1::Difference::Kind;
using FindingSeverity = ficus::trace::v1::MismatchTrace::Severity;

// As metrics, tables and JSON write them: "value", "missing", ...; "minor", "major", "critical". "unspecified" for what
// a trace does not say.
std::string_view word_of(FindingKind kind);
std::string_view word_of(FindingSeverity severity);
std::optional<FindingSeverity> parse_severity(std::string_view word);  // one of the three

struct FindingSignature {
  std::string capability;
  std::string method;  // "insurance.policy.v1.PolicyService/GetPolicy"
  std::string path;    // as signature_path() gives it; empty: the whole message, or the status
  FindingKind kind = ficus::trace::v1::Difference::KIND_UNSPECIFIED;
  FindingSeverity severity = ficus::trace::v1::MismatchTrace::SEVERITY_UNSPECIFIED;
  bool operator==(const FindingSignature&) const = default;
};

// Stable for ever: over processes, machines and versions, since people write it down. Shown as 16 hex digits.
struct FindingId {
  std::uint64_t value = 0;
  auto operator<=>(const FindingId&) const = default;
};
std::string to_string(FindingId id);  // "00c0ffee00c0ffee"
// Exactly 16 hex digits, of either case.
std::optional<FindingId> parse_finding_id(std::string_view text);

// XXH3-64 of the five parts as text, each behind its length in four little-endian bytes. Vectors in the tests.
FindingId id_of(const FindingSignature& signature);

// A trace's path without what differs from call to call: "policy.endorsements[3].labels[string:2:0123456789abcdef].x"
// becomes "policy.endorsements.labels[*].x". Indices go; each map key becomes `*`, also one that the policy shows
// plain, or one bug would be as many findings as there are keys (the examples still have them). A plain key of digits
// looks like an index and goes like one. Where a plain key holds brackets so that the path cannot be taken apart,
// everything from its first '[' to its last ']' is one `[*]`.
std::string signature_path(std::string_view path);

// The distinct signatures of a trace's differences, in their order. A mismatch without differences (all beyond the
// trace's bound, or of another nature) is one signature of no path, with the trace's severity. Empty for any other
// verdict.
std::vector<FindingSignature> signatures_of(const ficus::trace::v1::MismatchTrace& trace);

}  // namespace ficus
