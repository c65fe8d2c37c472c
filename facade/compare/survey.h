// What stands in a message that only one side has: how grave its absence is, whether it may be shown, and what it
// resembles. Ignored fields do not count.
#pragma once

#include <cstdint>
#include <vector>

#include "facade/compare/diff_context.h"
#include "facade/compare/path_cursor.h"

namespace ficus {

struct Survey {
  std::size_t leaves = 0;             // values, map keys not counted; empty messages and undecoded payloads are one
  Severity severity = Severity::kNone;  // of the gravest leaf
  bool plain = true;                  // every leaf may be shown, ignored ones and map keys too
  // A hash of each leaf with its path (without indices), sorted: how alike two entries are is what they have in common.
  std::vector<std::uint64_t> hashes;
};

// The cursor stands at the message's path, and is back there when it returns.
Survey survey_message(const google::protobuf::Message& message, PathCursor& cursor, const DiffContext& context);

// How many hashes the two have in common; both sorted. Symmetric.
std::size_t common_leaves(const Survey& a, const Survey& b);

}  // namespace ficus
