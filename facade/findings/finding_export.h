// A finding as JSON, for `export --json` and whoever reads it by machine. Pure; any thread.
#pragma once

#include <string>

#include "facade/findings/finding.h"

namespace ficus {

// One object on one line, without a newline. Keys in the order of the alphabet; times in RFC 3339 with milliseconds,
// UTC; `id` as 16 hex digits; examples in protobuf's JSON mapping of MismatchTrace, so that they look like the lines of
// the mismatch log. What is not there is left out. Values are redacted already: that is how they were kept.
std::string to_json(const FindingDetail& detail);

// "2026-11-30T22:43:05.120Z"
std::string to_rfc3339(FindingTime time);

}  // namespace ficus
