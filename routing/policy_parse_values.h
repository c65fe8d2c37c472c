// Single values of a policy: text -> typed value, or what is wrong with it. Pure functions; each says in its message
// what it saw and in its hint what to write. They never see a secret's value except parse_metadata_value, whose
// messages do not repeat it. Spec: policies/README.md, "Types".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "routing/diagnostic_codes.h"
#include "routing/field_path.h"
#include "routing/policy.h"
#include "routing/result.h"

namespace ficus::parsing {

struct ValueProblem {
  const DiagnosticCode* code = nullptr;
  std::string message;
  std::string hint;
};
template <class T>
using Parsed = Result<T, ValueProblem>;

// `return problem(codes::kBadName, "what it is", "what to write");` from a function that returns Parsed<T>.
inline tl::unexpected<ValueProblem> problem(const DiagnosticCode& code, std::string message, std::string hint) {
  return fail(ValueProblem{&code, std::move(message), std::move(hint)});
}

// ---- numbers, durations, dates ----
// Digits only, no sign, no leading zero (YAML 1.1 reads 010 as eight). `min`..`max` inclusive.
Parsed<std::uint64_t> parse_count(std::string_view text, std::uint64_t min, std::uint64_t max);
// A whole number and `ms`, `s` or `m`.
Parsed<std::chrono::milliseconds> parse_duration(std::string_view text, std::chrono::milliseconds min,
                                                 std::chrono::milliseconds max);
// A whole number and `B`, `KiB` or `MiB`.
Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t min, std::uint64_t max);
// 0 to 100 with up to four decimals, exactly.
Parsed<Percent> parse_percent(std::string_view text);
// Digits, and a point and up to twelve decimals where there are any; above 0, and at most, or less than, `limit`.
enum class Limit : std::uint8_t { kInclusive, kExclusive };
Parsed<double> parse_decimal(std::string_view text, double limit, Limit kind);
// YYYY-MM-DD.
Parsed<Date> parse_date(std::string_view text);
// Exactly `true` or `false`.
Parsed<bool> parse_bool(std::string_view text);

// Canonical text of the same, which the parsers above read back.
std::string print_duration(std::chrono::milliseconds duration);
std::string print_size(std::uint64_t bytes);
std::string print_decimal(double number);
std::string print_date(const Date& date);

// ---- names ----
// A name that the policy itself gives: [A-Za-z0-9][A-Za-z0-9._-]*, at most 64 bytes.
Parsed<std::string> parse_name(std::string_view text);
// One line for people: 1..512 bytes of UTF-8 without control characters.
Parsed<std::string> parse_line(std::string_view text);
// A name of a file beside or below the policy: relative, no "..".
Parsed<std::string> parse_file_name(std::string_view text);
// "file:NAME" -> NAME.
Parsed<std::string> parse_file_reference(std::string_view text);
Parsed<EndpointSpec> parse_endpoint(std::string_view text);
// What a certificate must be for: a host name, an IPv4 or (without brackets) an IPv6 address.
Parsed<std::string> parse_server_name(std::string_view text);
// What `:authority` may say: a host name or an address (IPv6 in brackets), and a port or none.
Parsed<std::string> parse_authority(std::string_view text);
// A pattern of a SAN: see peer_san.h.
Parsed<std::string> parse_peer_san(std::string_view text);

// What a caller's tenant, consumer or attribute value may be: 1..256 bytes, no comma, no control character, no space
// at either end (RFC 9113 8.2.1 takes that off a field's value).
Parsed<std::string> parse_identity_value(std::string_view text);

// Which forms besides `name` and `prefix*` a list of names takes.
enum class PatternForms : std::uint8_t {
  kTenants,    // group:NAME, '*', none
  kConsumers,  // '*', none
  kNames,      // neither: groups, overrides
  kValues,     // '*'; `none` and `group:` are values as any other: `match`
};
Parsed<NamePattern> parse_name_pattern(std::string_view text, PatternForms forms);

// What a metadata name is wanted for; decides what is reserved.
enum class MetadataUse : std::uint8_t {
  kRead,     // identity, attributes, key, overrides: text, ours to read
  kSet,      // set on calls to an upstream
  kRemove,   // removed from calls to an upstream
  kTest,     // carried by a call in `tests`: also x-ficus-shadow
  kCompare,  // of answers, binary ones too
};
Parsed<std::string> parse_metadata_name(std::string_view text, MetadataUse use);
// Visible ASCII and inner spaces, at most 4096 bytes. The message never repeats the value.
Parsed<std::string> parse_metadata_value(std::string_view text);

// ---- gRPC names and field paths ----
Parsed<std::string> parse_service(std::string_view text);       // "pkg.Service"
Parsed<std::string> parse_short_method(std::string_view text);  // "GetPolicy"
// "pkg.Service/Method", "pkg.Service/*", and with a `service` (not empty) also "Method" and "*" of it.
Parsed<MethodRef> parse_method(std::string_view text, std::string_view service);
Parsed<std::string> parse_request_field(std::string_view text);  // "policy.number": field names and dots
Parsed<std::string> parse_field_name(std::string_view text);     // "id": one field, no dots
Parsed<PathPattern> parse_path_pattern(std::string_view text);

}  // namespace ficus::parsing
