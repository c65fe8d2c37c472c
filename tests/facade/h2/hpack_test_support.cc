#include "hpack_test_support.h"

#include <cstdint>
#include <ostream>

namespace ficus {
namespace {

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

void PrintTo(const PlainField& field, std::ostream* out) {
  *out << field.name.substr(0, 60) << ": " << field.value.substr(0, 60) << (field.never_index ? " (never)" : "");
}

std::string from_hex(std::string_view hex) {
  std::string digits, bytes;
  for (const char c : hex) {
    if (c != ' ') digits += c;
  }
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(digit(digits[i]) * 16 + digit(digits[i + 1]));
  }
  return bytes;
}

std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  return hex;
}

PlainList plain(const HeaderBlock& block) {
  PlainList list;
  for (const auto& field : block.fields()) {
    if (!field.hidden) list.push_back({std::string(field.name), std::string(field.value), field.never_index});
  }
  return list;
}

HeaderBlock block_of(const PlainList& list) {
  HeaderBlock block;
  for (const PlainField& field : list) {
    block.add_copy(field.name, field.value, true);
    block.fields().back().never_index = field.never_index;
  }
  return block;
}

Decoded decode_in_pieces(HpackDecoder& decoder, std::string_view block, std::size_t piece, std::size_t list_limit) {
  HeaderBlock into;
  Decoded decoded;
  do {
    // A copy of its own size: a decoder that reads beyond a fragment, or keeps a view of it, is found out.
    const std::string fragment(block.substr(0, piece));
    block.remove_prefix(fragment.size());
    decoded.ok = decoder.decode(fragment, block.empty(), list_limit, into) == HpackDecoder::Outcome::kOk;
  } while (!block.empty());
  decoded.too_large = decoder.too_large();
  decoded.fields = plain(into);
  return decoded;
}

std::string encode(HpackEncoder& encoder, const HeaderBlock& block) {
  OutBlockPool pool;
  OutBuffer out(pool);
  encoder.encode(block, out);
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

}  // namespace ficus
