// Issue section 2, flow control: a slow reader on either side slows the other, and nothing else; memory stays bounded.
// Everything runs on one worker, so that the streams share connections and a stall would show.
#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

constexpr std::size_t kBlock = 64 << 10;

// Writes without end until the client stops reading; counts what gRPC took.
Script flood(std::atomic<std::uint64_t>* written) {
  return [written](UpstreamCall& call) {
    const std::string block = noise(kBlock);
    while (call.write(block)) *written += block.size();
    return grpc::Status::OK;
  };
}

// Calls whose path ends so are flooded (or never read), all others echoed.
Script by_path(Script slow) {
  return [slow = std::move(slow)](UpstreamCall& call) {
    return call.path().find("Slow") != std::string::npos ? slow(call) : echo()(call);
  };
}

// A client that gives no window on its streams but a great one on the connection.
RawH2::Options stalled_reader() {
  RawH2::Options options;
  options.give_window = false;
  options.connection_window = 1u << 30;
  options.keep_data = false;
  return options;
}

// True when the number has stopped growing.
bool settles(const std::function<std::uint64_t()>& value) {
  std::uint64_t last = value();
  return wait_until([&] {
    const std::uint64_t before = last;
    stays([&] { return true; }, std::chrono::milliseconds(200));
    last = value();
    return last == before;
  });
}

TEST(FlowControlTest, AStalledReaderStallsItsUpstreamAfterABoundedAmount) {
  std::atomic<std::uint64_t> written{0};
  ScriptedUpstream upstream(flood(&written));
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address(), stalled_reader());
  const std::uint32_t stream = client->open(grpc_request("/s.S/Slow"), true);
  ASSERT_TRUE(client->wait_data(stream, 65535));
  ASSERT_TRUE(settles([&] { return written.load(); }));
  EXPECT_LE(client->stream(stream).data_bytes, 65535u) << "ficus ran over the client's window";
  EXPECT_LT(written, 4u << 20) << "the stall does not reach the upstream";
  // And it goes on where it stopped.
  const std::uint64_t before = written;
  client->send_window_update(stream, 8 << 20);
  EXPECT_TRUE(client->wait_data(stream, 65535 + (8u << 20)));
  EXPECT_GT(written, before + (4u << 20));
}

TEST(FlowControlTest, AStalledUpstreamStallsItsClientAfterABoundedAmount) {
  RawH2::Options never_gives;
  never_gives.give_window = false;
  never_gives.keep_data = false;
  RawUpstream upstream(never_gives);
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address());
  const std::uint32_t stream = client->open(grpc_request(kPath));
  const auto request = upstream.next_request();
  ASSERT_TRUE(request);
  const std::string much = noise(32u << 20);
  const std::size_t sent = client->send_data(stream, much, false, std::chrono::milliseconds(500));
  EXPECT_GE(sent, 65535u);
  EXPECT_LT(sent, 4u << 20) << "the stall does not reach the client";
  EXPECT_LE(request->connection->stream(request->stream).data_bytes, 65535u);
  // And it goes on: what was sent arrives once there is window.
  request->connection->send_window_update(0, 8 << 20);
  request->connection->send_window_update(request->stream, 8 << 20);
  EXPECT_TRUE(request->connection->wait_data(request->stream, sent));
}

TEST(FlowControlTest, AHundredStalledReadersCostOtherCallsNothing) {
  std::atomic<std::uint64_t> written{0};
  ScriptedUpstream upstream(by_path(flood(&written)));
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto stalled = RawH2::connect(ficus->address(), stalled_reader());
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(stalled->open(grpc_request("/s.S/Slow"), true));
  for (const std::uint32_t stream : streams) ASSERT_TRUE(stalled->wait_data(stream, 60000)) << "stream " << stream;
  ASSERT_TRUE(settles([&] { return written.load(); }));

  // Another connection of a client, and the stalled readers' own.
  const auto channel = make_channel(ficus->address());
  for (int i = 0; i < 20; ++i) {
    const std::string message = noise(100000, static_cast<std::uint64_t>(i) + 1);
    const UnaryReply reply = call(channel, "/s.S/Quick", message, {.deadline = kPatience});
    ASSERT_TRUE(reply.status.ok()) << "call " << i << ": " << reply.status.error_message();
    ASSERT_TRUE(reply.message() == message);
  }
  const std::uint32_t quick = stalled->open(grpc_request("/s.S/Quick"));
  stalled->send_data(quick, grpc_frame("hello"), true);
  ASSERT_TRUE(stalled->wait_over(quick)) << "a stalled stream stalls its neighbours";
  EXPECT_EQ(find_header(stalled->stream(quick).blocks.back(), "grpc-status"), "0");
  if (!kSanitized) {
    EXPECT_LT(ficus->resident_memory_bytes(), 128u << 20);
  }
}

