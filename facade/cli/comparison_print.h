// A verdict as `ficus compare` shows it. Internal to facade/cli/. Pure.
#pragma once

#include <string>
#include <string_view>

#include "facade/shadow/trace_builder.h"

namespace ficus {

// For people: the verdict, each difference with the values of both sides, what rules swallowed. It is made of the trace
// and of nothing else, so it shows no value that a mismatch log would not. Ends with a newline.
std::string to_text(const ficus::trace::v1::MismatchTrace& trace, bool colour);

// What a reason of incomparable and abandoned means, and what to do; empty for an unknown one. `framed`: whether the
// answers were read as gRPC frames.
std::string explain_reason(std::string_view reason, bool framed);

}  // namespace ficus
