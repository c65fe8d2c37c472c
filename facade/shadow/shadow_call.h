// The other side's leg of a shadowed read: sent, timed, captured. Thread: the worker's.
#pragma once

#include <chrono>
#include <memory>

#include "facade/net/timer_queue.h"
#include "facade/net/upstream_pool.h"
#include "facade/shadow/answer_capture.h"

namespace ficus {

class ShadowTap;
class Worker;

class ShadowCall : public StreamEvents, public std::enable_shared_from_this<ShadowCall> {
 public:
  // Keeps `tap` alive until the answer's end.
  ShadowCall(std::shared_ptr<ShadowTap> tap, ShadowBudget& budget, Worker& worker, std::size_t capture_limit_bytes);
  ~ShadowCall() override;
  // Sends the request. False: the upstream's limit of calls is reached, nothing was sent.
  bool send(UpstreamPool& pool, const std::shared_ptr<Upstream>& upstream, HeaderBlock head, std::string_view request,
            std::chrono::nanoseconds deadline);
  // Gives up: resets the stream, tells nobody.
  void cancel();

 private:
  void on_headers(HeaderBlock& block, bool end_stream) override;
  void on_data(std::string_view bytes) override;
  void on_end(HeaderBlock* trailers) override;
  void on_sent(std::size_t) override {}
  void on_headers_too_large() override;
  void on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) override;
  void on_shutdown(const ForcedEnd&) override {}
  void on_deadline();
  void finish();

  std::shared_ptr<ShadowTap> tap_;  // null once finished
  AnswerCapture answer_;
  UpstreamStream* stream_ = nullptr;
  Worker& worker_;
  struct DeadlineTimer final : Timer {
    explicit DeadlineTimer(ShadowCall& c) : call(c) {}
    void on_timer() override { call.on_deadline(); }
    ShadowCall& call;
  } timer_{*this};
  std::chrono::steady_clock::time_point sent_at_{};
};

}  // namespace ficus
