// Against nghttp2's coder, both ways, over long sequences of blocks on one connection.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <memory>
#include <random>

#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"
#include "hpack_test_support.h"

namespace ficus {
namespace {

struct Deleter {
  void operator()(nghttp2_hd_deflater* deflater) const { nghttp2_hd_deflate_del(deflater); }
  void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
};

class Deflater {
 public:
  Deflater() {
    nghttp2_hd_deflater* made = nullptr;
    EXPECT_EQ(nghttp2_hd_deflate_new(&made, 4096), 0);
    deflater_.reset(made);
  }
  void set_limit(std::size_t bytes) { EXPECT_EQ(nghttp2_hd_deflate_change_table_size(deflater_.get(), bytes), 0); }
  std::string encode(const PlainList& list) {
    std::vector<nghttp2_nv> fields;
    for (const PlainField& field : list) {
      fields.push_back(
          {reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.name.data())),
           reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
           field.value.size(),
           static_cast<std::uint8_t>(field.never_index ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
    }
    std::vector<std::uint8_t> out(nghttp2_hd_deflate_bound(deflater_.get(), fields.data(), fields.size()));
    const ssize_t n = nghttp2_hd_deflate_hd(deflater_.get(), out.data(), out.size(), fields.data(), fields.size());
    EXPECT_GE(n, 0);
    return {out.begin(), out.begin() + std::max<ssize_t>(n, 0)};
  }

 private:
  std::unique_ptr<nghttp2_hd_deflater, Deleter> deflater_;
};

class Inflater {
 public:
  Inflater() {
    nghttp2_hd_inflater* made = nullptr;
    EXPECT_EQ(nghttp2_hd_inflate_new(&made), 0);
    inflater_.reset(made);
  }
  void set_limit(std::size_t bytes) { EXPECT_EQ(nghttp2_hd_inflate_change_table_size(inflater_.get(), bytes), 0); }
  Decoded decode(std::string_view block) {
    Decoded decoded;
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t n = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags,
                                               reinterpret_cast<const std::uint8_t*>(block.data()), block.size(), 1);
      if (n < 0) return decoded;
      block.remove_prefix(static_cast<std::size_t>(n));
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        decoded.fields.push_back({std::string(reinterpret_cast<char*>(field.name), field.namelen),
                                  std::string(reinterpret_cast<char*>(field.value), field.valuelen),
                                  (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(inflater_.get());
    decoded.ok = true;
    return decoded;
  }

 private:
  std::unique_ptr<nghttp2_hd_inflater, Deleter> inflater_;
};

using Random = std::mt19937_64;
std::size_t below(Random& random, std::size_t limit) { return random() % limit; }

std::string random_text(Random& random, std::size_t longest, bool any_byte) {
  std::string text(below(random, longest + 1), 0);
  for (char& c : text) c = static_cast<char>(any_byte ? random() : ' ' + random() % 95);
  return text;
}

// Names and values from small pools, so that tables are hit, and some that never repeat.
PlainField random_field(Random& random) {
  static const char* const kNames[] = {":path",
                                       ":method",
                                       ":status",
                                       ":authority",
                                       "te",
                                       "content-type",
                                       "user-agent",
                                       "grpc-timeout",
                                       "traceparent",
                                       "x-request-id",
                                       "accept-encoding",
                                       "grpc-status",
                                       "cache-control",
                                       "x-ficus-shadow",
                                       "a",
                                       "some-rather-longer-name-of-a-field"};
  static const char* const kValues[] = {"",
                                        "/",
                                        "GET",
                                        "POST",
                                        "200",
                                        "404",
                                        "trailers",
                                        "application/grpc",
                                        "gzip, deflate",
                                        "0",
                                        "a value of medium length, as agents have"};
  PlainField field;
  field.name =
      below(random, 12) == 0 ? "n" + std::to_string(below(random, 1000)) : kNames[below(random, std::size(kNames))];
  switch (below(random, 8)) {
    case 0:
      field.value = random_text(random, 60, false);
      break;
    case 1:
      field.value = random_text(random, 300, true);
      break;
    case 2:
      field.value = below(random, 30) == 0 ? random_text(random, 6000, false) : std::string(40, 'x');
      break;
    default:
      field.value = kValues[below(random, std::size(kValues))];
  }
  field.never_index = below(random, 15) == 0;
  return field;
}

PlainList random_list(Random& random) {
  PlainList list(below(random, 25));
  for (PlainField& field : list) field = random_field(random);
  return list;
}

// Bits that one coder sets beyond what it was asked: nghttp2 never indexes authorization and short cookies, we no
// credentials at all; neither stands in the lists above, so that flags must agree exactly.
TEST(HpackDifferentialTest, Nghttp2ReadsWhatWeWrite) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Random random(seed);
    HpackEncoder encoder;
    HpackDecoder ours;
    Inflater inflater;
    for (int i = 0; i < 400; ++i) {
      if (below(random, 20) == 0) {
        for (std::size_t n = 1 + below(random, 3); n > 0; --n) {
          const std::size_t limit = below(random, 4) == 0 ? 0 : below(random, 6000);
          inflater.set_limit(limit);
          encoder.set_peer_table_limit(limit);
        }
      }
      const PlainList list = random_list(random);
      const std::string block = encode(encoder, block_of(list));
      ASSERT_EQ(inflater.decode(block), (Decoded{true, false, list})) << "seed " << seed << " block " << i;
      ASSERT_EQ(decode_whole(ours, block), (Decoded{true, false, list})) << "seed " << seed << " block " << i;
    }
  }
}

TEST(HpackDifferentialTest, WeReadWhatNghttp2Writes) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Random random(seed);
    Deflater deflater;
    HpackDecoder whole, split;
    for (int i = 0; i < 400; ++i) {
      // Within what we announce: a peer never goes above it.
      if (below(random, 20) == 0) {
        for (std::size_t n = 1 + below(random, 3); n > 0; --n) {
          deflater.set_limit(below(random, 4) == 0 ? 0 : below(random, HpackDecoder::kTableBytes + 1));
        }
      }
      const PlainList list = random_list(random);
      const std::string block = deflater.encode(list);
      ASSERT_EQ(decode_whole(whole, block), (Decoded{true, false, list})) << "seed " << seed << " block " << i;
      ASSERT_EQ(decode_in_pieces(split, block, 1 + below(random, 9)), (Decoded{true, false, list}))
          << "seed " << seed << " block " << i;
    }
  }
}

// As in the relay: blocks that our decoder read are written by an encoder that shares their texts.
TEST(HpackDifferentialTest, WhatPassesThroughArrivesAsItWasSent) {
  Random random(99);
  Deflater client;
  HpackDecoder decoder;
  HpackEncoder encoder;
  Inflater upstream;
  for (int i = 0; i < 2000; ++i) {
    const PlainList list = random_list(random);
    HeaderBlock block;
    ASSERT_EQ(decoder.decode(client.encode(list), true, kNoListLimit, block), HpackDecoder::Outcome::kOk);
    ASSERT_EQ(upstream.decode(encode(encoder, block)), (Decoded{true, false, list})) << i;
    ASSERT_EQ(upstream.decode(encode(encoder, block.clone())), (Decoded{true, false, list})) << i;
  }
}

// Every character, alone and before every other: codes of all lengths, and padding of every length.
TEST(HpackDifferentialTest, HuffmanAgreesOnEveryCharacter) {
  Deflater deflater;
  HpackDecoder whole, split;
  for (int a = 0; a < 256; ++a) {
    PlainList list;
    for (int b = 0; b < 256; ++b) {
      // Behind many 'e's, so that nghttp2 finds Huffman coding shorter.
      std::string value(24, 'e');
      value += static_cast<char>(a);
      value += static_cast<char>(b);
      value.append(static_cast<std::size_t>(b % 8), 'e');
      list.push_back({"x", value, true});
    }
    const std::string block = deflater.encode(list);
    ASSERT_EQ(decode_whole(whole, block), (Decoded{true, false, list})) << a;
    ASSERT_EQ(decode_in_pieces(split, block, 3), (Decoded{true, false, list})) << a;
  }
}

// Random damage: both find it broken, or both read the same. Ours is stricter in one thing only (hpack_fuzz.cc).
TEST(HpackDifferentialTest, BothJudgeDamagedBlocksAlike) {
  Random random(7);
  int broken = 0;
  for (int i = 0; i < 6000; ++i) {
    Deflater deflater;
    Inflater inflater;
    HpackDecoder decoder;
    const std::string first = deflater.encode(random_list(random));
    ASSERT_TRUE(inflater.decode(first).ok);
    ASSERT_TRUE(decode_whole(decoder, first).ok);
    std::string block = deflater.encode(random_list(random));
    if (block.empty()) continue;
    for (std::size_t n = 1 + below(random, 3); n > 0; --n)
      block[below(random, block.size())] = static_cast<char>(random());
    const Decoded theirs = inflater.decode(block);
    const Decoded ours = decode_whole(decoder, block);
    ASSERT_EQ(ours.ok, theirs.ok) << to_hex(block);
    if (!ours.ok) {
      ++broken;
    } else {
      ASSERT_EQ(ours, theirs) << to_hex(block);
    }
  }
  EXPECT_GT(broken, 500);
}

}  // namespace
}  // namespace ficus
