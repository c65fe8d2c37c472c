#include "facade/h2/hpack_encoder.h"

#include <gtest/gtest.h>

#include "hpack_test_support.h"

namespace ficus {
namespace {

std::string hex_of(HpackEncoder& encoder, const PlainList& list) { return to_hex(encode(encoder, block_of(list))); }

TEST(HpackEncoderTest, AFieldIsWrittenOnceThenEntersTheTableThenIsOneByte) {
  HpackEncoder encoder;
  EXPECT_EQ(hex_of(encoder, {{"te", "trailers"}}),
            "00"
            "027465"
            "08747261696c657273");
  EXPECT_EQ(hex_of(encoder, {{"te", "trailers"}}),
            "40"
            "027465"
            "08747261696c657273");
  EXPECT_EQ(hex_of(encoder, {{"te", "trailers"}}), "be");
}

// Whatever their hashes: fields of every call must not push one another out of what was seen.
TEST(HpackEncoderTest, EveryFieldThatRepeatsIsOneByteByTheThirdBlock) {
  for (int set = 0; set < 200; ++set) {
    HpackEncoder encoder;
    PlainList list;
    for (int i = 0; i < 16; ++i) list.push_back({"name-" + std::to_string(i), std::to_string(set)});
    hex_of(encoder, list);
    hex_of(encoder, list);
    EXPECT_EQ(encode(encoder, block_of(list)).size(), list.size()) << set;
  }
}

TEST(HpackEncoderTest, WhatTheStaticTableHoldsIsOneByteAtOnce) {
  HpackEncoder encoder;
  EXPECT_EQ(hex_of(encoder, {{":method", "GET"},
                             {":method", "POST"},
                             {":path", "/"},
                             {":path", "/index.html"},
                             {":scheme", "http"},
                             {":scheme", "https"},
                             {":status", "200"},
                             {":status", "500"}}),
            "828384858687888e");
}

TEST(HpackEncoderTest, KnownNamesAreIndicesOfTheStaticTable) {
  HpackEncoder encoder;
  EXPECT_EQ(hex_of(encoder, {{":path", "/a"}, {"content-type", "t"}, {"content-length", "1"}, {":status", "302"}}),
            "04022f61"
            "0f100174"
            "0f0d0131"
            "0803333032");
}

TEST(HpackEncoderTest, NeverIndexedStaysNeverIndexed) {
  HpackEncoder encoder;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(hex_of(encoder, {{"k", "v", true}}), "10016b0176");
    EXPECT_EQ(hex_of(encoder, {{":method", "GET", true}}), "1203474554");
  }
}

TEST(HpackEncoderTest, NeverIndexedIsNotReadFromATableThatHoldsTheSameField) {
  HpackEncoder encoder;
  for (int i = 0; i < 3; ++i) hex_of(encoder, {{"k", "v"}});
  EXPECT_EQ(hex_of(encoder, {{"k", "v"}}), "be");
  EXPECT_EQ(hex_of(encoder, {{"k", "v", true}}), "10016b0176");
}

TEST(HpackEncoderTest, CredentialsEnterNoTable) {
  HpackEncoder encoder;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(
        hex_of(encoder, {{"authorization", "x"}, {"proxy-authorization", "x"}, {"cookie", "x"}, {"set-cookie", "x"}}),
        "1f080178"
        "1f220178"
        "1f110178"
        "1f280178");
  }
}

TEST(HpackEncoderTest, WhatDiffersByItsNatureEntersNoTable) {
  HpackEncoder encoder;
  const char* names[] = {"traceparent", "grpc-timeout", "content-length", "grpc-message", "grpc-status-details-bin"};
  for (const char* name : names) {
    const std::string once = hex_of(encoder, {{name, "1"}});
    EXPECT_EQ(once[0], '0') << name;
    for (int i = 0; i < 3; ++i) EXPECT_EQ(hex_of(encoder, {{name, "1"}}), once) << name;
  }
}

