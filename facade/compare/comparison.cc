#include "facade/compare/comparison.h"

namespace ficus {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMatch: return "match";
    case Verdict::kIgnored: return "ignored";
    case Verdict::kNoise: return "noise";
    case Verdict::kLag: return "lag";
    case Verdict::kMismatch: return "mismatch";
    case Verdict::kIncomparable: return "incomparable";
    case Verdict::kAbandoned: return "abandoned";
  }
  return "unknown";
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kNone: return "none";
    case Severity::kMinor: return "minor";
    case Severity::kMajor: return "major";
    case Severity::kCritical: return "critical";
  }
  return "unknown";
}

std::string_view to_string(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kValue: return "value";
    case DifferenceKind::kMissing: return "missing";
    case DifferenceKind::kExtra: return "extra";
    case DifferenceKind::kOrder: return "order";
    case DifferenceKind::kSize: return "size";
    case DifferenceKind::kType: return "type";
    case DifferenceKind::kStatus: return "status";
    case DifferenceKind::kMetadata: return "metadata";
    case DifferenceKind::kLatency: return "latency";
  }
  return "unknown";
}

std::string path_text(const Difference& difference,
                      const std::function<std::string(const FieldStep&, const StepDetail&)>& show_key) {
  std::string text;
  for (std::size_t i = 0; i < difference.path.size(); ++i) {
    const FieldStep& step = difference.path[i];
    const StepDetail& detail = difference.details[i];
    if (i > 0) text += '.';
    text += step.name;
    if (step.has_map_key) text += '[' + show_key(step, detail) + ']';
    if (detail.index >= 0) text += '[' + std::to_string(detail.index) + ']';
  }
  return text;
}

}  // namespace ficus
