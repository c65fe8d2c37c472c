// The laws of differ_laws.h, on random messages of random schemas. A failure prints its seed and the case.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/facade/compare/differ_laws.h"

namespace ficus {
namespace {

constexpr std::uint32_t kRounds = 1500;

std::string random_bytes(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(100 + random() % 400, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

void each_round(std::string (*law)(const test::DifferCase&)) {
  for (std::uint32_t seed = 1; seed <= kRounds; ++seed) {
    const test::DifferCase c = test::differ_case_of(random_bytes(seed));
    const std::string broken = law(c);
    ASSERT_EQ(broken, "") << "seed " << seed << "\n" << test::describe(c);
  }
}

TEST(SchemaPropertyTest, MessageMatchesItself) { each_round(test::self_match_broken); }
TEST(SchemaPropertyTest, RulesOnlyRemoveDifferences) { each_round(test::rules_add_differences); }
TEST(SchemaPropertyTest, PermutationsUnderUnorderedAreIgnoredAndNeverMismatched) {
  each_round(test::permutation_broken);
}
TEST(SchemaPropertyTest, SidesCanBeExchanged) { each_round(test::swap_broken); }
TEST(SchemaPropertyTest, CanonicalBytesAreEqualExactlyWhereNothingDiffers) { each_round(test::canonical_broken); }
TEST(SchemaPropertyTest, VerdictOnTwoAnswersIsWhatTheWalkSays) { each_round(test::verdict_broken); }

// That the laws are asked of something: of random cases enough differ, match, and are swallowed by rules.
TEST(SchemaPropertyTest, CasesAreOfEverySort) {
  int equal = 0, proto2 = 0, big = 0, shuffled = 0;
  std::map<Verdict, int> verdicts;
  for (std::uint32_t seed = 1; seed <= kRounds; ++seed) {
    const test::DifferCase c = test::differ_case_of(random_bytes(seed));
    const std::string legacy = c.legacy->SerializePartialAsString();
    equal += legacy == c.fresh->SerializePartialAsString();
    shuffled += legacy != c.shuffled->SerializePartialAsString();
    proto2 += c.legacy->GetDescriptor()->file()->syntax() == google::protobuf::FileDescriptor::SYNTAX_PROTO2;
    big += legacy.size() > 50;
    ++verdicts[test::verdict_of(c).verdict];
  }
  EXPECT_GT(equal, static_cast<int>(kRounds / 50));
  EXPECT_LT(equal, static_cast<int>(kRounds / 2));
  EXPECT_GT(proto2, static_cast<int>(kRounds / 4));
  EXPECT_LT(proto2, static_cast<int>(kRounds * 3 / 4));
  EXPECT_GT(big, static_cast<int>(kRounds / 10));
  EXPECT_GT(verdicts[Verdict::kMismatch], static_cast<int>(kRounds / 4));
  EXPECT_GT(verdicts[Verdict::kIgnored], static_cast<int>(kRounds / 50));
  EXPECT_GT(shuffled, static_cast<int>(kRounds / 20));
}

TEST(SchemaPropertyTest, NoBytesMakeACaseToo) {
  const test::DifferCase c = test::differ_case_of("");
  EXPECT_EQ(test::self_match_broken(c), "");
  EXPECT_EQ(c.legacy->ByteSizeLong(), 0u);
}

}  // namespace
}  // namespace ficus
