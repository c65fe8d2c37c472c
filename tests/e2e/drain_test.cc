// Issue section 2, the end: SIGTERM, draining, its timeout; and a second ficus on the same port.
#include <signal.h>

#include <regex>

#include "tests/e2e/hostile_fixture.h"

namespace ficus::e2e {
namespace {

constexpr std::uint32_t kEveryStream = 0x7fffffff;

TEST(DrainTest, AnIdleFicusEndsAtOnceWithZero) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.workers = 2, .drain_seconds = 30});
  EXPECT_TRUE(call(make_channel(ficus->address()), kPath, "m").status.ok());
  EXPECT_EQ(ficus->terminate(), 0);
}

TEST(DrainTest, SigintDrainsAsSigtermDoes) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  ficus->signal(SIGINT);
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, WhatIsInFlightFinishesWhileReadyzSays503) {
  Gate gate;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    call.read();
    EXPECT_TRUE(call.wait_for(gate));
    call.write("finished");
    return grpc::Status::OK;
  });
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  EXPECT_EQ(http_get(ficus->admin(), "/readyz").status, 200);
  ClientCall client(make_channel(ficus->address()), kPath);
  client.write("m");
  client.writes_done();
  ASSERT_TRUE(upstream.wait_call(0));
  ficus->signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return http_get(ficus->admin(), "/readyz").status == 503; }));
  EXPECT_EQ(http_get(ficus->admin(), "/livez").status, 200) << "draining is not dead";
  EXPECT_TRUE(ficus->running());
  gate.open();
  EXPECT_EQ(client.read(), "finished");
  EXPECT_TRUE(client.finish().ok());
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, AStreamOpenedBetweenTheTwoGoawaysIsNotLost) {
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  RawH2::Options mute;
  mute.answer = false;  // if ficus measures a round trip with a PING, it is a long one
  const auto client = RawH2::connect(ficus->address(), mute);
  const std::uint32_t first = client->open(grpc_request(kPath), true);
  ASSERT_TRUE(upstream.next_request());
  ficus->signal(SIGTERM);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return !s.goaways.empty(); }));
  const std::uint32_t between = client->open(grpc_request(kPath), true);
  const auto request = upstream.next_request(std::chrono::milliseconds(2000));
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.goaways.size() >= 2; }))
      << "no second GOAWAY without a PING's answer";
  const std::uint32_t last = client->state().goaways[1].last_stream;
  EXPECT_GE(last, first);
  // Whatever it says: a stream up to `last` is served, one above it is not, and the client may send it elsewhere.
  EXPECT_EQ(request.has_value(), last >= between);
  client->send_reset(first, kCancel);
  if (request) {
    request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
    ASSERT_TRUE(client->wait_over(between));
    EXPECT_EQ(find_header(client->stream(between).blocks.at(0), "grpc-status"), "0");
  }
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, GoawayComesTwice) {
  // RFC 9113 6.8: first with 2^31-1, then with the last stream really taken, so that no request is lost in between.
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  const auto client = RawH2::connect(ficus->address());
  const std::uint32_t first = client->open(grpc_request(kPath), true);
  const auto request = upstream.next_request();
  ASSERT_TRUE(request);
  ficus->signal(SIGTERM);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return !s.goaways.empty(); }));
  EXPECT_EQ(client->state().goaways[0].last_stream, kEveryStream);
  EXPECT_EQ(client->state().goaways[0].code, kNoError);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.goaways.size() >= 2; })) << "only one GOAWAY";
  EXPECT_EQ(client->state().goaways[1].last_stream, first);
  EXPECT_EQ(client->state().goaways[1].code, kNoError);
  EXPECT_FALSE(client->state().closed) << "closed before the call was answered";
  request->connection->send_headers(request->stream, grpc_response(), false);
  request->connection->send_data(request->stream, grpc_frame("finished"), false);
  request->connection->send_headers(request->stream, grpc_trailers(), true);
  ASSERT_TRUE(client->wait_over(first));
  EXPECT_EQ(client->stream(first).data, grpc_frame("finished"));
  EXPECT_TRUE(client->wait_closed());
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, ACallInOneWriteWithTheAcknowledgedNoticeIsTaken) {
  // As gRPC's client writes: the acknowledgement ahead of the heads of calls that it began before it read the notice.
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  RawH2::Options mute;
  mute.answer = false;
  const auto client = RawH2::connect(ficus->address(), mute);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.settings > 0; }));
  ficus->signal(SIGTERM);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return !s.goaways.empty(); }));
  ASSERT_EQ(client->state().pings, 1u);
  client->send_bytes(h2_frame(kPing, kAck, 0, client->state().last_ping) +
                     h2_frame(kHeaders, kEndHeaders | kEndStream, 1, literals(grpc_request(kPath))));
  const auto request = upstream.next_request();
  ASSERT_TRUE(request) << "not taken";
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.goaways.size() == 2; }));
  EXPECT_EQ(client->state().goaways[1].last_stream, 1u);
  request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
  ASSERT_TRUE(client->wait_over(1));
  EXPECT_EQ(find_header(client->stream(1).blocks.at(0), "grpc-status"), "0");
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, WhatCrossesTheLastGoawayMeetsNoResetThatCouldOvertakeIt) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  const auto client = RawH2::connect(ficus->address());
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.settings > 0; }));
  ficus->signal(SIGTERM);
  ASSERT_TRUE(client->wait([](const RawH2::State& s) { return s.closed; }));  // said all, and reads on
  EXPECT_EQ(client->state().goaways.size(), 2u);
  EXPECT_TRUE(client->send_bytes(h2_frame(kHeaders, kEndHeaders | kEndStream, 1, literals(grpc_request(kPath)))));
  EXPECT_TRUE(stays([&] { return client->send_bytes(h2_frame(kPing, kNoFlags, 0, "12345678")); },
                    std::chrono::milliseconds(200)))
      << "the socket was closed while a call could still be on its way";
  client->close();
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, NewConnectionsAreRefusedWhileDraining) {
  Gate gate;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    call.wait_for(gate);
    return grpc::Status::OK;
  });
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 30});
  ClientCall client(make_channel(ficus->address()), kPath);
  ASSERT_TRUE(upstream.wait_call(0));
  ficus->signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return !connect_loopback(ficus->address()); }));
  gate.open();
  EXPECT_TRUE(client.finish().ok());
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST(DrainTest, WhatOutlivesTheDrainTimeoutGetsUnavailableAndExitCodeFour) {
  ScriptedUpstream upstream([](UpstreamCall& call) {
    call.wait_cancelled(4 * kPatience);
    return grpc::Status::CANCELLED;
  });
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.drain_seconds = 0.3});
  const auto channel = make_channel(ficus->address());
  ClientCall one(channel, kPath), two(channel, kPath);
  ASSERT_TRUE(upstream.wait_call(1));
  const auto begin = std::chrono::steady_clock::now();
  ficus->signal(SIGTERM);
  EXPECT_EQ(one.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(two.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(280));
  EXPECT_EQ(ficus->wait_exit(), 4);
  EXPECT_TRUE(std::regex_search(ficus->log(), std::regex("drain[^\n]*=2")))
      << "what was cut off is not counted in the log";
}

