// A facade's status as a person reads it, tired and in a hurry: first what is wrong, then the rest. Pure: ages are told
// from the status's own clock.
#pragma once

#include <string>

#include "ficus/control/v1/control.pb.h"

namespace ficus {

// Text of some lines a capability, rule and upstream. Whatever the facade says is made fit for a terminal.
std::string status_text(const control::v1::GetStatusResponse& status, bool colour);

// Protobuf's JSON mapping, every field there, indented: for machines.
std::string status_json(const control::v1::GetStatusResponse& status);

}  // namespace ficus
