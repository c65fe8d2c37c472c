#include "facade/wire/trace_context.h"

#include <algorithm>

namespace ficus {
namespace {

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool is_zero(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '0'; });
}
void put_hex(char* out, std::uint64_t value) {
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = "0123456789abcdef"[value & 0xf];
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view value) noexcept {
  if (value.size() < 55) return std::nullopt;
  const std::string_view version = value.substr(0, 2), trace = value.substr(3, 32), parent = value.substr(36, 16),
                         flags = value.substr(53, 2);
  if (value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  if (!is_hex(version) || version == "ff" || !is_hex(trace) || !is_hex(parent) || !is_hex(flags)) return std::nullopt;
  if (is_zero(trace) || is_zero(parent)) return std::nullopt;
  if (value.size() > 55 && (version == "00" || value[55] != '-')) return std::nullopt;
  TraceContext context;
  std::copy(trace.begin(), trace.end(), context.trace_id.begin());
  std::copy(parent.begin(), parent.end(), context.parent_id.begin());
  std::copy(flags.begin(), flags.end(), context.flags.begin());
  context.continued = true;
  return context;
}

TraceContext begin_trace(std::uint64_t random_high, std::uint64_t random_low) noexcept {
  TraceContext context;
  put_hex(context.trace_id.data(), random_high);
  put_hex(context.trace_id.data() + 16, random_low | 1);
  context.parent_id.fill('0');
  return context;
}

std::array<char, 16> span_id_of(std::uint64_t random) noexcept {
  std::array<char, 16> span;
  put_hex(span.data(), random | 1);
  return span;
}

std::array<char, 55> format_traceparent(const TraceContext& context, const std::array<char, 16>& span) noexcept {
  std::array<char, 55> text;
  char* at = text.data();
  at = std::copy_n("00-", 3, at);
  at = std::copy(context.trace_id.begin(), context.trace_id.end(), at);
  *at++ = '-';
  at = std::copy(span.begin(), span.end(), at);
  *at++ = '-';
  std::copy(context.flags.begin(), context.flags.end(), at);
  return text;
}

}  // namespace ficus
