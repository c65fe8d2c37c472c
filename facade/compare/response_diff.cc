#include "facade/compare/response_diff.h"

#include <algorithm>
#include <optional>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "facade/wire/inflate.h"
#include "facade/compare/message_diff.h"
#include "facade/compare/message_parse.h"
#include "facade/compare/metadata_diff.h"
#include "facade/compare/path_rules.h"
#include "facade/compare/work_budget.h"

namespace ficus {
namespace {

using End = Observation::End;

// Matching lists looks at an entry several times; this many looks at each element are enough for any honest answer.
constexpr std::size_t kLooksPerElement = 32;

Comparison without_comparing(Verdict verdict, std::string_view reason) {
  Comparison out;
  out.verdict = verdict;
  out.reason = reason;
  return out;
}
Comparison incomparable(std::string_view reason) { return without_comparing(Verdict::kIncomparable, reason); }

// Why the two are not compared at all, in POLICY 6's order; absent: they are.
std::optional<Comparison> judge_ends(const Observation& primary, const Observation& shadow) {
  // A primary that ran out of time has answered nothing either: the status is the facade's own.
  if (primary.end == End::kFailed || primary.end == End::kCancelled || primary.end == End::kTimedOut) {
    return incomparable("primary_failed");
  }
  const auto abandoned = [](std::string_view reason) { return without_comparing(Verdict::kAbandoned, reason); };
  if (shadow.end == End::kTimedOut) return abandoned("shadow_deadline_exceeded");
  if (shadow.end == End::kCancelled) return abandoned("shadow_cancelled");
  switch (shadow.grpc_status) {  // whoever made it
    case GrpcCode::kUnavailable: return abandoned("shadow_unavailable");
    case GrpcCode::kResourceExhausted: return abandoned("shadow_resource_exhausted");
    case GrpcCode::kDeadlineExceeded: return abandoned("shadow_deadline_exceeded");
    default: break;
  }
  if (shadow.end == End::kFailed && shadow.grpc_status == GrpcCode::kOk) return abandoned("shadow_failed");
  if (primary.end == End::kOverLimit) return abandoned("primary_over_limit");
  if (shadow.end == End::kOverLimit) return abandoned("shadow_over_limit");
  return std::nullopt;
}

Comparison status_mismatch(const Observation& legacy, const Observation& fresh) {
  Comparison out;
  out.verdict = Verdict::kMismatch;
  out.severity = Severity::kCritical;
  Difference d;
  d.kind = DifferenceKind::kStatus;
  d.severity = Severity::kCritical;
  d.legacy = {true, "status", std::string(to_string(legacy.grpc_status))};
  d.new_ = {true, "status", std::string(to_string(fresh.grpc_status))};
  d.plain = true;  // a code is nobody's data
  out.differences.push_back(std::move(d));
  return out;
}

bool same_as_received(const Observation& a, const ObservedMessage& in_a, const Observation& b,
                      const ObservedMessage& in_b) {
  return in_a.compressed == in_b.compressed && in_a.bytes == in_b.bytes &&
         (!in_a.compressed || a.grpc_encoding == b.grpc_encoding);
}

// Compares the messages of two answers with equal status.
class AnswerDiff {
 public:
  AnswerDiff(const Observation& legacy, const Observation& fresh, const google::protobuf::Descriptor* type,
             const DescriptorStore* store, const PathRules& rules, const CompareLimits& limits,
             const std::function<WorkBudget::Clock::time_point()>& now)
      : legacy_(legacy),
        fresh_(fresh),
        type_(type),
        store_(store),
        limits_(limits),
        rules_(rules),
        budget_(limits.elements * kLooksPerElement, limits.time, now),
        elements_left_(limits.elements) {}

  Comparison run() {
    const std::size_t in_both = std::min(legacy_.messages.size(), fresh_.messages.size());
    const std::size_t in_one = std::max(legacy_.messages.size(), fresh_.messages.size());
    for (std::size_t i = 0; i < in_both && !budget_.stopped(); ++i) compare_messages(i);
    if (in_both != in_one && type_ == nullptr) budget_.stop("no_schema");
    for (std::size_t i = in_both; i < in_one && !budget_.stopped(); ++i) only_message(i);
    const bool details_compared = compare_status_details();
    for (Difference& d : metadata_differences(legacy_, fresh_, rules_)) {
      if (!details_compared || d.path.front().map_key != kStatusDetails) add(std::move(d));
    }
    if (auto slow = latency_difference(legacy_, fresh_, rules_)) add(std::move(*slow));
    return conclude();
  }

 private:
  void add(Difference d) {
    Findings one;
    one.count = 1;
    one.severity = d.severity;
    one.differences.push_back(std::move(d));
    findings_.add(std::move(one), limits_.differences);
  }

  // Of two failures. False: there is nothing that can be taken apart on both sides.
  bool compare_status_details() {
    if (legacy_.grpc_status == GrpcCode::kOk || store_ == nullptr || !names_status_details()) return false;
    const std::optional<std::string> a = binary_value(legacy_, kStatusDetails);
    const std::optional<std::string> b = binary_value(fresh_, kStatusDetails);
    const auto* type = store_->find_type("google.rpc.Status");
    if (!a || !b || type == nullptr) return false;
    const auto in_legacy = parse_message(*a, type, *store_, limits_.recursion, elements_left_);
    const auto in_fresh = parse_message(*b, type, *store_, limits_.recursion, elements_left_);
    if (!in_legacy || !in_fresh) return false;
    differ().compare_metadata(std::string(kStatusDetails), **in_legacy, **in_fresh);
    return true;
  }
  bool names_status_details() const {
    bool named = false;
    rules_.each_layer([&](const CompareRules& layer) {
      for (const Text& name : layer.metadata) named = named || name.value == kStatusDetails;
    });
    return named;
  }

