#include "facade/rpc/read_repeat.h"

#include <charconv>

namespace ficus {

Pushback parse_pushback(std::optional<std::string_view> value) noexcept {
  if (!value) return {};
  std::int32_t wait = 0;
  const char* const end = value->data() + value->size();
  const auto parsed = std::from_chars(value->data(), end, wait);
  if (parsed.ec != std::errc() || parsed.ptr != end || wait < 0) return {.never = true};
  return {.wait = std::chrono::milliseconds(wait)};
}

void ReadRepeat::keep(std::string_view bytes) {
  if (too_large_) return;
  if (request_.size() + bytes.size() > UpstreamStream::kRetryBufferBytes) {
    too_large_ = true;
    std::string().swap(request_);
    return;
  }
  request_.append(bytes);
}

void ReadRepeat::end_request(bool trailers) { ended_ = !trailers; }

std::string_view ReadRepeat::hindrance(Time at, std::optional<Time> deadline) const noexcept {
  if (too_large_) return "request_too_large";
  if (!ended_) return "request_unfinished";
  if (deadline && at >= *deadline) return "deadline";
  return {};
}

RepeatVerdict ReadRepeat::judge(const Answer& seen, Time now, std::optional<Time> deadline, bool shadow) {
  RepeatVerdict verdict;
  if (fell_back) return verdict;  // legacy's answer is the answer
  if (rule_.retry && rule_.retry->on.has(seen.status)) {
    const HeaderBlock& last = seen.trailers;
    const Pushback pushback = parse_pushback(last.find(HeaderToken::kGrpcPushback));
    verdict.no_retry = attempts_ >= rule_.retry->attempts                   ? "attempts"
                       : pushback.never || pushback.wait > kLongestPushback ? "pushback"
                       : !seen.reached                                      ? "unreachable"
                                                                            : hindrance(now + pushback.wait, deadline);
    if (verdict.no_retry.empty()) {
      if (budget_.take(now, budget_share())) {
        ++attempts_;
        verdict.next = RepeatVerdict::Next::kRetry;
        verdict.wait = pushback.wait;
        return verdict;
      }
      verdict.no_retry = "budget";
    }
  }
  // A pushback speaks of the server that sent it, not of legacy.
  if (may_fall_back_ && rule_.facts.fallback.has(seen.status)) {
    if (!shadow) verdict.no_fallback = judge_without_shadow(now, deadline);
    if (verdict.no_fallback.empty()) verdict.next = RepeatVerdict::Next::kFallback;
  }
  return verdict;
}

std::string_view ReadRepeat::judge_without_shadow(Time now, std::optional<Time> deadline) {
  const std::string_view why = hindrance(now, deadline);
  if (!why.empty()) return why;
  return budget_.take(now, budget_share()) ? std::string_view{} : "budget";
}

}  // namespace ficus
