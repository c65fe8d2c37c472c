// Issue section 2, as gRPC's own client and server see it: whatever crosses ficus arrives as it was sent. What gRPC C++
// hides (order of headers, frames, resets) is in relay_frames_test.cc.
#include <future>
#include <thread>

#include "tests/e2e/relay_fixture.h"

namespace ficus::e2e {
namespace {

using RelayTest = ThroughFicus;
FICUS_DIRECT_AND_THROUGH(RelayTest);

TEST_P(RelayTest, UnaryMessagesOfEverySizeArriveByteForByte) {
  ScriptedUpstream upstream(echo());
  const auto channel = make_channel(reach(upstream.address()));
  // Around the frame size, the default window and gRPC's own slices.
  for (const std::size_t size : {0, 1, 5, 100, 16378, 16379, 16384, 16385, 65530, 65535, 65536, 1 << 20}) {
    const std::string message = noise(size, size + 1);
    const UnaryReply reply = call(channel, kPath, message);
    ASSERT_TRUE(reply.status.ok()) << size << ": " << reply.status.error_message();
    ASSERT_EQ(reply.messages.size(), 1u) << size;
    ASSERT_TRUE(reply.message() == message) << "bytes differ at size " << size;
  }
}

TEST_P(RelayTest, AClientStreamArrivesWholeAndIsAnsweredOnce) {
  ScriptedUpstream upstream([](UpstreamCall& call) {
    std::string all;
    while (auto message = call.read()) all += *message + ",";
    call.write(all);
    return grpc::Status::OK;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  for (const char* message : {"one", "", "three"}) ASSERT_TRUE(client.write(message));
  ASSERT_TRUE(client.writes_done());
  EXPECT_EQ(client.read(), "one,,three,");
  EXPECT_EQ(client.read(), std::nullopt);
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, AServerStreamArrivesInOrderWithItsBoundaries) {
  std::vector<std::string> messages = {"", "a", noise(70000), "", noise(16384, 2), "end"};
  ScriptedUpstream upstream(answer(messages));
  const UnaryReply reply = call(make_channel(reach(upstream.address())), kPath, "go");
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_TRUE(reply.messages == messages);
}

TEST_P(RelayTest, ABidirectionalStreamPassesEachMessageBeforeTheNextIsSent) {
  ScriptedUpstream upstream(echo());
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  for (int i = 0; i < 200; ++i) {
    const std::string message = noise(static_cast<std::size_t>(i * 7), static_cast<std::uint64_t>(i) + 1);
    ASSERT_TRUE(client.write(message));
    ASSERT_EQ(client.read(), message) << "message " << i;
  }
  ASSERT_TRUE(client.writes_done());
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, ACallWithoutAnyMessageEndsWithItsStatus) {
  ScriptedUpstream upstream([](UpstreamCall& call) {
    EXPECT_EQ(call.read(), std::nullopt);
    return grpc::Status::OK;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  ASSERT_TRUE(client.writes_done());
  EXPECT_EQ(client.read(), std::nullopt);
  EXPECT_TRUE(client.finish().ok());
  EXPECT_TRUE(upstream.wait_ended(0)->half_closed);
}

TEST_P(RelayTest, ThousandsOfSmallMessagesCrossBothWaysAtOnce) {
  constexpr int kMessages = 5000;
  ScriptedUpstream upstream(echo());
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  std::thread writer([&] {
    for (int i = 0; i < kMessages && client.write("message " + std::to_string(i)); ++i) {
    }
    client.writes_done();
  });
  int read = 0;
  for (; read < kMessages; ++read) {
    const auto message = client.read();
    if (message != "message " + std::to_string(read)) break;
  }
  writer.join();
  EXPECT_EQ(read, kMessages);
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, AMessageOf64MegabytesArrivesByteForByte) {
  ScriptedUpstream upstream(echo());
  const auto channel = make_channel(reach(upstream.address()));
  const std::string message = noise(64u << 20);
  const std::size_t before = through() ? ficus_->peak_memory_bytes() : 0;
  const UnaryReply reply = call(channel, kPath, message);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_TRUE(reply.message() == message);
  if (through() && !kSanitized) {
    EXPECT_LT(ficus_->peak_memory_bytes() - before, 16u << 20) << "the relay holds whole messages";
  }
}

TEST_P(RelayTest, InitialMetadataArrivesBeforeTheFirstMessage) {
  Gate gate;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    call.add_initial_metadata("x-early", "yes");
    call.send_initial_metadata();
    EXPECT_TRUE(call.wait_for(gate));
    call.write("late");
    return grpc::Status::OK;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  ASSERT_TRUE(client.wait_initial_metadata()) << "held back until the first message";
  EXPECT_EQ(values_of(client.initial_metadata(), "x-early"), std::vector<std::string>{"yes"});
  gate.open();
  EXPECT_EQ(client.read(), "late");
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, RequestHeadersReachTheUpstreamBeforeTheFirstMessage) {
  ScriptedUpstream upstream(echo());
  ClientCall client(make_channel(reach(upstream.address())), kPath, {.metadata = {{"x-early", "yes"}}});
  const auto arrived = upstream.wait_call(0);
  ASSERT_TRUE(arrived) << "held back until the first message";
  EXPECT_EQ(values_of(arrived->metadata, "x-early"), std::vector<std::string>{"yes"});
  EXPECT_TRUE(client.write("now"));
  EXPECT_EQ(client.read(), "now");
  client.writes_done();
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, MetadataOfEveryKindArrivesBothWays) {
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  const std::vector<std::string> repeated = {"b", "a", "b", "c, d"};
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    call.add_initial_metadata("x-answer-bin", every_byte);
    for (const std::string& value : repeated) call.add_initial_metadata("x-again", value);
    for (const std::string& value : repeated) call.add_trailer("x-last", value);
    call.add_trailer("x-last-bin", every_byte);
    call.add_trailer("x-empty-bin", "");
    while (auto message = call.read()) call.write(*message);
    return grpc::Status::OK;
  });
  CallOptions options;
  options.metadata = {{"x-request-bin", every_byte}, {"x-request-bin", "second"}, {"x-plain", "printable ~!@#$%^&*()"}};
  for (const std::string& value : repeated) options.metadata.emplace_back("x-again", value);
  const UnaryReply reply = call(make_channel(reach(upstream.address())), kPath, "m", options);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  const Metadata arrived = upstream.wait_call(0)->metadata;
  EXPECT_EQ(values_of(arrived, "x-request-bin"), (std::vector<std::string>{every_byte, "second"}));
  EXPECT_EQ(values_of(arrived, "x-plain"), std::vector<std::string>{"printable ~!@#$%^&*()"});
  EXPECT_EQ(values_of(arrived, "x-again"), repeated);
  EXPECT_EQ(values_of(reply.initial_metadata, "x-answer-bin"), std::vector<std::string>{every_byte});
  EXPECT_EQ(values_of(reply.initial_metadata, "x-again"), repeated);
  EXPECT_EQ(values_of(reply.trailers, "x-last"), repeated);
  EXPECT_EQ(values_of(reply.trailers, "x-last-bin"), std::vector<std::string>{every_byte});
  EXPECT_EQ(values_of(reply.trailers, "x-empty-bin"), std::vector<std::string>{""});
}

TEST_P(RelayTest, SixKilobytesOfMetadataArrive) {
  ScriptedUpstream upstream(echo());
  CallOptions options;
  for (int i = 0; i < 60; ++i) options.metadata.emplace_back("x-number-" + std::to_string(i), std::string(80, 'v'));
  const UnaryReply reply = call(make_channel(reach(upstream.address())), kPath, "m", options);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(values_of(upstream.wait_call(0)->metadata, "x-number-59"), std::vector<std::string>{std::string(80, 'v')});
}

TEST_P(RelayTest, EveryStatusArrivesWithItsMessageAndDetails) {
  ScriptedUpstream upstream;
  const auto channel = make_channel(reach(upstream.address()));
  for (int code = 1; code <= 16; ++code) {
    const std::string message = "grund " + std::to_string(code) + ": h\xc3\xb6her, 100 %\nsecond line";
    const std::string details = noise(50, static_cast<std::uint64_t>(code));
    upstream.set_script(fail(grpc::Status(static_cast<grpc::StatusCode>(code), message, details)));
    const UnaryReply reply = call(channel, kPath, "m");
    EXPECT_EQ(reply.status.error_code(), code);
    EXPECT_EQ(reply.status.error_message(), message);
    EXPECT_EQ(reply.status.error_details(), details);
    EXPECT_TRUE(reply.messages.empty());
  }
}

TEST_P(RelayTest, AnImmediateErrorArrivesWithItsTrailersWhileTheClientStillSends) {
  ScriptedUpstream upstream([](UpstreamCall& call) {
    call.add_trailer("x-why", "closed");
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "not now");
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  EXPECT_EQ(client.read(), std::nullopt);  // the client has neither sent nor half-closed
  const grpc::Status status = client.finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "not now");
  EXPECT_EQ(values_of(client.trailers(), "x-why"), std::vector<std::string>{"closed"});
}

TEST_P(RelayTest, AnErrorAfterMessagesKeepsTheMessages) {
  ScriptedUpstream upstream([](UpstreamCall& call) {
    call.write("one");
    call.write("two");
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "broke off");
  });
  const UnaryReply reply = call(make_channel(reach(upstream.address())), kPath, "m");
  EXPECT_EQ(reply.messages, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(reply.status.error_message(), "broke off");
}

TEST_P(RelayTest, AuthorityArrivesAsReceived) {
  ScriptedUpstream upstream(echo());
  const UnaryReply reply =
      call(make_channel(reach(upstream.address())), kPath, "m", {.authority = "inventory.example:8443"});
  ASSERT_TRUE(reply.status.ok());
  EXPECT_EQ(upstream.wait_call(0)->authority, "inventory.example:8443");
}

TEST_P(RelayTest, AnswersFlowAfterTheClientHalfClosed) {
  Gate gate;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    while (call.read()) {
    }
    call.write("after half-close");
    EXPECT_TRUE(call.wait_for(gate));
    call.write("much later");
    return grpc::Status::OK;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  client.write("request");
  client.writes_done();
  EXPECT_EQ(client.read(), "after half-close");
  gate.open();
  EXPECT_EQ(client.read(), "much later");
  EXPECT_TRUE(client.finish().ok());
}

TEST_P(RelayTest, ACancelledCallIsCancelledAtTheUpstreamAtOnce) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    call.write("running");
    cancelled.set_value(call.wait_cancelled());
    return grpc::Status::CANCELLED;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  EXPECT_EQ(client.read(), "running");
  client.cancel();
  EXPECT_EQ(client.finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(cancelled.get_future().get());
}

TEST_P(RelayTest, ACallCancelledBeforeAnyAnswerIsCancelledAtTheUpstream) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    cancelled.set_value(call.wait_cancelled());
    return grpc::Status::CANCELLED;
  });
  ClientCall client(make_channel(reach(upstream.address())), kPath);
  ASSERT_TRUE(upstream.wait_call(0));
  client.cancel();
  EXPECT_TRUE(cancelled.get_future().get());
  EXPECT_EQ(client.finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(RelayTest, AClientThatVanishesCancelsItsCalls) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    cancelled.set_value(call.wait_cancelled());
    return grpc::Status::CANCELLED;
  });
  const std::string target = reach(upstream.address());
  {
    ClientCall client(make_channel(target), kPath);
    ASSERT_TRUE(upstream.wait_call(0));
  }  // cancels and closes the connection
  EXPECT_TRUE(cancelled.get_future().get());
}

