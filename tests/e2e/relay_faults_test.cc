// Issue section 2, what goes wrong at the upstream: each fault becomes the right gRPC status with a message that names
// the upstream and a class, and costs no other call. Only a call that never reached an upstream is tried again.
#include <functional>
#include <regex>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

using grpc::StatusCode;

class RelayFaultsTest : public ::testing::Test {
 protected:
  void start(const std::string& policy) {
    ficus_ = start_ficus(policy);
    client_ = RawH2::connect(ficus_->address());
    ASSERT_TRUE(client_);
  }
  void SetUp() override { start(pass_through_policy(upstream_.address())); }
  // One call that reached the raw upstream.
  void begin(bool end_stream = true) {
    stream_ = client_->open(grpc_request(kPath), end_stream);
    const auto request = upstream_.next_request();
    ASSERT_TRUE(request) << "the request did not reach the upstream";
    server_ = request->connection;
    served_ = request->stream;
  }
  RawH2::Stream answer_to(std::uint32_t stream) {
    EXPECT_TRUE(client_->wait_over(stream)) << "the call never ended";
    return client_->stream(stream);
  }
  // A call that is answered, on a connection that works.
  void expect_next_call_succeeds() {
    const std::uint32_t stream = client_->open(grpc_request(kPath), true);
    const auto request = upstream_.next_request();
    ASSERT_TRUE(request);
    request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
    EXPECT_EQ(find_header(answer_to(stream).blocks.at(0), "grpc-status"), "0");
  }

  RawUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::shared_ptr<RawH2> client_, server_;
  std::uint32_t stream_ = 0, served_ = 0;
};

std::string status_of(const RawH2::Stream& stream) {
  return stream.blocks.empty() ? "none" : find_header(stream.blocks.back(), "grpc-status").value_or("none");
}
std::string message_of(const RawH2::Stream& stream) {
  return stream.blocks.empty() ? "" : find_header(stream.blocks.back(), "grpc-message").value_or("");
}
// Of the form "policy-new: connection refused": the upstream's name and a class, nothing a client should not know.
void expect_names_upstream(const std::string& message) {
  EXPECT_EQ(message.rfind("policy-new: ", 0), 0u) << message;
  EXPECT_GT(message.size(), std::string("policy-new: ").size());
  EXPECT_EQ(message.find("127.0.0.1"), std::string::npos) << message;
  EXPECT_FALSE(std::regex_search(message, std::regex("errno|[0-9]{2,}|ECONN|nghttp2"))) << message;
}

// ---- never reached

TEST_F(RelayFaultsTest, ARefusedConnectionIsUnavailableAndNamedWithoutAddress) {
  const std::string nowhere = refusing_address();
  start(pass_through_policy(nowhere));
  const UnaryReply reply = call(make_channel(ficus_->address()), kPath, "m");
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(reply.status.error_message(), "policy-new: connection refused");
  EXPECT_TRUE(ficus_->wait_log(nowhere)) << "the address is for the log";
  EXPECT_TRUE(ficus_->wait_metric("ficus_connect_failures_total", {{"upstream", "policy-new"}}, 1));
}

TEST_F(RelayFaultsTest, AnUpstreamThatComesBackServesTheNextCalls) {
  std::string address;
  {
    const ScriptedUpstream first;
    address = first.address();
    start(pass_through_policy(address));
    EXPECT_TRUE(call(make_channel(ficus_->address()), kPath, "m").status.ok());
  }
  const auto channel = make_channel(ficus_->address());
  EXPECT_EQ(call(channel, kPath, "m").status.error_code(), StatusCode::UNAVAILABLE);
  const ScriptedUpstream again(echo(), {.address = address});
  EXPECT_TRUE(wait_until([&] { return call(channel, kPath, "m").status.ok(); }));
}

