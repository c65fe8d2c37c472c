// Reads one field out of a serialized protobuf message without decoding it. Pure; fuzzed (tests/fuzz).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "routing/method_catalog.h"

namespace ficus {

enum class NoKey : std::uint8_t {
  kUnset,            // absent, or the type's default (proto3 cannot tell these apart)
  kTooLong,          // the message goes on beyond key_limit
  kMalformed,        // not protobuf
  kUnknownEncoding,  // grpc-encoding we cannot inflate
  kStreaming,        // client- or bidi-streaming
  kNoSchema,
  kNoMetadata,       // key: {metadata: NAME} and the call has none, or a value that is no identity value
};
std::string_view to_string(NoKey reason);  // "unset", "too_long", ...

// The value as the text that is hashed: strings and bytes raw, integers, enums and bools in decimal.
// The last occurrence wins, in nested messages too (a later occurrence of a parent merges into the earlier one, as
// protobuf does). Groups and unknown fields are skipped. A wire type that does not fit the field is skipped as an
// unknown field, as protobuf does. Error: kMalformed when the bytes end early, a varint is over 10 bytes, a field
// number is 0, a group is not closed; kUnset when the field does not occur or holds its default.
// `message` is the whole message, without gRPC's five-byte prefix, inflated. Any thread; allocates only the result.
Result<std::string, NoKey> scan_key(std::string_view message, const KeyPath& path);

}  // namespace ficus
