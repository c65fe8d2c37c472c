#include "facade/wire/grpc_status.h"

#include <array>
#include <charconv>

namespace ficus {
namespace {

constexpr std::array<std::string_view, 17> kStatusTexts = {"0", "1", "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                           "9", "10", "11", "12", "13", "14", "15", "16"};
constexpr std::array<std::string_view, 14> kHttp2Errors = {
    "NO_ERROR",      "PROTOCOL_ERROR", "INTERNAL_ERROR",    "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
    "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM",  "CANCEL",             "COMPRESSION_ERROR",
    "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

GrpcCode parse_grpc_status(std::optional<std::string_view> value) noexcept {
  if (!value || value->empty() || value->size() > 2) return GrpcCode::kUnknown;
  unsigned code = 0;
  const auto [end, ec] = std::from_chars(value->data(), value->data() + value->size(), code);
  if (ec != std::errc() || end != value->data() + value->size() || code > 16) return GrpcCode::kUnknown;
  return static_cast<GrpcCode>(code);
}

std::string_view grpc_status_text(GrpcCode code) noexcept { return kStatusTexts[static_cast<std::size_t>(code)]; }

GrpcCode grpc_code_of_http(std::string_view http_status) noexcept {
  if (http_status == "400") return GrpcCode::kInternal;
  if (http_status == "401") return GrpcCode::kUnauthenticated;
  if (http_status == "403") return GrpcCode::kPermissionDenied;
  if (http_status == "404") return GrpcCode::kUnimplemented;
  if (http_status == "429" || http_status == "502" || http_status == "503" || http_status == "504") {
    return GrpcCode::kUnavailable;
  }
  return GrpcCode::kUnknown;
}

GrpcCode grpc_code_of_reset(std::uint32_t http2_error) noexcept {
  switch (http2_error) {
    case 0x7: return GrpcCode::kUnavailable;        // REFUSED_STREAM
    case 0x8: return GrpcCode::kCancelled;          // CANCEL
    case 0xb: return GrpcCode::kResourceExhausted;  // ENHANCE_YOUR_CALM
    case 0xc: return GrpcCode::kPermissionDenied;   // INADEQUATE_SECURITY
    default: return GrpcCode::kInternal;
  }
}

std::string http2_error_name(std::uint32_t http2_error) {
  if (http2_error < kHttp2Errors.size()) return std::string(kHttp2Errors[http2_error]);
  char digits[8];
  const auto [end, ec] = std::to_chars(digits, digits + sizeof digits, http2_error, 16);
  return ec == std::errc() ? "0x" + std::string(digits, end) : "unknown";
}

std::string encode_grpc_message(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7e && c != '%') {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 0xf];
    }
  }
  return encoded;
}

std::string decode_grpc_message(std::string_view encoded) {
  std::string text;
  text.reserve(encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '%' && i + 2 < encoded.size() && hex_value(encoded[i + 1]) >= 0 && hex_value(encoded[i + 2]) >= 0) {
      text += static_cast<char>(hex_value(encoded[i + 1]) * 16 + hex_value(encoded[i + 2]));
      i += 2;
    } else {
      text += encoded[i];
    }
  }
  return text;
}

}  // namespace ficus