TEST_F(RelayFaultsTest, ACallThatNeverReachedAnUpstreamIsSentToAnotherEndpoint) {
  ScriptedUpstream upstream;
  start(pass_through_policy({refusing_address(), upstream.address(), refusing_address()}));
  const auto channel = make_channel(ficus_->address());
  for (int i = 0; i < 12; ++i) {
    const UnaryReply reply = call(channel, kPath, "m" + std::to_string(i));
    ASSERT_TRUE(reply.status.ok()) << "call " << i << ": " << reply.status.error_message();
    ASSERT_EQ(reply.message(), "m" + std::to_string(i));
  }
  EXPECT_EQ(upstream.calls(), 12u);
}

TEST_F(RelayFaultsTest, AnUpstreamThatAcceptsAndNeverSpeaksEndsAtTheCallsDeadline) {
  const Listener stopped;  // the kernel completes connections of a process that was stopped with SIGSTOP
  start(pass_through_policy({stopped.address()}, ", connect_timeout: 200ms"));
  const std::uint32_t stream = client_->open(grpc_request(kPath, {{"grpc-timeout", "1S"}}), true);
  const RawH2::Stream got = answer_to(stream);
  EXPECT_TRUE(status_of(got) == "4" || status_of(got) == "14") << status_of(got);
  expect_names_upstream(message_of(got));
}

TEST_F(RelayFaultsTest, AnUpstreamThatNeverAcceptsFailsAfterTheConnectTimeout) {
  Listener full(0);
  // Linux completes backlog + 1 connections by itself and then drops every SYN: some more than that fill the queue.
  std::vector<Socket> fill;
  for (int i = 0; i < 4; ++i) fill.push_back(begin_connect_loopback(full.address()));
  start(pass_through_policy({full.address()}, ", connect_timeout: 200ms"));
  const auto begin = std::chrono::steady_clock::now();
  const UnaryReply reply = call(make_channel(ficus_->address()), kPath, "m");
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNAVAILABLE);
  expect_names_upstream(reply.status.error_message());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(RelayFaultsTest, ACallAboveAGoawaysLastStreamIsSentAgainElsewhere) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_goaway(0, kNoError);  // nothing was processed
  const auto again = upstream_.next_request();
  ASSERT_TRUE(again) << "not sent again";
  EXPECT_NE(again->connection, server_) << "on the connection that said GOAWAY";
  again->connection->send_headers(again->stream, grpc_response({{"grpc-status", "0"}}), true);
  EXPECT_EQ(status_of(answer_to(stream_)), "0");
  EXPECT_TRUE(ficus_->wait_metric("ficus_retried_total", {{"upstream", "policy-new"}}, 1));
}

TEST_F(RelayFaultsTest, ARefusedStreamIsSentAgain) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_reset(served_, kRefusedStream);  // RFC 9113 8.7: not processed
  const auto again = upstream_.next_request();
  ASSERT_TRUE(again) << "not sent again";
  again->connection->send_headers(again->stream, grpc_response({{"grpc-status", "0"}}), true);
  EXPECT_EQ(status_of(answer_to(stream_)), "0");
}

TEST_F(RelayFaultsTest, AStreamThatIsAlwaysRefusedEndsUnavailable) {
  stream_ = client_->open(grpc_request(kPath), true);
  int tries = 0;
  for (; tries < 20 && !client_->stream(stream_).over(); ++tries) {
    const auto request = upstream_.next_request(kQuiet);
    if (!request) break;
    request->connection->send_reset(request->stream, kRefusedStream);
  }
  EXPECT_LT(tries, 10) << "tried without end";
  const RawH2::Stream got = answer_to(stream_);
  EXPECT_EQ(status_of(got), "14");
  expect_names_upstream(message_of(got));
}

