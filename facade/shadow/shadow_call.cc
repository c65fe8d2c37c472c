#include "facade/shadow/shadow_call.h"

#include "facade/net/worker.h"
#include "facade/shadow/shadow_tap.h"
#include "facade/wire/grpc_status.h"
#include "facade/wire/grpc_timeout.h"

namespace ficus {

ShadowCall::ShadowCall(std::shared_ptr<ShadowTap> tap, ShadowBudget& budget, Worker& worker,
                       std::size_t capture_limit_bytes)
    : tap_(std::move(tap)), answer_(budget), worker_(worker) {
  answer_.set_limit(capture_limit_bytes);
  answer_.set_metadata(tap_->setup_.metadata);
}

ShadowCall::~ShadowCall() {
  if (stream_ != nullptr) stream_->abandon();
}

bool ShadowCall::send(UpstreamPool& pool, const std::shared_ptr<Upstream>& upstream, HeaderBlock head,
                      std::string_view request, std::chrono::nanoseconds deadline) {
  stream_ = pool.open(upstream, *this);
  if (stream_ == nullptr) return false;
  sent_at_ = worker_.now();
  head.set("grpc-timeout", format_grpc_timeout(deadline));
  worker_.timers().arm(timer_, sent_at_ + deadline);
  stream_->send_headers(std::move(head), false);
  // A connect that fails at once has finished the call already.
  if (stream_ == nullptr) return true;
  stream_->send_data(request);
  stream_->send_end();
  return true;
}

void ShadowCall::on_deadline() {
  if (tap_ == nullptr) return;
  worker_.touch_clock();
  answer_.fail(Observation::End::kTimedOut, GrpcCode::kDeadlineExceeded, "deadline exceeded");
  finish();
}

void ShadowCall::cancel() {
  timer_.cancel();
  answer_.release();
  tap_.reset();
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
}

void ShadowCall::on_headers(HeaderBlock& block, bool end_stream) {
  answer_.on_headers(block, end_stream);
  if (tap_->setup_.keep_answer) tap_->answer_head_ = std::move(block);
  if (end_stream) finish();
}

void ShadowCall::on_data(std::string_view bytes) {
  // Read at once, whatever becomes of it: a shadow is never slowed by us, and slows nobody.
  stream_->consume(bytes.size());
  answer_.on_data(bytes);
  if (answer_.over_limit()) {
    if (answer_.over_budget()) tap_->lane_.pressure.on_over_budget();
    answer_.fail(Observation::End::kOverLimit, GrpcCode::kOk, "capture limit");
    finish();
  } else if (answer_.done()) {
    finish();
  }
}

void ShadowCall::on_end(HeaderBlock* trailers) {
  answer_.on_end(trailers);
  if (trailers != nullptr && tap_->setup_.keep_answer) tap_->answer_trailers_ = std::move(*trailers);
  finish();
}

void ShadowCall::on_headers_too_large() {
  answer_.fail(Observation::End::kFailed, GrpcCode::kInternal, "header list too large");
  finish();
}

void ShadowCall::on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) {
  stream_ = nullptr;
  const auto keep = shared_from_this();
  if (tap_ == nullptr) return;
  worker_.touch_clock();  // not all that ends a stream comes from bytes that were read
  switch (end) {
    case StreamEnd::kReset:
      answer_.fail(Observation::End::kFailed, grpc_code_of_reset(error_code),
                   "stream reset (" + http2_error_name(error_code) + ")");
      break;
    case StreamEnd::kHeadTooLarge:
      answer_.fail(Observation::End::kFailed, GrpcCode::kResourceExhausted, detail);
      break;
    case StreamEnd::kNeverProcessed:
      answer_.fail(Observation::End::kFailed, GrpcCode::kUnavailable, "stream refused");
      break;
    default:
      answer_.fail(Observation::End::kFailed, GrpcCode::kUnavailable, detail.empty() ? "connection closed" : detail);
  }
  finish();
}

void ShadowCall::finish() {
  if (tap_ == nullptr) return;
  const auto keep = shared_from_this();
  timer_.cancel();
  std::size_t charge = 0;
  Observation seen = answer_.take(charge);
  seen.latency = worker_.now() - sent_at_;
  const auto tap = std::move(tap_);
  // A stream that is still open has nothing more to say to us.
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
  tap->shadow_done(std::move(seen), charge);
}

}  // namespace ficus
