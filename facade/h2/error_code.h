// HTTP/2's error codes. Source: RFC 9113 7.
#pragma once

#include <cstdint>
#include <string_view>

namespace ficus {

enum class H2Error : std::uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kFlowControlError = 0x3,
  kSettingsTimeout = 0x4,
  kStreamClosed = 0x5,
  kFrameSizeError = 0x6,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kCompressionError = 0x9,
  kConnectError = 0xa,
  kEnhanceYourCalm = 0xb,
  kInadequateSecurity = 0xc,
  kHttp11Required = 0xd,
};

// "PROTOCOL_ERROR"; for a code the RFC does not name, "unknown error code".
std::string_view h2_error_name(std::uint32_t code) noexcept;
inline std::string_view h2_error_name(H2Error code) noexcept { return h2_error_name(static_cast<std::uint32_t>(code)); }

}  // namespace ficus
