// Policies that cannot be read whole: what else is found in them, and that nothing is made up. A policy without an error
// is broken at random; whatever is then said beyond its reading must be true of the unbroken file too, where all is well.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "routing/diagnostic_codes.h"
#include "routing/policy_check.h"
#include "routing/policy_parse.h"
#include "tests/routing/policy_files.h"
#include "tests/support/random_policy.h"

namespace ficus {
namespace {

const Date kToday = std::chrono::year(2026) / 1 / 1;

// What is found in `text` beyond its reading; nothing where it can be read whole.
std::vector<Diagnostic> found_besides(const std::string& text) {
  const auto parsed = parse_policy_or_part(text, "x.yaml");
  if (parsed || !parsed.error().partial) return {};
  return check_partial_policy(*parsed.error().partial, nullptr, kToday);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1);
    lines.push_back(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

class Breaker {
 public:
  explicit Breaker(std::uint64_t seed) : random_(seed) {}

  // One accident: characters that slip in or are lost, a line that is lost, doubled, swapped or wrongly indented, a
  // file that is cut off.
  std::string broken(const std::string& text) {
    static const std::string kSlips[] = {"x", " ", ":", ": ", "#", "'", "\"", "-", "- ", ",", "]", "}", "[", "{", "!", "*", "?", "\n", "&a "};
    std::string out = text;
    switch (below(7)) {
      case 0:
      case 1: return out.insert(below(text.size()), kSlips[below(std::size(kSlips))]);
      case 2: return out.erase(below(text.size()), 1);
      case 3: return out.substr(0, below(text.size()));
      default: break;
    }
    std::vector<std::string> lines = lines_of(text);
    const std::size_t at = below(lines.size());
    switch (below(4)) {
      case 0: lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at)); break;
      case 1: lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(below(lines.size())), lines[at]); break;
      case 2: lines[at].insert(0, "  "); break;
      default: std::swap(lines[at], lines[below(lines.size())]);
    }
    return joined(lines);
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  std::mt19937_64 random_;
};

bool is_about_a_name(const Diagnostic& d) {
  for (const DiagnosticCode& code : {codes::kUnknownUpstream, codes::kUnknownCapability, codes::kUnknownAttribute,
                                     codes::kUnknownGroup, codes::kUnknownRule}) {
    if (d.code == code.code) return true;
  }
  return false;
}

// The name that a complaint quotes first.
std::string name_in(const Diagnostic& d) {
  const std::size_t begin = d.message.find('"') + 1;
  return d.message.substr(begin, d.message.find('"', begin) - begin);
}

// Every word of a text: names are made of these characters.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.') {
      word += c;
    } else if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  }
  return words;
}

struct Counts {
  int refused = 0;
  int judged_besides = 0;
};

void break_often(const std::string& name, const std::string& text, int times, Counts& counts) {
  ASSERT_TRUE(parse_policy(text, "x.yaml")) << name;
  const std::set<std::string> words = words_of(text);
  for (int i = 0; i < times; ++i) {
    const std::string broken = Breaker(static_cast<std::uint64_t>(i)).broken(text);
    const auto parsed = parse_policy_or_part(broken, "x.yaml");
    if (parsed) continue;
    ++counts.refused;
    if (!parsed.error().partial) continue;
    ++counts.judged_besides;
    for (const Diagnostic& d : check_partial_policy(*parsed.error().partial, nullptr, kToday)) {
      if (!is_about_a_name(d)) continue;
      ASSERT_EQ(words.count(name_in(d)), 0u) << name << ", accident " << i << ": " << to_string(d) << "\nbesides "
                                             << to_string(parsed.error().diagnostics.front()) << "\n" << broken;
    }
  }
}

TEST(PolicyPartialTest, NoAccidentMakesAComplaintOfANameThatStandsInTheFile) {
  Counts counts;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Policy policy = test::random_policy(seed, {.checkable = true});
    ASSERT_NO_FATAL_FAILURE(break_often("seed " + std::to_string(seed), print_policy(policy), 150, counts));
  }
  for (const char* directory : {"tests/testdata/policies/valid", "policies"}) {
    for (const auto& file : test::policy_files(directory)) {
      ASSERT_NO_FATAL_FAILURE(break_often(file.name, file.text, 300, counts));
    }
  }
  EXPECT_GT(counts.refused, 3000);
  EXPECT_GT(counts.judged_besides, 1000) << "the accidents leave nothing to judge, so that nothing is tested";
}

