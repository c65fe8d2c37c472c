// One worker with its pools in a thread of its own, upstreams that answer by themselves, and calls that the test opens
// without a facade around them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "facade/metrics/families.h"
#include "facade/net/upstream_pool.h"
#include "facade/rpc/health_checker.h"
#include "facade/wire/grpc_status.h"
#include "tests/support/raw_h2.h"
#include "tests/support/stub_dns.h"

namespace ficus {

// Answers every call with a status, and health checks as it is told.
class SelfServing {
 public:
  enum class Health { kServing, kNotServing, kServiceUnknown, kUnimplemented, kNotFound, kSilent, kGarbage };
  SelfServing() : thread_([this] { serve(); }) {}
  ~SelfServing() {
    stop_ = true;
    thread_.join();
  }
  std::string address() const { return upstream_.address(); }
  void set_health(Health health) { health_ = health; }
  void set_status(int status) { status_ = status; }
  std::size_t calls() const { return calls_; }
  std::size_t checks() const { return checks_; }
  e2e::HeaderList last_check() const {
    const std::lock_guard lock(mutex_);
    return last_check_;
  }

 private:
  void serve() {
    while (!stop_) {
      const auto request = upstream_.next_request(std::chrono::milliseconds(20));
      if (!request) continue;
      if (e2e::find_header(request->head, ":path") != "/grpc.health.v1.Health/Check") {
        ++calls_;
        request->connection->send_headers(request->stream,
                                          e2e::grpc_response({{"grpc-status", std::to_string(status_)}}), true);
        continue;
      }
      {
        const std::lock_guard lock(mutex_);
        last_check_ = request->head;
      }
      ++checks_;
      answer_check(*request);
    }
  }
  void answer_check(const e2e::RawUpstream::Request& request) const {
    const auto message = [&](std::string bytes) {
      request.connection->send_headers(request.stream, e2e::grpc_response(), false);
      request.connection->send_data(request.stream, bytes, false);
      request.connection->send_headers(request.stream, e2e::grpc_trailers(), true);
    };
    const auto status = [&](const char* code) {
      request.connection->send_headers(request.stream, e2e::grpc_response({{"grpc-status", code}}), true);
    };
    switch (health_.load()) {
      case Health::kServing:
        return message(e2e::grpc_frame("\x08\x01"));
      case Health::kNotServing:
        return message(e2e::grpc_frame("\x08\x02"));
      case Health::kServiceUnknown:
        return message(e2e::grpc_frame("\x08\x03"));
      case Health::kGarbage:
        return message("\xff\xff\xff");
      case Health::kUnimplemented:
        return status("12");
      case Health::kNotFound:
        return status("5");
      case Health::kSilent:
        return;
    }
  }

  e2e::RawUpstream upstream_;
  std::atomic<Health> health_{Health::kServing};
  std::atomic<int> status_{0};
  std::atomic<std::size_t> calls_{0}, checks_{0};
  mutable std::mutex mutex_;
  e2e::HeaderList last_check_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// One call's end, as its caller sees it. Made by the test, filled on the worker.
class OpenCall final : public StreamEvents {
 public:
  bool over() const { return over_; }
  bool wait_over() const {
    return e2e::wait_until([this] { return over(); });
  }
  // Once over.
  std::string status, detail;  // grpc-status; or why there is none

  UpstreamStream* stream = nullptr;

