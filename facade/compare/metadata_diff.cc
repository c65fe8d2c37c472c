#include "facade/compare/metadata_diff.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace ficus {
namespace {

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// Absent: not base64.
std::optional<std::string> decode_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    out += static_cast<char>(bits >> have & 0xff);
  }
  if (have >= 6) return std::nullopt;  // a digit that begins no byte
  return out;
}

bool is_binary(std::string_view name) { return name.size() > 4 && name.substr(name.size() - 4) == "-bin"; }

// All values of a name as one text; absent: none came.
std::optional<std::string> joined(const Observation& side, std::string_view name) {
  std::optional<std::string> all;
  for (const ObservedMetadata& entry : side.metadata) {
    if (entry.name != name) continue;
    if (all) *all += ',';
    all = all.value_or("") + entry.value;
  }
  return all;
}

// The bytes of binary values, each with its length before it: {"a", "b"} is not {"ab"}. Text that is no base64 is kept
// as it came, and is like no bytes.
std::string decoded(std::string_view values) {
  std::string out;
  for (;;) {
    const std::size_t comma = values.find(',');
    std::string_view one = values.substr(0, comma);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    const auto bytes = decode_base64(one);
    out += (bytes ? "b" : "t") + std::to_string(bytes ? bytes->size() : one.size()) + ':';
    out += bytes ? *bytes : std::string(one);
    if (comma == std::string_view::npos) return out;
    values.remove_prefix(comma + 1);
  }
}

RawValue raw(const std::optional<std::string>& value) { return value ? RawValue{true, "string", *value} : RawValue{}; }

std::string milliseconds_text(std::chrono::nanoseconds latency) {
  std::array<char, 48> text;
  const double ms = std::chrono::duration<double, std::milli>(latency).count();
  const auto end = std::to_chars(text.data(), text.data() + text.size(), ms, std::chars_format::fixed, 3).ptr;
  return std::string(text.data(), end) + "ms";
}

}  // namespace

std::vector<Difference> metadata_differences(const Observation& legacy, const Observation& fresh,
                                             const PathRules& rules) {
  std::vector<Difference> out;
  std::set<std::string_view> seen;
  rules.each_layer([&](const CompareRules& layer) {
    for (const Text& text : layer.metadata) {
      const std::string& name = text.value;
      if (!seen.insert(name).second) continue;
      const std::optional<std::string> in_legacy = joined(legacy, name);
      const std::optional<std::string> in_fresh = joined(fresh, name);
      if (in_legacy == in_fresh) continue;
      if (in_legacy && in_fresh && is_binary(name) && decoded(*in_legacy) == decoded(*in_fresh)) continue;
      Difference d;
      d.kind = DifferenceKind::kMetadata;
      d.path = {{"metadata", true, name}};
      d.details = {{-1, "string", true}};  // the name stands in the policy
      d.legacy = raw(in_legacy);
      d.new_ = raw(in_fresh);
      d.plain = rules.all_plain();
      out.push_back(std::move(d));
    }
  });
  return out;
}

std::optional<std::string> binary_value(const Observation& side, std::string_view name) {
  const std::optional<std::string> all = joined(side, name);
  return all ? decode_base64(*all) : std::nullopt;  // a comma is no digit
}

bool too_slow(std::chrono::nanoseconds legacy, std::chrono::nanoseconds fresh, const LatencyRule* rule) noexcept {
  if (rule == nullptr || fresh <= legacy) return false;
  const std::chrono::nanoseconds more = fresh - legacy;
  if (rule->absolute && more <= rule->absolute->value) return false;
  return !rule->relative ||
         static_cast<double>(more.count()) > rule->relative->value * static_cast<double>(legacy.count());
}

std::optional<Difference> latency_difference(const Observation& legacy, const Observation& fresh,
                                             const PathRules& rules) {
  if (!too_slow(legacy.latency, fresh.latency, rules.latency())) return std::nullopt;
  Difference d;
  d.kind = DifferenceKind::kLatency;
  d.severity = Severity::kMinor;
  d.legacy = {true, "duration", milliseconds_text(legacy.latency)};
  d.new_ = {true, "duration", milliseconds_text(fresh.latency)};
  d.plain = true;  // nobody's data
  return d;
}

}  // namespace ficus
