// "grpc-timeout": at most eight digits and a unit. PROTOCOL-HTTP2.md, Requests. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace ficus {

// Absent: not a timeout (no digit, more than eight, unknown unit). Zero is a timeout, one that is over.
std::optional<std::chrono::nanoseconds> parse_grpc_timeout(std::string_view value) noexcept;
// The finest unit that holds the value in eight digits, rounded down, so that no upstream waits longer than its caller;
// zero and less read "0n".
std::string format_grpc_timeout(std::chrono::nanoseconds left);

}  // namespace ficus
