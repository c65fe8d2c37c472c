// RpcCall from the answer's head on: what the upstream says, and every way in which a call ends.
#include <chrono>
#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/rpc/rpc_call.h"
#include "facade/wire/grpc_status.h"

namespace ficus {
namespace {

// What a client may take to make room for the end of a call that we ended, behind the rest of an answer that it did not
// take: a round trip or two. Limit "last_words".
constexpr std::chrono::seconds kLastWords{5};

}  // namespace

void RpcCall::on_answer_headers(HeaderBlock& block, bool end_stream) {
  if (repeat_ != nullptr && hold_answer(block, end_stream)) return;
  if (tap_ != nullptr) tap_->on_answer_headers(block, end_stream);
  if (!end_stream) {
    client_.send_headers(block, false);
    return;
  }
  const auto grpc_status = block.find(HeaderToken::kGrpcStatus);
  const GrpcCode status =
      grpc_status ? parse_grpc_status(grpc_status) : grpc_code_of_http(block.find(HeaderToken::kStatus).value_or(""));
  client_.send_headers(block, true);
  if (upstream_ != nullptr) upstream_->report(static_cast<unsigned>(status));
  finish_answer(status);
}

void RpcCall::on_answer_data(std::string_view bytes) {
  if (repeat_ != nullptr) release_answer();
  if (tap_ != nullptr) tap_->on_answer_data(bytes);
  client_.send_data(bytes);
  if (!in_message_) request_wait_.moved(bytes.size());
  if (client_.queued() != 0)
    routes_->waits[upstream_index_]->answers.begin(answer_wait_, client_.session().body_bytes());
}

void RpcCall::on_answer_end(HeaderBlock* trailers) {
  if (repeat_ != nullptr) {
    if (trailers != nullptr && hold_trailers(*trailers)) return;
    release_answer();
  }
  if (tap_ != nullptr) tap_->on_answer_end(trailers);
  if (trailers != nullptr) {
    const GrpcCode status = parse_grpc_status(trailers->find(HeaderToken::kGrpcStatus));
    client_.time_next_write(server_.own_answer_seconds(), server_.worker().now());
    client_.send_trailers(std::move(*trailers));
    if (upstream_ != nullptr) upstream_->report(static_cast<unsigned>(status));
    finish_answer(status);
  } else {
    client_.send_end();
    finish_answer(GrpcCode::kUnknown);
  }
}

void RpcCall::on_sent(std::size_t bytes) {
  answer_wait_.moved(bytes);
  if (client_.queued() == 0) answer_wait_.end();
  if (upstream_ != nullptr) upstream_->consume(bytes);
}

void RpcCall::on_answer_too_large() {
  server_.worker().metrics().counter(families::kLimits, {"header_list_bytes"}).add();
  fail_call({GrpcCode::kResourceExhausted, ErrorOrigin::kFacade, "header list too large"},
            std::string(upstream_name()) + ": header list too large");
}

void RpcCall::on_upstream_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) {
  UpstreamStream& stream = *std::exchange(upstream_, nullptr);
  if (state_ == State::kAnswered) return;
  const ErrorOrigin origin = !side_                 ? ErrorOrigin::kFacade
                             : *side_ == Side::kNew ? ErrorOrigin::kNew
                                                    : ErrorOrigin::kLegacy;
  const CallError error = error_of_stream_end(end, error_code, detail, origin);
  // A connection that failed or was lost is the endpoint's failure, and counted there: once, not for every call on it.
  if (end == StreamEnd::kReset) stream.report(static_cast<unsigned>(error.grpc_code));
  server_.worker().metrics().counter(families::kUpstreamFailures, {upstream_name(), "primary", error.detail}).add();
  if (repeat_ != nullptr && hold_failure(stream, error, end)) return;
  fail_call(error, std::string(upstream_name()) + ": " + error.detail);
}

// ---------------------------------------------------------------- ends

std::string_view RpcCall::upstream_name() const {
  return upstream_index_ == kNoIndex ? std::string_view("facade")
                                     : std::string_view(routes_->table->upstreams()[upstream_index_].name);
}

