// GUIDE 8 and issue section 4: a shadow never delays, fails or slows the client, whatever its side does; and every
// shadow begun ends in exactly one counted verdict.
#include <random>
#include <thread>

#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

using Clock = std::chrono::steady_clock;
class ShadowMannersTest : public ShadowTest {
 protected:
  // Reads that all succeed, each far faster than any shadow's deadline.
  void expect_quick_reads(int count, std::chrono::milliseconds each = std::chrono::milliseconds(2000)) {
    for (int i = 0; i < count; ++i) {
      const auto begin = Clock::now();
      ASSERT_NO_FATAL_FAILURE(expect_read("P-" + std::to_string(i))) << "read " << i;
      ASSERT_LT(Clock::now() - begin, each) << "read " << i << " was delayed by its shadow";
    }
  }
  // begun = the sum of all verdicts, exactly, once nothing is under way; `at_least` begun in all.
  void expect_books_balance(double at_least) {
    EXPECT_TRUE(wait_until([&] {
      const MetricsSnapshot all = ficus_->metrics();
      return all.sum("ficus_shadow_begun_total") >= at_least &&
             all.sum("ficus_shadow_verdicts_total") >= all.sum("ficus_shadow_begun_total");
    })) << shadow_metrics();
    EXPECT_TRUE(stays([&] {
      const MetricsSnapshot all = ficus_->metrics();
      return all.sum("ficus_shadow_verdicts_total") == all.sum("ficus_shadow_begun_total");
    })) << shadow_metrics();
  }
};

Script stall() {
  return [](UpstreamCall& call) {
    call.wait_cancelled(4 * kPatience);
    return grpc::Status::CANCELLED;
  };
}

TEST_F(ShadowMannersTest, AStalledShadowNeverDelaysTheClientAndIsAbandonedAtItsDeadline) {
  new_.set_script(stall());
  start_shadowing("percent: 100, deadline: 400ms");
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(30));
  EXPECT_TRUE(wait_abandoned("shadow_deadline_exceeded", 30)) << shadow_metrics();
  expect_books_balance(30);
  EXPECT_TRUE(wait_until([&] { return new_.running() == 0; })) << "abandoned shadows are not cancelled";
}

TEST_F(ShadowMannersTest, AShadowThatStopsInTheMiddleNeverDelaysTheClient) {
  new_.set_script([](UpstreamCall& call) {
    call.read();
    call.write("half of it");
    call.wait_cancelled(4 * kPatience);
    return grpc::Status::CANCELLED;
  });
  start_shadowing("percent: 100, deadline: 400ms");
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(20));
  EXPECT_TRUE(wait_verdict("abandoned", 20)) << shadow_metrics();
  expect_books_balance(20);
}

TEST_F(ShadowMannersTest, AShadowThatTakesNoBytesOfTheRequestNeverDelaysTheClient) {
  RawH2::Options deaf;
  deaf.give_window = false;
  deaf.settings = {{kInitialWindowSize, 100}};
  RawUpstream upstream(deaf);
  start_shadowing("percent: 100, deadline: 500ms", {}, upstream.address());
  const auto begin = Clock::now();
  for (int i = 0; i < 10; ++i) {
    const UnaryReply reply = call(channel_, method("GetPolicy"), get_policy_request("P-1", 500000),
                                  {.metadata = {{"x-tenant-id", "shady"}}});
    ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  }
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  wait_until([&] {
    upstream.accept(std::chrono::milliseconds(0));
    return verdicts("abandoned") >= 10;
  });
  expect_books_balance(10);
}

TEST_F(ShadowMannersTest, AHugeShadowAnswerIsAbandonedAndNeverHeldInMemory) {
  new_.set_script([](UpstreamCall& call) {
    call.read();
    const std::string block = noise(1 << 20);
    for (int i = 0; i < 64 && call.write(block); ++i) {
    }
    return grpc::Status::OK;
  });
  start_shadowing();
  const std::size_t before = ficus_->resident_memory_bytes();
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(10));
  EXPECT_TRUE(wait_verdict("abandoned", 10)) << shadow_metrics();
  expect_books_balance(10);
  EXPECT_TRUE(wait_until([&] { return new_.running() == 0; })) << "ficus goes on reading what it abandoned";
  if (!kSanitized) {
    EXPECT_LT(ficus_->resident_memory_bytes(), before + (64u << 20));
  }
}