// A name that leads nowhere is told wherever the first error stands, if that is not where the name could be declared.
TEST(PolicyPartialTest, ANameThatLeadsNowhereIsFoundBesideAnErrorElsewhere) {
  const std::string head = "apiVersion: ficus/v1\nname: t\n";
  const std::string good =
      "upstreams: {a: {endpoints: [\"h:1\"]}, b: {endpoints: [\"h:2\"]}}\nidentity: {tenant: [{metadata: x-t}]}\n"
      "capabilities: {c: {legacy: a, new: nowhere, reads: [s.S/Get]}}\n";
  const std::pair<const char*, std::string> cases[] = {
      {"an unknown key at the top", head + good + "rulez: []\nownership_epoch: 1\n"},
      {"a bad name", "apiVersion: ficus/v1\nname: ''\n" + good + "ownership_epoch: 1\n"},
      {"a missing name", "apiVersion: ficus/v1\n" + good + "ownership_epoch: 1\n"},
      {"a bad rule", head + good + "rules: [{name: r, capability: c, stage: of}]\nownership_epoch: 1\n"},
      {"a bad test", head + good + "tests: [{name: r}]\nownership_epoch: 1\n"},
      {"a section given twice", head + "name: t\n" + good + "ownership_epoch: 1\n"},
      {"an epoch of letters", head + good + "ownership_epoch: x\n"},
      {"no final newline", head + good + "ownership_epoch: 1"},
      {"no epoch", head + good},
      {"a section that is not built yet", head + good + "rollouts: {}\nownership_epoch: 1\n"},
      {"a bad value in its own capability",
       head + "upstreams: {a: {endpoints: [\"h:1\"]}}\n"
              "capabilities: {c: {legacy: a, new: nowhere, reads: [s.S/Get], staleness: soon}}\nownership_epoch: 1\n"},
  };
  for (const auto& [name, text] : cases) {
    ASSERT_FALSE(parse_policy(text, "x.yaml")) << name;
    const std::vector<Diagnostic> found = found_besides(text);
    ASSERT_EQ(found.size(), 1u) << name;
    EXPECT_EQ(found[0].message, "no upstream named \"nowhere\"") << name;
  }
}

TEST(PolicyPartialTest, NothingIsSaidOfNamesWhereTheirDeclarationsCannotBeRead) {
  const std::string head = "apiVersion: ficus/v1\nname: t\n";
  const std::string tail = "capabilities: {c: {legacy: a, new: b, reads: [s.S/Get]}}\nownership_epoch: 1\n";
  const std::string a_and_c = "upstreams: {a: {endpoints: [\"h:1\"]}}\n";
  const std::pair<const char*, std::string> cases[] = {
      {"the declaration's own key is broken", head + "upstreams: {a: {endpoints: [\"h:1\"]}, \"b \": {endpoints: [\"h:2\"]}}\n" + tail},
      {"it stands twice", head + a_and_c + "upstreams: {\"b \": {}}\n" + tail},
      {"its section is misspelt", head + "upstream: {a: {endpoints: [\"h:1\"]}, b: {endpoints: [\"h:2\"]}}\n" + tail},
      {"its section is a text", head + "upstreams: b\n" + tail},
      {"it slipped into another section", head + a_and_c + "attributes:\n  b: {endpoints: [\"h:2\"]}\n" + tail},
      {"it is a merge key's", head + "upstreams:\n  a: &u {endpoints: [\"h:1\"]}\n  <<: {b: *u}\n" + tail},
      {"the file was cut in the name", head + a_and_c + "default_upstream: a-longer-na"},
      {"the text is no YAML", head + a_and_c + "default_upstream: [\nownership_epoch: 1\n"},
      {"it stands in a second document", head + a_and_c + tail + "---\nupstreams: {b: {endpoints: [\"h:1\"]}}\n"},
      {"the text is no mapping", "- a\n"},
      {"the file is empty", ""},
  };
  for (const auto& [name, text] : cases) {
    ASSERT_FALSE(parse_policy(text, "x.yaml")) << name;
    const std::vector<Diagnostic> found = found_besides(text);
    EXPECT_TRUE(found.empty()) << name << ": " << to_string(found.front());
  }
}

TEST(PolicyPartialTest, AFileWithTooManyErrorsIsNotJudgedFurther) {
  std::string text = "apiVersion: ficus/v1\nname: t\nupstreams: {a: {endpoints: [\"h:1\"]}}\ndefault_upstream: nowhere\n"
                     "capabilities: {c: {legacy: a, new: a, reads: [s.S/Get]}}\nrules:\n";
  for (int i = 0; i < 200; ++i) text += "  - {name: r" + std::to_string(i) + ", capability: c, stage: of}\n";
  const auto parsed = parse_policy_or_part(text + "ownership_epoch: 1\n", "x.yaml");
  ASSERT_FALSE(parsed);
  EXPECT_FALSE(parsed.error().partial);
  EXPECT_EQ(parsed.error().diagnostics.back().code, codes::kMoreDiagnostics.code);
}

}  // namespace
}  // namespace ficus