 private:
  void on_headers(HeaderBlock& block, bool end_stream) override {
    if (!end_stream) return;
    end_with(block);
  }
  void on_data(std::string_view bytes) override { stream->consume(bytes.size()); }
  void on_end(HeaderBlock* trailers) override {
    if (trailers != nullptr) end_with(*trailers);
  }
  void on_sent(std::size_t) override {}
  void on_headers_too_large() override {}
  void on_closed(StreamEnd, std::uint32_t, std::string_view why) override {
    stream = nullptr;
    detail = why;
    over_ = true;
  }
  void on_shutdown(const ForcedEnd&) override {}
  void end_with(const HeaderBlock& block) {
    status = block.find("grpc-status").value_or("none");
    stream->report(static_cast<unsigned>(parse_grpc_status(block.find("grpc-status"))));
    std::exchange(stream, nullptr)->abandon();
    over_ = true;
  }
  std::atomic<bool> over_{false};
};

class UpstreamPoolTest : public ::testing::Test {
 protected:
  // Runs `work` on the worker and gives what it gives.
  template <class F>
  auto on_worker(F work) {
    auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
    auto done = task->get_future();
    worker_.post([task] { (*task)(); });
    return done.get();
  }
  UpstreamPoolTest()
      : shard_(metrics_.add_shard()),
        worker_(0, shard_, limits_, manners_, once_),
        resolver_(std::make_unique<DnsResolver>(worker_.io(), shard_, once_, DnsOptions{dns_.address()})),
        primary_(std::make_unique<UpstreamPool>(worker_, *resolver_, "primary")),
        shadow_(std::make_unique<UpstreamPool>(worker_, *resolver_, "shadow")) {
    primary_->set_probe_maker([](ProbeSetup setup) { return std::make_unique<HealthChecker>(std::move(setup)); });
    shadow_->follow(*primary_);
    thread_ = std::thread([this] { worker_.run(); });
  }
  ~UpstreamPoolTest() override {
    on_worker([&] {
      primary_->close_all();
      shadow_->close_all();
      worker_.stop_loop();
    });
    thread_.join();
    shadow_.reset();
    primary_.reset();
    resolver_.reset();
  }

  static UpstreamTarget target(const std::vector<std::string>& addresses) {
    UpstreamTarget target;
    target.name = "up";
    for (const std::string& address : addresses) target.endpoints.push_back(*parse_host_port(address));
    target.balance.kind = BalanceSettings::Kind::kRoundRobin;
    return target;
  }
  void configure(const UpstreamTarget& target) {
    on_worker([&] {
      primary_->configure({target}, true);
      shadow_->configure({target}, false);
    });
  }
  // Opens a call on the pool; it ends by itself where the upstream serves itself.
  std::shared_ptr<OpenCall> open(UpstreamPool& pool) {
    auto call = std::make_shared<OpenCall>();
    calls_.push_back(call);
    on_worker([&] {
      UpstreamStream* stream = pool.open(pool.find("up"), *call);
      ASSERT_NE(stream, nullptr);
      call->stream = stream;
      HeaderBlock head;
      head.add_static(":method", "POST");
      head.add_static(":scheme", "http");
      head.add_static(":path", "/inventory.v1.Inventory/Do");
      head.add_static(":authority", "test");
      head.add_static("te", "trailers");
      head.add_static("content-type", "application/grpc");
      stream->send_headers(std::move(head), true);
    });
    return call;
  }
  std::shared_ptr<OpenCall> open() { return open(*primary_); }
  // `count` calls one after the other; gives their statuses or reasons.
  std::vector<std::string> run(int count, UpstreamPool& pool) {
    std::vector<std::string> ends;
    for (int i = 0; i < count; ++i) {
      const auto call = open(pool);
      ends.push_back(!call->wait_over() ? "never ended" : call->status.empty() ? call->detail : call->status);
    }
    return ends;
  }
  std::vector<std::string> run(int count) { return run(count, *primary_); }
  std::uint64_t counter(const Family& family, LabelValues labels) { return shard_.counter(family, labels).value(); }
  double endpoints(std::string_view state, std::string_view role = "primary") {
    return shard_.gauge(families::kEndpoints, {"up", role, state}).value();
  }
  bool wait_endpoints(std::string_view state, double count, std::string_view role = "primary") {
    return e2e::wait_until([&] { return endpoints(state, role) == count; });
  }
  bool wait_connections(double count) {
    return e2e::wait_until([&] { return shard_.gauge(families::kConnections, {"up"}).value() == count; });
  }

  e2e::StubDns dns_;
  Metrics metrics_;
  MetricsShard& shard_;
  const H2Limits limits_;
  const ClientManners manners_;
  OnceGate once_;
  std::vector<std::shared_ptr<OpenCall>> calls_;  // outlive the worker's handlers
  Worker worker_;
  std::unique_ptr<DnsResolver> resolver_;
  std::unique_ptr<UpstreamPool> primary_, shadow_;
  std::thread thread_;
};

}  // namespace ficus
