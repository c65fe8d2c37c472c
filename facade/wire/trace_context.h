// W3C Trace Context level 1: "traceparent" read, continued or begun. Pure but for the random numbers it is given.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ficus {

struct TraceContext {
  std::array<char, 32> trace_id{};   // lower-case hex
  std::array<char, 16> parent_id{};  // the caller's span; zeros where the trace begins here
  std::array<char, 2> flags{'0', '0'};
  bool continued = false;

  std::string_view trace() const { return {trace_id.data(), trace_id.size()}; }
  std::string_view parent() const { return {parent_id.data(), parent_id.size()}; }
};

// Absent: not a traceparent (section 3.2.2: length, lower-case hex, ids not all zero, version not ff; a version that we
// do not know is read as far as we know it).
std::optional<TraceContext> parse_traceparent(std::string_view value) noexcept;
// A new trace, not sampled: whoever wants it recorded begins it.
TraceContext begin_trace(std::uint64_t random_high, std::uint64_t random_low) noexcept;
// Sixteen hex digits, never all zero.
std::array<char, 16> span_id_of(std::uint64_t random) noexcept;
// "00-<trace id>-<span>-<flags>".
std::array<char, 55> format_traceparent(const TraceContext& context, const std::array<char, 16>& span) noexcept;

}  // namespace ficus
