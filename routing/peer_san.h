// Patterns of `peer_san`: what of a client certificate's subject alternative name says who calls. POLICY 3, "Sources".
// Pure; no allocation; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ficus {

// The three kinds of SAN that can say who calls (RFC 5280 4.2.1.6). Addresses and others never do.
enum class SanKind : std::uint8_t { kUri, kDns, kEmail };

// The kind that a SAN's or a pattern's text shows: with "://" a URI, else with '@' an email address, else a DNS name.
SanKind san_kind_shown(std::string_view text) noexcept;

// Whether a SAN of this kind may stand in RpcHead::peer_sans: its text must show its kind, or a DNS SAN that reads
// "spiffe://corp/tenant/acme" would pass for a URI. Also refused: an empty one, and one with a byte outside 0x21..0x7e
// (SANs are IA5 text; a zero byte in one is an old attack).
bool admissible_peer_san(SanKind kind, std::string_view text) noexcept;

// A SAN with one '*' in it: "spiffe://corp/tenant/*", "*.tenants.corp.example", "*@corp.example". Compared byte by
// byte.
class SanPattern {
 public:
  // Absent: not exactly one '*', nothing but it, or a byte outside 0x21..0x7e.
  static std::optional<SanPattern> parse(std::string_view text);

  // What '*' matched, borrowed from `san`: anything without '/', the empty text too. Absent: `san` is of another kind
  // or does not match.
  std::optional<std::string_view> match(std::string_view san) const noexcept;

 private:
  std::string before_, after_;
  SanKind kind_ = SanKind::kDns;
};

}  // namespace ficus
