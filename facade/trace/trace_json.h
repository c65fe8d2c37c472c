// A trace as a line of JSON: what the mismatch log holds and `ficus compare --json` prints. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

// Protobuf's JSON mapping on one line, without a newline at its end. Absent where it cannot be printed (a time out of
// JSON's range).
std::optional<std::string> trace_json(const ficus::trace::v1::MismatchTrace& trace);

}  // namespace ficus