TEST(FlowControlTest, AStalledUpstreamReaderCostsOtherCallsNothing) {
  Gate gate;
  ScriptedUpstream upstream(by_path([&gate](UpstreamCall& call) {  // takes nothing of the request
                              call.wait_for(gate, 4 * kPatience);
                              return grpc::Status::OK;
                            }),
                            {.fixed_window = true});
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address());
  const std::string much = grpc_frame(noise(16u << 20));
  for (int i = 0; i < 10; ++i) {
    const std::uint32_t stream = client->open(grpc_request("/s.S/Slow"));
    const std::size_t sent = client->send_data(stream, much, false, std::chrono::milliseconds(100));
    EXPECT_LT(sent, much.size());
  }
  // The clients' connection itself must not be stopped by what its slow streams hold back.
  const std::uint32_t quick = client->open(grpc_request("/s.S/Quick"));
  EXPECT_EQ(client->send_data(quick, grpc_frame("hello"), true), 10u) << "the connection's window is gone";
  ASSERT_TRUE(client->wait_over(quick));
  EXPECT_EQ(find_header(client->stream(quick).blocks.back(), "grpc-status"), "0");
  const UnaryReply reply = call(make_channel(ficus->address()), "/s.S/Quick", noise(100000), {.deadline = kPatience});
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  gate.open();
}

TEST(FlowControlTest, CallsCancelledWhileTheyStallGiveTheirWindowsBack) {
  std::atomic<std::uint64_t> written{0};
  ScriptedUpstream upstream(by_path(flood(&written)));
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address(), stalled_reader());
  // In all far more than any connection's window, so that a leak of a part of each would stop the upstream's
  // connection.
  for (int i = 0; i < 150; ++i) {
    const std::uint32_t stream = client->open(grpc_request("/s.S/Slow"), true);
    ASSERT_TRUE(client->wait_data(stream, 60000)) << "call " << i;
    ASSERT_TRUE(wait_until([&] { return written > 0; }));
    client->send_reset(stream, kCancel);
  }
  const std::string message = noise(6u << 20);
  const UnaryReply reply = call(make_channel(ficus->address()), "/s.S/Quick", message, {.deadline = kPatience});
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_TRUE(reply.message() == message);
  EXPECT_TRUE(wait_until([&] { return upstream.running() == 0; }));
}

TEST(FlowControlTest, RequestsThatNobodyWaitsForGiveTheirWindowsBack) {
  // The upstream answers at once; what the client goes on sending has to be taken and dropped.
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address());
  const std::string body = grpc_frame(noise(200000));
  for (int i = 0; i < 60; ++i) {
    const std::uint32_t stream = client->open(grpc_request(kPath));
    const auto request = upstream.next_request();
    ASSERT_TRUE(request) << "call " << i;
    request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "9"}}), true);
    if (i % 2 == 0) request->connection->send_reset(request->stream, kNoError);
    ASSERT_TRUE(client->wait_over(stream)) << "call " << i;
    client->send_data(stream, body, true, std::chrono::milliseconds(i < 5 ? 50 : 0));
    if (client->state().closed) FAIL() << "the connection was closed at call " << i;
    client->send_reset(stream, kCancel);
  }
  const std::uint32_t last = client->open(grpc_request(kPath));
  const auto request = upstream.next_request();
  ASSERT_TRUE(request);
  EXPECT_EQ(client->send_data(last, body, true), body.size()) << "the connection's window leaked away";
  ASSERT_TRUE(request->connection->wait_data(request->stream, body.size()));
}

TEST(FlowControlTest, AClientThatReadsNothingAtAllHarmsNobody) {
  std::atomic<std::uint64_t> written{0};
  ScriptedUpstream upstream(by_path(flood(&written)));
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  // Great windows, but the socket is never read: the kernel's buffers fill and ficus's writes stop.
  const Socket socket = connect_loopback(ficus->address());
  const std::string settings = h2_frame(kSettings, kNoFlags, 0, std::string("\0\4\x7f\xff\xff\xff", 6));
  ASSERT_TRUE(send_all(socket, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings +
                                   h2_frame(kWindowUpdate, kNoFlags, 0, std::string("\x3f\xff\xff\xff", 4))));
  {
    nghttp2_hd_deflater* deflater = nullptr;
    ASSERT_EQ(nghttp2_hd_deflate_new(&deflater, 0), 0);
    for (std::uint32_t id = 1; id < 20; id += 2) {
      const HeaderList head = grpc_request("/s.S/Slow");
      std::vector<nghttp2_nv> pairs;
      for (const auto& [name, value] : head) {
        pairs.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                         reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                         0});
      }
      std::string block(4096, '\0');
      const auto size = nghttp2_hd_deflate_hd(deflater, reinterpret_cast<std::uint8_t*>(block.data()), block.size(),
                                              pairs.data(), pairs.size());
      ASSERT_GT(size, 0);
      block.resize(static_cast<std::size_t>(size));
      ASSERT_TRUE(send_all(socket, h2_frame(kHeaders, kEndHeaders | kEndStream, id, block)));
    }
    nghttp2_hd_deflate_del(deflater);
  }
  ASSERT_TRUE(wait_until([&] { return written > 0; }));
  ASSERT_TRUE(settles([&] { return written.load(); }));
  EXPECT_LT(written, 64u << 20) << "ten streams were read without end for a client that reads nothing";
  EXPECT_TRUE(call(make_channel(ficus->address()), "/s.S/Quick", "m", {.deadline = kPatience}).status.ok());
  if (!kSanitized) {
    EXPECT_LT(ficus->resident_memory_bytes(), 128u << 20);
  }
}

