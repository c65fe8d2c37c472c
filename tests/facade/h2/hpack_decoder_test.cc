#include "facade/h2/hpack_decoder.h"

#include <gtest/gtest.h>

#include "hpack_test_support.h"

namespace ficus {
namespace {

struct Exchange {
  const char* hex;
  PlainList want;
};

// RFC 7541 appendix C: blocks that one decoder reads one after the other.
const PlainList kRequest1 = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};
const PlainList kRequest2 = {{":method", "GET"},
                             {":scheme", "http"},
                             {":path", "/"},
                             {":authority", "www.example.com"},
                             {"cache-control", "no-cache"}};
const PlainList kRequest3 = {{":method", "GET"},
                             {":scheme", "https"},
                             {":path", "/index.html"},
                             {":authority", "www.example.com"},
                             {"custom-key", "custom-value"}};
const PlainList kResponse1 = {{":status", "302"},
                              {"cache-control", "private"},
                              {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                              {"location", "https://www.example.com"}};
const PlainList kResponse2 = {{":status", "307"},
                              {"cache-control", "private"},
                              {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                              {"location", "https://www.example.com"}};
const PlainList kResponse3 = {{":status", "200"},
                              {"cache-control", "private"},
                              {"date", "Mon, 21 Oct 2013 20:13:22 GMT"},
                              {"location", "https://www.example.com"},
                              {"content-encoding", "gzip"},
                              {"set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}};

const std::vector<std::vector<Exchange>> kAppendixC = {
    {{"400a637573746f6d2d6b65790d637573746f6d2d686561646572", {{"custom-key", "custom-header"}}},
     {"be", {{"custom-key", "custom-header"}}}},
    {{"040c2f73616d706c652f70617468", {{":path", "/sample/path"}}}},
    {{"100870617373776f726406736563726574", {{"password", "secret", true}}}},
    {{"82", {{":method", "GET"}}}},
    // C.3: requests without Huffman coding.
    {{"828684410f7777772e6578616d706c652e636f6d", kRequest1},
     {"828684be58086e6f2d6361636865", kRequest2},
     {"828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", kRequest3}},
    // C.4: with it.
    {{"828684418cf1e3c2e5f23a6ba0ab90f4ff", kRequest1},
     {"828684be5886a8eb10649cbf", kRequest2},
     {"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", kRequest3}},
    // C.5: responses, a table of 256 bytes (which the size update says here), and evictions.
    {{"3fe101 "
      "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a"
      "2f2f7777772e6578616d706c652e636f6d",
      kResponse1},
     {"4803333037c1c0bf", kResponse2},
     {"88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a"
      "58"
      "4f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
      kResponse3}},
    // C.6: with Huffman coding.
    {{"3fe101 "
      "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43"
      "d3",
      kResponse1},
     {"4883640effc1c0bf", kResponse2},
     {"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f36"
      "72c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
      kResponse3}},
};

TEST(HpackDecoderTest, ReadsTheExamplesOfRfc7541HoweverTheyAreSplit) {
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
    for (const auto& exchanges : kAppendixC) {
      HpackDecoder decoder;
      for (const auto& [hex, want] : exchanges) {
        EXPECT_EQ(decode_in_pieces(decoder, from_hex(hex), piece), (Decoded{true, false, want}))
            << hex << " by " << piece;
      }
    }
  }
}

TEST(HpackDecoderTest, CountsTheTableAsTheExamplesDo) {
  HpackDecoder decoder;
  decode_whole(decoder, from_hex(kAppendixC[6][0].hex));
  EXPECT_EQ(decoder.table_bytes(), 222u);
  decode_whole(decoder, from_hex(kAppendixC[6][1].hex));
  EXPECT_EQ(decoder.table_bytes(), 222u);
  decode_whole(decoder, from_hex(kAppendixC[6][2].hex));
  EXPECT_EQ(decoder.table_bytes(), 215u);
}

TEST(HpackDecoderTest, ExamplesWrittenByTheEncoderAreReadAgain) {
  for (const auto& exchanges : kAppendixC) {
    HpackDecoder decoder;
    HpackEncoder encoder;
    for (int round = 0; round < 3; ++round) {
      for (const auto& exchange : exchanges) {
        PlainList want = exchange.want;
        for (PlainField& field : want) field.never_index |= field.name == "set-cookie";
        EXPECT_EQ(decode_whole(decoder, encode(encoder, block_of(exchange.want))), (Decoded{true, false, want}));
      }
    }
  }
}

TEST(HpackDecoderTest, BreaksOnWhatRfc7541ForbidsAndStaysBroken) {
  const std::pair<const char*, const char*> rows[] = {
      {"index 0", "80"},
      {"index beyond the static table, the dynamic one being empty", "be"},
      {"index far beyond", "ffff7f"},
      {"name index beyond", "7f0001 61"},
      {"name index beyond, without indexing", "0f2f 0161"},
      {"integer of too many bytes", "ff80808080808000"},
      {"integer over 2^31", "ffffffffff0f"},
      {"integer that never ends", "ffffffffffffffffff"},
      {"length over 2^31", "0001617fffffffff0f"},
      {"integer cut off", "ff"},
      {"integer cut off after one byte", "ff80"},
      {"name missing", "40"},
      {"name cut off", "40036162"},
      {"value missing", "40036162 63"},
      {"value cut off", "4001610362 63"},
      {"size update above what we announced", "3fe21f"},
      {"size update after a field", "823f00"},
      {"size update after a literal", "0001610162 20"},
      {"a third size update", "202020"},
      {"size update cut off", "3f"},
      {"Huffman: EOS", "00016184ffffffff"},
      {"Huffman: EOS behind a character", "0001618507fffffffc"},
      {"Huffman: EOS in the name", "0084ffffffff 0161"},
      {"Huffman: eight bits of padding", "000161821fff"},
      {"Huffman: padding of zeros", "0001618118"},
      {"Huffman: padding not all ones", "000161811e"},
      {"Huffman: nothing but padding of a byte", "00016181ff"},
      {"Huffman: a long code cut off", "00016182fffe"},
  };
  for (const auto& [name, hex] : rows) {
    for (const std::size_t piece : {1u, 2u, 1000u}) {
      HpackDecoder decoder;
      EXPECT_FALSE(decode_in_pieces(decoder, from_hex(hex), piece).ok) << name << " by " << piece;
      EXPECT_FALSE(decode_whole(decoder, from_hex("82")).ok) << name;
    }
  }
}

TEST(HpackDecoderTest, TakesWhatIsUnusualButAllowed) {
  const std::tuple<const char*, const char*, PlainList> rows[] = {
      {"an empty block", "", {}},
      {"a size update alone", "20", {}},
      {"two size updates", "203fe11f82", {{":method", "GET"}}},
      {"an integer longer than it need be", "3f818080 00", {}},
      {"empty name and value", "000000", {{"", ""}}},
      {"an empty Huffman string", "00016180", {{"a", ""}}},
      {"a static name without value", "81", {{":authority", ""}}},
      {"no padding at all", "00016185 18c6318c63", {{"a", "aaaaaaaa"}}},
  };
  for (const auto& [name, hex, want] : rows) {
    HpackDecoder decoder;
    EXPECT_EQ(decode_whole(decoder, from_hex(hex)), (Decoded{true, false, want})) << name;
  }
}

TEST(HpackDecoderTest, ANameOutlivesTheEntryItIsTakenFrom) {
  // A table of 40 bytes: the second entry pushes out the first, whose name it takes (RFC 7541 4.4).
  for (const std::size_t piece : {1u, 1000u}) {
    HpackDecoder decoder;
    EXPECT_EQ(decode_in_pieces(decoder, from_hex("3f09 4001610162 7e0163 be"), piece),
              (Decoded{true, false, {{"a", "b"}, {"a", "c"}, {"a", "c"}}}));
    // And one that is too large for the table empties it.
    EXPECT_EQ(decode_in_pieces(decoder, from_hex("7e0a30313233343536373839"), piece),
              (Decoded{true, false, {{"a", "0123456789"}}}));
    EXPECT_EQ(decoder.table_bytes(), 0u);
    EXPECT_FALSE(decode_in_pieces(decoder, from_hex("be"), piece).ok);
  }
}

TEST(HpackDecoderTest, ASmallerTableEvictsAndALargerOneKeeps) {
  HpackDecoder decoder;
  ASSERT_TRUE(decode_whole(decoder, from_hex("4001610162 4001630164")).ok);
  EXPECT_EQ(decode_whole(decoder, from_hex("3f09 be")), (Decoded{true, false, {{"c", "d"}}}));
  EXPECT_EQ(decoder.table_bytes(), 34u);
  EXPECT_EQ(decode_whole(decoder, from_hex("3fe11f be")), (Decoded{true, false, {{"c", "d"}}}));
  EXPECT_TRUE(decode_whole(decoder, from_hex("20 3fe11f")).ok);
  EXPECT_EQ(decoder.table_bytes(), 0u);
}

TEST(HpackDecoderTest, NeverIndexedStaysOutOfTheTable) {
  HpackDecoder decoder;
  EXPECT_EQ(decode_whole(decoder, from_hex("1f080173")), (Decoded{true, false, {{"authorization", "s", true}}}));
  EXPECT_EQ(decode_whole(decoder, from_hex("0f080173")), (Decoded{true, false, {{"authorization", "s", false}}}));
  EXPECT_EQ(decoder.table_bytes(), 0u);
}

TEST(HpackDecoderTest, FieldsCarryTokenAndFlaws) {
  struct Row {
    const char* hex;
    HeaderToken token;
    std::uint8_t flaws;
  };
  const Row rows[] = {
      {"83", HeaderToken::kMethod, 0},
      {"4002746508747261696c657273", HeaderToken::kTe, 0},
      {"be", HeaderToken::kTe, 0},
      {"7e010a", HeaderToken::kTe, field_flaw::kValue},
      {"be", HeaderToken::kTe, field_flaw::kValue},
      {"0f2f0162", HeaderToken::kTe, 0},  // the name of a flawed entry is not flawed for that
      {"4001410162", HeaderToken::kOther, field_flaw::kName},
      {"0f2f0162", HeaderToken::kOther, field_flaw::kName},
      {"000141010d", HeaderToken::kOther, field_flaw::kName | field_flaw::kValue},
      {"00023a780162", HeaderToken::kUnknownPseudo, 0},
      {"000162017f", HeaderToken::kOther, field_flaw::kValue},
      {"0f0d0131", HeaderToken::kContentLength, 0},
  };
  HpackDecoder decoder;
  for (const Row& row : rows) {
    HeaderBlock into;
    ASSERT_EQ(decoder.decode(from_hex(row.hex), true, kNoListLimit, into), HpackDecoder::Outcome::kOk) << row.hex;
    ASSERT_EQ(into.fields().size(), 1u);
    EXPECT_EQ(into.fields()[0].token, row.token) << row.hex;
    EXPECT_EQ(into.fields()[0].flaws, row.flaws) << row.hex;
  }
}

TEST(HpackDecoderTest, ABlockOutlivesTheTableAndTheDecoder) {
  HeaderBlock kept;
  {
    HpackDecoder decoder;
    ASSERT_EQ(decoder.decode(from_hex("4001610162 7e0163 0f2f0164"), true, kNoListLimit, kept),
              HpackDecoder::Outcome::kOk);
    ASSERT_TRUE(decode_whole(decoder, from_hex("20")).ok);  // evicts everything
    EXPECT_EQ(plain(kept), (PlainList{{"a", "b"}, {"a", "c"}, {"a", "d"}}));
  }
  EXPECT_EQ(plain(kept), (PlainList{{"a", "b"}, {"a", "c"}, {"a", "d"}}));
  const HeaderBlock clone = kept.clone();
  kept.clear();
  EXPECT_EQ(plain(clone), (PlainList{{"a", "b"}, {"a", "c"}, {"a", "d"}}));
}

}  // namespace
}  // namespace ficus
