#include "facade/wire/health_message.h"

namespace ficus {
namespace {

// Takes a varint off the front; nothing if it does not end within ten bytes.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (bytes.empty()) return std::nullopt;
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

bool skip(std::string_view& bytes, std::uint64_t count) {
  if (count > bytes.size()) return false;
  bytes.remove_prefix(count);
  return true;
}

}  // namespace

std::string encode_health_request(std::string_view service) {
  std::string message;
  if (service.empty()) return message;
  message += '\x0a';  // field 1, length-delimited
  std::size_t size = service.size();
  for (; size >= 0x80; size >>= 7) message += static_cast<char>(size | 0x80);
  message += static_cast<char>(size);
  message += service;
  return message;
}

std::optional<ServingStatus> parse_health_response(std::string_view message) {
  auto status = ServingStatus::kUnknown;
  while (!message.empty()) {
    const auto tag = take_varint(message);
    if (!tag || *tag >> 3 == 0) return std::nullopt;
    switch (*tag & 7) {
      case 0: {
        const auto value = take_varint(message);
        if (!value) return std::nullopt;
        if (*tag >> 3 == 1) status = static_cast<ServingStatus>(*value);
        break;
      }
      case 1:
        if (!skip(message, 8)) return std::nullopt;
        break;
      case 2: {
        const auto size = take_varint(message);
        if (!size || !skip(message, *size)) return std::nullopt;
        break;
      }
      case 5:
        if (!skip(message, 4)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
  }
  return status;
}

}  // namespace ficus