TEST(HpackEncoderTest, WhatIsOverAQuarterOfTheTableEntersNot) {
  HpackEncoder encoder;
  const std::string fits(1024 - 32 - 1, 'v'), over(1024 - 32, 'v');
  for (int i = 0; i < 2; ++i) {
    EXPECT_GT(encode(encoder, block_of({{"k", fits}})).size(), 900u);
  }
  for (int i = 0; i < 3; ++i) EXPECT_GT(encode(encoder, block_of({{"k", over}})).size(), 900u);
  EXPECT_EQ(hex_of(encoder, {{"k", fits}}), "be");
}

TEST(HpackEncoderTest, ATableOfNothingIsAnnouncedAndWritesLiterals) {
  HpackEncoder encoder;
  encoder.set_peer_table_limit(0);
  EXPECT_EQ(hex_of(encoder, {{"k", "v"}}),
            "20"
            "00016b0176");
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(hex_of(encoder, {{"k", "v"}, {":method", "GET"}}),
              "00016b0176"
              "82");
}

TEST(HpackEncoderTest, AChangedLimitIsAnnouncedOnceWithTheSmallestInBetween) {
  const struct {
    const char* name;
    std::vector<std::size_t> limits;
    const char* want;
  } rows[] = {
      {"larger than we use", {65536}, ""},
      {"what it was", {4096}, ""},
      {"smaller", {100}, "3f45"},
      {"nothing", {0}, "20"},
      {"smaller, then as before", {100, 4096}, "3f45 3fe11f"},
      {"down in steps", {2000, 100, 50}, "3f13"},
      {"down and half up", {0, 100}, "20 3f45"},
      {"up and down and up", {50, 20, 65536, 100}, "34 3f45"},
  };
  for (const auto& [name, limits, want] : rows) {
    HpackEncoder encoder;
    for (int i = 0; i < 3; ++i) hex_of(encoder, {{"k", "v"}});
    for (const std::size_t limit : limits) encoder.set_peer_table_limit(limit);
    const std::string block = hex_of(encoder, {});
    EXPECT_EQ(block, to_hex(from_hex(want))) << name;
    EXPECT_EQ(hex_of(encoder, {}), "") << name;
  }
}

TEST(HpackEncoderTest, HiddenFieldsAreLeftOutAndReplacedValuesWritten) {
  HpackEncoder encoder;
  HpackDecoder source;
  for (int i = 0; i < 4; ++i) {
    HeaderBlock block;
    ASSERT_EQ(source.decode(i == 0 ? from_hex("4001610162 4001630164") : from_hex("bfbe"), true, kNoListLimit, block),
              HpackDecoder::Outcome::kOk);
    block.remove("a");
    block.set("c", "e");
    HpackDecoder decoder;
    HpackEncoder fresh;
    EXPECT_EQ(decode_whole(decoder, encode(fresh, block)), (Decoded{true, false, {{"c", "e"}}}));
    EXPECT_EQ(to_hex(encode(encoder, block)), i == 0 ? "0001630165" : i == 1 ? "4001630165" : "be");
  }
}

TEST(HpackEncoderTest, ATextOfAnotherTableIsSharedNotCopied) {
  HpackDecoder source;
  HpackEncoder encoder;
  HeaderBlock block;
  ASSERT_EQ(source.decode(from_hex("4001610162"), true, kNoListLimit, block), HpackDecoder::Outcome::kOk);
  for (const char* want : {"0001610162", "4001610162", "be"}) EXPECT_EQ(to_hex(encode(encoder, block)), want);
  // Its source's table and block go: the encoder's reference is what keeps it.
  block.clear();
  ASSERT_TRUE(decode_whole(source, from_hex("20")).ok);
  EXPECT_EQ(hex_of(encoder, {{"a", "b"}}), "be");
}

}  // namespace
}  // namespace ficus
