// The parts below the coder: table, index, integers, Huffman.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "facade/h2/hpack_index.h"
#include "facade/h2/hpack_integer.h"
#include "facade/h2/hpack_table.h"
#include "facade/h2/huffman.h"
#include "hpack_test_support.h"

namespace ficus {
namespace {

void insert(HpackTable& table, const std::string& name, const std::string& value) {
  HeaderText* text = HeaderText::make(name, value);
  table.insert(text);
  text->drop_reference();
}

TEST(HpackTableTest, TheNewestIsFirstAndTheOldestGoes) {
  HpackTable table(4096);
  for (int i = 0; i < 1000; ++i) {
    insert(table, "n", std::to_string(1000 + i));
    const std::size_t want = std::min<std::size_t>(static_cast<std::size_t>(i) + 1, 4096 / 37);
    ASSERT_EQ(table.size(), want);
    ASSERT_EQ(table.bytes(), want * 37);
    ASSERT_EQ(table.at(0)->value(), std::to_string(1000 + i));
    ASSERT_EQ(table.at(want - 1)->value(), std::to_string(1000 + i + 1 - static_cast<int>(want)));
    ASSERT_EQ(table.at(want), nullptr);
  }
  EXPECT_EQ(table.inserted(), 1000u);
  table.set_limit(80);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.at(1)->value(), "1998");
  insert(table, "n", std::string(100, 'x'));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.bytes(), 0u);
  insert(table, "m", "v");
  EXPECT_EQ(table.at(0)->name(), "m");
}

TEST(HpackTableTest, ATextMayBeInsertedAgainWhileItIsTheOneThatGoes) {
  HpackTable table(40);
  insert(table, "a", "b");
  table.insert(table.at(0));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.at(0)->value(), "b");
}

TEST(HpackTableTest, TheStaticTableIsAppendixA) {
  EXPECT_EQ(hpack_static_entry(1).name, ":authority");
  EXPECT_EQ(hpack_static_entry(2).value, "GET");
  EXPECT_EQ(hpack_static_entry(16).value, "gzip, deflate");
  EXPECT_EQ(hpack_static_entry(61).name, "www-authenticate");
  for (std::size_t i = 1; i <= kHpackStaticEntries; ++i) {
    EXPECT_EQ(hpack_static_entry(i).token, header_token(hpack_static_entry(i).name)) << i;
  }
  EXPECT_EQ(hpack_static_range(HeaderToken::kStatus).first, 8);
  EXPECT_EQ(hpack_static_range(HeaderToken::kStatus).count, 7);
  EXPECT_EQ(hpack_static_range(HeaderToken::kOther).count, 0);
  EXPECT_EQ(hpack_static_range(HeaderToken::kTe).first, 0);
}

TEST(HpackIndexTest, AgreesWithAMap) {
  std::mt19937_64 random(5);
  HpackIndex index;
  std::map<std::uint32_t, std::uint64_t> all;  // number -> hash
  for (std::uint32_t number = 1; number < 50'000; ++number) {
    // Hashes that crowd a few places, so that runs are long and wrap around.
    const std::uint64_t hash = (random() % 3 == 0 ? 250 + random() % 12 : random() % 256) | (random() % 4) << 8;
    index.insert(hash, number);
    all[number] = hash;
    while (all.size() > 100 + random() % 28) {
      const auto any = std::next(all.begin(), static_cast<std::ptrdiff_t>(random() % all.size()));
      index.erase(any->second, any->first);
      all.erase(any);
    }
    if (number % 100 == 0) {
      for (const auto& [n, h] : all) {
        ASSERT_EQ(index.find(h, [&, wanted = n](std::uint32_t candidate) { return candidate == wanted; }), n);
        ASSERT_EQ(index.find(h + (std::uint64_t{1} << 20), [](std::uint32_t) { return true; }), 0u);
      }
      ASSERT_EQ(index.find(all.begin()->second, [](std::uint32_t) { return false; }), 0u);
    }
  }
  for (const auto& [n, h] : all) index.erase(h, n);
  for (std::uint64_t h = 0; h < 1024; ++h) ASSERT_EQ(index.find(h, [](std::uint32_t) { return true; }), 0u);
}

TEST(HpackIntegerTest, WrittenThenReadIsTheSameForEveryPrefix) {
  for (unsigned prefix = 4; prefix <= 7; ++prefix) {
    for (std::uint64_t value = 0; value <= kHpackLargestInteger; value += value / 7 + 1) {
      std::uint8_t bytes[8];
      std::uint8_t* end = write_hpack_integer(bytes, 0, prefix, static_cast<std::uint32_t>(value));
      ASSERT_LE(end - bytes, 1 + static_cast<int>(kHpackIntegerBytes));
      const std::uint8_t* at = bytes;
      std::uint32_t back = 0;
      ASSERT_EQ(read_hpack_integer(at, end, prefix, back), HpackInteger::kOk);
      ASSERT_EQ(back, value);
      ASSERT_EQ(at, end);
      for (const std::uint8_t* cut = bytes + 1; cut < end; ++cut) {
        at = bytes;
        ASSERT_EQ(read_hpack_integer(at, cut, prefix, back), HpackInteger::kCutOff);
        ASSERT_EQ(at, bytes);
      }
    }
  }
}

TEST(HpackIntegerTest, ReadsTheExamplesOfAppendixC1) {
  const std::tuple<const char*, unsigned, std::uint32_t> rows[] = {{"0a", 5, 10}, {"1f9a0a", 5, 1337}, {"2a", 8, 42}};
  for (const auto& [hex, prefix, want] : rows) {
    const std::string bytes = from_hex(hex);
    const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::uint32_t value = 0;
    EXPECT_EQ(read_hpack_integer(at, at + bytes.size(), prefix, value), HpackInteger::kOk);
    EXPECT_EQ(value, want);
  }
}

TEST(HuffmanTest, RoomAndLeastHoldWhateverTheCharacters) {
  // The shortest codes: '0' is 00000; the longest: 0x0a, thirty bits of which 28 ones, is 3ffffffc.
  const std::string shortest(100, '\0');
  std::vector<char> out(huffman_room(shortest.size()));
  HuffmanDecoder decoder;
  const char* end = decoder.decode(reinterpret_cast<const std::uint8_t*>(shortest.data()), shortest.size(), out.data());
  EXPECT_EQ(end - out.data(), 160);
  EXPECT_EQ(std::string(out.data(), 160), std::string(160, '0'));
  EXPECT_TRUE(decoder.may_end());
  const std::string longest = from_hex("fffffff3ffffffcffffff f3ffffffc");
  HuffmanDecoder other;
  end = other.decode(reinterpret_cast<const std::uint8_t*>(longest.data()), longest.size(), out.data());
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end - out.data(), 4);
  EXPECT_EQ(std::string(out.data(), 4), "\n\n\n\n");
  EXPECT_LE(huffman_least(longest.size()), 4u);
}

}  // namespace
}  // namespace ficus
