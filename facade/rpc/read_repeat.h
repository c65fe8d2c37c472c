// What is kept of one read so that it can be asked again: the same side by `reads.retry`, or legacy by
// `reads.fallback` (POLICY 4); and the rules that say whether it is. Only reads of rules with either have one.
// Thread: the worker's. Lifetime: the RpcCall owns it.
//
// An answer is held from its head to its first byte of a message, and asked again only if it ends before: nothing of it
// has gone to the client then, headers included. A server that sends its headers long before its first message has
// them held so long, where a rule says retry or fallback.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "facade/h2/header_block.h"
#include "facade/net/balancer.h"
#include "facade/net/upstream_stream.h"
#include "facade/rpc/call_error.h"
#include "facade/rpc/retry_budget.h"
#include "routing/route_table.h"

namespace ficus {

// What "grpc-retry-pushback-ms" asks for. Source: gRPC proposal A6, "Pushback".
struct Pushback {
  bool never = false;  // negative, or no number: not again
  std::chrono::milliseconds wait{0};
};
Pushback parse_pushback(std::optional<std::string_view> value) noexcept;

struct RepeatVerdict {
  enum class Next : std::uint8_t { kAnswer, kRetry, kFallback };
  Next next = Next::kAnswer;
  std::chrono::milliseconds wait{0};
  // Why none where the rule has one for this status; metrics labels, static text; empty: the rule has none. One of
  // attempts, pushback, unreachable, request_unfinished, request_too_large, deadline, budget.
  std::string_view no_retry, no_fallback;
};

class ReadRepeat final {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // A longer wait by pushback is not waited for: the answer goes on. A client without a deadline would hold the call.
  static constexpr std::chrono::seconds kLongestPushback{60};
  // Share of a rule with `fallback` and no `retry`: RetrySettings' default.
  static constexpr Percent kFallbackBudget = RetrySettings{}.budget;

  // An answer that nothing has been passed on of. With `error` there was none: the upstream failed in transport.
  struct Answer {
    GrpcCode status = GrpcCode::kUnknown;
    HeaderBlock head, trailers;  // trailers-only: empty head
    std::optional<CallError> error;
    bool reached = true;  // false: no endpoint took the call
  };

  // Both outlive it. `may_fall_back`: new serves, and legacy owns the writes. Counts the read in the budget.
  ReadRepeat(const RuleInfo& rule, RetryBudget& budget, bool may_fall_back, Time now)
      : rule_(rule), budget_(budget), may_fall_back_(may_fall_back && !rule.facts.fallback.empty()) {
    budget_.add_read(now);
  }

  // ---- the request, as it passes
  void keep(std::string_view bytes);
  // `trailers`: with metadata at its end, which no gRPC client sends; it is not kept, so the call is not repeated.
  void end_request(bool trailers);
  const std::string& request() const noexcept { return request_; }

  // Whether the rule says anything of this status; whether it can be done is judge()'s to say. No effect.
  bool acts_on(GrpcCode status) const noexcept {
    return !fell_back && ((rule_.retry && rule_.retry->on.has(status)) ||
                          (may_fall_back_ && rule_.facts.fallback.has(status)));
  }
  // What comes of an answer. Takes from the budget, so once an answer. `shadow`: legacy is answering the same request
  // already, so that falling back needs no request to send, and nothing of the budget.
  RepeatVerdict judge(const Answer& answer, Time now, std::optional<Time> deadline, bool shadow = false);
  // Legacy's shadow failed after a verdict that counted on it: empty where the request may be sent to it after all (which
  // takes from the budget), else why not, as in RepeatVerdict.
  std::string_view judge_without_shadow(Time now, std::optional<Time> deadline);

  HeaderBlock head;  // of the request, as the client sent it
  std::array<char, 55> traceparent{};
  Answer answer;         // the one held
  bool holding = false;  // `answer.head` is held
  RepeatVerdict::Next next = RepeatVerdict::Next::kAnswer;
  bool fell_back = false;
  boost::container::small_vector<Balancer::EndpointId, 4> tried;

 private:
  Percent budget_share() const noexcept { return rule_.retry ? rule_.retry->budget : kFallbackBudget; }
  // Empty: it may be sent again at `at`.
  std::string_view hindrance(Time at, std::optional<Time> deadline) const noexcept;

  const RuleInfo& rule_;
  RetryBudget& budget_;
  const bool may_fall_back_;
  unsigned attempts_ = 1;
  std::string request_;  // at most UpstreamStream::kRetryBufferBytes
  bool ended_ = false;
  bool too_large_ = false;
};

}  // namespace ficus