  void compare_messages(std::size_t index) {
    const ObservedMessage& a = legacy_.messages[index];
    const ObservedMessage& b = fresh_.messages[index];
    if (same_as_received(legacy_, a, fresh_, b)) {
      budget_.spend();
      return;
    }
    const std::optional<std::string> plain_a = plain_bytes(legacy_, a);
    const std::optional<std::string> plain_b = plain_bytes(fresh_, b);
    if (!plain_a || !plain_b || *plain_a == *plain_b) return;
    if (type_ == nullptr) {
      budget_.stop("no_schema");
      return;
    }
    const auto message_a = parse(*plain_a);
    const auto message_b = parse(*plain_b);
    if (message_a == nullptr || message_b == nullptr) return;
    differ().compare(*message_a, *message_b, static_cast<std::uint32_t>(index));
  }

  void only_message(std::size_t index) {
    const bool in_legacy = index < legacy_.messages.size();
    const Observation& side = in_legacy ? legacy_ : fresh_;
    const std::optional<std::string> plain = plain_bytes(side, side.messages[index]);
    if (!plain) return;
    if (const auto message = parse(*plain)) {
      differ().only_in(in_legacy ? Side::kLegacy : Side::kNew, *message, static_cast<std::uint32_t>(index));
    }
  }

  // Absent once the budget stopped.
  std::optional<std::string> plain_bytes(const Observation& side, const ObservedMessage& message) {
    if (!message.compressed) return message.bytes;
    auto inflated = inflate_message(message.bytes, side.grpc_encoding, limits_.inflated_bytes);
    if (!inflated) {
      switch (inflated.error()) {
        case InflateError::kUnknownEncoding: budget_.stop("unknown_encoding"); break;
        case InflateError::kMalformed: budget_.stop("undecodable"); break;
        case InflateError::kTooLarge: budget_.stop("too_large"); break;
      }
      return std::nullopt;
    }
    if (!budget_.check_clock()) return std::nullopt;
    return std::move(*inflated);
  }

  // Null once the budget stopped.
  std::unique_ptr<google::protobuf::Message> parse(const std::string& bytes) {
    auto message = parse_message(bytes, type_, *store_, limits_.recursion, elements_left_);
    if (!message) {
      switch (message.error()) {
        case ParseError::kUndecodable: budget_.stop("undecodable"); break;
        case ParseError::kTooLarge: budget_.stop("too_large"); break;
        case ParseError::kTooDeep: budget_.stop("too_deep"); break;
      }
      return nullptr;
    }
    if (!budget_.check_clock()) return nullptr;
    return std::move(*message);
  }

  MessageDiff& differ() {
    if (!differ_) {
      context_.emplace(DiffContext{rules_, *store_, limits_, budget_});
      differ_.emplace(*context_, findings_);
    }
    return *differ_;
  }

  Comparison conclude() {
    if (budget_.stopped()) return incomparable(budget_.reason());
    Comparison out;
    // In the policy's order; two rules with one path are one.
    const auto report_swallowed = [&](const char*, const auto& rules) {
      for (const PathRule& rule : rules) {
        const auto found = findings_.swallowed.find(&rule);
        if (found == findings_.swallowed.end()) continue;
        const auto known = std::find_if(out.swallowed.begin(), out.swallowed.end(),
                                        [&](const auto& entry) { return entry.first == rule.path.text(); });
        if (known != out.swallowed.end()) {
          known->second += found->second;
        } else {
          out.swallowed.emplace_back(rule.path.text(), found->second);
        }
      }
    };
    rules_.each_layer([&](const CompareRules& layer) { layer.each_list(report_swallowed); });
    out.severity = findings_.severity;
    out.differences_more = findings_.count - findings_.differences.size();
    out.differences = std::move(findings_.differences);
    if (findings_.count > 0) {
      out.verdict = Verdict::kMismatch;
    } else if (!out.swallowed.empty()) {
      out.verdict = Verdict::kIgnored;
    }
    return out;
  }

  const Observation& legacy_;
  const Observation& fresh_;
  const google::protobuf::Descriptor* type_;  // null: no schema
  const DescriptorStore* store_;
  const CompareLimits& limits_;
  const PathRules& rules_;
  WorkBudget budget_;
  std::size_t elements_left_;
  Findings findings_;
  std::optional<DiffContext> context_;  // made for the first messages that have to be decoded
  std::optional<MessageDiff> differ_;
};

}  // namespace

Comparison diff_responses(const Observation& primary, const Observation& shadow, std::string_view service,
                          std::string_view method, const CompareSpec& rules, const DescriptorStore* store,
                          const CompareLimits& limits,
                          const std::function<std::chrono::steady_clock::time_point()>& now) {
  if (auto judged = judge_ends(primary, shadow)) return std::move(*judged);
  const Observation& legacy = primary.side == Side::kLegacy ? primary : shadow;
  const Observation& fresh = primary.side == Side::kLegacy ? shadow : primary;
  // What came before two different ends says nothing more: the client sees a failure on one side only, or another one.
  if (legacy.grpc_status != fresh.grpc_status) return status_mismatch(legacy, fresh);
  const auto* type = store != nullptr ? store->response_type(service, method) : nullptr;
  return AnswerDiff(legacy, fresh, type, store, PathRules(rules, method), limits, now).run();
}

}  // namespace ficus
