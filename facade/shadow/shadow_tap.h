// A copy of one read, taken on its way: the request, so that it can be sent to the other side too, and the primary
// answer, so that the two can be compared. Nothing here can delay or fail the client: everything is bounded, and what
// is over a bound is dropped and counted.
// Thread: the worker's. Invariant: once begun, exactly one verdict is counted, by CompareQueue.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/intrusive/list.hpp>

#include "facade/metrics/metrics.h"
#include "facade/net/upstream_pool.h"
#include "facade/shadow/answer_capture.h"
#include "facade/shadow/compare_queue.h"
#include "facade/shadow/shadow_pressure.h"

namespace ficus {

class ShadowCall;

// What a worker's shadows share.
struct ShadowLane {
  Worker& worker;
  UpstreamPool& pool;      // connections of their own
  CompareQueue& compare;
  ShadowBudget budget;
  ShadowPressure pressure;
  std::size_t live = 0;    // shadow calls in flight on this worker
};

// Everything a tap must know of the call it copies. Made by rpc/ when a call may be shadowed.
struct ShadowSetup {
  CompareJob job;                         // without the observations
  std::uint16_t capability = kNoIndex;
  Side primary_side = Side::kLegacy;
  std::string primary_upstream;
  std::shared_ptr<Upstream> upstream;     // where the shadow goes
  HeaderBlock head;                       // of the shadow's request, but for its grpc-timeout
  std::chrono::milliseconds deadline{5000};
  bool deadline_given = false;            // by the policy; otherwise what the client has left bounds it too
  std::optional<std::chrono::steady_clock::time_point> client_deadline;
  std::size_t max_bytes = 1 << 20;        // request and both answers, of this call; limit "shadow_call_bytes"
  std::size_t max_in_flight = 128;        // this worker's part of the rule's limit; limit "shadow_in_flight"
  std::shared_ptr<std::size_t> in_flight; // of the rule on this worker
  // Settles a share that is counted by key, from the captured message (without prefix); gives the key for the trace.
  // Null: the call is in the share. Returns whether it is.
  std::function<bool(std::string_view message, bool compressed, std::string& key)> settle;
  Counter* begun = nullptr;
  // Counts the shadow's own status and latency.
  std::function<void(GrpcCode status, std::chrono::nanoseconds latency)> count_shadow;
};

class ShadowTap : public std::enable_shared_from_this<ShadowTap>, private GrpcFrameReader::Sink {
 public:
  // Counts ficus_not_shadowed_total under a reason; given by rpc/, which knows the capability's name.
  using CountNotShadowed = std::function<void(std::string_view reason)>;

  ShadowTap(ShadowLane& lane, ShadowSetup setup, CountNotShadowed not_shadowed);
  ~ShadowTap() override;

  // ---- the request ----
  void on_request_data(std::string_view bytes);
  // Half-closed: the shadow begins here, if exactly one whole message came within the limit.
  void on_request_end();
  // ---- the primary answer ----
  void on_primary_sent();  // its head goes out now
  void on_answer_headers(const HeaderBlock& head, bool end_stream);
  void on_answer_data(std::string_view bytes);
  void on_answer_end(const HeaderBlock* trailers);
  // Failed in transport, over the deadline, or cancelled by the client before its end.
  void on_primary_failed(Observation::End end, GrpcCode status, std::string_view detail);

 private:
  friend class ShadowCall;
  void on_message_begin(bool compressed, std::uint32_t length) override;
  void on_message_bytes(std::string_view) override {}
  void on_message_end() override { ++whole_messages_; }
  void give_up(std::string_view reason);
  void begin();
  void primary_done();
  void shadow_done(Observation seen, std::size_t charge);
  void compare_if_both();

  ShadowLane& lane_;
  ShadowSetup setup_;
  CountNotShadowed not_shadowed_;
  GrpcFrameReader reader_;
  std::string request_;         // prefix and message, as they came
  unsigned messages_ = 0;
  unsigned whole_messages_ = 0;
  bool settled_ = false;        // begun, or given up
  bool begun_ = false;
  bool counted_ = false;        // the one verdict was handed over
  bool primary_over_ = false;   // answered, failed or cancelled
  std::size_t charged_ = 0;     // what the held observations owe the budget
  AnswerCapture answer_;
  std::chrono::steady_clock::time_point primary_sent_at_{};
  std::chrono::system_clock::time_point primary_started_{};
  ObservationPtr primary_, shadow_;
  std::shared_ptr<ShadowCall> call_;  // while in flight
};

}  // namespace ficus