TEST_F(RelayFaultsTest, AHeadLargerThanTheLimitFailsItsCallOnly) {
  // In fields of 5000 bytes: of a single one over 64 KiB nghttp2's decoder makes an error of the connection.
  HeaderList much;
  for (int i = 0; i < 20; ++i) much.emplace_back("x-large-" + std::to_string(i), std::string(5000, 'x'));
  const std::uint32_t other = client_->open(grpc_request(kPath));
  const auto waiting = upstream_.next_request();
  ASSERT_TRUE(waiting);
  const std::uint32_t large = client_->open(grpc_request(kPath, much), true);
  const RawH2::Stream refused = answer_to(large);
  EXPECT_TRUE(status_of(refused) == "8" || find_header(refused.blocks.at(0), ":status") == "431") << status_of(refused);
  EXPECT_FALSE(upstream_.next_request(kQuiet));
  // And one that comes from the upstream.
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_headers(served_, grpc_response(much), false);
  const RawH2::Stream got = answer_to(stream_);
  EXPECT_NE(status_of(got), "0");
  EXPECT_NE(status_of(got), "none");
  waiting->connection->send_headers(waiting->stream, grpc_response({{"grpc-status", "0"}}), true);
  EXPECT_EQ(status_of(answer_to(other)), "0") << "another call was harmed";
}

// ---- reached, then failed

TEST_F(RelayFaultsTest, EachResetCodeBecomesItsGrpcStatus) {
  // PROTOCOL-HTTP2.md, Errors. REFUSED_STREAM has tests of its own.
  const std::pair<H2Error, const char*> table[] = {{kNoError, "13"},
                                                   {kProtocolError, "13"},
                                                   {kInternalError, "13"},
                                                   {kFlowControlError, "13"},
                                                   {kSettingsTimeout, "13"},
                                                   {kFrameSizeError, "13"},
                                                   {kCancel, "1"},
                                                   {kCompressionError, "13"},
                                                   {kConnectError, "13"},
                                                   {kEnhanceYourCalm, "8"},
                                                   {kInadequateSecurity, "7"}};
  for (const auto& [code, status] : table) {
    for (const bool answered : {false, true}) {
      ASSERT_NO_FATAL_FAILURE(begin());
      if (answered) {
        server_->send_headers(served_, grpc_response(), false);
        server_->send_data(served_, grpc_frame("part"), false);
        ASSERT_TRUE(client_->wait_data(stream_, 9));
      }
      server_->send_reset(served_, code);
      const RawH2::Stream got = answer_to(stream_);
      EXPECT_EQ(status_of(got), status) << "code " << code << ", answered " << answered;
      expect_names_upstream(message_of(got));
    }
  }
  EXPECT_FALSE(upstream_.next_request(kQuiet)) << "a call that reached the upstream was sent again";
}

TEST_F(RelayFaultsTest, AConnectionThatClosesFailsItsCallsOnceAndIsReplaced) {
  for (const bool hard : {false, true}) {
    for (const bool answered : {false, true}) {
      ASSERT_NO_FATAL_FAILURE(begin());
      if (answered) {
        server_->send_headers(served_, grpc_response(), false);
        ASSERT_TRUE(client_->wait_blocks(stream_, 1));
      }
      hard ? server_->abort() : server_->close();
      const RawH2::Stream got = answer_to(stream_);
      EXPECT_EQ(status_of(got), "14") << "hard " << hard << ", answered " << answered;
      expect_names_upstream(message_of(got));
      EXPECT_FALSE(upstream_.next_request(std::chrono::milliseconds(50))) << "sent again although it may have run";
      ASSERT_NO_FATAL_FAILURE(expect_next_call_succeeds());
    }
  }
  EXPECT_TRUE(
      ficus_->wait_metric("ficus_upstream_failures_total", {{"upstream", "policy-new"}, {"role", "primary"}}, 4));
}

