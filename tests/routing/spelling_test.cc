#include "routing/spelling.h"

#include <gtest/gtest.h>

#include "routing/utf8.h"

namespace ficus {
namespace {

TEST(SpellingTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  struct Row {
    std::string_view a, b;
    std::size_t want;
  };
  const Row table[] = {
      {"", "", 0},       {"", "abc", 3},           {"abc", "", 3},          {"abc", "abc", 0},
      {"abc", "abd", 1}, {"abc", "ab", 1},         {"abc", "xabc", 1},      {"policy-nwe", "policy-new", 1},
      {"ca", "abc", 3},  {"tenant", "tenants", 1}, {"kitten", "sitting", 3}};
  for (const Row& row : table) {
    EXPECT_EQ(edit_distance(row.a, row.b), row.want) << row.a << " " << row.b;
    EXPECT_EQ(edit_distance(row.b, row.a), row.want) << row.b << " " << row.a;
  }
}

TEST(SpellingTest, OffersTheNearestWordAndNoneWhenAllAreFar) {
  const std::vector<std::string_view> words = {"tenants", "consumers", "match", "stage", "reads", "writes", "by"};
  const std::pair<std::string_view, std::string_view> table[] = {{"tenant", "tenants"},
                                                                 {"consumer", "consumers"},
                                                                 {"stgae", "stage"},
                                                                 {"read", "reads"},
                                                                 {"write", "writes"},
                                                                 {"zebra", ""},
                                                                 {"", ""},
                                                                 {"bi", "by"},
                                                                 {"x", ""},
                                                                 {"until", ""}};
  for (const auto& [word, want] : table) EXPECT_EQ(closest_word(word, words), want) << word;
  EXPECT_EQ(did_you_mean("stgae", words), "did you mean \"stage\"?");
  EXPECT_EQ(did_you_mean("zebra", words), "");
}

TEST(SpellingTest, DoesNotSpendTimeOnTexts) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(closest_word(text, {"aaa", text}), "");
  EXPECT_EQ(closest_word("aaaa", {text}), "");
}

TEST(SpellingTest, QuotingNeverLetsAControlCharacterThrough) {
  const std::pair<std::string_view, std::string_view> table[] = {{"plain", "\"plain\""},
                                                                 {"a\nb\x1b[31m", "\"a\\x0ab\\x1b[31m\""},
                                                                 {"\xff", "\"\\xff\""},
                                                                 {"\xc3\xa4", "\"\xc3\xa4\""},
                                                                 {"\xe2\x80\xae", "\"\\xe2\\x80\\xae\""}};
  for (const auto& [text, want] : table) EXPECT_EQ(in_quotes(text), want);
  EXPECT_EQ(in_quotes(std::string(80, 'a')), '"' + std::string(80, 'a') + '"');
  EXPECT_EQ(in_quotes(std::string(81, 'a')), '"' + std::string(80, 'a') + "...\"");
}

TEST(Utf8Test, ReadsWholeCharactersAndNothingElse) {
  struct Row {
    std::string_view text;
    char32_t code;
    std::size_t bytes;
  };
  const Row table[] = {{"a", 'a', 1},
                       {std::string_view("\0", 1), 0, 1},
                       {"\xc3\xa4", 0xe4, 2},
                       {"\xe2\x82\xac", 0x20ac, 3},
                       {"\xf0\x9f\x98\x80", 0x1f600, 4},
                       {"\xf4\x8f\xbf\xbf", 0x10ffff, 4},
                       {"\x80", 0, 0},
                       {"\xc0\x80", 0, 0},  // overlong
                       {"\xe0\x80\x80", 0, 0},
                       {"\xf0\x80\x80\x80", 0, 0},
                       {"\xed\xa0\x80", 0, 0},      // a surrogate
                       {"\xf4\x90\x80\x80", 0, 0},  // above U+10FFFF
                       {"\xf8\x88\x80\x80\x80", 0, 0},
                       {"\xc3", 0, 0},
                       {"\xe2\x82", 0, 0},
                       {"\xc3(", 0, 0},
                       {"\xff", 0, 0}};
  for (const Row& row : table) {
    const Utf8Char c = decode_utf8(row.text, 0);
    EXPECT_EQ(c.bytes, row.bytes) << in_quotes(row.text);
    EXPECT_EQ(c.code, row.code) << in_quotes(row.text);
  }
}

}  // namespace
}  // namespace ficus
