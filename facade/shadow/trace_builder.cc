#include "facade/shadow/trace_builder.h"

#include <chrono>

#include "facade/compare/path_rules.h"
#include "routing/utf8.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using TraceDifference = ficus::trace::v1::Difference;

// A proto string must be UTF-8, and what came from the network need not be.
std::string as_utf8(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    if (c.bytes == 0) {
      const auto byte = static_cast<unsigned char>(text[at++]);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out.append(text, at, c.bytes);
      at += c.bytes;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) out += k <= have ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string shown(std::string_view type, std::string_view text) {
  const bool cut = text.size() > kMaxPlainBytes;
  text = text.substr(0, kMaxPlainBytes);
  std::string out = type == "bytes" || type == "unknown" ? base64(text) : as_utf8(text);
  if (cut) out += "...";
  return out;
}

class TraceBuilder {
 public:
  TraceBuilder(const PathRules& rules, const Redactor& redactor)
      : pathless_plain_(rules.all_plain()), redactor_(redactor) {}

  std::string value(const RawValue& raw, bool plain) const {
    return plain ? shown(raw.type, raw.text) : redactor_.hashed(raw.type, raw.text);
  }

  // A grpc-message, the business key. Hashed as a string, so that it can be joined with a field of the same value.
  std::string pathless(std::string_view text) const {
    if (text.empty()) return {};
    return pathless_plain_ ? shown("string", text) : redactor_.hashed("string", text);
  }

  void difference(const Difference& from, TraceDifference& to) const {
    to.set_message_index(from.message_index);
    to.set_path(as_utf8(path_text(from, [this](const FieldStep& step, const StepDetail& detail) {
      return detail.key_plain ? shown(detail.key_type, step.map_key) : redactor_.hashed(detail.key_type, step.map_key);
    })));
    to.set_kind(kind_of(from.kind));
    to.set_severity(severity_of(from.severity));
    if (from.legacy.present) to.set_legacy(value(from.legacy, from.plain));
    if (from.new_.present) to.set_new_(value(from.new_, from.plain));
  }

  void leg(const Observation& from, ficus::trace::v1::Leg& to) const {
    to.set_upstream(from.upstream);
    to.set_grpc_status(std::string(to_string(from.grpc_status)));
    to.set_grpc_message(pathless(from.grpc_message));
    to.set_latency_ms(std::chrono::duration<double, std::milli>(from.latency).count());
    to.set_message_count(static_cast<std::uint32_t>(from.messages.size()));
    to.set_message_bytes(from.message_bytes);
  }

  static MismatchTrace::Severity severity_of(Severity severity) {
    switch (severity) {
      case Severity::kNone: return MismatchTrace::SEVERITY_UNSPECIFIED;
      case Severity::kMinor: return MismatchTrace::MINOR;
      case Severity::kMajor: return MismatchTrace::MAJOR;
      case Severity::kCritical: return MismatchTrace::CRITICAL;
    }
    return MismatchTrace::SEVERITY_UNSPECIFIED;
  }

  static MismatchTrace::Verdict verdict_of(Verdict verdict) {
    switch (verdict) {
      case Verdict::kMatch: return MismatchTrace::MATCH;
      case Verdict::kIgnored: return MismatchTrace::IGNORED;
      case Verdict::kNoise: return MismatchTrace::NOISE;
      case Verdict::kLag: return MismatchTrace::LAG;
      case Verdict::kMismatch: return MismatchTrace::MISMATCH;
      case Verdict::kIncomparable: return MismatchTrace::INCOMPARABLE;
      case Verdict::kAbandoned: return MismatchTrace::ABANDONED;
    }
    return MismatchTrace::VERDICT_UNSPECIFIED;
  }

 private:
  static TraceDifference::Kind kind_of(DifferenceKind kind) {
    switch (kind) {
      case DifferenceKind::kValue: return TraceDifference::VALUE;
      case DifferenceKind::kMissing: return TraceDifference::MISSING;
      case DifferenceKind::kExtra: return TraceDifference::EXTRA;
      case DifferenceKind::kOrder: return TraceDifference::ORDER;
      case DifferenceKind::kSize: return TraceDifference::SIZE;
      case DifferenceKind::kType: return TraceDifference::TYPE;
      case DifferenceKind::kStatus: return TraceDifference::STATUS;
      case DifferenceKind::kMetadata: return TraceDifference::METADATA;
      case DifferenceKind::kLatency: return TraceDifference::LATENCY;
    }
    return TraceDifference::KIND_UNSPECIFIED;
  }

  bool pathless_plain_;
  const Redactor& redactor_;
};

}  // namespace

MismatchTrace build_trace(const CompareJob& job, const Comparison& comparison, const Redactor& redactor) {
  const RouteTable& table = *job.table;
  const CapabilityInfo& capability = table.capabilities()[table.methods()[job.method].capability];
  const TraceBuilder builder(PathRules(capability.compare, job.method_name), redactor);

  MismatchTrace trace;
  trace.set_trace_id(job.trace_id);
  trace.set_parent_span_id(job.parent_span_id);
  trace.set_primary_span_id(job.primary_span_id);
  trace.set_shadow_span_id(job.shadow_span_id);
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::nanoseconds>(job.primary->started.time_since_epoch());
  trace.mutable_time()->set_seconds(since_epoch.count() / 1'000'000'000);
  trace.mutable_time()->set_nanos(static_cast<std::int32_t>(since_epoch.count() % 1'000'000'000));
  trace.set_tenant(as_utf8(job.tenant));
  trace.set_consumer(as_utf8(job.consumer));
  trace.set_capability(capability.name);
  trace.set_method(as_utf8(job.service + '/' + job.method_name));
  trace.set_key_digest(builder.pathless(job.key));
  if (job.rule != kNoRule) {
    const RuleInfo& rule = table.rules()[job.rule];
    trace.set_rule(rule.name);
    trace.set_rule_line(rule.line);
    trace.set_stage(std::string(to_string(rule.stage)));
  }
  trace.set_policy_hash(table.hash());
  trace.set_generation(table.generation());

  const bool legacy_primary = job.primary->side == Side::kLegacy;
  trace.set_primary_side(legacy_primary ? MismatchTrace::LEGACY : MismatchTrace::NEW);
  builder.leg(legacy_primary ? *job.primary : *job.shadow, *trace.mutable_legacy());
  builder.leg(legacy_primary ? *job.shadow : *job.primary, *trace.mutable_new_());

  trace.set_verdict(TraceBuilder::verdict_of(comparison.verdict));
  trace.set_reason(comparison.reason);
  trace.set_severity(TraceBuilder::severity_of(comparison.severity));
  for (const Difference& difference : comparison.differences) builder.difference(difference, *trace.add_differences());
  trace.set_differences_more(comparison.differences_more);
  for (const auto& [rule, count] : comparison.swallowed) {
    auto& swallowed = *trace.add_swallowed();
    swallowed.set_rule(rule);
    swallowed.set_count(count);
  }
  return trace;
}

}  // namespace ficus
