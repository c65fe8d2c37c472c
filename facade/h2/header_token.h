// The header names that the relay itself looks at, as numbers: a name is recognised once, when it is decoded (or when
// it enters a compression table), and compared as a number from then on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ficus {

enum class HeaderToken : std::uint8_t {
  kOther = 0,
  // Pseudo-header fields, RFC 9113 8.3; first, so that `token <= kProtocol && token != kOther` is "is one of these".
  kAuthority,
  kMethod,
  kPath,
  kScheme,
  kStatus,
  kProtocol,       // RFC 8441: no peer may send it, we do not offer extended CONNECT
  kUnknownPseudo,  // begins with ':' and is none of the above
  // Fields that RFC 9113 8.2.2 forbids or restricts.
  kConnection,
  kKeepAlive,
  kProxyConnection,
  kTransferEncoding,
  kUpgrade,
  kTe,
  kHost,
  // What a gRPC call is read by.
  kContentLength,
  kContentType,
  kGrpcTimeout,
  kGrpcEncoding,
  kGrpcStatus,
  kGrpcMessage,
  kGrpcStatusDetails,  // grpc-status-details-bin
  kGrpcPushback,       // grpc-retry-pushback-ms
  kTraceparent,
  kTracestate,
  kForwardedClientCert,  // x-forwarded-client-cert
  kFicus,                // begins with "x-ficus-"
  // Secrets: an encoder keeps them out of the table that it shares among calls (RFC 7541 7.1).
  kAuthorization,
  kProxyAuthorization,
  kCookie,
  kSetCookie,
};
inline constexpr std::size_t kHeaderTokens = static_cast<std::size_t>(HeaderToken::kSetCookie) + 1;

// Whether it is a pseudo-header field's.
constexpr bool is_pseudo(HeaderToken token) noexcept {
  return token >= HeaderToken::kAuthority && token <= HeaderToken::kUnknownPseudo;
}

// Whether the token stands for one name: not kOther, kUnknownPseudo or kFicus, which stand for many.
constexpr bool names_one(HeaderToken token) noexcept {
  return token != HeaderToken::kOther && token != HeaderToken::kUnknownPseudo && token != HeaderToken::kFicus;
}

// Token of a name as it came (names are lower case; "Host" is kOther). About 5 ns. Pure.
HeaderToken header_token(std::string_view name) noexcept;

// What is wrong with a field on its own, RFC 9113 8.2.1 and RFC 9110 5.5: bits.
namespace field_flaw {
inline constexpr std::uint8_t kNone = 0;
inline constexpr std::uint8_t kName =
    1;  // empty, upper case, or a character that is no token's (a leading ':' is allowed)
inline constexpr std::uint8_t kValue = 2;  // NUL, CR or LF, or another control character but HTAB
}  // namespace field_flaw

// Bits of field_flaw. Blanks around a value are none: gRPC's own peers send them.
std::uint8_t field_flaws(std::string_view name, std::string_view value) noexcept;
std::uint8_t name_flaws(std::string_view name) noexcept;
std::uint8_t value_flaws(std::string_view value) noexcept;

}  // namespace ficus