TEST_F(ShadowMannersTest, AnAnswerThatInflatesWithoutEndIsNotComparedWithoutEnd) {
  new_.set_script([](UpstreamCall& call) {
    call.read();
    call.compress();
    call.write(std::string(64u << 20, 'z'));  // gzip makes some 64 KB of it, within the capture limit
    return grpc::Status::OK;
  });
  start_shadowing("percent: 100, deadline: 10s");
  const std::size_t before = ficus_->peak_memory_bytes();
  const CallOptions takes_gzip = {.metadata = {{"x-tenant-id", "shady"}}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(call(channel_, method("GetPolicy"), get_policy_request("P-1"), takes_gzip).message(), "legacy");
  }
  expect_books_balance(3);
  EXPECT_EQ(verdicts("match"), 0);
  if (!kSanitized) {
    EXPECT_LT(ficus_->peak_memory_bytes(), before + (32u << 20));
  }
}

TEST_F(ShadowMannersTest, ShadowsTravelOnConnectionsOfTheirOwn) {
  RawUpstream upstream;
  TwoSided both = parts();
  both.new_ = upstream.address();
  both.rules = kRules;
  start(both, options());
  const auto client = RawH2::connect(ficus_->address());
  client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "acme"}}), true);
  const auto primary = upstream.next_request();
  ASSERT_TRUE(primary);
  expect_read();
  const auto shadow = upstream.next_request();
  ASSERT_TRUE(shadow);
  EXPECT_EQ(find_header(primary->head, "x-ficus-shadow"), std::nullopt);
  EXPECT_EQ(find_header(shadow->head, "x-ficus-shadow"), "1");
  EXPECT_NE(primary->connection, shadow->connection) << "a shadow shares its windows with clients' calls";
}

TEST_F(ShadowMannersTest, AShadowUnderWayDoesNotHoldTheEnd) {
  new_.set_script(stall());
  TwoSided shadowed = parts();
  shadowed.rules = shady("percent: 100, deadline: 5s");
  FicusOptions patient = options();
  patient.drain_seconds = 30;
  start(shadowed, patient);
  expect_read();
  ASSERT_TRUE(new_.wait_call(0));
  EXPECT_EQ(ficus_->terminate(std::chrono::milliseconds(8000)), 0);
}

TEST_F(ShadowMannersTest, AHugePrimaryAnswerReachesTheClientWholeAndIsNotHeld) {
  const std::string block = noise(1 << 20);
  legacy_.set_script([block](UpstreamCall& call) {
    call.read();
    for (int i = 0; i < 40 && call.write(block); ++i) {
    }
    return grpc::Status::OK;
  });
  start_shadowing();
  const std::size_t before = ficus_->peak_memory_bytes();
  const UnaryReply reply =
      call(channel_, method("StreamHistory"), get_policy_request("P-1"), {.metadata = {{"x-tenant-id", "shady"}}});
  ASSERT_TRUE(reply.status.ok());
  ASSERT_EQ(reply.messages.size(), 40u);
  for (const std::string& message : reply.messages) ASSERT_TRUE(message == block);
  expect_books_balance(1);
  if (!kSanitized) {
    EXPECT_LT(ficus_->peak_memory_bytes(), before + (24u << 20));
  }
}

TEST_F(ShadowMannersTest, ARefusingSideFailsNoClient) {
  start_shadowing("percent: 100", {}, refusing_address());
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(20));
  EXPECT_TRUE(wait_abandoned("shadow_unavailable", 20)) << shadow_metrics();
  expect_books_balance(20);
}

TEST_F(ShadowMannersTest, ASideThatNeverAcceptsFailsNoClient) {
  Listener full(0);
  std::vector<Socket> fill;
  for (int i = 0; i < 4; ++i) fill.push_back(begin_connect_loopback(full.address()));
  start_shadowing("percent: 100, deadline: 500ms", {}, full.address());
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(20));
  EXPECT_TRUE(wait_verdict("abandoned", 20)) << shadow_metrics();
  expect_books_balance(20);
}