TEST_F(RelayFaultsTest, CallsAreCountedByTheirGrpcStatusAndWarmConnectionsAreUsedAgain) {
  ScriptedUpstream upstream;
  start(pass_through_policy("localhost" + upstream.address().substr(upstream.address().rfind(':'))));
  const auto channel = make_channel(ficus_->address());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(call(channel, kPath, "m").status.ok());
  upstream.set_script(fail(grpc::Status(StatusCode::NOT_FOUND, "HTTP 200 and yet an error")));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call(channel, kPath, "m").status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(ficus_->wait_metric("ficus_calls_total", {{"grpc_status", "NOT_FOUND"}, {"role", "primary"}}, 3));
  EXPECT_EQ(ficus_->metrics().sum("ficus_calls_total", {{"grpc_status", "OK"}}), 5);
  EXPECT_EQ(ficus_->metrics().sum("ficus_connections_total", {{"peer", "policy-new"}}), 1)
      << "connections are not used again";
}

TEST_F(RelayFaultsTest, ProxyVariablesInTheEnvironmentChangeNothing) {
  ScriptedUpstream upstream;
  const std::string nowhere = "http://" + refusing_address();
  ficus_ = start_ficus(
      pass_through_policy(upstream.address()),
      {.environment = {
           {"http_proxy", nowhere}, {"grpc_proxy", nowhere}, {"https_proxy", nowhere}, {"ALL_PROXY", nowhere}}});
  EXPECT_TRUE(call(make_channel(ficus_->address()), kPath, "m").status.ok());
}

TEST_F(RelayFaultsTest, AGoawayLetsItsCallsFinishAndMovesTheNextOnes) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_goaway(served_, kNoError);
  const std::uint32_t next = client_->open(grpc_request(kPath), true);
  const auto moved = upstream_.next_request();
  ASSERT_TRUE(moved);
  EXPECT_NE(moved->connection, server_) << "a new call on a connection that said GOAWAY";
  moved->connection->send_headers(moved->stream, grpc_response({{"grpc-status", "0"}}), true);
  EXPECT_EQ(status_of(answer_to(next)), "0");
  server_->send_headers(served_, grpc_response(), false);
  server_->send_data(served_, grpc_frame("finished"), false);
  server_->send_headers(served_, grpc_trailers(), true);
  const RawH2::Stream got = answer_to(stream_);
  EXPECT_EQ(got.data, grpc_frame("finished"));
  EXPECT_EQ(status_of(got), "0");
}

TEST_F(RelayFaultsTest, AnswersThatBreakTheProtocolFailTheirCallOnly) {
  const struct {
    const char* name;
    std::function<void(RawH2&, std::uint32_t)> misbehave;
  } table[] = {
      {"DATA before HEADERS", [](RawH2& s, std::uint32_t id) { s.send_frame(kData, kEndStream, id, "x"); }},
      {"no :status",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, {{"content-type", "application/grpc"}}, true);
       }},
      {"upper case",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, grpc_response({{"X-Bad", "1"}}), true);
       }},
      {"bad :status",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, {{":status", "abc"}}, true);
       }},
      {"headers after the trailers",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, grpc_response(), false);
         s.send_headers(id, grpc_trailers(), true);
         s.send_headers(id, grpc_trailers(13), true);
       }},
      {"trailers without END_STREAM",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, grpc_response(), false);
         s.send_headers(id, grpc_trailers(), false);
       }},
      {"broken HPACK",
       [](RawH2& s, std::uint32_t id) { s.send_frame(kHeaders, kEndHeaders, id, "\xff\xff\xff\xff\xff"); }},
      {"window overflow",
       [](RawH2& s, std::uint32_t id) {
         s.send_window_update(id, 0x7fffffff);
         s.send_window_update(id, 0x7fffffff);
       }},
      {"a frame too large",
       [](RawH2& s, std::uint32_t id) { s.send_frame(kData, kNoFlags, id, std::string(2 << 20, 'x')); }},
      {"push promise",
       [](RawH2& s, std::uint32_t id) { s.send_frame(kPushPromise, kEndHeaders, id, std::string("\0\0\0\2", 4)); }},
      {"garbage", [](RawH2& s, std::uint32_t) { s.send_bytes(noise(4000)); }},
      {"101", [](RawH2& s, std::uint32_t id) { s.send_headers(id, {{":status", "101"}}, false); }},
      {"103 for ever",
       [](RawH2& s, std::uint32_t id) {
         for (int i = 0; i < 200; ++i) s.send_headers(id, {{":status", "103"}}, false);
       }},
      {"DATA without bytes for ever",
       [](RawH2& s, std::uint32_t id) {
         s.send_headers(id, grpc_response(), false);
         for (int i = 0; i < 200; ++i) s.send_frame(kData, kNoFlags, id, "");
       }},
  };
  for (const auto& one : table) {
    ASSERT_NO_FATAL_FAILURE(begin());
    one.misbehave(*server_, served_);
    if (std::string(one.name).find("trailers") == std::string::npos) {  // those may have ended well already
      const RawH2::Stream got = answer_to(stream_);
      EXPECT_NE(status_of(got), "0") << one.name;
      EXPECT_NE(status_of(got), "none") << one.name;
    } else {
      EXPECT_TRUE(client_->wait_over(stream_)) << one.name;
    }
    ASSERT_NO_FATAL_FAILURE(expect_next_call_succeeds()) << one.name;
  }
  EXPECT_TRUE(ficus_->wait_metric("ficus_upstream_limit_hits_total", {{"limit", "empty_frames_of_call"}}, 2));
}

