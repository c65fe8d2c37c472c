// The part of RpcCall that asks a read again: reads.retry and reads.fallback. What is asked again, and when, is
// ReadRepeat's to say.
#include <utility>

#include "facade/metrics/families.h"
#include "facade/rpc/rpc_call.h"
#include "facade/wire/grpc_frame.h"
#include "facade/wire/grpc_status.h"

namespace ficus {
namespace {

// A request that is sent in one go is whole within a round trip; one that is not is no single read, and its caller must
// hear of the failure.
constexpr std::chrono::milliseconds kRestOfRequest{50};

}  // namespace

bool RpcCall::may_fall_back(const RouteDecision& decision) const {
  // A tester who asks for the new side is to see what it answers.
  return decision.side == Side::kNew && decision.owner == Side::kLegacy && !decision.forced && !plan_.marked &&
         !routes_->table->rules()[plan_.rule].facts.fallback.empty();
}

void RpcCall::watch_read(const RouteDecision& decision) {
  const RuleInfo& rule = routes_->table->rules()[plan_.rule];
  const bool falls_back = may_fall_back(decision);
  if (!rule.retry && !falls_back) return;
  repeat_ = std::make_unique<Repeat>(*this, rule, *routes_->retry_budgets[decision.upstream], falls_back);
  repeat_->read.head = head_.clone();
  repeat_->read.keep(held_);
  if (request_ended_) repeat_->read.end_request(false);
}

bool RpcCall::hold_answer(HeaderBlock& head, bool end_stream) {
  if (client_.headers_sent()) return false;
  ReadRepeat& read = repeat_->read;
  read.answer = {};
  if (!end_stream) {
    read.answer.head = std::move(head);
    read.holding = true;
    return true;
  }
  const auto status = head.find(HeaderToken::kGrpcStatus);
  read.answer.status =
      status ? parse_grpc_status(status) : grpc_code_of_http(head.find(HeaderToken::kStatus).value_or(""));
  read.answer.trailers = std::move(head);
  if (ask_again(upstream_)) return true;
  head = std::move(read.answer.trailers);
  return false;
}

bool RpcCall::hold_trailers(HeaderBlock& trailers) {
  ReadRepeat& read = repeat_->read;
  if (!read.holding) return false;
  read.answer.status = parse_grpc_status(trailers.find(HeaderToken::kGrpcStatus));
  read.answer.trailers = std::move(trailers);
  if (ask_again(upstream_)) return true;
  trailers = std::move(read.answer.trailers);
  return false;
}

bool RpcCall::hold_failure(const UpstreamStream& stream, const CallError& error, StreamEnd end) {
  if (client_.headers_sent()) return false;
  ReadRepeat& read = repeat_->read;
  read.holding = false;
  read.answer = {};
  read.answer.status = error.grpc_code;
  read.answer.error = error;
  read.answer.reached = end != StreamEnd::kConnectFailed && end != StreamEnd::kHeadTooLarge;
  return ask_again(&stream);
}

void RpcCall::release_answer() {
  ReadRepeat& read = repeat_->read;
  if (!std::exchange(read.holding, false)) return;
  HeaderBlock head = std::move(read.answer.head);
  if (tap_ != nullptr) tap_->on_answer_headers(head, false);
  client_.send_headers(head, false);
}

bool RpcCall::ask_again(const UpstreamStream* stream) {
  ReadRepeat& read = repeat_->read;
  const auto now = server_.worker().now();
  if (!request_ended_ && read.acts_on(read.answer.status) && !std::exchange(repeat_->waited, true)) {
    // An endpoint that is known to be down fails a call at its head, a quick one answers before the end of the request
    // was looked at: judged when the rest of it came, or had its time.
    read.holding = false;
    read.next = RepeatVerdict::Next::kAnswer;
    if (stream != nullptr) stream->add_tried_to(read.tried);
    if (upstream_ != nullptr) upstream_->report(static_cast<unsigned>(read.answer.status));
    drop_upstream();
    server_.worker().timers().arm(repeat_->timer, now + kRestOfRequest);
    return true;
  }
  const bool shadow = tap_ != nullptr && tap_->has_answer_for_client();
  const RepeatVerdict verdict = read.judge(read.answer, now, deadline_, shadow);
  if (!verdict.no_retry.empty()) count_retry(verdict.no_retry);
  if (!verdict.no_fallback.empty()) routes_->metrics.count_fallback(plan_.capability, verdict.no_fallback);
  count_unrepeated(verdict.no_retry);
  count_unrepeated(verdict.no_fallback);
  if (verdict.next == RepeatVerdict::Next::kAnswer) return false;
  read.holding = false;
  read.next = verdict.next;
  if (stream != nullptr) stream->add_tried_to(read.tried);
  if (upstream_ != nullptr) upstream_->report(static_cast<unsigned>(read.answer.status));
  drop_upstream();
  // Not from here: this is called while the connection it would be sent on reads its frames.
  server_.worker().timers().arm(repeat_->timer, now + verdict.wait);
  return true;
}

void RpcCall::count_unrepeated(std::string_view why) {
  MetricsShard& metrics = server_.worker().metrics();
  if (why == "budget") metrics.counter(families::kLimits, {"retry_budget"}).add();
  if (why == "request_too_large") metrics.counter(families::kLimits, {"retry_buffer_bytes"}).add();
}

void RpcCall::count_retry(std::string_view outcome) { routes_->metrics.count_retry(plan_.rule, outcome); }

void RpcCall::on_repeat_due() {
  server_.worker().touch_clock();
  ReadRepeat& read = repeat_->read;
  if (read.next == RepeatVerdict::Next::kAnswer) {
    // The rest of the request had its time: judged as it is now.
    if (!ask_again(nullptr)) pass_on_answer();
    return;
  }
  const bool fallback = read.next == RepeatVerdict::Next::kFallback;
  if (fallback && fall_back_on_shadow()) return;
  send_again(fallback);
}

bool RpcCall::fall_back_on_shadow() {
  if (tap_ == nullptr || !tap_->has_answer_for_client()) return false;
  // It may answer at once, and be let go of then.
  const auto tap = tap_;
  repeat_->read.fell_back = true;
  tap->give_answer_to(*this);
  return true;
}

void RpcCall::on_shadow_answer(const Observation* seen, HeaderBlock& head, HeaderBlock& trailers) {
  if (state_ == State::kAnswered) return;
  ReadRepeat& read = repeat_->read;
  if (seen == nullptr) {
    // What the shadow failed in is its own affair: legacy is asked as if there had been none.
    read.fell_back = false;
    const std::string_view hindrance = read.judge_without_shadow(server_.worker().now(), deadline_);
    if (hindrance.empty()) return send_again(true);
    count_unrepeated(hindrance);
    routes_->metrics.count_fallback(plan_.capability, hindrance);
    return pass_on_answer();
  }
  const bool head_only = seen->messages.empty() && trailers.empty();
  client_.send_headers(head, head_only);
  for (const ObservedMessage& message : seen->messages) {
    const auto prefix = grpc_prefix(message.compressed, static_cast<std::uint32_t>(message.bytes.size()));
    client_.send_data({prefix.data(), prefix.size()});
    client_.send_data(message.bytes);
  }
  if (!trailers.empty()) {
    client_.send_trailers(std::move(trailers));
  } else if (!head_only) {
    client_.send_end();
  }
  // `seen` goes into the comparison with the first answer, which ends the tap.
  const GrpcCode status = seen->grpc_status;
  end_first_answer();
  finish_answer(status);
}

void RpcCall::send_again(bool fallback) {
  ReadRepeat& read = repeat_->read;
  const RouteTable& table = *routes_->table;
  const std::uint16_t upstream = fallback ? table.capabilities()[plan_.capability].legacy_upstream : upstream_index_;
  const char* full = nullptr;
  UpstreamStream* const next = open_upstream(upstream, full);
  if (next == nullptr) {
    if (fallback) {
      routes_->metrics.count_fallback(plan_.capability, full);
    } else {
      count_retry(full);
    }
    return pass_on_answer();
  }
  upstream_ = next;
  if (fallback) {
    end_first_answer();
    read.fell_back = true;
    side_ = Side::kLegacy;
    upstream_index_ = upstream;
    wait_at(upstream);
  } else {
    count_retry("sent");
    next->avoid({read.tried.data(), read.tried.size()});
  }
  read.answer = {};
  HeaderBlock head = read.head.clone();
  edit_head(head, upstream, {read.traceparent.data(), read.traceparent.size()});
  // All of it was given back to the client's window, or its half has ended and needs none.
  credited_early_ = read.request().size();
  next->send_headers(std::move(head), read.request().empty());
  if (upstream_ != next || read.request().empty()) return;
  upstream_->send_data(read.request());
  if (upstream_ == next) upstream_->send_end();
}

void RpcCall::end_first_answer() {
  show_tap_answer();
  count_end(repeat_->read.answer.status);
}

void RpcCall::show_tap_answer() {
  if (tap_ == nullptr) return;
  const ReadRepeat::Answer& answer = repeat_->read.answer;
  if (answer.error) {
    tap_->on_primary_failed(Observation::End::kFailed, answer.error->grpc_code, answer.error->detail);
  } else if (answer.head.empty()) {
    tap_->on_answer_headers(answer.trailers, true);
  } else {
    tap_->on_answer_headers(answer.head, false);
    tap_->on_answer_end(&answer.trailers);
  }
  tap_.reset();
}

void RpcCall::pass_on_answer() {
  ReadRepeat::Answer answer = std::move(repeat_->read.answer);
  if (answer.error) return fail_call(*answer.error, std::string(upstream_name()) + ": " + answer.error->detail);
  repeat_->read.answer = {};
  repeat_->read.answer.status = answer.status;
  if (tap_ != nullptr) {
    if (answer.head.empty()) {
      tap_->on_answer_headers(answer.trailers, true);
    } else {
      tap_->on_answer_headers(answer.head, false);
      tap_->on_answer_end(&answer.trailers);
    }
  }
  if (answer.head.empty()) {
    client_.send_headers(answer.trailers, true);
  } else {
    client_.send_headers(answer.head, false);
    client_.send_trailers(std::move(answer.trailers));
  }
  finish_answer(answer.status);
}

}  // namespace ficus
