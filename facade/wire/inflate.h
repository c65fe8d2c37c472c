// Undoes gRPC's per-message compression. Pure; zlib only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "routing/result.h"

namespace ficus {

enum class InflateError {
  kUnknownEncoding,  // neither identity, gzip nor deflate
  kMalformed,        // cut off, corrupt, followed by garbage, or flagged as compressed without an encoding
  kTooLarge,         // more than `limit_bytes` of plain bytes
};

// The bytes of a message whose compressed flag is set, under its call's grpc-encoding. "deflate" is the zlib format
// (RFC 1950), "gzip" one or more members (RFC 1952). At most `limit_bytes` are ever held. Any thread.
// Source: gRPC PROTOCOL-HTTP2.md, "Message-Encoding" and "Compressed-Flag"; doc/compression.md.
Result<std::string, InflateError> inflate_message(std::string_view bytes, std::string_view encoding,
                                                  std::size_t limit_bytes);

}  // namespace ficus
