// Issue sections 4 and 5 end to end: when a shadow begins, what it sends, and what becomes of the two answers.
#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

Script answer_response(const std::string& response) { return answer({response}); }

// ---- what is sent

TEST_F(ShadowTest, TheOtherSideGetsTheSameRequestWithTheMarkerAndASpanOfItsOwn) {
  start_shadowing();
  const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string request = get_policy_request("P-7", 3000);
  const UnaryReply reply = call(channel_, method("GetPolicy"), request,
                                {.metadata = {{"x-tenant-id", "shady"},
                                              {"x-some-bin", std::string("\0\1\2", 3)},
                                              {"x-again", "1"},
                                              {"x-again", "2"},
                                              {"traceparent", "00-" + trace_id + "-00f067aa0ba902b7-01"}},
                                 .authority = "policies.example"});
  EXPECT_EQ(reply.message(), "legacy");
  const auto primary = legacy_.wait_ended(0), shadow = new_.wait_ended(0);
  ASSERT_TRUE(shadow) << "no shadow came";
  EXPECT_EQ(shadow->path, method("GetPolicy"));
  EXPECT_EQ(shadow->authority, "policies.example");
  EXPECT_EQ(shadow->messages, std::vector<std::string>{request});
  EXPECT_TRUE(shadow->half_closed);
  EXPECT_EQ(values_of(shadow->metadata, "x-ficus-shadow"), std::vector<std::string>{"1"});
  EXPECT_TRUE(values_of(primary->metadata, "x-ficus-shadow").empty()) << "the primary is marked";
  for (const char* name : {"x-tenant-id", "x-some-bin", "x-again"}) {
    EXPECT_EQ(values_of(shadow->metadata, name), values_of(primary->metadata, name)) << name;
  }
  const std::string of_primary = values_of(primary->metadata, "traceparent").at(0);
  const std::string of_shadow = values_of(shadow->metadata, "traceparent").at(0);
  EXPECT_EQ(of_primary.substr(3, 32), trace_id);
  EXPECT_EQ(of_shadow.substr(3, 32), trace_id);
  EXPECT_NE(of_primary.substr(36, 16), of_shadow.substr(36, 16)) << "two legs, one span";
}

TEST_F(ShadowTest, AShadowsDeadlineIsItsOwnAndAtMostFiveSecondsByDefault) {
  start_shadowing();
  expect_read();
  const auto no_deadline = new_.wait_call(0);
  ASSERT_TRUE(no_deadline);
  ASSERT_TRUE(no_deadline->time_left.has_value());
  EXPECT_LE(no_deadline->time_left->count(), 5000);
  EXPECT_GT(no_deadline->time_left->count(), 2500);
  EXPECT_EQ(legacy_.records().at(0).time_left, std::nullopt) << "the primary got the shadow's deadline";
  call(channel_, method("GetPolicy"), get_policy_request("P-1"),
       {.metadata = {{"x-tenant-id", "shady"}}, .deadline = std::chrono::milliseconds(2000)});
  ASSERT_TRUE(new_.wait_call(1));
  EXPECT_LE(new_.records().at(1).time_left->count(), 2100) << "not within what remains";  // gRPC C++ rounds up
}

TEST_F(ShadowTest, TheShadowRunsInParallelWithThePrimary) {
  legacy_.set_script([this](UpstreamCall& call) {
    while (call.read()) {
    }
    EXPECT_TRUE(call.wait_for(gate_)) << "the shadow waits for the primary";
    call.write("legacy");
    return grpc::Status::OK;
  });
  start_shadowing();
  ClientCall client(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "shady"}}});
  client.write(get_policy_request("P-1"));
  client.writes_done();
  EXPECT_TRUE(new_.wait_call(0));
  gate_.open();
  EXPECT_EQ(client.read(), "legacy");
  EXPECT_TRUE(client.finish().ok());
}

TEST_F(ShadowTest, OnlyThePrimarysBytesReachTheClient) {
  new_.set_script([](UpstreamCall& call) {
    call.add_initial_metadata("x-from", "new");
    call.add_trailer("x-from-last", "new");
    while (call.read()) {
    }
    call.write("new");
    call.write("and more");
    return grpc::Status(grpc::StatusCode::INTERNAL, "new is broken");
  });
  start_shadowing();
  for (int i = 0; i < 20; ++i) {
    const UnaryReply reply = get("shady", "P-1");
    ASSERT_TRUE(reply.status.ok());
    ASSERT_EQ(reply.messages, std::vector<std::string>{"legacy"});
    ASSERT_TRUE(values_of(reply.initial_metadata, "x-from").empty());
    ASSERT_TRUE(values_of(reply.trailers, "x-from-last").empty());
  }
  EXPECT_TRUE(wait_verdict("mismatch", 20)) << shadow_metrics();
}

