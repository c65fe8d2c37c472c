#include "facade/h2/huffman.h"

#include <array>
#include <bit>
#include <cstring>

namespace ficus {
namespace {

constexpr std::size_t kSymbols = 257;
constexpr std::uint16_t kEos = 256;
constexpr unsigned kLongest = 30;
constexpr unsigned kLookupBits = 10;  // two of the most frequent characters at a time, in 4 kB

// Bits of each symbol's code, RFC 7541 appendix B. The code is canonical: codes of one length follow one another in the
// order of their symbols, the shorter before the longer; so the lengths say all.
// clang-format off
constexpr std::uint8_t kLengths[kSymbols] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
};
// clang-format on

struct Lookup {
  std::uint8_t first = 0;
  std::uint8_t second = 0;
  std::uint8_t first_bits = 0;  // 0: a code longer than kLookupBits
  std::uint8_t bits = 0;        // of one symbol, or of both
};

struct Code {
  std::array<Lookup, 1 << kLookupBits> lookup{};
  std::array<std::uint16_t, kSymbols> sorted{};               // symbols in the order of their codes
  std::array<std::uint64_t, kLongest + 1> end{};              // of a length: 1 + its last code, in the top of 32 bits
  std::array<std::uint32_t, kLongest + 1> first{};            // of a length: its first code
  std::array<std::uint16_t, kLongest + 1> first_in_sorted{};  // and where its symbol stands
};

constexpr Code make_code() {
  Code code;
  std::size_t sorted = 0;
  std::uint32_t next = 0;
  for (unsigned length = 1; length <= kLongest; ++length) {
    next <<= 1;
    code.first[length] = next;
    code.first_in_sorted[length] = static_cast<std::uint16_t>(sorted);
    for (std::size_t symbol = 0; symbol < kSymbols; ++symbol) {
      if (kLengths[symbol] != length) continue;
      code.sorted[sorted++] = static_cast<std::uint16_t>(symbol);
      if (length <= kLookupBits) {
        const unsigned spare = kLookupBits - length;
        for (std::uint32_t rest = 0; rest < (1u << spare); ++rest) {
          Lookup& entry = code.lookup[(next << spare) | rest];
          entry.first = static_cast<std::uint8_t>(symbol);
          entry.first_bits = entry.bits = static_cast<std::uint8_t>(length);
        }
      }
      ++next;
    }
    code.end[length] = static_cast<std::uint64_t>(next) << (32 - length);
  }
  // A second symbol where it fits behind the first.
  for (std::uint32_t i = 0; i < code.lookup.size(); ++i) {
    Lookup& entry = code.lookup[i];
    if (entry.first_bits == 0) continue;
    const Lookup& then = code.lookup[(i << entry.first_bits) & (code.lookup.size() - 1)];
    if (then.first_bits == 0 || entry.first_bits + then.first_bits > kLookupBits) continue;
    entry.second = then.first;
    entry.bits = static_cast<std::uint8_t>(entry.first_bits + then.first_bits);
  }
  return code;
}
constexpr Code kCode = make_code();

// Length of the long code that the top of `top` begins with.
unsigned long_code(std::uint32_t top) noexcept {
  unsigned length = kLookupBits + 1;
  while (length < kLongest && top >= kCode.end[length]) ++length;
  return length;
}
std::uint16_t long_symbol(std::uint32_t top, unsigned length) noexcept {
  return kCode.sorted[kCode.first_in_sorted[length] + ((top >> (32 - length)) - kCode.first[length])];
}

}  // namespace

template <bool kWrite>
char* HuffmanDecoder::run(const std::uint8_t* piece, std::size_t bytes, char* out) noexcept {
  const std::uint8_t* const end = piece + bytes;
  std::uint64_t bits = bits_;
  unsigned count = count_;
  for (;;) {
    if (end - piece >= 8) {
      std::uint64_t word;
      std::memcpy(&word, piece, sizeof word);
      if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
      bits |= word >> count;
      const unsigned taken = (63 - count) / 8;
      piece += taken;
      count += taken * 8;
      // The bits of a byte that only partly fitted are put there again with the next word.
      bits &= ~std::uint64_t{0} << (64 - count);
    } else {
      while (count <= 56 && piece != end) {
        bits |= static_cast<std::uint64_t>(*piece++) << (56 - count);
        count += 8;
      }
    }
    // No code is longer than what is there: no look at the end is needed.
    while (count >= kLongest) {
      const Lookup entry = kCode.lookup[bits >> (64 - kLookupBits)];
      if (entry.first_bits != 0) {
        if constexpr (kWrite) {
          out[0] = static_cast<char>(entry.first);
          out[1] = static_cast<char>(entry.second);
          out += entry.bits != entry.first_bits ? 2 : 1;
        }
        bits <<= entry.bits;
        count -= entry.bits;
        continue;
      }
      const std::uint32_t top = static_cast<std::uint32_t>(bits >> 32);
      const unsigned length = long_code(top);
      const std::uint16_t symbol = long_symbol(top, length);
      if (symbol == kEos) return nullptr;
      if constexpr (kWrite) *out++ = static_cast<char>(symbol);
      bits <<= length;
      count -= length;
    }
    if (piece == end) break;
  }
  for (;;) {
    const Lookup entry = kCode.lookup[bits >> (64 - kLookupBits)];
    unsigned length = entry.first_bits;
    char character = static_cast<char>(entry.first);
    if (length == 0) {
      const std::uint32_t top = static_cast<std::uint32_t>(bits >> 32);
      length = long_code(top);
      if (length > count) break;
      character = static_cast<char>(long_symbol(top, length));  // not EOS: fewer than its thirty bits are there
    }
    if (length > count) break;
    if constexpr (kWrite) *out++ = character;
    bits <<= length;
    count -= length;
  }
  bits_ = bits;
  count_ = count;
  return out;
}

char* HuffmanDecoder::decode(const std::uint8_t* piece, std::size_t bytes, char* out) noexcept {
  return run<true>(piece, bytes, out);
}

bool HuffmanDecoder::skip(const std::uint8_t* piece, std::size_t bytes) noexcept {
  char anything = 0;
  return run<false>(piece, bytes, &anything) != nullptr;
}

bool HuffmanDecoder::may_end() const noexcept {
  return count_ < 8 && (count_ == 0 || bits_ == ~std::uint64_t{0} << (64 - count_));
}

}  // namespace ficus
