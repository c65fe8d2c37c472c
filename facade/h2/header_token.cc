#include "facade/h2/header_token.h"

#include <array>
#include <cstring>

namespace ficus {
namespace {

// What may stand in a name: RFC 9110 5.6.2's token characters without upper case (RFC 9113 8.2.1).
constexpr std::array<bool, 256> make_name_characters() {
  std::array<bool, 256> allowed{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) {
    allowed[static_cast<unsigned char>(c)] = true;
  }
  return allowed;
}
constexpr std::array<bool, 256> kNameCharacters = make_name_characters();

constexpr bool is_bad_in_value(unsigned char c) noexcept { return (c < 0x20 && c != '\t') || c == 0x7f; }

constexpr std::uint64_t kOnes = 0x0101010101010101;
constexpr std::uint64_t kHighs = 0x8080808080808080;

// Whether one of eight characters is below 0x20 or is 0x7f: exact as to "any", and HTAB counts.
constexpr bool any_control(std::uint64_t word) noexcept {
  const std::uint64_t low = (word - kOnes * 0x20) & ~word & kHighs;
  const std::uint64_t deleted = word ^ (kOnes * 0x7f);
  return (low | ((deleted - kOnes) & ~deleted & kHighs)) != 0;
}

bool any_bad_in_value(const char* begin, const char* end) noexcept {
  for (; begin != end; ++begin) {
    if (is_bad_in_value(static_cast<unsigned char>(*begin))) return true;
  }
  return false;
}

std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

}  // namespace

HeaderToken header_token(std::string_view name) noexcept {
  using enum HeaderToken;
  if (name.empty()) return kOther;
  if (name[0] == ':') {
    switch (name.size()) {
      case 5:
        if (name == ":path") return kPath;
        break;
      case 7:
        if (name == ":method") return kMethod;
        if (name == ":scheme") return kScheme;
        if (name == ":status") return kStatus;
        break;
      case 9:
        if (name == ":protocol") return kProtocol;
        break;
      case 10:
        if (name == ":authority") return kAuthority;
        break;
    }
    return kUnknownPseudo;
  }
  switch (name.size()) {
    case 2:
      return name == "te" ? kTe : kOther;
    case 4:
      return name == "host" ? kHost : kOther;
    case 6:
      return name == "cookie" ? kCookie : kOther;
    case 7:
      return name == "upgrade" ? kUpgrade : kOther;
    case 10:
      if (name == "connection") return kConnection;
      if (name == "keep-alive") return kKeepAlive;
      if (name == "tracestate") return kTracestate;
      if (name == "set-cookie") return kSetCookie;
      break;
    case 11:
      if (name == "grpc-status") return kGrpcStatus;
      if (name == "traceparent") return kTraceparent;
      break;
    case 12:
      if (name == "content-type") return kContentType;
      if (name == "grpc-timeout") return kGrpcTimeout;
      if (name == "grpc-message") return kGrpcMessage;
      break;
    case 13:
      if (name == "grpc-encoding") return kGrpcEncoding;
      if (name == "authorization") return kAuthorization;
      break;
    case 14:
      if (name == "content-length") return kContentLength;
      break;
    case 16:
      if (name == "proxy-connection") return kProxyConnection;
      break;
    case 17:
      if (name == "transfer-encoding") return kTransferEncoding;
      break;
    case 19:
      if (name == "proxy-authorization") return kProxyAuthorization;
      break;
    case 22:
      if (name == "grpc-retry-pushback-ms") return kGrpcPushback;
      break;
    case 23:
      if (name == "x-forwarded-client-cert") return kForwardedClientCert;
      if (name == "grpc-status-details-bin") return kGrpcStatusDetails;
      break;
  }
  return name.starts_with("x-ficus-") ? kFicus : kOther;
}

std::uint8_t name_flaws(std::string_view name) noexcept {
  if (name.starts_with(':')) name.remove_prefix(1);
  if (name.empty()) return field_flaw::kName;
  bool good = true;
  for (const char c : name) good &= kNameCharacters[static_cast<unsigned char>(c)];
  return good ? field_flaw::kNone : field_flaw::kName;
}

std::uint8_t value_flaws(std::string_view value) noexcept {
  const char* at = value.data();
  const char* const end = at + value.size();
  if (value.size() < sizeof(std::uint64_t)) return any_bad_in_value(at, end) ? field_flaw::kValue : field_flaw::kNone;
  bool suspect = false;
  for (; end - at > 8; at += 8) suspect |= any_control(word_at(at));
  suspect |= any_control(word_at(end - 8));  // the last eight, some of them perhaps again
  if (!suspect) return field_flaw::kNone;
  // HTAB is allowed: look again, closely.
  return any_bad_in_value(value.data(), end) ? field_flaw::kValue : field_flaw::kNone;
}

std::uint8_t field_flaws(std::string_view name, std::string_view value) noexcept {
  return static_cast<std::uint8_t>(name_flaws(name) | value_flaws(value));
}

}  // namespace ficus
