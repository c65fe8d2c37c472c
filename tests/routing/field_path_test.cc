#include "routing/field_path.h"

#include <gtest/gtest.h>

#include <random>

namespace ficus {
namespace {

PathPattern pattern(std::string_view text) {
  auto parsed = PathPattern::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << (parsed ? "" : parsed.error());
  return parsed.value_or(PathPattern());
}

// "a.b[k].c" as a concrete path.
FieldPath path(std::string_view text) {
  FieldPath out;
  const PathPattern parsed = pattern(text);
  for (const auto& step : parsed.steps()) out.push_back({step.name, step.has_map_key, step.map_key});
  return out;
}

TEST(FieldPathTest, MatchesWhatThePatternNamesAndNothingElse) {
  struct Row {
    std::string_view pattern, path;
    bool matches, covers;
  };
  const Row table[] = {
      {"policy.premium", "policy.premium", true, true},
      {"policy.premium", "policy.premium.amount", false, true},
      {"policy.premium", "policy", false, false},
      {"policy.premium", "policy.premium_tax", false, false},
      {"policy.premium.**", "policy.premium", true, true},
      {"policy.premium.**", "policy.premium.amount", true, true},
      {"policy.premium.**", "policy.premium.amount.units", true, true},
      {"policy.premium.**", "policy.notes", false, false},
      {"**.updated_at", "updated_at", true, true},
      {"**.updated_at", "policy.updated_at", true, true},
      {"**.updated_at", "policy.endorsements.updated_at", true, true},
      {"**.updated_at", "policy.updated_at.seconds", false, true},
      {"**.updated_at", "policy.updated_atx", false, false},
      {"*.id", "policy.id", true, true},
      {"*.id", "id", false, false},
      {"*.id", "policy.holder.id", false, false},
      {"policy.*", "policy", false, false},
      {"policy.*", "policy.id", true, true},
      {"policy.*", "policy.id.text", false, true},
      {"**", "anything.at.all", true, true},
      {"a.**.b.**.c", "a.x.b.y.b.c", true, true},
      {"a.**.b.**.c", "a.b.c", true, true},
      {"a.**.b.**.c", "a.c.b", false, false},
      {"a.**.*.c", "a.c", false, false},
      {"a.**.*.c", "a.c.c", true, true},
      {"labels[eu]", "labels[eu]", true, true},
      {"labels[eu]", "labels[us]", false, false},
      {"labels[eu]", "labels", false, false},
      {"labels", "labels[eu]", true, true},
      {"labels[eu].note", "labels[eu].note", true, true},
      {"labels[a.b].note", "labels[a.b].note", true, true},
      {"**.note", "labels[eu].note", true, true},
  };
  for (const Row& row : table) {
    EXPECT_EQ(pattern(row.pattern).matches(path(row.path)), row.matches) << row.pattern << " on " << row.path;
    EXPECT_EQ(pattern(row.pattern).covers(path(row.path)), row.covers) << row.pattern << " covers " << row.path;
  }
}

TEST(FieldPathTest, RefusesWhatIsNoPattern) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {"", "empty step"},
      {".", "empty step"},
      {"a.", "empty step"},
      {".a", "empty step"},
      {"a..b", "empty step"},
      {"**.**", "'**' beside '**'"},
      {"a.**.**.b", "'**' beside '**'"},
      {"***", "steps of their own"},
      {"a*", "steps of their own"},
      {"*a.b", "steps of their own"},
      {"*[k]", "steps of their own"},
      {"a[k", "unclosed '['"},
      {"a[]", "is implied"},
      {"a[].b", "is implied"},
      {"a[k]b", "nothing but '.'"},
      {"a[k][l]", "nothing but '.'"},
      {"[k]", "not a field name"},
      {"1a", "not a field name"},
      {"a-b", "not a field name"},
      {"a b", "not a field name"},
      {"a]", "not a field name"},
      {"\xc3\xa4", "not a field name"},
      {"a[\x01]", "control character"},
      {"a\n", "control character"},
      {"a[\xff]", "not UTF-8"},
      {std::string_view("a\0b", 3), "control character"},
  };
  for (const auto& [text, want] : table) {
    const auto parsed = PathPattern::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().find(want), std::string::npos) << text << ": " << parsed.error();
  }
}

TEST(FieldPathTest, KeepsTheTextAsWritten) {
  EXPECT_EQ(pattern("policy.labels[eu].**").text(), "policy.labels[eu].**");
  EXPECT_EQ(pattern("a.*"), pattern("a.*"));
  EXPECT_FALSE(pattern("a.*") == pattern("a.**"));
}

TEST(FieldPathTest, AConcretePathReadsAsAPattern) {
  EXPECT_EQ(to_string(path("policy.labels[eu].note")), "policy.labels[eu].note");
  EXPECT_EQ(to_string(FieldPath{}), "");
}

// The slow, obvious definition: try every way.
bool slow_matches(const std::vector<PathPattern::Step>& steps, std::size_t s, const FieldPath& path, std::size_t p) {
  using Kind = PathPattern::Step::Kind;
  if (s == steps.size()) return p == path.size();
  if (steps[s].kind == Kind::kAnyNumber) {
    for (std::size_t skip = p; skip <= path.size(); ++skip) {
      if (slow_matches(steps, s + 1, path, skip)) return true;
    }
    return false;
  }
  if (p == path.size()) return false;
  const bool takes = steps[s].kind == Kind::kAnyOne || steps[s].name == path[p].name;
  return takes && slow_matches(steps, s + 1, path, p + 1);
}

TEST(FieldPathTest, AgreesWithTryingEveryWay) {
  std::mt19937 random(7);
  const char* const words[] = {"a", "b", "*", "**"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    std::string_view last;
    for (std::size_t left = 1 + random() % 6; left > 0; --left) {
      const std::string_view word = words[random() % 4];
      if (word == "**" && last == "**") continue;
      text += (text.empty() ? "" : ".") + std::string(word);
      last = word;
    }
    FieldPath concrete;
    for (std::size_t left = 1 + random() % 7; left > 0; --left) concrete.push_back({words[random() % 2], false, ""});
    const PathPattern p = pattern(text);
    EXPECT_EQ(p.matches(concrete), slow_matches(p.steps(), 0, concrete, 0)) << text << " on " << to_string(concrete);
    bool covers = false;
    FieldPath parent;
    for (const FieldStep& step : concrete) {
      parent.push_back(step);
      covers = covers || slow_matches(p.steps(), 0, parent, 0);
    }
    EXPECT_EQ(p.covers(concrete), covers) << text << " covers " << to_string(concrete);
  }
}

}  // namespace
}  // namespace ficus
