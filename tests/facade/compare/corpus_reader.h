// The labelled corpus: cases of comparisons in YAML, as tests/testdata/compare/README.md describes them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "facade/compare/response_diff.h"
#include "routing/result.h"

namespace ficus::test {

struct CorpusMessage {
  std::string text;         // protobuf's text format
  std::string type;         // of `text`, by its short name; empty: what the method answers
  std::string hex;          // wire bytes behind it, as hex digits
  int times = 1;            // how often `text` is repeated
  bool sent_as_is = false;  // flagged as compressed without being it
};

struct CorpusAnswer {
  std::vector<CorpusMessage> messages;
  GrpcCode status = GrpcCode::kOk;
  Observation::End end = Observation::End::kAnswered;
  std::string encoding;  // of all messages; empty: none is compressed
};

// A line of `differences`: "value policy.premium.amount critical 100 -> 200".
struct ExpectedDifference {
  std::string kind, path, severity;
  std::optional<std::pair<std::string, std::string>> values;  // legacy's and new's; "absent" where a side has none
  bool operator==(const ExpectedDifference&) const = default;
};
std::string to_string(const ExpectedDifference& difference);

struct CorpusCase {
  std::string theme;  // the file's name without ".yaml"
  int line = 0;
  std::string name, method;
  CorpusAnswer legacy, fresh;
  Side primary = Side::kLegacy;
  bool schema = true;
  std::string rules;  // the capability's `compare`, as a policy has it
  CompareLimits limits;
  // What is expected.
  std::string verdict, reason, severity = "none";
  std::vector<ExpectedDifference> differences;
  std::optional<std::vector<ExpectedDifference>> swapped;  // absent: `differences` with the sides exchanged
  std::uint64_t more = 0;
  std::vector<std::pair<std::string, std::uint64_t>> swallowed;
};

// The cases of one file. Error: a sentence for each thing that is wrong, with its line: an unknown key, a case without
// an expectation, a name that another case has, a difference that is not written as one.
Result<std::vector<CorpusCase>, std::vector<std::string>> read_corpus(const std::string& text,
                                                                      const std::string& theme);

}  // namespace ficus::test