void RpcCall::fail_call(const CallError& error, std::string_view message) {
  if (state_ == State::kAnswered) return;
  if (tap_ != nullptr) {
    tap_->forget_taker();
    tap_->on_primary_failed(
        error.grpc_code == GrpcCode::kDeadlineExceeded ? Observation::End::kTimedOut : Observation::End::kFailed,
        error.grpc_code, error.detail);
  }
  HeaderBlock block;
  if (!client_.headers_sent()) {
    block.add_static(":status", "200");
    block.add_static("content-type", "application/grpc");
  }
  block.add_static("grpc-status", grpc_status_text(error.grpc_code));
  block.add_copy("grpc-message", encode_grpc_message(message));
  if (client_.headers_sent()) {
    client_.send_trailers(std::move(block));
  } else {
    client_.send_headers(block, true);
  }
  finish_answer(error.grpc_code);
  if (client_.open() && client_.queued() != 0)
    server_.worker().timers().arm(deadline_timer_, server_.worker().now() + kLastWords);
}

void RpcCall::refuse_http(std::string_view status, std::string_view allow) {
  HeaderBlock block;
  block.add_static(":status", status);
  if (!allow.empty()) block.add_static("allow", allow);
  client_.send_headers(block, true);
  if (routes_ != nullptr) routes_->metrics.count_refused(kNoIndex, status == "405" ? "not_post" : "not_grpc");
  finish_answer(GrpcCode::kUnknown);
}

void RpcCall::finish_answer(GrpcCode status) {
  state_ = State::kAnswered;
  count_end(status);
  deadline_timer_.cancel();
  request_wait_.end();
  answer_wait_.end();
  if (repeat_ != nullptr) {
    repeat_->timer.cancel();
    if (repeat_->read.fell_back)
      routes_->metrics.count_fallback(plan_.capability, status == GrpcCode::kOk ? "ok" : "failed");
  }
  keep_nothing();
  drop_upstream();
  tap_.reset();
}

void RpcCall::count_end(GrpcCode status) {
  if (counted_ || routes_ == nullptr) return;
  counted_ = true;
  routes_->metrics.count_call(plan_.method, plan_.capability, side_, false, status, server_.worker().now() - born_);
}

void RpcCall::drop_upstream() {
  if (upstream_ != nullptr) std::exchange(upstream_, nullptr)->abandon();
}

void RpcCall::on_closed(StreamEnd, std::uint32_t, std::string_view) {
  if (state_ == State::kAnswered) return;
  // The client left before the answer was complete.
  if (tap_ != nullptr) {
    tap_->forget_taker();
    tap_->on_primary_failed(Observation::End::kCancelled, GrpcCode::kCancelled, "cancelled by the client");
  }
  finish_answer(GrpcCode::kCancelled);
}

void RpcCall::on_shutdown(const ForcedEnd& why) {
  server_.worker().metrics().counter(families::kLimits, {why.limit}).add();
  fail_call({GrpcCode::kUnavailable, ErrorOrigin::kFacade, std::string(why.limit)},
            "facade: " + std::string(why.message));
}

ClientWait::Client RpcCall::Wait::client() const {
  H2Session& session = call.client_.session();
  const std::size_t places =
      call.upstream_index_ == kNoIndex ? 0 : session.places().at(*call.routes_->primary[call.upstream_index_]);
  return {session.body_bytes(), session.open_streams(), places};
}

void RpcCall::Wait::give_up(const ForcedEnd& why) {
  if (call.client_.open()) {
    log_event(LogLevel::kDebug, "client_call_ended", "a call was ended since it waited for its client",
              {{"peer", call.client_.session().peer()}, {"limit", why.limit}});
  }
  call.on_shutdown(why);
}

void RpcCall::on_deadline() {
  server_.worker().touch_clock();
  if (state_ == State::kAnswered) {  // and the end did not reach the client
    server_.worker().metrics().counter(families::kLimits, {"last_words"}).add();
    return client_.reset(H2Error::kCancel);
  }
  if (upstream_ != nullptr) upstream_->report(static_cast<unsigned>(GrpcCode::kDeadlineExceeded));
  const std::string who = upstream_index_ == kNoIndex ? "facade" : std::string(upstream_name());
  fail_call({GrpcCode::kDeadlineExceeded, ErrorOrigin::kFacade, "deadline exceeded"}, who + ": deadline exceeded");
}

}  // namespace ficus