TEST_P(RelayTest, TheDeadlineArrivesAsTheTimeThatRemains) {
  ScriptedUpstream upstream(echo());
  const auto channel = make_channel(reach(upstream.address()));
  const UnaryReply reply = call(channel, kPath, "m", {.deadline = std::chrono::milliseconds(20000)});
  ASSERT_TRUE(reply.status.ok());
  const auto left = upstream.wait_call(0)->time_left;
  ASSERT_TRUE(left.has_value()) << "no grpc-timeout was passed on";
  EXPECT_LE(left->count(), 20200);  // gRPC C++ rounds up to 100 ms; relay_heads_test is exact
  EXPECT_GT(left->count(), 10000);
}

TEST_P(RelayTest, ACallWithoutDeadlineGetsNone) {
  ScriptedUpstream upstream(echo());
  ASSERT_TRUE(call(make_channel(reach(upstream.address())), kPath, "m").status.ok());
  EXPECT_EQ(upstream.wait_call(0)->time_left, std::nullopt);
}

TEST_P(RelayTest, AnExpiredDeadlineEndsTheCallOnBothSides) {
  std::promise<bool> cancelled;
  ScriptedUpstream upstream([&](UpstreamCall& call) {
    cancelled.set_value(call.wait_cancelled());
    return grpc::Status::CANCELLED;
  });
  const UnaryReply reply =
      call(make_channel(reach(upstream.address())), kPath, "m", {.deadline = std::chrono::milliseconds(300)});
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(cancelled.get_future().get());
}

