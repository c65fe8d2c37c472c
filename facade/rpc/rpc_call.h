// One RPC, birth to death: from the client's head to the counted status. Owns nothing but its own state; bytes pass
// from leg to leg without being looked at.
// Thread: the worker's. Lifetime: the client's H2Stream owns it; on_closed is its end.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "facade/base/pool.h"
#include "facade/net/h2_session.h"
#include "facade/net/upstream_stream.h"
#include "facade/rpc/call_error.h"
#include "facade/rpc/client_waits.h"
#include "facade/rpc/read_repeat.h"
#include "facade/rpc/rpc_server.h"
#include "facade/shadow/shadow_tap.h"
#include "facade/wire/grpc_frame.h"
#include "facade/wire/trace_context.h"

namespace ficus {

class RpcCall final : public StreamEvents, private ShadowAnswerTaker, public Pooled<RpcCall> {
 public:
  RpcCall(RpcServer& server, H2Stream& client);
  ~RpcCall() override;

  // ---- the client's stream ----
  void on_headers(HeaderBlock& block, bool end_stream) override;
  void on_data(std::string_view bytes) override;
  void on_end(HeaderBlock* trailers) override;
  void on_sent(std::size_t bytes) override;
  void on_headers_too_large() override;
  void on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) override;
  void on_shutdown(const ForcedEnd& why) override;

 private:
  // The upstream's stream; its events are ours.
  struct PrimaryLeg final : StreamEvents {
    explicit PrimaryLeg(RpcCall& c) : call(c) {}
    void on_headers(HeaderBlock& block, bool end_stream) override { call.on_answer_headers(block, end_stream); }
    void on_data(std::string_view bytes) override { call.on_answer_data(bytes); }
    void on_end(HeaderBlock* trailers) override { call.on_answer_end(trailers); }
    void on_sent(std::size_t bytes) override { call.on_request_sent(bytes); }
    void on_headers_too_large() override { call.on_answer_too_large(); }
    void on_closed(StreamEnd end, std::uint32_t code, std::string_view detail) override {
      call.on_upstream_closed(end, code, detail);
    }
    void on_shutdown(const ForcedEnd&) override {}
    RpcCall& call;
  };
  enum class State : std::uint8_t { kHead, kWaitingForKey, kRelaying, kAnswered };