TEST_F(ShadowMannersTest, ASideThatDiesInTheMiddleFailsNoClient) {
  new_.set_script(stall());
  start_shadowing();
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(10));
  ASSERT_TRUE(new_.wait_call(9));
  new_.stop();
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(10));
  expect_books_balance(20);
}

TEST_F(ShadowMannersTest, ASlowShadowIsStillComparedAfterTheClientHasItsAnswer) {
  new_.set_script([this](UpstreamCall& call) {
    while (call.read()) {
    }
    call.wait_for(gate_);
    call.write("legacy");
    return grpc::Status::OK;
  });
  start_shadowing();
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(5));
  EXPECT_EQ(metric("ficus_shadow_verdicts_total"), 0);
  gate_.open();
  EXPECT_TRUE(wait_verdict("match", 5)) << shadow_metrics();
}

TEST_F(ShadowMannersTest, TheShadowGoesOnWhenTheClientIsGoneAfterThePrimaryAnswered) {
  new_.set_script([this](UpstreamCall& call) {
    while (call.read()) {
    }
    EXPECT_TRUE(call.wait_for(gate_)) << "the shadow was cancelled with its client";
    call.write("legacy");
    return grpc::Status::OK;
  });
  start_shadowing();
  {
    const auto client = RawH2::connect(ficus_->address());
    const std::uint32_t stream = client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "shady"}}));
    client->send_data(stream, grpc_frame(get_policy_request("P-1")), true);
    ASSERT_TRUE(client->wait_over(stream));
    EXPECT_EQ(find_header(client->stream(stream).blocks.back(), "grpc-status"), "0");
  }  // gone
  ASSERT_TRUE(new_.wait_call(0));
  EXPECT_TRUE(stays([&] { return metric("ficus_shadow_verdicts_total") == 0; }));
  gate_.open();
  EXPECT_TRUE(wait_verdict("match")) << shadow_metrics();
}

TEST_F(ShadowMannersTest, AClientThatCancelsBeforeTheAnswerMakesTheCallIncomparable) {
  legacy_.set_script(stall());
  start_shadowing();
  ClientCall client(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "shady"}}});
  client.write(get_policy_request("P-1"));
  client.writes_done();
  ASSERT_TRUE(new_.wait_call(0));
  client.cancel();
  EXPECT_TRUE(ficus_->wait_metric("ficus_shadow_verdicts_total",
                                  {{"verdict", "incomparable"}, {"reason", "primary_failed"}}, 1))
      << shadow_metrics();
  expect_books_balance(1);
}

TEST_F(ShadowMannersTest, AStalledClientReaderDoesNotStallItsShadow) {
  const std::string answer_bytes(400000, 'a');
  legacy_.set_script(answer({answer_bytes}));
  new_.set_script(answer({answer_bytes}));
  start_shadowing();
  RawH2::Options stalled;
  stalled.give_window = false;
  const auto client = RawH2::connect(ficus_->address(), stalled);
  const std::uint32_t stream = client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "shady"}}));
  client->send_data(stream, grpc_frame(get_policy_request("P-1")), true);
  ASSERT_TRUE(client->wait_data(stream, 65535));
  EXPECT_TRUE(new_.wait_ended(0)) << "the shadow's answer waits for the client";
  client->send_window_update(0, 1 << 20);
  client->send_window_update(stream, 1 << 20);
  ASSERT_TRUE(client->wait_over(stream));
  EXPECT_TRUE(wait_verdict("match")) << shadow_metrics();
}

TEST_F(ShadowMannersTest, ShadowsInFlightStayWithinTheirLimit) {
  new_.set_script([this](UpstreamCall& call) {
    while (call.read()) {
    }
    call.wait_for(gate_);
    call.write("legacy");
    return grpc::Status::OK;
  });
  start_shadowing("percent: 100, max_in_flight: 3");
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(20));
  ASSERT_TRUE(new_.wait_call(2));
  EXPECT_TRUE(stays([&] { return new_.calls() == 3; })) << new_.calls() << " in flight";
  gate_.open();
  EXPECT_TRUE(wait_until([&] {
    return metric("ficus_shadow_verdicts_total") + metric("ficus_not_shadowed_total") == 20;
  })) << shadow_metrics();
  EXPECT_GE(metric("ficus_limit_hits_total"), 17) << shadow_metrics();
  expect_books_balance(3);
  expect_read();
  EXPECT_TRUE(new_.wait_call(3)) << "the limit is not given back";
}