TEST_F(RelayFaultsTest, AnUpstreamThatDoesNotSpeakHttp2IsUnavailable) {
  Listener listener;
  start(pass_through_policy(listener.address()));
  const std::uint32_t stream = client_->open(grpc_request(kPath), true);
  for (int i = 0; i < 10 && !client_->stream(stream).over(); ++i) {
    const Socket socket = listener.accept(std::chrono::milliseconds(500));
    if (socket) send_all(socket, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  }
  EXPECT_EQ(status_of(answer_to(stream)), "14");
  expect_names_upstream(message_of(client_->stream(stream)));
}

TEST_F(RelayFaultsTest, AnAnswerWithoutGrpcStatusIsAnErrorForTheClient) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_headers(served_, grpc_response(), false);
  server_->send_data(served_, grpc_frame("part"), true);  // ends without trailers
  const RawH2::Stream got = answer_to(stream_);
  EXPECT_NE(status_of(got), "0");
}

// What gRPC C++ makes of an HTTP status that is not 200, straight and through ficus (http-grpc-status-mapping.md).
class HttpStatusTest : public ThroughFicus {};
FICUS_DIRECT_AND_THROUGH(HttpStatusTest);

TEST_P(HttpStatusTest, AnHttpErrorMeansTheSameThroughFicus) {
  RawUpstream upstream;
  const auto channel = make_channel(reach(upstream.address()));
  const std::pair<const char*, StatusCode> table[] = {
      {"400", StatusCode::INTERNAL},      {"401", StatusCode::UNAUTHENTICATED}, {"403", StatusCode::PERMISSION_DENIED},
      {"404", StatusCode::UNIMPLEMENTED}, {"429", StatusCode::UNAVAILABLE},     {"502", StatusCode::UNAVAILABLE},
      {"503", StatusCode::UNAVAILABLE},   {"504", StatusCode::UNAVAILABLE},     {"418", StatusCode::UNKNOWN}};
  for (const auto& [http, code] : table) {
    ClientCall one(channel, kPath);  // its headers go out as soon as the raw upstream accepts
    const auto request = upstream.next_request();
    ASSERT_TRUE(request);
    request->connection->send_headers(request->stream, {{":status", http}, {"content-type", "text/html"}}, false);
    request->connection->send_data(request->stream, "<html>no</html>", true);
    EXPECT_EQ(one.finish().error_code(), code) << http;
  }
}

}  // namespace
}  // namespace ficus::e2e
