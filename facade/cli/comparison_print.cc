#include "facade/cli/comparison_print.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "facade/cli/output.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using TraceDifference = ficus::trace::v1::Difference;

// The words of the policy language are the enumerators' names in lower case.
std::string word(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

std::string verdict_text(const MismatchTrace& trace, const Paint& paint) {
  const std::string text = word(MismatchTrace::Verdict_Name(trace.verdict()));
  switch (trace.verdict()) {
    case MismatchTrace::MATCH:
    case MismatchTrace::IGNORED:
      return paint.green(text);
    case MismatchTrace::MISMATCH:
      return paint.red(text);
    default:
      return paint.yellow(text);
  }
}

std::string severity_text(MismatchTrace::Severity severity, const Paint& paint) {
  const std::string text = word(MismatchTrace::Severity_Name(severity));
  if (severity == MismatchTrace::CRITICAL) return paint.red(text);
  return severity == MismatchTrace::MAJOR ? paint.yellow(text) : text;
}

// "message 3, policy.premium.amount"; an answer of one message needs no number.
std::string place_text(const TraceDifference& difference, bool stream) {
  if (difference.kind() == TraceDifference::STATUS) return "grpc-status";
  std::string text;
  if (stream) text = "message " + std::to_string(difference.message_index() + 1);
  if (!difference.path().empty()) {
    text += (text.empty() ? "" : ", ") + printable(difference.path());
  } else if (text.empty()) {
    text = "the whole message";
  }
  return text;
}

void print_side(std::ostream& out, std::string_view side, bool present, const std::string& value, const Paint& paint) {
  out << "    " << side << "  " << (present ? printable(value) : paint.faint("(absent)")) << '\n';
}

}  // namespace

std::string to_text(const MismatchTrace& trace, bool colour) {
  const Paint paint(colour);
  std::ostringstream out;
  out << verdict_text(trace, paint);
  if (!trace.reason().empty()) out << ": " << printable(trace.reason());
  if (trace.severity() != MismatchTrace::SEVERITY_UNSPECIFIED) {
    const std::uint64_t all = static_cast<std::uint64_t>(trace.differences_size()) + trace.differences_more();
    out << ", " << severity_text(trace.severity(), paint) << ": " << counted(all, "difference");
  }
  out << "\n  " << printable(trace.method()) << ", capability " << printable(trace.capability()) << '\n';
  const bool stream = trace.legacy().message_count() > 1 || trace.new_().message_count() > 1;
  for (const TraceDifference& difference : trace.differences()) {
    out << "  " << paint.bold(place_text(difference, stream)) << ": "
        << word(TraceDifference::Kind_Name(difference.kind())) << ", " << severity_text(difference.severity(), paint)
        << '\n';
    print_side(out, "legacy", difference.has_legacy(), difference.legacy(), paint);
    print_side(out, "new   ", difference.has_new_(), difference.new_(), paint);
  }
  if (trace.differences_more() > 0) out << "  and " << trace.differences_more() << " more\n";
  for (const auto& swallowed : trace.swallowed()) {
    out << "  swallowed by " << printable(swallowed.rule()) << ": " << swallowed.count() << '\n';
  }
  return out.str();
}

std::string explain_reason(std::string_view reason, bool framed) {
  if (reason == "no_schema") {
    return "no schema of the policy has the method, so only equal bytes match; name a descriptor set under `schemas`";
  }
  if (reason == "undecodable") {
    return std::string("a message is not what the method answers by the policy's schema, or not compressed as said") +
           (framed ? "" : "; if the files hold gRPC frames, give --framed");
  }
  if (reason == "too_large") {
    return "more fields, list entries or inflated bytes than a comparison may cost; serve would not compare it either";
  }
  if (reason == "too_deep")
    return "messages nested deeper than a comparison follows; serve would not compare it either";
  if (reason == "timeout") return "the comparison ran longer than one may; serve would have given it up too";
  if (reason.starts_with("shadow_")) {
    return "the side that does not serve did not answer, which says nothing of its data; --primary says which one "
           "serves";
  }
  return {};
}

}  // namespace ficus
