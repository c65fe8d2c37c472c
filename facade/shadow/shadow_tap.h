// A copy of one read, taken on its way: the request, so that it can be sent to the other side too, and the primary
// answer, so that the two can be compared. Nothing here can delay or fail the client: everything is bounded, and what
// is over a bound is dropped and counted.
// Thread: the worker's. Invariant: once begun, exactly one verdict is counted: here, where both answers are the same at
// sight, else by CompareQueue.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "facade/metrics/metrics.h"
#include "facade/net/upstream_pool.h"
#include "facade/net/worker.h"
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

// The call that is copied, as rpc/ knows it: names, its part of a share, what is counted of it.
class ShadowOrigin {
 public:
  virtual ~ShadowOrigin() = default;
  // Given the captured request message (without prefix). False: the call is not in the share after all. Once.
  virtual bool settle(std::string_view message, bool compressed) = 0;
  // What a comparison and its trace must know, without the observations. Once.
  virtual CompareJob compare_job() = 0;
  virtual const std::string& primary_upstream() const = 0;
  virtual void count_not_shadowed(std::string_view reason) = 0;
  virtual void count_begun() = 0;
  virtual void count_equal() = 0;  // verdict "match", found at sight
  // The shadow's own status and latency.
  virtual void count_shadow(GrpcCode status, std::chrono::nanoseconds latency) = 0;
};

// Who may pass the shadow's answer on to the client (`reads.fallback`).
class ShadowAnswerTaker {
 public:
  // Once. `seen` is null where there is no answer that could be passed on: the shadow failed, or it was too large to
  // keep. Otherwise `head` is the answer's and `trailers` is empty where the head is all there is; both may be moved
  // from.
  virtual void on_shadow_answer(const Observation* seen, HeaderBlock& head, HeaderBlock& trailers) = 0;

 protected:
  ~ShadowAnswerTaker() = default;
};

// What a tap must know of the call it copies. Made by rpc/ when a call may be shadowed.
struct ShadowSetup {
  std::unique_ptr<ShadowOrigin> origin;
  Side primary_side = Side::kLegacy;
  std::shared_ptr<Upstream> upstream;     // where the shadow goes
  HeaderBlock head;                       // of the shadow's request, but for its grpc-timeout
  std::chrono::milliseconds deadline{5000};
  bool deadline_given = false;            // by the policy; otherwise what the client has left bounds it too
  std::optional<std::chrono::steady_clock::time_point> client_deadline;
  std::size_t max_bytes = 1 << 20;        // request and both answers, of this call; limit "shadow_call_bytes"
  std::size_t max_in_flight = 128;        // this worker's part of the rule's limit; limit "shadow_in_flight"
  std::shared_ptr<std::size_t> in_flight; // of the rule on this worker
  bool keep_answer = false;               // somebody may give_answer_to()
  // What the policy compares beside messages; borrowed of what `origin` keeps alive, null: nothing.
  const std::vector<std::string>* metadata = nullptr;
  const LatencyRule* latency = nullptr;
};

class ShadowTap : public std::enable_shared_from_this<ShadowTap>, private AfterFlush, private GrpcFrameReader::Sink {
 public:
  ShadowTap(ShadowLane& lane, ShadowSetup setup);
  ~ShadowTap() override;

  // ---- the request ----
  void on_request_data(std::string_view bytes);
  // Half-closed: if exactly one whole message came within the limit, the shadow begins as soon as all that this turn of
  // the loop has for clients and primaries is out.
  void on_request_end();
  // ---- the primary answer ----
  void on_primary_sent();  // its head goes out now
  void on_answer_headers(const HeaderBlock& head, bool end_stream);
  void on_answer_data(std::string_view bytes);
  void on_answer_end(const HeaderBlock* trailers);
  // Failed in transport, over the deadline, or cancelled by the client before its end.
  void on_primary_failed(Observation::End end, GrpcCode status, std::string_view detail);

  // ---- the shadow's answer, for a client that the primary failed (ShadowSetup::keep_answer) ----
  // It is on its way or has come, and can be passed on as far as is known. A shadow that only waits for the flush begins
  // now.
  bool has_answer_for_client();
  // Before the primary's end is told. `taker` is called at once or when the answer comes, unless forget_taker().
  // Precondition: has_answer_for_client().
  void give_answer_to(ShadowAnswerTaker& taker);
  void forget_taker() noexcept { taker_ = nullptr; }

 private:
  friend class ShadowCall;
  void after_flush() override;
  void on_message_begin(bool compressed, std::uint32_t length) override;
  void on_message_bytes(std::string_view) override {}
  void on_message_end() override { ++whole_messages_; }
  void settle_request();  // whether the whole request becomes a shadow
  void drop();  // no shadow of this call
  void give_up(std::string_view reason);  // and it is counted
  void begin();
  void primary_done();
  void shadow_done(Observation seen, std::size_t charge);
  void tell_taker();
  void compare_if_both();

  ShadowLane& lane_;
  ShadowSetup setup_;
  GrpcFrameReader reader_;
  std::string request_;         // prefix and message, as they came
  unsigned messages_ = 0;
  unsigned whole_messages_ = 0;
  bool waiting_ = false;        // for the flush, with a whole request
  bool settled_ = false;        // begun, or given up
  bool begun_ = false;
  bool counted_ = false;        // the one verdict was handed over
  bool primary_over_ = false;   // answered, failed or cancelled
  std::size_t charged_ = 0;     // what the held observations owe the budget
  AnswerCapture answer_;
  std::chrono::steady_clock::time_point primary_sent_at_{}, shadow_sent_at_{};
  std::optional<Observation> primary_, shadow_;
  HeaderBlock answer_head_, answer_trailers_;  // the shadow's, where they are kept
  ShadowAnswerTaker* taker_ = nullptr;
  std::shared_ptr<ShadowCall> call_;  // while in flight
};

}  // namespace ficus
