// POLICY 4, reads.fallback: legacy is asked where the new side serves a read and fails it, while nothing of the new
// side's answer has gone to the client.
#include <future>

#include "tests/e2e/two_sided_fixture.h"

namespace ficus::e2e {
namespace {

using grpc::StatusCode;

const grpc::Status kMissing(StatusCode::NOT_FOUND, "no such policy here");

class FallbackTest : public TwoSidedTest {
 protected:
  TwoSided policy(const std::string& reads = "shadow: {percent: 0}") {
    TwoSided p = parts();
    p.rules = "  - {name: first, capability: inquiry, stage: canary, reads: {serve: new, " + reads +
              ", fallback: {on: [NOT_FOUND, UNAVAILABLE]}}}\n";
    return p;
  }
  double fallbacks(const std::string& outcome) const {
    return metric("ficus_fallbacks_total", {{"capability", "inquiry"}, {"outcome", outcome}});
  }
  double answered(const std::string& side, const std::string& status) const {
    return metric("ficus_calls_total", {{"side", side}, {"role", "primary"}, {"grpc_status", status}});
  }
};

TEST_F(FallbackTest, LegacyAnswersWhatTheNewSideDoesNotFind) {
  new_.set_script(fail(kMissing));
  start(policy());
  const UnaryReply reply = get("t", "P-1", {{"x-one", "1"}});
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.message(), "legacy");
  const auto asked = legacy_.wait_ended(0);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->messages, std::vector{get_policy_request("P-1")});
  EXPECT_EQ(values_of(asked->metadata, "x-one"), std::vector<std::string>{"1"});
  EXPECT_EQ(values_of(asked->metadata, "x-ficus-shadow").size(), 0u);
  ASSERT_TRUE(ficus_->wait_metric("ficus_fallbacks_total", {{"outcome", "ok"}}, 1));
  EXPECT_EQ(answered("new", "NOT_FOUND"), 1) << "the serving side's result is its own";
  EXPECT_EQ(metric("ficus_calls_total", {{"role", "primary"}}), 1) << "one call was counted twice";
}

TEST_F(FallbackTest, LegacyAnswersWhileTheNewSideIsDown) {
  new_.stop();
  start(policy());
  const UnaryReply reply = get("t", "P-1");
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.message(), "legacy");
  EXPECT_TRUE(ficus_->wait_metric("ficus_calls_total", {{"side", "new"}, {"grpc_status", "UNAVAILABLE"}}, 1));
}

TEST_F(FallbackTest, LegacyAnswersWhenTheNewSidesConnectionBreaksAfterItsHead) {
  RawUpstream raw;
  TwoSided p = policy();
  p.new_ = raw.address();
  start(p);
  auto reply = std::async(std::launch::async, [&] { return get("t", "P-1"); });
  const auto first = raw.next_request();
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->connection->wait([&](const RawH2::State& s) { return s.streams.at(first->stream).ended; }));
  first->connection->send_headers(first->stream, grpc_response({{"x-side", "new"}}), false);
  first->connection->close();
  const UnaryReply got = reply.get();
  EXPECT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.message(), "legacy");
  EXPECT_TRUE(values_of(got.initial_metadata, "x-side").empty()) << "the new side's head went to the client";
}

TEST_F(FallbackTest, TheClientSeesLegacysHeadOnly) {
  new_.set_script([](UpstreamCall& c) {
    c.read();
    c.add_initial_metadata("x-side", "new");
    c.send_initial_metadata();
    return kMissing;
  });
  legacy_.set_script([](UpstreamCall& c) {
    c.read();
    c.add_initial_metadata("x-side", "legacy");
    c.write("legacy");
    return grpc::Status::OK;
  });
  start(policy());
  const UnaryReply reply = get("t", "P-1");
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(values_of(reply.initial_metadata, "x-side"), std::vector<std::string>{"legacy"});
}

