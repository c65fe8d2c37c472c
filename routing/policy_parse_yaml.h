// The YAML layer of the policy parser: text -> a compact tree that still knows where everything stands and which keys
// stand twice. The only code that sees yaml-cpp; its exceptions end in policy_parse_yaml.cc. Not for use outside
// routing/policy_parse*.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/diagnostic.h"
#include "routing/diagnostic_codes.h"
#include "routing/policy_parse.h"

namespace ficus::parsing {

// One node; 24 bytes, because a policy may hold 100,000 tenants. Scalars are text: what a text means depends on the
// key it stands behind, never on YAML's own guesses (`off` and `no` are no booleans here).
struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMapping, kAlias };
  Kind kind = Kind::kNull;
  Mark mark;                // {0, 0} for a null that is not written in a sequence ("- " with nothing behind it)
  std::uint32_t first = 0;  // kScalar: into texts; kSequence, kMapping: into links; kAlias: the node it names
  std::uint32_t count = 0;  // bytes, items, or keys and values together
};

// Invariants: aliases name nodes that are complete, so that following them ends; a mapping's links are key, value,
// key, value.
struct YamlTree {
  std::vector<YamlNode> nodes;
  std::vector<std::uint32_t> links;
  std::string texts;
  std::uint32_t root = 0;

  std::string_view text_of(const YamlNode& node) const {
    return std::string_view(texts).substr(node.first, node.count);
  }
};

struct YamlProblem {
  const DiagnosticCode* code = nullptr;
  Mark mark;
  std::string message;
  std::string hint;
};

struct YamlReading {
  bool complete = false;  // the tree holds the whole first document
  YamlTree tree;
  std::vector<YamlProblem> problems;  // in order of place, but for what concerns the whole file
};

// Reads the first document. Problems: too large, not UTF-8, control characters, no final newline, syntax, a second
// document, tags, directives, depth, node count, alias loops. The tree is also complete where the text could be read
// in spite of a problem, so that the rest of the file can be judged too. Any thread; linear in the text.
YamlReading read_yaml(std::string_view text, const PolicyParseLimits& limits);

}  // namespace ficus::parsing
