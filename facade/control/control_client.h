// Asks a running facade over its control socket. For the commands of a person: blocking, one question a connection.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "ficus/control/v1/control.pb.h"
#include "routing/result.h"

namespace ficus {

// Where a facade is asked if nobody says otherwise; systemd's RuntimeDirectory=ficus makes the directory.
inline constexpr std::string_view kDefaultControlPath = "/run/ficus/control.sock";

// A control socket as flags name it: PATH, unix:PATH or unix:///PATH (gRPC's name syntax). Error: what is wrong with
// it: empty, an abstract name, too long.
Result<std::string, std::string> parse_control_path(std::string_view text);

struct ControlFailure {
  std::string why;   // "nothing listens at /run/ficus/control.sock"
  std::string hint;  // what to do
};

// One answer within `limit`, connecting included.
Result<control::v1::GetStatusResponse, ControlFailure> ask_status(const std::string& path,
                                                                  std::chrono::milliseconds limit);

}  // namespace ficus