  void on_answer_headers(HeaderBlock& block, bool end_stream);
  void on_answer_data(std::string_view bytes);
  void on_answer_end(HeaderBlock* trailers);
  void on_request_sent(std::size_t bytes);
  void on_answer_too_large();
  void on_upstream_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail);

  // The head is whole: who calls what, and where it goes (or that the key must be waited for).
  void route(std::string_view path, const HeaderBlock::Fields& fields, bool end_stream);
  PeerSans peer_sans();
  // What `x-forwarded-client-cert` tells this upstream; empty: nothing.
  std::string_view forwarded_peer(const UpstreamInfo& upstream);
  // Looks for the key in what is held of the first message; decides once it can be told.
  void try_key(bool request_ended);
  void decide(std::optional<KeyDigest> key, std::optional<NoKey> no_key);
  void begin_leg(const RouteDecision& decision);
  // A stream to that upstream of the policy; null: there is no room for it by the limit `full` (counted).
  UpstreamStream* open_upstream(std::uint16_t index, const char*& full);
  // What came of the request now: whether the client is inside a message.
  void follow_message(std::string_view bytes);
  // The call is at this upstream now: there its client is waited for.
  void wait_at(std::uint16_t upstream);
  void keep(std::string_view bytes);
  void keep_nothing();
  void begin_tap(const RouteDecision& decision, const std::array<char, 16>& primary_span);
  void on_deadline();

  // ---- asking a read again (rpc_call_repeat.cc); precondition but for watch_read(): repeat_
  // Keeps what is needed for it, where the rule may ask for it. Before the head is moved.
  void watch_read(const RouteDecision& decision);
  // Legacy may be asked where the new side fails this read.
  bool may_fall_back(const RouteDecision& decision) const;
  // The answer began, ended without a message, or failed. True: it goes no further for now. False: `head` or
  // `trailers` are as they came.
  bool hold_answer(HeaderBlock& head, bool end_stream);
  bool hold_trailers(HeaderBlock& trailers);
  bool hold_failure(const UpstreamStream& stream, const CallError& error, StreamEnd end);
  // The head that is held, if one is, goes on.
  void release_answer();
  bool ask_again(const UpstreamStream* stream);
  void on_repeat_due();
  // The shadow is legacy's answer, or will be. False: there is none under way.
  bool fall_back_on_shadow();
  void on_shadow_answer(const Observation* seen, HeaderBlock& head, HeaderBlock& trailers) override;
  // Sends the request anew, to the same side or to legacy.
  void send_again(bool fallback);
  // The first answer is the new side's, for its metrics and for the comparison: what legacy says now is not.
  void end_first_answer();
  void show_tap_answer();
  void pass_on_answer();
  void count_retry(std::string_view outcome);
  // The limit that kept a read from being asked again, if one did.
  void count_unrepeated(std::string_view why);

  // What this leg changes in the request's head.
  std::string_view override_metadata() const;  // of the capability; empty: none
  void edit_head(HeaderBlock& head, std::uint16_t upstream, std::string_view traceparent);
  // Answers in the facade's own name. Nothing is sent if an answer was complete already.
  void fail_call(const CallError& error, std::string_view message);
  void refuse_http(std::string_view status, std::string_view allow);
  void finish_answer(GrpcCode status);
  void count_end(GrpcCode status);
  void drop_upstream();
  std::string_view upstream_name() const;

  RpcServer& server_;
  H2Stream& client_;
  PrimaryLeg leg_{*this};
  std::shared_ptr<WorkerRoutes> routes_;
  UpstreamStream* upstream_ = nullptr;
  std::shared_ptr<ShadowTap> tap_;
  State state_ = State::kHead;
  bool request_ended_ = false;
  bool counted_ = false;

  HeaderBlock head_;
  Plan plan_;
  std::uint64_t draw_ = 0;
  std::optional<Side> side_;
  std::uint16_t upstream_index_ = kNoIndex;
  std::string held_;                // the request's bytes while the key is waited for
  std::size_t credited_early_ = 0;  // of held_, credit given back before it was sent on
  TraceContext trace_;
  const std::chrono::steady_clock::time_point born_;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  struct DeadlineTimer final : Timer {
    explicit DeadlineTimer(RpcCall& c) : call(c) {}
    void on_timer() override { call.on_deadline(); }
    RpcCall& call;
  } deadline_timer_{*this};
  struct RepeatTimer final : Timer {
    explicit RepeatTimer(RpcCall& c) : call(c) {}
    void on_timer() override { call.on_repeat_due(); }
    RpcCall& call;
  };
  struct Repeat {
    Repeat(RpcCall& call, const RuleInfo& rule, RetryBudget& budget, bool may_fall_back)
        : read(rule, budget, may_fall_back, call.server_.worker().now()), timer(call) {}
    ReadRepeat read;
    RepeatTimer timer;
    bool waited = false;  // for the rest of the request, once
  };
  struct Wait : ClientWait {
    explicit Wait(RpcCall& c) : call(c) {}
    Client client() const override;
    bool held_back() const override { return false; }
    void give_up(const ForcedEnd& why) override;
    RpcCall& call;
  };
  // For the rest of a message, or (not in_message_) for the next one.
  struct RequestWait final : Wait {
    using Wait::Wait;
    bool held_back() const override { return !call.client_.peer_may_send(); }
  } request_wait_{*this};
  struct AnswerWait final : Wait {
    using Wait::Wait;
  } answer_wait_{*this};
  bool in_message_ = false;
  bool one_request_ = false;        // MethodEntry's: inside a message from the head to the end
  GrpcFrameReader request_frames_;  // unless one_request_
  std::unique_ptr<Repeat> repeat_;  // null: this call is never asked again
};

}  // namespace ficus
