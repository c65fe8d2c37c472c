#include "facade/net/header_block.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ficus {
namespace {

std::vector<std::pair<std::string, std::string>> visible(const HeaderBlock& block) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& field : block.fields()) {
    if (!field.hidden) fields.emplace_back(field.name, field.value);
  }
  return fields;
}
using Fields = std::vector<std::pair<std::string, std::string>>;

HeaderBlock sample() {
  HeaderBlock block;
  block.add_static(":path", "/a/b");
  block.add_copy("x", "1");
  block.add_copy("y", "2");
  block.add_copy("x", "3", true);
  return block;
}

TEST(HeaderBlockTest, KeepsOrderAndRepeatedNames) {
  EXPECT_EQ(visible(sample()), (Fields{{":path", "/a/b"}, {"x", "1"}, {"y", "2"}, {"x", "3"}}));
  EXPECT_EQ(sample().find("x"), "1");
  EXPECT_FALSE(sample().find("z"));
}

TEST(HeaderBlockTest, RemoveTakesEveryFieldOfTheName) {
  HeaderBlock block = sample();
  EXPECT_EQ(block.remove("x"), 2u);
  EXPECT_EQ(block.remove("x"), 0u);
  EXPECT_EQ(visible(block), (Fields{{":path", "/a/b"}, {"y", "2"}}));
}

TEST(HeaderBlockTest, SetReplacesInPlaceAndLeavesOne) {
  HeaderBlock block = sample();
  block.set("x", "9");
  EXPECT_EQ(visible(block), (Fields{{":path", "/a/b"}, {"x", "9"}, {"y", "2"}}));
  block.set("new", "n");
  EXPECT_EQ(block.find("new"), "n");
}

TEST(HeaderBlockTest, ACloneOutlivesItsOriginal) {
  HeaderBlock clone;
  {
    HeaderBlock block = sample();
    block.set("y", std::string(1000, 'y'));
    block.remove("x");
    clone = block.clone();
  }
  EXPECT_EQ(visible(clone), (Fields{{":path", "/a/b"}, {"y", std::string(1000, 'y')}}));
}

TEST(HeaderBlockTest, TextsStayWhereTheyAreWhenTheBlockMoves) {
  HeaderBlock block = sample();
  const std::string_view borrowed = *block.find("y");
  HeaderBlock moved = std::move(block);
  EXPECT_EQ(moved.find("y")->data(), borrowed.data());
  EXPECT_TRUE(block.empty());  // NOLINT(bugprone-use-after-move): empty is what a moved-from block promises
}

TEST(HeaderBlockTest, CountsTheListAsRfc9113Does) {
  HeaderBlock block;
  EXPECT_EQ(block.list_bytes(), 0u);
  block.add_static("ab", "cde");
  EXPECT_EQ(block.list_bytes(), 2u + 3u + 32u);
}

TEST(TextArenaTest, ManyTextsOfAnyLengthKeepTheirBytes) {
  TextArena arena;
  std::vector<std::pair<std::string, std::string_view>> kept;
  for (std::size_t n = 0; n < 600; n += 7) {
    const std::string text(n, static_cast<char>('a' + n % 26));
    kept.emplace_back(text, arena.copy(text));
  }
  for (const auto& [text, view] : kept) EXPECT_EQ(view, text);
}

}  // namespace
}  // namespace ficus