// ---- when one begins

TEST_F(ShadowTest, OnlyOneWholeMessageAndAHalfCloseBeginAShadow) {
  start_shadowing("percent: 100, max_bytes: 64KiB");
  legacy_.set_script([](UpstreamCall& call) {
    while (call.read()) {
    }
    return grpc::Status::OK;
  });
  const CallOptions shady_call = {.metadata = {{"x-tenant-id", "shady"}}};
  {
    ClientCall two(channel_, method("GetPolicy"), shady_call);
    two.write(get_policy_request("P-1"));
    two.write(get_policy_request("P-2"));
    two.writes_done();
    two.finish();
  }
  {
    ClientCall none(channel_, method("GetPolicy"), shady_call);
    none.writes_done();
    none.finish();
  }
  call(channel_, method("GetPolicy"), get_policy_request("P-1", 100000), shady_call);
  {
    const std::size_t at = legacy_.calls();
    ClientCall reset(channel_, method("GetPolicy"), shady_call);
    reset.write(get_policy_request("P-1"));
    ASSERT_TRUE(legacy_.wait_call(at));
    reset.cancel();
    reset.finish();
  }
  EXPECT_TRUE(ficus_->wait_metric("ficus_not_shadowed_total", {{"capability", "inquiry"}}, 4)) << shadow_metrics();
  EXPECT_EQ(begun(), 0) << shadow_metrics();
  EXPECT_EQ(new_.calls(), 0u);
  std::set<std::string> reasons;
  const MetricsSnapshot all = ficus_->metrics();
  for (const auto& sample : all.samples()) {
    if (sample.name == "ficus_not_shadowed_total" && sample.value > 0) reasons.insert(sample.labels.at("reason"));
  }
  EXPECT_GE(reasons.size(), 3u) << "different causes share a reason\n" << shadow_metrics();
  EXPECT_EQ(reasons.count(""), 0u);
}

TEST_F(ShadowTest, AShadowBeginsAtHalfCloseAndNotBefore) {
  start_shadowing();
  ClientCall client(channel_, method("GetPolicy"), {.metadata = {{"x-tenant-id", "shady"}}});
  client.write(get_policy_request("P-1"));
  ASSERT_TRUE(legacy_.wait_call(0));
  EXPECT_TRUE(stays([&] { return new_.calls() == 0; }));
  client.writes_done();
  EXPECT_TRUE(new_.wait_call(0));
  EXPECT_TRUE(client.finish().ok());
}

TEST_F(ShadowTest, WritesAndMethodsInNoCapabilityAreNeverShadowed) {
  start_shadowing();
  EXPECT_EQ(endorse("shady").message(), "legacy");
  EXPECT_EQ(call(channel_, "/other.v1.Other/Do", "m", {.metadata = {{"x-tenant-id", "shady"}}}).message(), "legacy");
  EXPECT_EQ(get("nobody", "P-1").message(), "legacy");
  expect_read();  // and one that is
  ASSERT_TRUE(wait_verdicts(1));
  EXPECT_EQ(new_.calls(), 1u);
  EXPECT_EQ(begun(), 1);
}

TEST_F(ShadowTest, AShareOfHalfShadowsAboutHalf) {
  start_shadowing("percent: 50");
  for (int i = 0; i < 200; ++i) expect_read("P-" + std::to_string(i));
  const double n = begun();
  EXPECT_GT(n, 60);
  EXPECT_LT(n, 140);
  EXPECT_TRUE(wait_verdicts(n));
  EXPECT_EQ(static_cast<double>(new_.calls()), n);
  EXPECT_EQ(metric("ficus_share_eligible_total", {{"share", "shadow"}}), 200);
  EXPECT_EQ(metric("ficus_share_in_total", {{"share", "shadow"}}), n);
}

