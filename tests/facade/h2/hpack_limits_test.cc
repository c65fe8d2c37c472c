// What a peer may make the decoder hold, and that an oversized field ends nothing but its own list.
#include <gtest/gtest.h>

#include <malloc.h>

#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_integer.h"
#include "hpack_test_support.h"
#include "tests/support/sanitizers.h"

namespace ficus {
namespace {

std::string integer(std::uint8_t pattern, unsigned prefix_bits, std::uint32_t value) {
  std::uint8_t bytes[8];
  return {bytes, write_hpack_integer(bytes, pattern, prefix_bits, value)};
}
std::string raw_string(std::string_view text) {
  return integer(0, 7, static_cast<std::uint32_t>(text.size())) + std::string(text);
}
// 'a' is 00011: eight of them fill five bytes.
std::string huffman_as(std::size_t eights) {
  std::string bytes;
  for (std::size_t i = 0; i < eights; ++i) bytes += from_hex("18c6318c63");
  return integer(0x80, 7, static_cast<std::uint32_t>(bytes.size())) + bytes;
}

TEST(HpackLimitsTest, FieldsBeyondTheListLimitAreDroppedAndTheTableKeepsUp) {
  HpackDecoder decoder;
  // Two fields of 34 fit into 70; the third is in the table all the same.
  const std::string block = from_hex("4001610162 4001630164 4001650166 82");
  EXPECT_EQ(decode_whole(decoder, block, 70), (Decoded{true, true, {{"a", "b"}, {"c", "d"}}}));
  EXPECT_EQ(decode_whole(decoder, from_hex("be"), 70), (Decoded{true, false, {{"e", "f"}}}));
  EXPECT_EQ(decode_whole(decoder, from_hex("bebfc0"), 101), (Decoded{true, true, {{"e", "f"}, {"c", "d"}}}));
  EXPECT_EQ(decode_whole(decoder, from_hex("bebfc0"), 102),
            (Decoded{true, false, {{"e", "f"}, {"c", "d"}, {"a", "b"}}}));
}

TEST(HpackLimitsTest, WhatIsDroppedMustBeValidAllTheSame) {
  for (const char* bad : {"0001618118", "4001618118", "0081180162", "80", "be", "00016184ffffffff"}) {
    HpackDecoder decoder;
    EXPECT_FALSE(decode_whole(decoder, from_hex(bad), 0).ok) << bad;
  }
}

struct Oversized {
  const char* name;
  std::string field;
};
std::vector<Oversized> oversized(std::size_t bytes) {
  const std::string large(bytes, 'v');
  const std::size_t eights = bytes / 5;
  std::vector<Oversized> rows;
  rows.push_back({"value, indexing", "\x40" + raw_string("n") + raw_string(large)});
  rows.push_back({"value of a static name, indexing", "\x44" + raw_string(large)});
  rows.push_back({"value of a dynamic name, indexing", "\x7e" + raw_string(large)});
  rows.push_back({"name, indexing", "\x40" + raw_string(large) + raw_string("v")});
  rows.push_back({"name, indexing, empty value", "\x40" + raw_string(large) + raw_string("")});
  rows.push_back({"both, indexing", "\x40" + raw_string(large) + raw_string(large)});
  rows.push_back({"Huffman value, indexing", "\x40" + raw_string("n") + huffman_as(eights)});
  rows.push_back({"Huffman name, indexing", "\x40" + huffman_as(eights) + huffman_as(1)});
  rows.push_back({"just too long, indexing", "\x40" + raw_string("n") + raw_string(large.substr(0, 65537))});
  const std::size_t indexing = rows.size();
  for (std::size_t i = 0; i < indexing; ++i) {
    if (i == 1 || i == 2) continue;
    for (const char pattern : {'\x00', '\x10'}) {
      rows.push_back({"as before, without indexing", rows[i].field});
      rows.back().field[0] = pattern;
    }
  }
  return rows;
}

TEST(HpackLimitsTest, AStringOfAMegabyteIsSkippedAndTheConnectionGoesOn) {
  for (const std::size_t piece : {1u, 4096u, 16384u, 100'000'000u}) {
    for (const Oversized& row : oversized(piece == 1 ? 70'000 : 1 << 20)) {
      const bool indexing = (row.field[0] & 0x40) != 0;
      HpackDecoder decoder;
      ASSERT_TRUE(decode_whole(decoder, from_hex("4001610162")).ok);
      const Decoded decoded = decode_in_pieces(decoder, from_hex("82") + row.field + from_hex("83"), piece);
      EXPECT_EQ(decoded, (Decoded{true, true, {{":method", "GET"}}})) << row.name << " by " << piece;
      // RFC 7541 4.4: an entry larger than the table empties it.
      EXPECT_EQ(decoder.table_bytes(), indexing ? 0u : 34u) << row.name;
      EXPECT_EQ(decode_whole(decoder, from_hex("4001630164 be 82")),
                (Decoded{true, false, {{"c", "d"}, {"c", "d"}, {":method", "GET"}}}))
          << row.name;
    }
  }
}

TEST(HpackLimitsTest, ASkippedStringMustBeValidHuffman) {
  for (const bool name : {false, true}) {
    for (const char* tail : {"ffffffff", "18c60000"}) {  // EOS; padding of zeros
      std::string text = huffman_as(100'000);
      text.replace(text.size() - 4, 4, from_hex(tail));
      const std::string block =
          name ? std::string(1, '\0') + text + raw_string("v") : std::string(1, '\0') + raw_string("n") + text;
      for (const std::size_t piece : {1000u, 100'000'000u}) {
        HpackDecoder decoder;
        EXPECT_FALSE(decode_in_pieces(decoder, block, piece).ok) << name << tail << piece;
      }
    }
  }
}

TEST(HpackLimitsTest, ASkippedStringThatIsCutOffBreaks) {
  for (const Oversized& row : oversized(70'000)) {
    HpackDecoder decoder;
    ASSERT_TRUE(decode_whole(decoder, from_hex("4001610162")).ok);
    EXPECT_FALSE(decode_in_pieces(decoder, std::string_view(row.field).substr(0, row.field.size() - 1), 30'000).ok)
        << row.name;
  }
}

TEST(HpackLimitsTest, TheLongestStringThatIsHeldArrives) {
  const std::string text(HpackDecoder::kMaxStringBytes, 'x');
  for (const std::size_t piece : {1u, 16384u, 1'000'000u}) {
    HpackDecoder decoder;
    EXPECT_EQ(decode_in_pieces(decoder, std::string(1, '\0') + raw_string(text) + raw_string(text), piece),
              (Decoded{true, false, {{text, text}}}));
  }
}

#if !FICUS_SANITIZER_OWNS_MALLOC
TEST(HpackLimitsTest, SkippingHoldsNoMemory) {
  HpackDecoder decoder;
  HeaderBlock into;
  // The length of a gigabyte, then 64 MB of it.
  const std::string head = std::string("\x40") + raw_string("n") + integer(0, 7, 1u << 30);
  ASSERT_EQ(decoder.decode(head, false, kNoListLimit, into), HpackDecoder::Outcome::kOk);
  const std::string piece(16384, 'v');
  const std::size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 4096; ++i) {
    ASSERT_EQ(decoder.decode(piece, false, kNoListLimit, into), HpackDecoder::Outcome::kOk);
  }
  EXPECT_LT(mallinfo2().uordblks, before + 4096);
  EXPECT_TRUE(decoder.too_large());
}
#endif

}  // namespace
}  // namespace ficus
