// Answers in files, as `ficus compare` takes them. Internal to facade/cli/.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "facade/compare/observation.h"
#include "routing/result.h"

namespace ficus {

// Of one answer; far above what serve's capture limits let through (POLICY "reads.shadow.max_bytes").
inline constexpr std::uint64_t kMaxAnswerBytes = 64u << 20;

enum class AnswerFormat {
  kBareMessage,  // the whole file is one protobuf message
  kFramed,       // gRPC's length-prefixed messages, any number of them (PROTOCOL-HTTP2.md), as on the wire
};

// Reads the file, or `in` where `path` is "-". Error: a sentence that names the file, with what to do: it is missing, a
// directory, unreadable, larger than `limit_bytes`, or not in the format (cut off within a message, a wrong flag).
// Blocks on the disk or the pipe. Main thread.
Result<std::vector<ObservedMessage>, std::string> read_answer_file(const std::string& path, AnswerFormat format,
                                                                   std::istream* in,
                                                                   std::uint64_t limit_bytes = kMaxAnswerBytes);

}  // namespace ficus