TEST_P(RelayTest, CompressedCallsAreUnderstoodAtBothEnds) {
  const std::string message(200000, 'z');
  ScriptedUpstream upstream(echo());
  const UnaryReply reply = call(make_channel(reach(upstream.address())), kPath, message, {.gzip = true});
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_TRUE(reply.message() == message);
}

TEST_P(RelayTest, CallsInParallelOverManyConnectionsNeverMix) {
  ScriptedUpstream upstream(echo());
  FicusOptions options;
  options.workers = 2;
  const std::string target = reach(upstream.address(), options);
  constexpr int kChannels = 8, kThreadsEach = 2, kCalls = 40;
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int c = 0; c < kChannels; ++c) {
    const auto channel = make_channel(target);
    for (int t = 0; t < kThreadsEach; ++t) {
      threads.emplace_back([&right, channel, c, t] {
        for (int i = 0; i < kCalls; ++i) {
          const auto seed = static_cast<std::uint64_t>((c * 100 + t) * 1000 + i);
          const std::string message = noise(seed % 3000, seed + 1);
          const UnaryReply reply = call(channel, kPath, message);
          if (reply.status.ok() && reply.messages.size() == 1 && reply.message() == message) ++right;
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kChannels * kThreadsEach * kCalls);
}

}  // namespace
}  // namespace ficus::e2e
