// What schemas say of methods: the interface through which routing/ asks, so that it needs no protobuf.
// Implemented by facade/compare/descriptor_store.h and by tests' fakes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/field_path.h"
#include "routing/result.h"

namespace ficus {

enum class Idempotency : std::uint8_t { kUnknown, kNoSideEffects, kIdempotent };

struct MethodInfo {
  bool client_streaming = false;
  bool server_streaming = false;
  Idempotency idempotency = Idempotency::kUnknown;
};

// How a leaf value on the wire is turned into a key's text. POLICY "Keys in requests".
enum class KeyLeaf : std::uint8_t {
  kBytes,     // string, bytes: raw
  kBool,      // "false" is the default and so no key; "1"
  kInt32,     // int32, enum: signed decimal of the low 32 bits
  kUint32,
  kInt64,
  kUint64,
  kSint32,    // zigzag
  kSint64,
  kFixed32,
  kSfixed32,
  kFixed64,
  kSfixed64,
};

// A field of a request reached through singular fields, compiled to field numbers: outermost first, never empty.
struct KeyPath {
  std::vector<std::uint32_t> field_numbers;
  KeyLeaf leaf = KeyLeaf::kBytes;
  bool operator==(const KeyPath&) const = default;
};

enum class Measure : std::uint8_t {
  kNumber,  // integers, float, double; neither bool nor enum
  kTime,    // google.protobuf.Timestamp, google.protobuf.Duration
};

class MethodCatalog {
 public:
  virtual ~MethodCatalog() = default;

  virtual bool has_service(std::string_view service) const = 0;
  // Absent where the schema has no such method.
  virtual std::optional<MethodInfo> find_method(std::string_view service, std::string_view method) const = 0;
  // Short names, in order of declaration; empty for an unknown service.
  virtual std::vector<std::string> methods_of(std::string_view service) const = 0;
  // `dotted` is a field of the method's request type. Error: a sentence ("no field "x" in a.b.C", "repeated", ...).
  virtual Result<KeyPath, std::string> resolve_request_key(std::string_view service, std::string_view method,
                                                           std::string_view dotted) const = 0;
  // Whether a response of the method can hold a field that the pattern matches. Recursive types are followed as far
  // as the pattern can tell paths apart.
  virtual bool response_has(std::string_view service, std::string_view method, const PathPattern& pattern) const = 0;
  // The field a pattern without wildcards names must be repeated (for `unordered`); true where any match is.
  virtual bool response_has_repeated(std::string_view service, std::string_view method,
                                     const PathPattern& pattern) const = 0;
  // Likewise it must be a repeated field of messages that have a singular scalar field `by` (for `keyed`).
  virtual bool response_has_keyed(std::string_view service, std::string_view method, const PathPattern& pattern,
                                  std::string_view by) const = 0;
  // Likewise it must be of that measure, alone, in a list or as a map's value (for `tolerance`).
  virtual bool response_has_measure(std::string_view service, std::string_view method, const PathPattern& pattern,
                                    Measure measure) const = 0;
};

}  // namespace ficus
