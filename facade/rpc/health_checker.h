// Asks one endpoint by grpc.health.v1.Health/Check, again and again, whether it serves.
// Only SERVING is healthy. A server without the health service (UNIMPLEMENTED) or without the name asked for
// (NOT_FOUND) is unhealthy too, with a line in the log that says what to mend: whoever asked for checks wants to know,
// and an upstream of which no endpoint is healthy is used all the same (Balancer::kPanicPercent). Source: gRPC's
// doc/health-checking.md. Thread: the worker's.
#pragma once

#include <string>
#include <string_view>

#include "facade/net/endpoint_probe.h"
#include "facade/net/upstream_stream.h"

namespace ficus {

class HealthChecker final : public EndpointProbe, private StreamEvents {
 public:
  // Asks at once.
  explicit HealthChecker(ProbeSetup setup);
  ~HealthChecker() override;

 private:
  // A HealthCheckResponse has two or three bytes; more than this is none.
  static constexpr std::size_t kAnswerBytes = 1024;

  void on_headers(HeaderBlock& block, bool end_stream) override;
  void on_data(std::string_view bytes) override;
  void on_end(HeaderBlock* trailers) override;
  void on_sent(std::size_t) override {}
  void on_headers_too_large() override;
  void on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) override;
  void on_shutdown(const ForcedEnd&) override {}

  void ask();
  void ask_later();
  // By the answer's grpc-status and message.
  std::string_view judge(const HeaderBlock& ending) const;
  // One check is over; `outcome` is a metrics label, "serving" the only good one.
  void finish(std::string_view outcome);
  std::string event_name() const;

  ProbeSetup setup_;
  asio::steady_timer timer_;  // until the next question, or the answer is late
  UpstreamStream* stream_ = nullptr;
  bool asking_ = false;
  std::string answer_;
  enum class State { kUnknown, kHealthy, kUnhealthy } state_ = State::kUnknown;
  unsigned in_a_row_ = 0;  // checks that spoke against state_
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace ficus
