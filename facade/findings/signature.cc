#include "facade/findings/signature.h"

#include <algorithm>
#include <charconv>

#include <xxhash.h>

#include "routing/field_path.h"

namespace ficus {
namespace {

using ficus::trace::v1::Difference;
using ficus::trace::v1::MismatchTrace;

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Takes one step, name and brackets, off the front of `rest` and writes it to `out`. False: it is not one.
bool take_step(std::string_view& rest, std::string& out) {
  const std::size_t end = std::min(rest.find_first_of(".["), rest.size());
  const std::string_view name = rest.substr(0, end);
  if (!is_identifier(name) && !is_number(name)) return false;  // an unknown field goes by its number
  out += name;
  rest.remove_prefix(end);
  while (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return false;
    if (!is_number(rest.substr(1, close - 1))) out += "[*]";
    rest.remove_prefix(close + 1);
  }
  return true;
}

void append_part(std::string& to, std::string_view part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  for (int shift = 0; shift < 32; shift += 8) to += static_cast<char>(size >> shift & 0xff);
  to += part;
}

}  // namespace

std::string_view word_of(FindingKind kind) {
  switch (kind) {
    case Difference::VALUE:
      return "value";
    case Difference::MISSING:
      return "missing";
    case Difference::EXTRA:
      return "extra";
    case Difference::ORDER:
      return "order";
    case Difference::SIZE:
      return "size";
    case Difference::TYPE:
      return "type";
    case Difference::STATUS:
      return "status";
    default:
      return "unspecified";
  }
}

std::string_view word_of(FindingSeverity severity) {
  switch (severity) {
    case MismatchTrace::MINOR:
      return "minor";
    case MismatchTrace::MAJOR:
      return "major";
    case MismatchTrace::CRITICAL:
      return "critical";
    default:
      return "unspecified";
  }
}

std::optional<FindingSeverity> parse_severity(std::string_view word) {
  for (const FindingSeverity severity : {MismatchTrace::MINOR, MismatchTrace::MAJOR, MismatchTrace::CRITICAL}) {
    if (word == word_of(severity)) return severity;
  }
  return std::nullopt;
}

std::string to_string(FindingId id) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 0; i < 16; ++i) text[static_cast<std::size_t>(15 - i)] = kHex[id.value >> (4 * i) & 15];
  return text;
}

std::optional<FindingId> parse_finding_id(std::string_view text) {
  FindingId id;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id.value, 16);
  if (text.size() != 16 || error != std::errc() || stop != end) return std::nullopt;
  return id;
}

FindingId id_of(const FindingSignature& signature) {
  std::string text;
  append_part(text, signature.capability);
  append_part(text, signature.method);
  append_part(text, signature.path);
  append_part(text, word_of(signature.kind));
  append_part(text, word_of(signature.severity));
  return {XXH3_64bits(text.data(), text.size())};
}

std::string signature_path(std::string_view path) {
  std::string out;
  std::string_view rest = path;
  while (!rest.empty()) {
    if (!take_step(rest, out)) break;
    if (rest.empty()) return out;
    if (!rest.starts_with('.')) break;
    rest.remove_prefix(1);
    if (rest.empty()) break;
    out += '.';
  }
  if (path.empty()) return {};
  const std::size_t open = path.find('['), close = path.rfind(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::string(path);
  return std::string(path.substr(0, open)) + "[*]" + std::string(path.substr(close + 1));
}

std::vector<FindingSignature> signatures_of(const MismatchTrace& trace) {
  std::vector<FindingSignature> found;
  if (trace.verdict() != MismatchTrace::MISMATCH) return found;
  const auto add = [&](std::string path, FindingKind kind, FindingSeverity severity) {
    FindingSignature signature{trace.capability(), trace.method(), std::move(path), kind, severity};
    if (std::find(found.begin(), found.end(), signature) == found.end()) found.push_back(std::move(signature));
  };
  for (const Difference& difference : trace.differences()) {
    add(signature_path(difference.path()), difference.kind(), difference.severity());
  }
  if (found.empty()) add({}, Difference::KIND_UNSPECIFIED, trace.severity());
  return found;
}

}  // namespace ficus