TEST_F(ShadowTest, AShareByKeyShadowsTheSameKeysEachTime) {
  start_shadowing("percent: 50, by: key");
  double last = 0;
  for (int i = 0; i < 20; ++i) {
    double first_time = -1;
    for (int round = 0; round < 2; ++round) {
      expect_read("P-" + std::to_string(i));
      const double now = begun();
      if (round == 0) first_time = now - last;
      if (round == 1) {
        EXPECT_EQ(now - last, first_time) << "key " << i;
      }
      last = now;
    }
  }
  EXPECT_GT(last, 0);
  EXPECT_LT(last, 40);
}

// ---- what becomes of the answers

TEST_F(ShadowTest, EqualAnswersMatch) {
  legacy_.set_script(answer_response(policy_response("P-1")));
  new_.set_script(answer_response(policy_response("P-1")));
  start_shadowing();
  for (int i = 0; i < 5; ++i) expect_read();
  EXPECT_TRUE(wait_verdict("match", 5)) << shadow_metrics();
  EXPECT_EQ(begun(), 5);
  EXPECT_TRUE(mismatch_log().empty());
}

TEST_F(ShadowTest, ADifferenceIsOneTraceWithPathValuesAndBothLegs) {
  legacy_.set_script(answer_response(policy_response("P-1", 42000)));
  new_.set_script(answer_response(policy_response("P-1", 42001)));
  start_shadowing("percent: 100",
                  "    compare: {plain: [\"policy.premium.**\"], severity: {critical: [\"policy.premium.**\"]}}\n");
  const std::string trace_id = "4bf92f3577b34da6a3ce929d0e0e4736", parent = "00f067aa0ba902b7";
  expect_read("P-1", {{"traceparent", "00-" + trace_id + "-" + parent + "-01"}, {"x-consumer-id", "portal"}});
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  ASSERT_EQ(traces().size(), 1u);
  const trace::MismatchTrace got = traces().at(0);
  EXPECT_EQ(got.trace_id(), trace_id);
  EXPECT_EQ(got.parent_span_id(), parent);
  EXPECT_EQ(got.primary_span_id(), values_of(legacy_.records().at(0).metadata, "traceparent").at(0).substr(36, 16));
  EXPECT_EQ(got.shadow_span_id(), values_of(new_.records().at(0).metadata, "traceparent").at(0).substr(36, 16));
  EXPECT_EQ(got.tenant(), "shady");
  EXPECT_EQ(got.consumer(), "portal");
  EXPECT_EQ(got.capability(), "inquiry");
  EXPECT_EQ(got.method(), "insurance.policy.v1.PolicyService/GetPolicy");
  EXPECT_EQ(got.key_digest().rfind("string:3:", 0), 0u) << got.key_digest();
  EXPECT_EQ(got.rule(), "inquiry-shady");
  EXPECT_GT(got.rule_line(), 0u);
  EXPECT_EQ(got.stage(), "shadow");
  EXPECT_EQ(got.policy_hash().size(), 64u);
  EXPECT_EQ(got.generation(), 1u);
  EXPECT_EQ(got.primary_side(), trace::MismatchTrace::LEGACY);
  EXPECT_EQ(got.verdict(), trace::MismatchTrace::MISMATCH);
  EXPECT_EQ(got.severity(), trace::MismatchTrace::CRITICAL);
  EXPECT_EQ(got.legacy().upstream(), "policy-legacy");
  EXPECT_EQ(got.new_().upstream(), "policy-new");
  EXPECT_EQ(got.legacy().grpc_status(), "OK");
  EXPECT_EQ(got.legacy().message_count(), 1u);
  EXPECT_EQ(got.legacy().message_bytes(), policy_response("P-1", 42000).size());
  EXPECT_GT(got.new_().latency_ms(), 0);
  EXPECT_LT(std::abs(static_cast<double>(got.time().seconds() - std::time(nullptr))), 60);
  ASSERT_EQ(got.differences_size(), 1);
  EXPECT_EQ(got.differences(0).path(), "policy.premium.amount");
  EXPECT_EQ(got.differences(0).kind(), trace::Difference::VALUE);
  EXPECT_EQ(got.differences(0).legacy(), "42000");
  EXPECT_EQ(got.differences(0).new_(), "42001");
  EXPECT_EQ(metric("ficus_mismatches_total", {{"capability", "inquiry"}, {"severity", "critical"}}), 1);
}

