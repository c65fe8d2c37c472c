#include "facade/h2/header_block.h"

#include <gtest/gtest.h>

#include <thread>

#include "hpack_test_support.h"

namespace ficus {
namespace {

HeaderBlock sample() {
  HeaderBlock block;
  block.add_static(":path", "/a/b");
  block.add_copy("x", "1");
  block.add_copy("y", "2");
  block.add_copy("x", "3", true);
  return block;
}

TEST(HeaderBlockTest, KeepsOrderAndRepeatedNames) {
  EXPECT_EQ(plain(sample()), (PlainList{{":path", "/a/b"}, {"x", "1"}, {"y", "2"}, {"x", "3"}}));
  EXPECT_EQ(sample().find("x"), "1");
  EXPECT_EQ(sample().find(HeaderToken::kPath), "/a/b");
  EXPECT_FALSE(sample().find("z"));
  EXPECT_FALSE(sample().find(HeaderToken::kStatus));
  EXPECT_FALSE(HeaderBlock().find("x"));
}

TEST(HeaderBlockTest, RemoveTakesEveryFieldOfTheName) {
  HeaderBlock block = sample();
  EXPECT_EQ(block.remove("x"), 2u);
  EXPECT_EQ(block.remove("x"), 0u);
  EXPECT_EQ(block.remove(":path"), 1u);
  EXPECT_FALSE(block.find(HeaderToken::kPath));
  EXPECT_EQ(plain(block), (PlainList{{"y", "2"}}));
  EXPECT_EQ(HeaderBlock().remove("x"), 0u);
}

TEST(HeaderBlockTest, SetReplacesInPlaceAndLeavesOne) {
  HeaderBlock block = sample();
  block.set("x", "9");
  EXPECT_EQ(plain(block), (PlainList{{":path", "/a/b"}, {"x", "9"}, {"y", "2"}}));
  block.set("new", "n");
  EXPECT_EQ(block.find("new"), "n");
}

TEST(HeaderBlockTest, AReplacedValueStaysForThoseWhoBorrowedIt) {
  HeaderText* text = HeaderText::make("name", "old value");
  HeaderBlock block;
  block.add_text(text);
  text->drop_reference();
  const std::string_view borrowed = *block.find("name");
  block.set("name", "new");
  EXPECT_EQ(borrowed, "old value");
  EXPECT_TRUE(block.fields()[0].replaced);
  HeaderBlock clone = block.clone();
  block.clear();
  EXPECT_EQ(plain(clone), (PlainList{{"name", "new"}}));
  clone.set("name", "newer");
  EXPECT_EQ(plain(clone), (PlainList{{"name", "newer"}}));
}

TEST(HeaderBlockTest, ACloneOutlivesItsOriginal) {
  HeaderBlock clone;
  {
    HeaderBlock block = sample();
    block.set("y", std::string(1000, 'y'));
    block.remove("x");
    clone = block.clone();
  }
  EXPECT_EQ(plain(clone), (PlainList{{":path", "/a/b"}, {"y", std::string(1000, 'y')}}));
  EXPECT_TRUE(HeaderBlock().clone().empty());
}

TEST(HeaderBlockTest, TextsStayWhereTheyAreWhenTheBlockMoves) {
  HeaderBlock block = sample();
  const std::string_view borrowed = *block.find("y");
  HeaderBlock moved = std::move(block);
  EXPECT_EQ(moved.find("y")->data(), borrowed.data());
  EXPECT_TRUE(block.empty());  // NOLINT(bugprone-use-after-move): empty is what a moved-from block promises
  moved = HeaderBlock();
  EXPECT_TRUE(moved.empty());
  EXPECT_EQ(moved.fields().size(), 0u);
}

TEST(HeaderBlockTest, CountsTheListAsRfc9113Does) {
  HeaderBlock block;
  EXPECT_EQ(block.list_bytes(), 0u);
  block.add_static("ab", "cde");
  EXPECT_EQ(block.list_bytes(), 2u + 3u + 32u);
  block.add_copy("ab", "c", true);
  EXPECT_EQ(block.list_bytes(), 37u + 35u);
  block.clear();
  EXPECT_EQ(block.list_bytes(), 0u);
}

TEST(HeaderBlockTest, ManyTextsOfAnyLengthKeepTheirBytes) {
  for (int round = 0; round < 3; ++round) {
    HeaderBlock block;
    for (std::size_t n = 0; n < 600; n += 7) {
      block.add_copy("name", std::string(n * (n % 5 + 1), static_cast<char>('a' + n % 26)), n % 2 == 0);
    }
    for (const HeaderBlock& each : {block.clone(), block.clone().clone()}) {
      std::size_t n = 0;
      for (const auto& field : each.fields()) {
        EXPECT_EQ(field.name, "name");
        EXPECT_EQ(field.value, std::string(n * (n % 5 + 1), static_cast<char>('a' + n % 26)));
        n += 7;
      }
    }
  }
}

TEST(HeaderTextTest, KnowsWhatItHolds) {
  const std::pair<std::string, std::string> rows[] = {{"", ""},
                                                      {"te", "trailers"},
                                                      {"x", std::string(100, 'v')},
                                                      {"x", std::string(400, 'v')},
                                                      {"x", std::string(1500, 'v')},
                                                      {std::string(3000, 'n'), std::string(5000, 'v')},
                                                      {"bad\n", "bad\n"}};
  for (int round = 0; round < 2; ++round) {
    for (const auto& [name, value] : rows) {
      HeaderText* text = HeaderText::make(name, value);
      EXPECT_EQ(text->name(), name);
      EXPECT_EQ(text->value(), value);
      EXPECT_EQ(text->hash(), header_hash(name, value));
      EXPECT_EQ(text->token(), header_token(name));
      EXPECT_EQ(text->flaws(), field_flaws(name, value));
      EXPECT_EQ(text->table_bytes(), name.size() + value.size() + 32);
      text->drop_reference();
    }
  }
  EXPECT_NE(header_hash("a", "b"), header_hash("b", "a"));
  EXPECT_NE(header_hash("ab", "c"), header_hash("a", "bc"));
}

// Memory that a thread keeps goes with it; what comes back from another thread's end is no trouble either.
TEST(HeaderTextTest, ThreadsComeAndGo) {
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      std::vector<HeaderBlock> blocks(300);
      for (HeaderBlock& block : blocks) {
        HeaderText* text = HeaderText::make("a", "b");
        block.add_text(text);
        text->drop_reference();
      }
    }).join();
  }
}

}  // namespace
}  // namespace ficus
