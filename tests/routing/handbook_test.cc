// policies/README.md and the shipped policies, held against the code: what they say must be what it does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <regex>
#include <set>

#include "facade/compare/descriptor_store.h"
#include "facade/control/loader_codes.h"
#include "routing/owner_table.h"
#include "tests/routing/check_fixture.h"

namespace ficus {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kSource = FICUS_SOURCE_DIR;

std::string handbook() { return test::read_file(kSource / "policies/README.md"); }

std::vector<DiagnosticCode> all_codes() {
  std::vector<DiagnosticCode> all(std::begin(kAllDiagnosticCodes), std::end(kAllDiagnosticCodes));
  all.insert(all.end(), std::begin(kLoaderDiagnosticCodes), std::end(kLoaderDiagnosticCodes));
  return all;
}

TEST(HandbookTest, EveryCodeStandsInItWithItsSentenceAndWhatToDo) {
  const std::string text = handbook();
  for (const DiagnosticCode& code : all_codes()) {
    const std::string row = "| `" + std::string(code.code) + "` | " + std::string(code.sentence) + " | ";
    const std::size_t at = text.find(row);
    ASSERT_NE(at, std::string::npos) << "policies/README.md lacks the row: " << row;
    EXPECT_NE(text[at + row.size()], '|') << code.code << " does not say what to do";
  }
}

TEST(HandbookTest, NamesNoCodeThatDoesNotExist) {
  std::set<std::string> known;
  for (const DiagnosticCode& code : all_codes()) EXPECT_TRUE(known.emplace(code.code).second) << code.code << " twice";
  const std::string text = handbook();
  const std::regex mention("[PW][0-9]{3}");
  for (std::sregex_iterator it(text.begin(), text.end(), mention), end; it != end; ++it) {
    EXPECT_EQ(known.count(it->str()), 1u) << it->str();
  }
}

TEST(HandbookTest, StagesAreWhatTheyExpandTo) {
  const std::string text = handbook();
  for (const Stage stage : {Stage::kOff, Stage::kDualWrite, Stage::kShadow, Stage::kCanary, Stage::kLive,
                            Stage::kRampdown, Stage::kComplete}) {
    RuleSpec rule;
    rule.stage.value = stage;
    const StageFacts facts = stage_facts(&rule);
    const bool shadows = stage == Stage::kShadow || stage == Stage::kCanary || stage == Stage::kLive;
    std::string row = "| `" + std::string(to_string(stage)) + "` | ";
    row += stage == Stage::kCanary ? "percent" : to_string(facts.new_share);
    row += shadows ? " | percent | " : " | none | ";
    row += std::string(to_string(facts.owner)) + " |";
    EXPECT_THAT(text, HasSubstr(row));
  }
}

TEST(HandbookTest, EveryWholePolicyInItChecksWithoutAComplaint) {
  const std::string text = handbook();
  int policies = 0;
  for (std::size_t at = text.find("```yaml\n"); at != std::string::npos; at = text.find("```yaml\n", at)) {
    at += 8;
    const std::size_t end = text.find("```", at);
    const std::string block = text.substr(at, end - at);
    at = end + 3;
    ++policies;
    for (const Diagnostic& diagnostic : test::diagnose(block, "policies/README.md")) ADD_FAILURE() << to_string(diagnostic) << '\n' << block;
  }
  EXPECT_EQ(policies, 2);
}

// ---- the policies that are shipped ----

struct Shipped {
  std::string name, text;
  std::shared_ptr<const DescriptorStore> catalog;  // of insurance.pb, if the policy names it
};

std::vector<Shipped> shipped_policies() {
  const auto store = DescriptorStore::open({{"insurance.pb", test::read_file(kSource / "policies/insurance.pb")}});
  if (!store) throw std::runtime_error("policies/insurance.pb cannot be read: " + store.error().front().message);
  std::vector<Shipped> shipped;
  for (const char* folder : {"policies", "deploy/demo"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kSource / folder)) {
      if (entry.path().extension() != ".yaml") continue;
      std::string text = test::read_file(entry.path());
      const bool schema = text.find("insurance.pb") != std::string::npos;
      shipped.push_back({entry.path().filename().string(), std::move(text), schema ? *store : nullptr});
    }
  }
  return shipped;
}

