#include "facade/findings/signature.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ficus {
namespace {

using ficus::trace::v1::Difference;
using ficus::trace::v1::MismatchTrace;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(SignaturePathTest, LeavesOutWhatDiffersFromCallToCall) {
  const struct {
    const char* name;
    const char* path;
    const char* want;
  } rows[] = {
      {"nothing to leave out", "policy.status", "policy.status"},
      {"the whole message", "", ""},
      {"an index", "policy.endorsements[3].premium.amount", "policy.endorsements.premium.amount"},
      {"an index at the end", "ids[12]", "ids"},
      {"a redacted key", "policy.labels[string:2:0123456789abcdef]", "policy.labels[*]"},
      {"a redacted key on the way", "a.labels[int32:1:00ff00ff00ff00ff].note", "a.labels[*].note"},
      {"a plain key", "policy.labels[eu].note", "policy.labels[*].note"},
      {"an empty plain key", "policy.labels[].note", "policy.labels[*].note"},
      {"a plain key with a dot", "policy.labels[a.b].note", "policy.labels[*].note"},
      {"an unknown field's number", "policy.17[2]", "policy.17"},
      {"a plain key that closes early", "labels[a].b]", "labels[*]"},
      {"a plain key that never closes", "labels[a", "labels[a"},
      {"keys that hold brackets", "labels[a]b].note", "labels[*].note"},
  };
  for (const auto& row : rows) EXPECT_EQ(signature_path(row.path), row.want) << row.name;
}

MismatchTrace trace_of(std::initializer_list<std::pair<const char*, Difference::Kind>> differences) {
  MismatchTrace trace;
  trace.set_capability("policy-inquiry");
  trace.set_method("insurance.policy.v1.PolicyService/GetPolicy");
  trace.set_verdict(MismatchTrace::MISMATCH);
  trace.set_severity(MismatchTrace::CRITICAL);
  for (const auto& [path, kind] : differences) {
    auto& difference = *trace.add_differences();
    difference.set_path(path);
    difference.set_kind(kind);
    difference.set_severity(MismatchTrace::MAJOR);
    difference.set_legacy("string:1:0000000000000000");
  }
  return trace;
}

TEST(SignatureTest, DifferencesAtOnePlaceAreOneFinding) {
  const auto found = signatures_of(trace_of({{"a[0].b", Difference::VALUE},
                                             {"a[1].b", Difference::VALUE},
                                             {"a[1].b", Difference::MISSING},
                                             {"", Difference::STATUS}}));
  const FindingSignature value{"policy-inquiry", "insurance.policy.v1.PolicyService/GetPolicy", "a.b",
                               Difference::VALUE, MismatchTrace::MAJOR};
  FindingSignature missing = value, status = value;
  missing.kind = Difference::MISSING;
  status.kind = Difference::STATUS;
  status.path = "";
  EXPECT_THAT(found, ElementsAre(value, missing, status));
}

TEST(SignatureTest, AMismatchWithoutDifferencesIsStillAFinding) {
  const auto found = signatures_of(trace_of({}));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, "");
  EXPECT_EQ(found[0].kind, Difference::KIND_UNSPECIFIED);
  EXPECT_EQ(found[0].severity, MismatchTrace::CRITICAL);
}

TEST(SignatureTest, OtherVerdictsAreNoFindings) {
  for (const auto verdict :
       {MismatchTrace::VERDICT_UNSPECIFIED, MismatchTrace::MATCH, MismatchTrace::IGNORED, MismatchTrace::NOISE,
        MismatchTrace::LAG, MismatchTrace::INCOMPARABLE, MismatchTrace::ABANDONED}) {
    MismatchTrace trace = trace_of({{"a", Difference::VALUE}});
    trace.set_verdict(verdict);
    EXPECT_THAT(signatures_of(trace), IsEmpty()) << verdict;
  }
}

// People write ids into tickets: one that changes breaks them. The bytes were put together in Python.
TEST(FindingIdTest, StaysWhatItAlwaysWas) {
  const FindingSignature a{"policy-inquiry", "insurance.policy.v1.PolicyService/GetPolicy", "policy.labels[*].note",
                           Difference::VALUE, MismatchTrace::MAJOR};
  EXPECT_EQ(to_string(id_of(a)), "2afbcb25895f56fb");
  const FindingSignature b{"c", "s/m", "", Difference::STATUS, MismatchTrace::CRITICAL};
  EXPECT_EQ(to_string(id_of(b)), "6398fb923bb170b6");
}

TEST(FindingIdTest, EachPartCounts) {
  const FindingSignature base{"c", "m", "p", Difference::VALUE, MismatchTrace::MAJOR};
  std::set<FindingId> ids{id_of(base)};
  FindingSignature other = base;
  other.capability = "cm";
  other.method = "";  // the same letters in other parts
  ids.insert(id_of(other));
  other = base;
  other.method = "m2";
  ids.insert(id_of(other));
  other = base;
  other.path = "p2";
  ids.insert(id_of(other));
  other = base;
  other.kind = Difference::ORDER;
  ids.insert(id_of(other));
  other = base;
  other.severity = MismatchTrace::MINOR;
  ids.insert(id_of(other));
  EXPECT_EQ(ids.size(), 6u);
}

TEST(FindingIdTest, IsReadBackAndNothingElseIs) {
  EXPECT_EQ(to_string(FindingId{0}), "0000000000000000");
  EXPECT_EQ(to_string(FindingId{0x00c0ffee12345678}), "00c0ffee12345678");
  EXPECT_EQ(parse_finding_id("00c0ffee12345678"), (FindingId{0x00c0ffee12345678}));
  EXPECT_EQ(parse_finding_id("FFFFFFFFFFFFFFFF"), (FindingId{~0ull}));
  for (const char* text : {"", "00c0ffee1234567", "00c0ffee123456789", "00c0ffee1234567g", "-0c0ffee12345678",
                           "0x00c0ffee123456", " 0c0ffee12345678"}) {
    EXPECT_FALSE(parse_finding_id(text).has_value()) << text;
  }
}

TEST(FindingIdTest, SeveritiesAreReadBackFromTheirWords) {
  for (const char* word : {"minor", "major", "critical"}) EXPECT_EQ(word_of(*parse_severity(word)), word);
  for (const char* word : {"", "Minor", "unspecified", "fatal"}) EXPECT_FALSE(parse_severity(word).has_value()) << word;
}

}  // namespace
}  // namespace ficus