TEST(DrainTest, IdleConnectionsDoNotHoldTheEnd) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.workers = 2, .drain_seconds = 30});
  std::vector<std::shared_ptr<RawH2>> idle;
  for (int i = 0; i < 5; ++i) idle.push_back(RawH2::connect(ficus->address()));
  const Socket silent = connect_loopback(ficus->address());  // has not even sent a preface
  ASSERT_TRUE(wait_until([&] { return ficus->metrics().sum("ficus_connections", {{"peer", "client"}}) >= 5; }));
  EXPECT_EQ(ficus->terminate(std::chrono::milliseconds(8000)), 0) << "an idle connection held the end";
}

TEST(DrainTest, ASecondFicusOnThePortFailsAndSaysWhy) {
  ScriptedUpstream upstream;
  const std::string policy = pass_through_policy(upstream.address());
  const auto first = start_ficus(policy);
  FicusOptions options;
  options.listen = first->address();
  options.expect_ready = false;
  const auto second = start_ficus(policy, options);
  const auto code = second->wait_exit();
  ASSERT_TRUE(code.has_value()) << "runs beside the first";
  EXPECT_GT(*code, 0);
  EXPECT_NE(second->log().find(first->address()), std::string::npos) << second->log();
  EXPECT_NE(second->log().find("in use"), std::string::npos) << second->log();
  EXPECT_TRUE(call(make_channel(first->address()), kPath, "m").status.ok()) << "the first one was disturbed";
}

TEST(DrainTest, APolicyWithErrorsKeepsFicusFromStartingAndIsExplained) {
  FicusOptions options;
  options.expect_ready = false;
  const auto ficus = start_ficus("apiVersion: ficus/v1\nname: broken\nupstreamz: {}\nownership_epoch: 1\n", options);
  const auto code = ficus->wait_exit();
  ASSERT_TRUE(code.has_value());
  EXPECT_GT(*code, 0);
  EXPECT_NE(ficus->log().find("policy.yaml:3:1"), std::string::npos) << ficus->log();
  EXPECT_NE(ficus->log().find("upstreamz"), std::string::npos) << ficus->log();
}

}  // namespace
}  // namespace ficus::e2e