TEST(FlowControlTest, MoreCallsThanOneConnectionTakesGetMoreConnections) {
  RawH2::Options two_streams;
  two_streams.settings = {{kMaxConcurrentStreams, 2}};
  RawUpstream upstream(two_streams);
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  const auto client = RawH2::connect(ficus->address());
  // The first call shows ficus the limit.
  const std::uint32_t warm = client->open(grpc_request(kPath), true);
  const auto first = upstream.next_request();
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->connection->wait([](const RawH2::State& s) { return s.settings_acks == 1; }));
  first->connection->send_headers(first->stream, grpc_response({{"grpc-status", "0"}}), true);
  ASSERT_TRUE(client->wait_over(warm));
  std::vector<std::uint32_t> streams;
  std::vector<RawUpstream::Request> requests;
  for (int i = 0; i < 9; ++i) {
    streams.push_back(client->open(grpc_request(kPath), true));
    const auto request = upstream.next_request();
    ASSERT_TRUE(request) << "only " << i << " of 9 calls are at the upstream";
    requests.push_back(*request);
    // Whoever opens a connection learns its limit before the next call.
    ASSERT_TRUE(request->connection->wait([](const RawH2::State& s) { return s.settings_acks == 1; }));
  }
  for (const auto& connection : upstream.connections()) EXPECT_LE(connection->state().opened.size(), 3u);
  EXPECT_GE(upstream.connections().size(), 5u);
  for (const auto& request : requests)
    request.connection->send_headers(request.stream, grpc_response({{"grpc-status", "0"}}), true);
  for (const std::uint32_t stream : streams) ASSERT_TRUE(client->wait_over(stream));
}

TEST(FlowControlTest, ACrowdOfCallsOnAColdUpstreamWithFewStreamsAllSucceeds) {
  ScriptedUpstream upstream(echo(), {.max_concurrent_streams = 2});
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.workers = 2});
  std::vector<std::unique_ptr<ClientCall>> calls;
  const auto channel = make_channel(ficus->address());
  for (int i = 0; i < 50; ++i) calls.push_back(std::make_unique<ClientCall>(channel, kPath));
  // Every call says all it has to say before any is waited for: the client's library opens calls that waited for its
  // connection in any order, so that the last of them may hold every stream that the upstream has.
  for (const auto& one : calls) {
    EXPECT_TRUE(one->write("m"));
    EXPECT_TRUE(one->writes_done());
  }
  for (const auto& one : calls) {
    EXPECT_EQ(one->read(), "m");
    const grpc::Status status = one->finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

TEST(FlowControlTest, CallsAboveTheUpstreamsLimitAreUnavailableAtOnce) {
  Gate gate;
  ScriptedUpstream upstream([&gate](UpstreamCall& call) {
    call.wait_for(gate);
    return grpc::Status::OK;
  });
  const auto ficus = start_ficus(pass_through_policy({upstream.address()}, ", max_concurrent_requests: 4"));
  const auto channel = make_channel(ficus->address());
  std::vector<std::unique_ptr<ClientCall>> held;
  for (int i = 0; i < 4; ++i) held.push_back(std::make_unique<ClientCall>(channel, kPath));
  ASSERT_TRUE(upstream.wait_call(3));
  const UnaryReply above = call(channel, kPath, "m");
  EXPECT_EQ(above.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(above.status.error_message().rfind("policy-new: ", 0), 0u) << above.status.error_message();
  EXPECT_TRUE(ficus->wait_metric(
      "ficus_upstream_limit_hits_total",
      {{"upstream", "policy-new"}, {"role", "primary"}, {"limit", "max_concurrent_requests"}}, 1));
  gate.open();
  for (const auto& one : held) EXPECT_TRUE(one->finish().ok());
  EXPECT_TRUE(call(channel, kPath, "m").status.ok()) << "the limit is not given back";
}

}  // namespace
}  // namespace ficus::e2e
