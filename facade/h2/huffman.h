// HPACK's Huffman code, decoding. Source: RFC 7541 5.2, appendix B. Pure; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ficus {

// Room that the decoding of `encoded_bytes` may write to: the shortest code has five bits, and two characters are
// written at a time.
constexpr std::size_t huffman_room(std::size_t encoded_bytes) noexcept { return encoded_bytes * 8 / 5 + 8; }
// The fewest characters that `encoded_bytes` of a valid string stand for: the longest code has thirty bits, and up to
// seven are padding.
constexpr std::size_t huffman_least(std::size_t encoded_bytes) noexcept {
  return encoded_bytes == 0 ? 0 : ((encoded_bytes - 1) * 8 + 1) / 30;
}

// One string, in any number of pieces.
class HuffmanDecoder {
 public:
  // Writes the piece's characters from `out` on and gives their end; null: the string holds EOS, and is broken.
  // `out` has huffman_room(bytes) for it. About 1 ns a character.
  char* decode(const std::uint8_t* piece, std::size_t bytes, char* out) noexcept;
  // The same without writing: for a string that is skipped. False: broken.
  bool skip(const std::uint8_t* piece, std::size_t bytes) noexcept;
  // Whether the string may end here: what is left is at most seven bits, all ones.
  bool may_end() const noexcept;

 private:
  template <bool kWrite>
  char* run(const std::uint8_t* piece, std::size_t bytes, char* out) noexcept;

  std::uint64_t bits_ = 0;  // not yet decoded, from the highest bit on; zeros after them
  unsigned count_ = 0;      // how many; fewer than thirty between pieces
};

}  // namespace ficus
