#include "facade/rpc/health_checker.h"

#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/wire/grpc_frame.h"
#include "facade/wire/grpc_status.h"
#include "facade/wire/grpc_timeout.h"
#include "facade/wire/health_message.h"

namespace ficus {
namespace {

constexpr std::string_view kServing = "serving";

std::string framed(std::string_view message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::string frame(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift & 0xff);
  return frame.append(message);
}

// The one message of an answer, not compressed; nothing if the bytes are something else.
std::optional<std::string_view> unframed(std::string_view bytes) {
  if (bytes.size() < kGrpcPrefixBytes || bytes[0] != '\0') return std::nullopt;
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < kGrpcPrefixBytes; ++i) size = size << 8 | static_cast<unsigned char>(bytes[i]);
  if (bytes.size() - kGrpcPrefixBytes != size) return std::nullopt;
  return bytes.substr(kGrpcPrefixBytes);
}

std::string_view advice(std::string_view outcome) {
  if (outcome == "unimplemented") {
    return "the endpoint has no grpc.health.v1.Health service: serve it there, or take health_check out of the policy";
  }
  if (outcome == "service_unknown")
    return "the endpoint's health service does not know the service that health_check names";
  return "the endpoint's health checks fail; it gets no calls while enough others are healthy";
}

}  // namespace

HealthChecker::HealthChecker(ProbeSetup setup) : setup_(std::move(setup)), timer_(setup_.worker.io()) {
  // Not at once, but in a turn of its own: who makes the probe need not expect its reports yet.
  asio::post(setup_.worker.io(), [this, alive = alive_] {
    if (*alive) ask();
  });
}

HealthChecker::~HealthChecker() {
  *alive_ = false;
  if (stream_ != nullptr) stream_->abandon();
  if (state_ == State::kUnhealthy) setup_.worker.once().end(event_name());
}

std::string HealthChecker::event_name() const { return "health " + setup_.upstream + ' ' + setup_.address; }

void HealthChecker::ask() {
  asking_ = true;
  answer_.clear();
  timer_.expires_after(setup_.settings.timeout);
  timer_.async_wait([this, alive = alive_](error_code ec) {
    if (!ec && *alive && asking_) finish("timeout");
  });
  HeaderBlock head;
  head.add_static(":method", "POST");
  head.add_copy(":scheme", setup_.scheme);
  head.add_static(":path", kHealthCheckPath);
  head.add_copy(":authority", setup_.authority);
  head.add_static("te", "trailers");
  head.add_static("content-type", "application/grpc");
  head.add_static("user-agent", "ficus-health-check");
  head.add_copy("grpc-timeout", format_grpc_timeout(setup_.settings.timeout));
  stream_ = setup_.open(*this);
  stream_->send_headers(std::move(head), false);
  if (stream_ == nullptr) return;  // it failed at once
  stream_->send_data(framed(encode_health_request(setup_.settings.service)));
  stream_->send_end();
}

void HealthChecker::ask_later() {
  timer_.expires_after(setup_.settings.interval);
  timer_.async_wait([this, alive = alive_](error_code ec) {
    if (!ec && *alive && !asking_) ask();
  });
}

void HealthChecker::on_headers(HeaderBlock& block, bool end_stream) {
  if (end_stream) {
    finish(judge(block));
  } else if (block.find(":status") != "200") {
    finish("failed");
  }
}

void HealthChecker::on_data(std::string_view bytes) {
  stream_->consume(bytes.size());
  if (answer_.size() + bytes.size() > kAnswerBytes) return finish("malformed");
  answer_.append(bytes);
}

void HealthChecker::on_end(HeaderBlock* trailers) { finish(trailers == nullptr ? "malformed" : judge(*trailers)); }

void HealthChecker::on_headers_too_large() { finish("malformed"); }

void HealthChecker::on_closed(StreamEnd end, std::uint32_t, std::string_view) {
  stream_ = nullptr;
  if (asking_) finish(end == StreamEnd::kReset ? "failed" : "unreachable");
}

std::string_view HealthChecker::judge(const HeaderBlock& ending) const {
  if (const auto http = ending.find(":status"); http && *http != "200") return "failed";
  switch (parse_grpc_status(ending.find("grpc-status"))) {
    case GrpcCode::kOk:
      break;
    case GrpcCode::kUnimplemented:
      return "unimplemented";
    case GrpcCode::kNotFound:
      return "service_unknown";
    case GrpcCode::kDeadlineExceeded:
      return "timeout";
    default:
      return "failed";
  }
  const auto message = unframed(answer_);
  const auto status = message ? parse_health_response(*message) : std::nullopt;
  if (!status) return "malformed";
  if (*status == ServingStatus::kServing) return kServing;
  return *status == ServingStatus::kServiceUnknown ? "service_unknown" : "not_serving";
}

void HealthChecker::finish(std::string_view outcome) {
  if (!asking_) return;
  asking_ = false;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
  setup_.worker.metrics().counter(families::kHealthChecks, {setup_.upstream, outcome}).add();
  ask_later();

  const bool serving = outcome == kServing;
  const State says = serving ? State::kHealthy : State::kUnhealthy;
  if (says == state_) {
    in_a_row_ = 0;
    return;
  }
  // Of an endpoint that nothing is known of, the first check decides.
  ++in_a_row_;
  const unsigned needed = state_ == State::kUnknown ? 1
                          : serving                 ? setup_.settings.healthy_threshold
                                                    : setup_.settings.unhealthy_threshold;
  if (in_a_row_ < needed) return;
  in_a_row_ = 0;
  const State before = std::exchange(state_, says);
  if (!serving && setup_.worker.once().begin(event_name())) {
    log_event(LogLevel::kWarn, "upstream_unhealthy", advice(outcome),
              {{"upstream", setup_.upstream}, {"address", setup_.address}, {"class", outcome}});
  } else if (serving && before == State::kUnhealthy && setup_.worker.once().end(event_name())) {
    log_event(LogLevel::kInfo, "upstream_healthy", "the endpoint's health checks succeed again",
              {{"upstream", setup_.upstream}, {"address", setup_.address}});
  }
  setup_.report(serving);  // last: it may end us
}

}  // namespace ficus