// What stands between a text and the workers; parsing and checking take microseconds, so that every cut can be tried.
struct Loaded {
  std::optional<Policy> policy;  // absent: refused
  std::vector<Diagnostic> diagnostics;
};

Loaded load(const Shipped& shipped, std::string_view text) {
  Loaded loaded;
  auto parsed = parse_policy(text, shipped.name);
  if (!parsed) {
    loaded.diagnostics = std::move(parsed.error());
    return loaded;
  }
  loaded.diagnostics = std::move(parsed->diagnostics);
  for (Diagnostic& diagnostic : check_policy({parsed->policy, shipped.catalog.get(), test::kToday})) {
    loaded.diagnostics.push_back(std::move(diagnostic));
  }
  if (!has_error(loaded.diagnostics)) loaded.policy = std::move(parsed->policy);
  return loaded;
}

TEST(ShippedPoliciesTest, CheckWithoutAComplaint) {
  const std::vector<Shipped> all = shipped_policies();
  EXPECT_GE(all.size(), 4u);
  for (const Shipped& shipped : all) {
    for (const Diagnostic& diagnostic : load(shipped, shipped.text).diagnostics) ADD_FAILURE() << to_string(diagnostic);
  }
}

TEST(ShippedPoliciesTest, CutAtEveryByteNeverMoveAnOwner) {
  for (const Shipped& shipped : shipped_policies()) {
    const std::optional<Policy> whole = load(shipped, shipped.text).policy;
    ASSERT_TRUE(whole.has_value()) << shipped.name;
    std::size_t accepted = 0;
    for (std::size_t bytes = 0; bytes < shipped.text.size(); ++bytes) {
      const std::optional<Policy> cut = load(shipped, std::string_view(shipped.text).substr(0, bytes)).policy;
      if (!cut) continue;
      ++accepted;
      const OwnerDiff diff = diff_owners(*whole, *cut);
      ASSERT_FALSE(diff.any()) << shipped.name << " cut after " << bytes << " bytes: " << diff.moves.front().method << " for "
                               << diff.moves.front().tenant << ": " << diff.moves.front().from << " -> " << diff.moves.front().to;
    }
    // What a cut leaves whole can only be the comment behind the last key, of which the newline is required.
    EXPECT_EQ(accepted, 0u) << shipped.name;
  }
}

// The same for a file that lost a line in the middle, as a merge does: refused, no owner moved, or told by the epoch.
TEST(ShippedPoliciesTest, WithoutAnyOneLineMoveNoOwnerUnlessTheEpochSaysSo) {
  std::size_t told = 0;
  for (const Shipped& shipped : shipped_policies()) {
    const std::optional<Policy> whole = load(shipped, shipped.text).policy;
    ASSERT_TRUE(whole.has_value()) << shipped.name;
    for (std::size_t begin = 0; begin < shipped.text.size();) {
      const std::size_t end = shipped.text.find('\n', begin) + 1;
      const std::optional<Policy> lacking = load(shipped, shipped.text.substr(0, begin) + shipped.text.substr(end)).policy;
      begin = end;
      if (!lacking) continue;
      const OwnerDiff diff = diff_owners(*whole, *lacking);
      const std::vector<Diagnostic> refused = check_epoch(*whole, *lacking, diff);
      EXPECT_EQ(diff.any(), !refused.empty());
      told += diff.any();
    }
  }
  EXPECT_GT(told, 0u) << "some line must matter, or this test proves nothing";
}

TEST(ShippedPoliciesTest, DescriptorsBesideThemAreThoseOfTheProto) {
  EXPECT_EQ(test::read_file(kSource / "policies/insurance.pb"), test::read_file(FICUS_INSURANCE_PB))
      << "run: cp build/dev/gen/insurance_proto.pb policies/insurance.pb";
}

}  // namespace
}  // namespace ficus