TEST_F(ShadowTest, ADiffReadsLegacyToNewWhoeverIsPrimary) {
  legacy_.set_script(answer_response(policy_response("P-1", 1)));
  new_.set_script(answer_response(policy_response("P-1", 2)));
  TwoSided live = parts();
  live.inquiry_extra += "    compare: {values: plain}\n";
  live.rules =
      "  - {name: inquiry-shady, capability: inquiry, tenants: [shady], stage: live, reads: {shadow: {percent: 100}}}\n"
      "  - {name: address-shady, capability: address, tenants: [shady], stage: live}\n";
  start(live, options());
  EXPECT_EQ(get("shady", "P-1").message(), policy_response("P-1", 2)) << "new serves";
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  const trace::MismatchTrace got = traces().at(0);
  EXPECT_EQ(got.primary_side(), trace::MismatchTrace::NEW);
  ASSERT_EQ(got.differences_size(), 1);
  EXPECT_EQ(got.differences(0).legacy(), "1");
  EXPECT_EQ(got.differences(0).new_(), "2");
  EXPECT_EQ(values_of(legacy_.records().at(0).metadata, "x-ficus-shadow"), std::vector<std::string>{"1"});
}

TEST_F(ShadowTest, WhatARuleIgnoresIsCountedApart) {
  legacy_.set_script(answer_response(policy_response("P-1", 1, "legacy's note")));
  new_.set_script(answer_response(policy_response("P-1", 1, "new's note")));
  start_shadowing("percent: 100", "    compare: {ignore: [{path: \"policy.notes\", reason: \"free text\"}]}\n");
  expect_read();
  EXPECT_TRUE(wait_verdict("ignored")) << shadow_metrics();
  EXPECT_EQ(verdicts("match"), 0);
  EXPECT_EQ(metric("ficus_ignored_total", {{"rule", "policy.notes"}}), 1);
}

TEST_F(ShadowTest, StatusesAreComparedAndMessagesOfErrorsAreNot) {
  legacy_.set_script(fail(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such policy")));
  new_.set_script(fail(grpc::Status(grpc::StatusCode::NOT_FOUND, "policy unknown")));
  start_shadowing();
  get("shady", "P-1");
  EXPECT_TRUE(wait_verdict("match")) << shadow_metrics();
  new_.set_script(answer_response(policy_response("P-1")));
  get("shady", "P-1");
  EXPECT_TRUE(wait_verdict("mismatch")) << shadow_metrics();
  ASSERT_TRUE(wait_traces(1));
  EXPECT_EQ(traces().at(0).severity(), trace::MismatchTrace::CRITICAL);
  EXPECT_EQ(traces().at(0).legacy().grpc_status(), "NOT_FOUND");
}

TEST_F(ShadowTest, StreamsAreComparedMessageByMessage) {
  legacy_.set_script(answer({"", "", ""}));
  new_.set_script(answer({"", ""}));
  start_shadowing();
  const UnaryReply reply =
      call(channel_, method("StreamHistory"), get_policy_request("P-1"), {.metadata = {{"x-tenant-id", "shady"}}});
  EXPECT_EQ(reply.messages.size(), 3u);
  ASSERT_TRUE(wait_traces(1)) << shadow_metrics();
  ASSERT_GE(traces().at(0).differences_size(), 1);
  EXPECT_EQ(traces().at(0).differences(0).kind(), trace::Difference::MISSING);
  EXPECT_EQ(traces().at(0).differences(0).message_index(), 2u);
}

TEST_F(ShadowTest, ACompressedAnswerMatchesAnEqualPlainOne) {
  const std::string response = policy_response("P-1", 1, std::string(5000, 'n'));
  legacy_.set_script(answer_response(response));
  new_.set_script([response](UpstreamCall& call) {
    while (call.read()) {
    }
    call.compress();
    call.write(response);
    return grpc::Status::OK;
  });
  start_shadowing();
  expect_read();
  EXPECT_TRUE(wait_verdict("match")) << shadow_metrics();
}

TEST_F(ShadowTest, WithoutASchemaDifferentBytesAreIncomparable) {
  TwoSided bare = parts();
  bare.schema = false;
  bare.inquiry_extra.clear();
  bare.rules = shady("percent: 100");
  start(bare, options());
  legacy_.set_script(answer({"a"}));
  new_.set_script(answer({"a"}));
  expect_read();
  EXPECT_TRUE(wait_verdict("match")) << shadow_metrics();
  new_.set_script(answer({"b"}));
  expect_read();
  EXPECT_TRUE(
      ficus_->wait_metric("ficus_shadow_verdicts_total", {{"verdict", "incomparable"}, {"reason", "no_schema"}}, 1))
      << shadow_metrics();
}

}  // namespace
}  // namespace ficus::e2e