TEST_F(FallbackTest, AnAnswerWhoseFirstMessageWasPassedOnIsTheAnswer) {
  new_.set_script([](UpstreamCall& c) {
    c.read();
    c.write("half");
    return kMissing;
  });
  start(policy());
  EXPECT_EQ(get("t", "P-1").status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(stays([&] { return legacy_.calls() == 0; }));
}

TEST_F(FallbackTest, OtherStatusesAndSuccessAreTheNewSidesAnswer) {
  start(policy());
  EXPECT_EQ(get("t", "P-1").message(), "new");
  new_.set_script(fail({StatusCode::FAILED_PRECONDITION, "no"}));
  EXPECT_EQ(get("t", "P-1").status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(stays([&] { return legacy_.calls() == 0; }));
}

TEST_F(FallbackTest, LegacysAnswerIsTheLast) {
  new_.set_script(fail(kMissing));
  legacy_.set_script(fail({StatusCode::UNAVAILABLE, "legacy is down"}));
  start(policy("shadow: {percent: 0}, retry: {on: [UNAVAILABLE], attempts: 5}"));
  const UnaryReply reply = get("t", "P-1");
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(reply.status.error_message(), "legacy is down");
  EXPECT_EQ(legacy_.calls(), 1u);
  EXPECT_EQ(new_.calls(), 1u);
  ASSERT_TRUE(ficus_->wait_metric("ficus_fallbacks_total", {{"outcome", "failed"}}, 1));
  EXPECT_EQ(answered("new", "NOT_FOUND"), 1);
}

TEST_F(FallbackTest, TheNewSideIsAskedAgainBeforeLegacyIs) {
  new_.set_script(fail({StatusCode::UNAVAILABLE, "down"}));
  start(policy("shadow: {percent: 0}, retry: {on: [UNAVAILABLE]}"));
  EXPECT_EQ(get("t", "P-1").message(), "legacy");
  EXPECT_EQ(new_.calls(), 2u);
  EXPECT_EQ(legacy_.calls(), 1u);
}

TEST_F(FallbackTest, APushbackKeepsTheNewSideAloneAndNotLegacy) {
  new_.set_script([](UpstreamCall& c) {
    c.read();
    c.add_trailer("grpc-retry-pushback-ms", "-1");
    return grpc::Status(StatusCode::UNAVAILABLE, "down");
  });
  start(policy("shadow: {percent: 0}, retry: {on: [UNAVAILABLE]}"));
  EXPECT_EQ(get("t", "P-1").message(), "legacy");
  EXPECT_EQ(new_.calls(), 1u);
}

TEST_F(FallbackTest, ARequestBeyondTheBufferIsNotAskedOfLegacy) {
  new_.set_script(fail(kMissing));
  start(policy());
  const UnaryReply reply =
      call(channel_, method("GetPolicy"), get_policy_request("P-1", 70'000), {.metadata = {{"x-tenant-id", "t"}}});
  EXPECT_EQ(reply.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(reply.status.error_message(), "no such policy here");
  EXPECT_TRUE(stays([&] { return legacy_.calls() == 0; }));
  EXPECT_EQ(fallbacks("request_too_large"), 1);
}

TEST_F(FallbackTest, AnOutageOfTheNewSideDoesNotDrownLegacy) {
  new_.set_script(fail(kMissing));
  start(policy());
  constexpr int kCalls = 40;
  int saved = 0;
  for (int i = 0; i < kCalls; ++i) saved += get("t", "P-1").status.ok() ? 1 : 0;
  EXPECT_EQ(legacy_.calls(), static_cast<std::size_t>(saved));
  EXPECT_GE(saved, 3);
  EXPECT_LE(saved, 8 + 9) << "20 %, and three more for each ten seconds that a slow machine takes";
  EXPECT_EQ(fallbacks("budget"), kCalls - saved);
}

TEST_F(FallbackTest, TheDeadlineHoldsForLegacyToo) {
  constexpr auto kGiven = std::chrono::milliseconds(1500), kLeft = std::chrono::milliseconds(1000);
  new_.set_script([&](UpstreamCall& c) {
    c.read();
    EXPECT_TRUE(wait_until([&] { return c.time_left() && *c.time_left() <= kLeft; }));
    return kMissing;
  });
  legacy_.set_script([](UpstreamCall& c) {
    c.wait_cancelled();
    return grpc::Status::CANCELLED;
  });
  start(policy());
  const UnaryReply reply = call(channel_, method("GetPolicy"), get_policy_request("P-1"),
                                {.metadata = {{"x-tenant-id", "t"}}, .deadline = kGiven});
  EXPECT_EQ(reply.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  const auto asked = legacy_.wait_ended(0);
  ASSERT_TRUE(asked);
  ASSERT_TRUE(asked->time_left);
  // Each gRPC server counts from its own idea of now, a few milliseconds old at times.
  EXPECT_LE(*asked->time_left, kLeft + (kGiven - kLeft) / 2) << "legacy was told more than what was left";
}

TEST_F(FallbackTest, AClientThatLeavesCancelsLegacy) {
  new_.set_script(fail(kMissing));
  legacy_.set_script([](UpstreamCall& c) {
    c.wait_cancelled();
    return grpc::Status::CANCELLED;
  });
  start(policy());
  ClientCall open(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "t"}}});
  ASSERT_TRUE(open.write(get_policy_request("P-1")));
  open.writes_done();
  ASSERT_TRUE(legacy_.wait_call(0));
  open.cancel();
  const auto asked = legacy_.wait_ended(0);
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->cancelled);
  EXPECT_TRUE(wait_until([&] { return metric("ficus_streams", {{"role", "primary"}}) == 0; }));
}

TEST_F(FallbackTest, AFullLegacyLeavesTheNewSidesAnswer) {
  new_.set_script(fail(kMissing));
  legacy_.set_script([this](UpstreamCall& c) {
    c.wait_for(gate_);
    return grpc::Status::OK;
  });
  TwoSided p = policy();
  p.legacy_extra = ", max_concurrent_requests: 1";
  start(p);
  ClientCall holder(channel_, kPath, {});
  ASSERT_TRUE(legacy_.wait_call(0));
  const UnaryReply reply = get("t", "P-1");
  EXPECT_EQ(reply.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(reply.status.error_message(), "no such policy here");
  EXPECT_EQ(fallbacks("max_concurrent_requests"), 1);
  gate_.open();
  EXPECT_TRUE(holder.finish().ok());
}

TEST_F(FallbackTest, AMarkedReadIsNotAskedOfLegacy) {
  new_.set_script(fail(kMissing));
  start(policy());
  EXPECT_EQ(get("t", "P-1", {{"x-ficus-shadow", "1"}}).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(stays([&] { return legacy_.calls() == 0; }));
}

TEST_F(FallbackTest, ATesterWhoAsksForTheNewSideSeesItsAnswer) {
  new_.set_script(fail(kMissing));
  TwoSided p = policy();
  p.inquiry_extra += "    overrides: {metadata: x-side, token: \"file:qa.token\"}\n";
  start(p, {.files = {{"qa.token", "s3cret\n"}}});
  EXPECT_EQ(get("t", "P-1", {{"x-side", "new;s3cret"}}).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(legacy_.calls(), 0u);
  EXPECT_EQ(get("t", "P-1").message(), "legacy");
}

TEST_F(FallbackTest, AWriteIsNeverAskedOfTheOtherSide) {
  legacy_.set_script(fail(kMissing));
  start(policy());
  EXPECT_EQ(endorse("t").status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(legacy_.calls(), 1u);
  EXPECT_EQ(new_.calls(), 0u);
}

TEST_F(FallbackTest, TheComparisonSeesTheNewSidesAnswerAndNotLegacysTwice) {
  new_.set_script(fail(kMissing));
  legacy_.set_script(answer({policy_response("P-1")}));
  start(policy("shadow: {percent: 100}"));
  EXPECT_TRUE(get("t", "P-1").status.ok());
  ASSERT_TRUE(wait_verdicts(1));
  EXPECT_EQ(verdicts("match"), 0) << "legacy was compared with itself";
  EXPECT_EQ(verdicts("mismatch"), 1) << ficus_->metrics().print("ficus_shadow");
}

// ---- with a shadow on legacy under way: its answer is legacy's, and no further request is sent

// Legacy as it answers a shadow: with a head, a message and a trailer of its own, once `gate` (if any) is open.
Script legacys_own(Gate* gate = nullptr) {
  return [gate](UpstreamCall& c) {
    c.read();
    if (gate != nullptr) c.wait_for(*gate);
    c.add_initial_metadata("x-side", "legacy");
    c.write("legacy");
    c.add_trailer("x-end", "legacy");
    return grpc::Status::OK;
  };
}

// The new side, which has not got the entity and says so once the gate is open.
Script missing_behind(Gate& gate) {
  return [&gate](UpstreamCall& c) {
    c.read();
    c.wait_for(gate);
    return kMissing;
  };
}

void expect_legacys_own(const UnaryReply& reply) {
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.message(), "legacy");
  EXPECT_EQ(values_of(reply.initial_metadata, "x-side"), std::vector<std::string>{"legacy"});
  EXPECT_EQ(values_of(reply.trailers, "x-end"), std::vector<std::string>{"legacy"});
}

TEST_F(FallbackTest, AShadowThatHasAnsweredIsPassedOn) {
  new_.set_script(missing_behind(gate_));
  legacy_.set_script(legacys_own());
  start(policy("shadow: {percent: 100}"));
  auto reply = std::async(std::launch::async, [&] { return get("t", "P-1"); });
  ASSERT_TRUE(ficus_->wait_metric("ficus_calls_total", {{"side", "legacy"}, {"role", "shadow"}}, 1));
  gate_.open();
  expect_legacys_own(reply.get());
  EXPECT_EQ(legacy_.calls(), 1u) << "legacy was asked twice";
  EXPECT_TRUE(ficus_->wait_metric("ficus_fallbacks_total", {{"outcome", "ok"}}, 1));
  EXPECT_EQ(answered("new", "NOT_FOUND"), 1);
  EXPECT_TRUE(wait_verdicts(1));
  EXPECT_EQ(verdicts("mismatch"), 1) << ficus_->metrics().print("ficus_shadow");
}

TEST_F(FallbackTest, AShadowThatIsUnderWayIsWaitedFor) {
  new_.set_script(fail(kMissing));
  legacy_.set_script(legacys_own(&gate_));
  start(policy("shadow: {percent: 100}"));
  auto reply = std::async(std::launch::async, [&] { return get("t", "P-1"); });
  ASSERT_TRUE(new_.wait_ended(0));
  ASSERT_TRUE(legacy_.wait_call(0));
  gate_.open();
  expect_legacys_own(reply.get());
  EXPECT_EQ(legacy_.calls(), 1u) << "legacy was asked twice";
  EXPECT_TRUE(wait_verdicts(1));
}

TEST_F(FallbackTest, AShadowIsPassedOnWhileTheNewSideIsDown) {
  new_.stop();
  legacy_.set_script(legacys_own());
  start(policy("shadow: {percent: 100}"));
  constexpr int kCalls = 30;  // far beyond the budget, of which they take nothing
  for (int i = 0; i < kCalls; ++i) expect_legacys_own(get("t", "P-1"));
  EXPECT_EQ(answered("new", "UNAVAILABLE"), kCalls);
  EXPECT_EQ(legacy_.calls(), static_cast<std::size_t>(kCalls));
  EXPECT_TRUE(wait_verdicts(begun()));
}

TEST_F(FallbackTest, ARequestBeyondTheBufferNeedsNoneWhereAShadowHasIt) {
  new_.set_script(missing_behind(gate_));
  legacy_.set_script(legacys_own());
  start(policy("shadow: {percent: 100}"));
  auto reply = std::async(std::launch::async, [&] {
    return call(channel_, method("GetPolicy"), std::string(100'000, 'x'), {.metadata = {{"x-tenant-id", "t"}}});
  });
  ASSERT_TRUE(ficus_->wait_metric("ficus_calls_total", {{"side", "legacy"}, {"role", "shadow"}}, 1));
  gate_.open();
  expect_legacys_own(reply.get());
}

TEST_F(FallbackTest, WhereTheShadowFailsLegacyIsAskedAsIfThereHadBeenNone) {
  new_.set_script(missing_behind(gate_));
  Gate never;
  legacy_.set_script([&](UpstreamCall& c) {
    c.read();
    for (const auto& [name, value] : c.metadata()) {
      if (name == "x-ficus-shadow") c.wait_for(never);
    }
    c.write("legacy");
    return grpc::Status::OK;
  });
  start(policy("shadow: {percent: 100, deadline: 300ms}"));
  auto reply = std::async(std::launch::async, [&] { return get("t", "P-1"); });
  ASSERT_TRUE(legacy_.wait_call(0));
  gate_.open();
  const UnaryReply got = reply.get();
  EXPECT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.message(), "legacy");
  EXPECT_EQ(legacy_.calls(), 2u);
  EXPECT_TRUE(ficus_->wait_metric("ficus_fallbacks_total", {{"outcome", "ok"}}, 1));
  EXPECT_TRUE(wait_verdicts(1));
}

TEST_F(FallbackTest, TheDeadlineHoldsWhileAShadowIsWaitedFor) {
  new_.set_script(fail(kMissing));
  Gate never;
  legacy_.set_script(legacys_own(&never));
  start(policy("shadow: {percent: 100}"));
  const UnaryReply reply =
      call(channel_, method("GetPolicy"), get_policy_request("P-1"),
           {.metadata = {{"x-tenant-id", "t"}}, .deadline = std::chrono::milliseconds(300)});
  EXPECT_EQ(reply.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(wait_verdicts(1)) << "the shadow was forgotten";
  EXPECT_TRUE(ficus_->running());
}

TEST_F(FallbackTest, AClientThatLeavesWhileAShadowIsWaitedForLeavesNothingBehind) {
  new_.set_script(fail(kMissing));
  legacy_.set_script(legacys_own(&gate_));
  start(policy("shadow: {percent: 100}"));
  ClientCall leaving(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "t"}}});
  ASSERT_TRUE(leaving.write(get_policy_request("P-1")));
  ASSERT_TRUE(leaving.writes_done());
  ASSERT_TRUE(new_.wait_ended(0));
  ASSERT_TRUE(legacy_.wait_call(0));
  leaving.cancel();
  EXPECT_FALSE(leaving.finish().ok());
  gate_.open();
  EXPECT_TRUE(wait_verdicts(1)) << "the shadow was forgotten";
  expect_legacys_own(get("t", "P-2"));
}

}  // namespace
}  // namespace ficus::e2e
