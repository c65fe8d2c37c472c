// What the tests of header compression share: hexadecimal text, and header lists as plain values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "facade/h2/header_block.h"
#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"

namespace ficus {

struct PlainField {
  std::string name;
  std::string value;
  bool never_index = false;
  bool operator==(const PlainField&) const = default;
};
using PlainList = std::vector<PlainField>;
void PrintTo(const PlainField& field, std::ostream* out);

// "40 0a6375" as bytes; blanks are skipped.
std::string from_hex(std::string_view hex);
std::string to_hex(std::string_view bytes);

// The visible fields.
PlainList plain(const HeaderBlock& block);
// A block that owns copies of them.
HeaderBlock block_of(const PlainList& list);

inline constexpr std::size_t kNoListLimit = std::size_t{1} << 40;

struct Decoded {
  bool ok = false;
  bool too_large = false;
  PlainList fields;
  bool operator==(const Decoded&) const = default;
};
// One whole block, in pieces of `piece` bytes.
Decoded decode_in_pieces(HpackDecoder& decoder, std::string_view block, std::size_t piece,
                         std::size_t list_limit = kNoListLimit);
inline Decoded decode_whole(HpackDecoder& decoder, std::string_view block, std::size_t list_limit = kNoListLimit) {
  return decode_in_pieces(decoder, block, block.size() + 1, list_limit);
}

std::string encode(HpackEncoder& encoder, const HeaderBlock& block);

}  // namespace ficus
