#include "facade/shadow/shadow_tap.h"

#include <algorithm>

#include "facade/metrics/families.h"
#include "facade/net/worker.h"
#include "facade/shadow/shadow_call.h"

namespace ficus {

ShadowTap::ShadowTap(ShadowLane& lane, ShadowSetup setup, CountNotShadowed not_shadowed)
    : lane_(lane), setup_(std::move(setup)), not_shadowed_(std::move(not_shadowed)), answer_(lane.budget) {
  answer_.set_limit(setup_.max_bytes);
  lane_.pressure.watch();
}

ShadowTap::~ShadowTap() {
  lane_.budget.bytes -= request_.size() + charged_;
  // Only when the facade stops with the call in flight: whatever was begun is counted once.
  if (begun_ && !counted_) {
    lane_.compare.count_uncompared(*setup_.job.table, setup_.capability, Verdict::kAbandoned, "shutdown");
  }
}

void ShadowTap::give_up(std::string_view reason) {
  if (settled_) return;
  settled_ = true;
  not_shadowed_(reason);
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
  if (setup_.settle) {
    const std::string_view message = std::string_view(request_).substr(kGrpcPrefixBytes);
    if (!setup_.settle(message, request_[0] == 1, setup_.job.key)) {
      // Not in the share after all: not a shadow that failed to begin, so not counted as one.
      not_shadowed_ = [](std::string_view) {};
      give_up("");
      return;
    }
  }
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
  if (primary_ != nullptr && primary_->end != Observation::End::kAnswered && primary_->end != Observation::End::kOverLimit) {
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
    deadline = std::min<std::chrono::nanoseconds>(deadline, *setup_.client_deadline - std::chrono::steady_clock::now());
    if (deadline <= std::chrono::nanoseconds::zero()) {
      give_up("deadline_over");
      return;
    }
  }
  settled_ = begun_ = true;
  setup_.begun->add();
  ++lane_.live;
  ++*setup_.in_flight;
  const std::size_t used = request_.size();
  call_ = std::make_shared<ShadowCall>(shared_from_this(), lane_.budget, lane_.worker,
                                       setup_.max_bytes - std::min(setup_.max_bytes, used));
  answer_.set_limit(setup_.max_bytes - std::min(setup_.max_bytes, used));
  const auto call = call_;
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
  primary_sent_at_ = std::chrono::steady_clock::now();
  primary_started_ = std::chrono::system_clock::now();
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
  auto seen = std::make_shared<Observation>(answer_.take(charge));
  charged_ += charge;
  seen->side = setup_.primary_side;
  seen->upstream = setup_.primary_upstream;
  seen->started = primary_started_;
  seen->latency = std::chrono::steady_clock::now() - primary_sent_at_;
  primary_ = std::move(seen);
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
  setup_.count_shadow(seen.grpc_status, seen.latency);
  seen.side = other(setup_.primary_side);
  seen.upstream = setup_.upstream->name();
  shadow_ = std::make_shared<const Observation>(std::move(seen));
  compare_if_both();
}

void ShadowTap::compare_if_both() {
  if (counted_ || primary_ == nullptr || shadow_ == nullptr) return;
  counted_ = true;
  // From here on the queue's own bound on bytes holds.
  lane_.budget.bytes -= std::exchange(charged_, 0);
  CompareJob job = std::move(setup_.job);
  job.primary = std::move(primary_);
  job.shadow = std::move(shadow_);
  lane_.compare.push(std::move(job));
}

}  // namespace ficus
