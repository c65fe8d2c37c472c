// HPACK's integers. Source: RFC 7541 5.1. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ficus {

// The largest integer that is taken, and the most bytes after its prefix. The RFC leaves both to the receiver; nothing
// that we accept is near either.
inline constexpr std::uint32_t kHpackLargestInteger = 0x7fffffff;
inline constexpr unsigned kHpackIntegerBytes = 5;

enum class HpackInteger : std::uint8_t { kOk, kCutOff, kBroken };

// Reads an integer whose first byte has `prefix_bits` for it. `at` moves behind it, if it is kOk. At least one byte
// stands at `at`.
inline HpackInteger read_hpack_integer(const std::uint8_t*& at, const std::uint8_t* end, unsigned prefix_bits,
                                       std::uint32_t& value) noexcept {
  const std::uint32_t mask = (1u << prefix_bits) - 1;
  value = *at & mask;
  if (value != mask) {
    ++at;
    return HpackInteger::kOk;
  }
  const std::uint8_t* byte = at + 1;
  std::uint64_t sum = mask;
  for (unsigned i = 0; i < kHpackIntegerBytes; ++i, ++byte) {
    if (byte == end) return HpackInteger::kCutOff;
    sum += static_cast<std::uint64_t>(*byte & 0x7f) << (7 * i);
    if (sum > kHpackLargestInteger) return HpackInteger::kBroken;
    if ((*byte & 0x80) == 0) {
      value = static_cast<std::uint32_t>(sum);
      at = byte + 1;
      return HpackInteger::kOk;
    }
  }
  return HpackInteger::kBroken;
}

// Writes `value` at `out`, the representation's `pattern` above the prefix; gives the end. At most
// 1 + kHpackIntegerBytes.
inline std::uint8_t* write_hpack_integer(std::uint8_t* out, std::uint8_t pattern, unsigned prefix_bits,
                                         std::uint32_t value) noexcept {
  const std::uint32_t mask = (1u << prefix_bits) - 1;
  if (value < mask) {
    *out++ = static_cast<std::uint8_t>(pattern | value);
    return out;
  }
  *out++ = static_cast<std::uint8_t>(pattern | mask);
  for (value -= mask; value >= 0x80; value >>= 7) *out++ = static_cast<std::uint8_t>(value | 0x80);
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

}  // namespace ficus