TEST_F(ShadowMannersTest, TheUpstreamsOwnLimitAbandonsShadowsAndFailsNoClient) {
  TwoSided limited = parts();
  limited.rules = shady("percent: 100, deadline: 1s");
  limited.new_extra = ", max_concurrent_requests: 2";
  new_.set_script(stall());
  start(limited, options());
  ASSERT_NO_FATAL_FAILURE(expect_quick_reads(10));
  EXPECT_LE(new_.calls(), 2u);
  EXPECT_TRUE(wait_until([&] {
    return metric("ficus_shadow_verdicts_total") + metric("ficus_not_shadowed_total") == 10;
  })) << shadow_metrics();
  expect_books_balance(2);
}

TEST_F(ShadowMannersTest, EveryShadowBegunEndsInExactlyOneVerdictUnderLoadAndFaults) {
  const auto unruly = [](const std::string& name) {
    return [name, next = std::make_shared<std::atomic<int>>(0)](UpstreamCall& call) {
      const int turn = (*next)++;
      while (call.read()) {
      }
      switch (turn % 11) {
        case 0:
          return grpc::Status(grpc::StatusCode::NOT_FOUND, "no");
        case 1:
          return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
        case 2:
          return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full");
        case 3:
          call.wait_cancelled(std::chrono::milliseconds(400));
          return grpc::Status(grpc::StatusCode::CANCELLED, "late");
        case 4:
          call.write("half");
          return grpc::Status(grpc::StatusCode::INTERNAL, "broke");
        case 5:
          call.write(noise(1500000));
          return grpc::Status::OK;
        case 6:
          call.write(policy_response("P-1", name == "legacy" ? 1 : 2));
          return grpc::Status::OK;
        case 7:
          call.write("\xff not a message");
          return grpc::Status::OK;
        default:
          call.write(policy_response("P-1"));
          return grpc::Status::OK;
      }
    };
  };
  legacy_.set_script(unruly("legacy"));
  new_.set_script(unruly("new"));
  TwoSided shadowed = parts();
  shadowed.rules = shady("percent: 100, deadline: 200ms, max_in_flight: 16");
  FicusOptions two_workers = options();
  two_workers.workers = 2;
  start(shadowed, two_workers);
  constexpr int kThreads = 6, kCalls = 60;
  std::vector<std::thread> load;
  for (int t = 0; t < kThreads; ++t) {
    load.emplace_back([&, t] {
      const auto channel = make_channel(ficus_->address());
      for (int i = 0; i < kCalls; ++i) {
        CallOptions how = {.metadata = {{"x-tenant-id", "shady"}}};
        if (i % 7 == 3) how.deadline = std::chrono::milliseconds(20);
        ClientCall one(channel, method(i % 5 == 0 ? "StreamHistory" : "GetPolicy"), how);
        one.write(get_policy_request("P-" + std::to_string(t * 1000 + i)));
        if (i % 11 == 5) one.cancel();  // before half-close
        one.writes_done();
        if (i % 13 == 6) one.cancel();  // after it
        one.finish();
      }
    });
  }
  for (std::thread& thread : load) thread.join();
  expect_books_balance(kThreads * kCalls / 2);
  const MetricsSnapshot all = ficus_->metrics();
  // A call cancelled before ficus saw its head is in neither count.
  EXPECT_LE(all.sum("ficus_shadow_begun_total") + all.sum("ficus_not_shadowed_total"), kThreads * kCalls);
  for (const char* verdict : {"match", "mismatch", "abandoned", "incomparable"}) {
    EXPECT_GT(all.sum("ficus_shadow_verdicts_total", {{"verdict", verdict}}), 0) << verdict << "\n" << shadow_metrics();
  }
  EXPECT_TRUE(wait_until([&] { return metric("ficus_streams") == 0; })) << ficus_->metrics().print("ficus_streams");
}

}  // namespace
}  // namespace ficus::e2e
