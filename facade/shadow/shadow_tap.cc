#include "facade/shadow/shadow_tap.h"

#include <algorithm>

#include "facade/compare/sight.h"
#include "facade/metrics/families.h"
#include "facade/net/recycled_handler.h"
#include "facade/shadow/shadow_call.h"

namespace ficus {

ShadowTap::ShadowTap(ShadowLane& lane, ShadowSetup setup)
    : lane_(lane), setup_(std::move(setup)), answer_(lane.budget) {
  answer_.set_limit(setup_.max_bytes);
  answer_.set_metadata(setup_.metadata);
  lane_.pressure.watch();
}

ShadowTap::~ShadowTap() {
  lane_.budget.bytes -= request_.size() + charged_;
  // Only when the facade stops with the call in flight: whatever was begun is counted once.
  if (begun_ && !counted_) {
    lane_.compare.count_uncompared(setup_.origin->compare_job(), Verdict::kAbandoned, "shutdown");
  }
}

void ShadowTap::give_up(std::string_view reason) {
  if (settled_) return;
  setup_.origin->count_not_shadowed(reason);
  drop();
}

void ShadowTap::drop() {
  settled_ = true;
  lane_.budget.bytes -= request_.size();
  request_.clear();
  request_.shrink_to_fit();
  answer_.release();
}

void ShadowTap::on_message_begin(bool, std::uint32_t length) {
  if (++messages_ > 1) {
    give_up("second_message");
  } else if (length + kGrpcPrefixBytes > setup_.max_bytes) {
    give_up("request_too_large");
  }
}

void ShadowTap::on_request_data(std::string_view bytes) {
  if (settled_) return;
  if (!reader_.feed(bytes, *this)) give_up("malformed_request");
  if (settled_) return;
  if (lane_.budget.bytes + bytes.size() > lane_.budget.limit) {
    lane_.pressure.on_over_budget();
    give_up("shadow_bytes");
    return;
  }
  request_.append(bytes);
  lane_.budget.bytes += bytes.size();
}

void ShadowTap::on_request_end() {
  if (settled_) return;
  if (messages_ != 1 || whole_messages_ != 1 || !reader_.at_boundary()) {
    give_up(messages_ == 0 ? "no_message" : "incomplete_message");
    return;
  }
  waiting_ = true;
  lane_.worker.after_flush(std::shared_ptr<AfterFlush>(shared_from_this(), this));
}

void ShadowTap::after_flush() {
  if (std::exchange(waiting_, false)) settle_request();
}

void ShadowTap::settle_request() {
  if (settled_) return;
  // Not in the share after all: not a shadow that failed to begin, so not counted as one.
  if (!setup_.origin->settle(std::string_view(request_).substr(kGrpcPrefixBytes), request_[0] == 1)) return drop();
  // Here and not before: only now is it certain that the call is in the share, and counted once.
  if (lane_.pressure.holds()) {
    give_up("pressure");
    return;
  }
  if (*setup_.in_flight >= setup_.max_in_flight) {
    lane_.worker.metrics().counter(families::kLimits, {"shadow_in_flight"}).add();
    give_up("shadow_in_flight");
    return;
  }
  // The primary failed before the client was done: nothing to compare with.
  if (primary_ && primary_->end != Observation::End::kAnswered && primary_->end != Observation::End::kOverLimit) {
    give_up("primary_failed");
    return;
  }
  if (answer_.over_limit()) {
    give_up("answer_too_large");
    return;
  }
  begin();
}

void ShadowTap::begin() {
  std::chrono::nanoseconds deadline = setup_.deadline;
  if (!setup_.deadline_given && setup_.client_deadline) {
    deadline = std::min<std::chrono::nanoseconds>(deadline, *setup_.client_deadline - lane_.worker.now());
    if (deadline <= std::chrono::nanoseconds::zero()) {
      give_up("deadline_over");
      return;
    }
  }
  settled_ = begun_ = true;
  setup_.origin->count_begun();
  ++lane_.live;
  ++*setup_.in_flight;
  const std::size_t used = request_.size();
  call_ = std::allocate_shared<ShadowCall>(RecyclingAllocator<ShadowCall>(), shared_from_this(), lane_.budget,
                                           lane_.worker, setup_.max_bytes - std::min(setup_.max_bytes, used));
  answer_.set_limit(setup_.max_bytes - std::min(setup_.max_bytes, used));
  const auto call = call_;
  shadow_sent_at_ = lane_.worker.now();
  if (!call->send(lane_.pool, setup_.upstream, std::move(setup_.head), request_, deadline)) {
    call->cancel();
    Observation refused;
    refused.end = Observation::End::kFailed;
    refused.grpc_status = GrpcCode::kUnavailable;
    refused.detail = "max_concurrent_requests";
    shadow_done(std::move(refused), 0);
  }
  lane_.budget.bytes -= request_.size();
  request_.clear();
  request_.shrink_to_fit();
}

void ShadowTap::on_primary_sent() {
  primary_sent_at_ = lane_.worker.now();
}

void ShadowTap::on_answer_headers(const HeaderBlock& head, bool end_stream) {
  if (settled_ && !begun_) return;
  answer_.on_headers(head, end_stream);
  if (end_stream) primary_done();
}

void ShadowTap::on_answer_data(std::string_view bytes) {
  if (settled_ && !begun_) return;
  const bool was_over = answer_.over_budget();
  answer_.on_data(bytes);
  if (answer_.over_budget() && !was_over) lane_.pressure.on_over_budget();
}

void ShadowTap::on_answer_end(const HeaderBlock* trailers) {
  if (settled_ && !begun_) return;
  answer_.on_end(trailers);
  primary_done();
}

void ShadowTap::on_primary_failed(Observation::End end, GrpcCode status, std::string_view detail) {
  if (settled_ && !begun_) return;
  if (primary_over_) return;  // it had answered; the client's own end says nothing of it
  answer_.fail(end, status, detail);
  primary_done();
}

void ShadowTap::primary_done() {
  if (primary_over_) return;
  primary_over_ = true;
  std::size_t charge = 0;
  primary_ = answer_.take(charge);
  charged_ += charge;
  primary_->side = setup_.primary_side;
  primary_->latency = lane_.worker.now() - primary_sent_at_;
  if (!settled_) {
    // Answered before the client was done, or failed, or cancelled.
    if (primary_->end == Observation::End::kCancelled) give_up("reset");
    return;
  }
  if (primary_->end == Observation::End::kCancelled || primary_->end == Observation::End::kFailed ||
      primary_->end == Observation::End::kTimedOut) {
    // Nothing to compare with: the other side need not go on.
    if (call_ != nullptr) {
      const auto call = call_;
      call->cancel();
      Observation stopped;
      stopped.end = Observation::End::kCancelled;
      stopped.grpc_status = GrpcCode::kCancelled;
      shadow_done(std::move(stopped), 0);
      return;
    }
  }
  compare_if_both();
}

void ShadowTap::shadow_done(Observation seen, std::size_t charge) {
  charged_ += charge;
  call_.reset();
  --lane_.live;
  --*setup_.in_flight;
  setup_.origin->count_shadow(seen.grpc_status, seen.latency);
  seen.side = other(setup_.primary_side);
  shadow_ = std::move(seen);
  if (taker_ != nullptr) tell_taker();
  compare_if_both();
}

bool ShadowTap::has_answer_for_client() {
  if (setup_.keep_answer && !primary_over_) after_flush();
  if (!setup_.keep_answer || !begun_ || primary_over_) return false;
  return call_ != nullptr || (shadow_ && shadow_->end == Observation::End::kAnswered);
}

void ShadowTap::give_answer_to(ShadowAnswerTaker& taker) {
  taker_ = &taker;
  if (shadow_) tell_taker();
}

void ShadowTap::tell_taker() {
  const bool whole = shadow_->end == Observation::End::kAnswered;
  std::exchange(taker_, nullptr)->on_shadow_answer(whole ? &*shadow_ : nullptr, answer_head_, answer_trailers_);
}

void ShadowTap::compare_if_both() {
  if (counted_ || !primary_ || !shadow_) return;
  counted_ = true;
  // From here on the queue's own bound on bytes holds.
  lane_.budget.bytes -= std::exchange(charged_, 0);
  if (equal_at_sight(*primary_, *shadow_, setup_.latency)) {
    setup_.origin->count_equal();
    return;
  }
  CompareJob job = setup_.origin->compare_job();
  primary_->upstream = setup_.origin->primary_upstream();
  // Only now, so that answers that are the same ask for no time of day.
  const auto boot = std::chrono::system_clock::now() - std::chrono::steady_clock::now().time_since_epoch();
  const auto time_of_day = [&](std::chrono::steady_clock::time_point at) {
    return std::chrono::time_point_cast<std::chrono::system_clock::duration>(boot + at.time_since_epoch());
  };
  primary_->started = time_of_day(primary_sent_at_);
  shadow_->started = time_of_day(shadow_sent_at_);
  shadow_->upstream = setup_.upstream->name();
  job.primary = std::make_shared<const Observation>(std::move(*primary_));
  job.shadow = std::make_shared<const Observation>(std::move(*shadow_));
  lane_.compare.push(std::move(job));
}

}  // namespace ficus
