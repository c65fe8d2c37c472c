// Issue section 2, the request's head: what ficus takes out, what it adds, what it refuses, and the deadline it keeps.
// Raw HTTP/2 on both sides, through ficus only: a client straight at an upstream would see none of it.
#include <regex>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

class RelayHeadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ficus_ = start_ficus(pass_through_policy(upstream_.address()));
    client_ = RawH2::connect(ficus_->address());
    ASSERT_TRUE(client_);
  }
  // The head as the upstream got it; empty if it did not come.
  HeaderList arrives(const HeaderList& extra) {
    stream_ = client_->open(grpc_request(kPath, extra), true);
    last_ = upstream_.next_request();
    if (!last_) return {};
    last_->connection->send_headers(last_->stream, grpc_response({{"grpc-status", "0"}}), true);
    EXPECT_TRUE(client_->wait_over(stream_));
    return last_->head;
  }
  // The answer to a request that must not reach the upstream.
  RawH2::Stream refused(const HeaderList& head) {
    const std::uint32_t stream = client_->open(head, true);
    EXPECT_TRUE(client_->wait_over(stream)) << "no answer";
    EXPECT_FALSE(upstream_.next_request(std::chrono::milliseconds(20))) << "reached the upstream";
    return client_->stream(stream);
  }
  void expect_connection_still_works() {
    EXPECT_FALSE(client_->state().closed);
    EXPECT_FALSE(arrives({}).empty()) << "the connection no longer works";
  }

  RawUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::shared_ptr<RawH2> client_;
  std::uint32_t stream_ = 0;
  std::optional<RawUpstream::Request> last_;
};

HeaderList with(HeaderList head, const std::string& name, const std::string& value) {
  for (auto& header : head) {
    if (header.first == name) header.second = value;
  }
  return head;
}
HeaderList without(const HeaderList& head, const std::string& name) {
  HeaderList kept;
  for (const auto& header : head) {
    if (header.first != name) kept.push_back(header);
  }
  return kept;
}
std::string grpc_status(const RawH2::Stream& stream) {
  return stream.blocks.empty() ? "none" : find_header(stream.blocks.back(), "grpc-status").value_or("none");
}

// ---- what is taken out

TEST_F(RelayHeadsTest, FicusHeadersOfAClientAreDropped) {
  const HeaderList head = arrives({{"x-ficus-side", "new"},
                                   {"x-ficus-", "1"},
                                   {"x-ficus-shadow", "0"},
                                   {"x-ficus-shadow", "yes"},
                                   {"x-ficusnot", "kept"},
                                   {"y-ficus-a", "kept"}});
  ASSERT_FALSE(head.empty());
  for (const auto& [name, value] : head) EXPECT_NE(name.rfind("x-ficus-", 0), 0u) << name << ": " << value;
  EXPECT_EQ(find_header(head, "x-ficusnot"), "kept");
  EXPECT_EQ(find_header(head, "y-ficus-a"), "kept");
}

TEST_F(RelayHeadsTest, ConnectionHeadersNeverReachTheUpstream) {
  // RFC 9113 8.2.2 calls such a request malformed, so that refusing the stream is right too; forwarding never is.
  for (const auto& [name, value] : HeaderList{{"connection", "keep-alive, x-hop"},
                                              {"keep-alive", "timeout=5"},
                                              {"proxy-connection", "close"},
                                              {"transfer-encoding", "chunked"},
                                              {"upgrade", "h2c"},
                                              {"te", "gzip"}}) {
    const std::uint32_t stream = client_->open(grpc_request(kPath, {{name, value}}), true);
    const auto request = upstream_.next_request(kQuiet);
    if (request) {
      for (const std::string& forwarded : find_all(request->head, name)) EXPECT_EQ(forwarded, "trailers") << name;
      request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
    }
    EXPECT_TRUE(client_->wait_over(stream)) << name;
    if (client_->state().closed) client_ = RawH2::connect(ficus_->address());
  }
}

TEST_F(RelayHeadsTest, TheUpstreamSeesTeTrailersOnce) {
  const HeaderList head = arrives({});
  EXPECT_EQ(find_all(head, "te"), std::vector<std::string>{"trailers"});
}

// ---- traceparent (W3C Trace Context)

const std::regex kTraceparent("00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}");

TEST_F(RelayHeadsTest, ATraceIsBegunWhereNoneCame) {
  std::string seen[2];
  for (std::string& trace : seen) {
    const HeaderList head = arrives({});
    ASSERT_EQ(find_all(head, "traceparent").size(), 1u);
    std::smatch parts;
    const std::string value = *find_header(head, "traceparent");
    ASSERT_TRUE(std::regex_match(value, parts, kTraceparent)) << value;
    EXPECT_NE(parts[1], std::string(32, '0'));
    EXPECT_NE(parts[2], std::string(16, '0'));
    trace = parts[1];
  }
  EXPECT_NE(seen[0], seen[1]) << "two calls share a trace";
}

TEST_F(RelayHeadsTest, ATraceThatCameIsContinuedByAChild) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", parent = "00f067aa0ba902b7";
  for (const char* flags : {"01", "00"}) {
    const HeaderList head = arrives({{"traceparent", "00-" + trace + "-" + parent + "-" + flags},
                                     {"tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}});
    ASSERT_EQ(find_all(head, "traceparent").size(), 1u);
    const std::string value = *find_header(head, "traceparent");
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(value, parts, kTraceparent)) << value;
    EXPECT_EQ(parts[1], trace);
    EXPECT_NE(parts[2], parent) << "the leg is not a child of its own";
    EXPECT_EQ(value.substr(value.size() - 2), flags);
    EXPECT_EQ(find_header(head, "tracestate"), "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
  }
}

TEST_F(RelayHeadsTest, AMalformedTraceIsReplacedByANewOne) {
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string bad[] = {"",
                             "garbage",
                             "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                             "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                             "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                             "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                             good + "-extra",
                             good.substr(0, 54)};
  for (const std::string& value : bad) {
    const HeaderList head = arrives({{"traceparent", value}});
    ASSERT_EQ(find_all(head, "traceparent").size(), 1u) << value;
    const std::string got = *find_header(head, "traceparent");
    EXPECT_TRUE(std::regex_match(got, kTraceparent)) << value << " became " << got;
    EXPECT_EQ(got.find("4bf92f3577b34da6a3ce929d0e0e4736"), std::string::npos) << value << " was continued";
  }
}

TEST_F(RelayHeadsTest, TwoTraceparentsAreNotContinued) {
  const HeaderList head = arrives({{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
                                   {"traceparent", "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}});
  ASSERT_EQ(find_all(head, "traceparent").size(), 1u);
  EXPECT_EQ(find_header(head, "traceparent")->find("bf92f3577b34da6a3ce929d0e0e4736"), std::string::npos);
}

// ---- grpc-timeout

// Nanoseconds of a grpc-timeout value; -1 if malformed.
double timeout_ns(const std::string& value) {
  static const std::map<char, double> kUnits = {{'H', 3600e9}, {'M', 60e9}, {'S', 1e9},
                                                {'m', 1e6},    {'u', 1e3},  {'n', 1}};
  if (!std::regex_match(value, std::regex("[0-9]{1,8}[HMSmun]"))) return -1;
  return std::stod(value.substr(0, value.size() - 1)) * kUnits.at(value.back());
}

TEST_F(RelayHeadsTest, GrpcTimeoutIsPassedOnAsTheTimeThatRemains) {
  for (const char* sent : {"1H", "2M", "30S", "20000m", "30000000u", "99999999u"}) {
    const HeaderList head = arrives({{"grpc-timeout", sent}});
    ASSERT_EQ(find_all(head, "grpc-timeout").size(), 1u) << sent;
    const std::string got = *find_header(head, "grpc-timeout");
    const double remains = timeout_ns(got);
    EXPECT_LE(remains, timeout_ns(sent)) << sent << " grew to " << got;
    EXPECT_GT(remains, timeout_ns(sent) - 10e9) << sent << " became " << got;
    EXPECT_NE(remains, -1) << got;
  }
}

TEST_F(RelayHeadsTest, TheLargestTimeoutDoesNotOverflow) {
  for (const char* sent : {"99999999H", "99999999M", "99999999S"}) {
    const HeaderList head = arrives({{"grpc-timeout", sent}});
    ASSERT_EQ(find_all(head, "grpc-timeout").size(), 1u) << sent;
    const double remains = timeout_ns(*find_header(head, "grpc-timeout"));
    EXPECT_GT(remains, 1e9 * 3600) << sent << " became " << *find_header(head, "grpc-timeout");
    EXPECT_LE(remains, timeout_ns(sent));
  }
}

TEST_F(RelayHeadsTest, ATimeoutOfNothingReachesNobody) {
  for (const char* value : {"0n", "0S", "00000000H"}) {
    const RawH2::Stream got = refused(grpc_request(kPath, {{"grpc-timeout", value}}));
    EXPECT_TRUE(grpc_status(got) == "4" || grpc_status(got) == "3" || grpc_status(got) == "13")
        << value << ": " << grpc_status(got);
  }
}

TEST_F(RelayHeadsTest, TwoTimeoutsAreNeverReadDifferentlyHereAndThere) {
  const std::uint32_t stream =
      client_->open(grpc_request(kPath, {{"grpc-timeout", "20S"}, {"grpc-timeout", "40S"}}), true);
  const auto request = upstream_.next_request(kQuiet);
  if (request) {
    EXPECT_EQ(find_all(request->head, "grpc-timeout").size(), 1u);
    request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
  }
  EXPECT_TRUE(client_->wait_over(stream));
}

TEST_F(RelayHeadsTest, NoTimeoutIsInvented) { EXPECT_EQ(find_header(arrives({}), "grpc-timeout"), std::nullopt); }

TEST_F(RelayHeadsTest, AnExpiredTimeoutEndsTheCallHereAndCancelsTheUpstream) {
  const auto begin = std::chrono::steady_clock::now();
  const std::uint32_t stream = client_->open(grpc_request(kPath, {{"grpc-timeout", "250m"}}), false);
  const auto request = upstream_.next_request();
  ASSERT_TRUE(request);
  ASSERT_TRUE(client_->wait_over(stream)) << "the timeout is not enforced here";
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(240));
  EXPECT_EQ(grpc_status(client_->stream(stream)), "4");
  EXPECT_EQ(find_header(client_->stream(stream).blocks.back(), "grpc-message").value_or("").rfind("policy-new: ", 0),
            0u)
      << "does not say whom the call waited for";
  ASSERT_TRUE(request->connection->wait_over(request->stream));
  EXPECT_EQ(request->connection->stream(request->stream).reset, kCancel);
}

TEST_F(RelayHeadsTest, AnExpiredTimeoutEndsACallInTheMiddleOfItsAnswer) {
  const std::uint32_t stream = client_->open(grpc_request(kPath, {{"grpc-timeout", "400m"}}), true);
  const auto request = upstream_.next_request();
  ASSERT_TRUE(request);
  request->connection->send_headers(request->stream, grpc_response(), false);
  request->connection->send_data(request->stream, grpc_frame("one"), false);
  ASSERT_TRUE(client_->wait_data(stream, 8));
  ASSERT_TRUE(client_->wait_over(stream));
  const RawH2::Stream got = client_->stream(stream);
  ASSERT_EQ(got.blocks.size(), 2u) << "no trailers";
  EXPECT_EQ(grpc_status(got), "4");
  ASSERT_TRUE(request->connection->wait_over(request->stream));
}

TEST_F(RelayHeadsTest, AMalformedTimeoutIsRefused) {
  for (const char* value : {"", "5", "S", "-1S", "123456789S", "5X", "1.5S", " 5S", "5 S", "5s"}) {
    const RawH2::Stream got = refused(grpc_request(kPath, {{"grpc-timeout", value}}));
    EXPECT_TRUE(grpc_status(got) == "3" || grpc_status(got) == "13")
        << "'" << value << "': grpc-status " << grpc_status(got);
  }
  expect_connection_still_works();
}

// ---- requests that no gRPC server would take

TEST_F(RelayHeadsTest, APathThatIsNotServiceAndMethodIsUnimplemented) {
  for (const char* path : {"/a/b/c", "/a", "/", "//m", "/s/", "/a/b/", "///"}) {
    const RawH2::Stream got = refused(grpc_request(path));
    ASSERT_EQ(got.blocks.size(), 1u) << path;
    EXPECT_EQ(find_header(got.blocks[0], ":status"), "200") << path;
    EXPECT_EQ(grpc_status(got), "12") << path;
    EXPECT_TRUE(find_header(got.blocks[0], "content-type").value_or("").rfind("application/grpc", 0) == 0) << path;
    EXPECT_FALSE(find_header(got.blocks[0], "grpc-message").value_or("").empty()) << path;
  }
  expect_connection_still_works();
}

TEST_F(RelayHeadsTest, APathWithoutSlashNeverReachesTheUpstream) {
  for (const char* path : {"", "a/b", "*"}) {
    const RawH2::Stream got = refused(grpc_request(path));
    EXPECT_TRUE(got.reset.has_value() || grpc_status(got) == "12") << path;
    if (client_->state().closed) client_ = RawH2::connect(ficus_->address());
  }
}

TEST_F(RelayHeadsTest, AForeignContentTypeIsAnsweredWith415) {
  const HeaderList request = grpc_request(kPath);
  for (const char* type : {"text/html", "application/json", "application/grp", ""}) {
    const RawH2::Stream got = refused(with(request, "content-type", type));
    ASSERT_FALSE(got.blocks.empty()) << type;
    EXPECT_EQ(find_header(got.blocks[0], ":status"), "415") << type;
  }
  const RawH2::Stream got = refused(without(request, "content-type"));
  ASSERT_FALSE(got.blocks.empty());
  EXPECT_EQ(find_header(got.blocks[0], ":status"), "415");
  expect_connection_still_works();
}

TEST_F(RelayHeadsTest, AMethodOtherThanPostNeverReachesTheUpstream) {
  for (const char* method : {"GET", "PUT", "HEAD", "OPTIONS"}) {
    const RawH2::Stream got = refused(with(grpc_request(kPath), ":method", method));
    const std::string status = got.blocks.empty() ? "none" : find_header(got.blocks[0], ":status").value_or("none");
    EXPECT_TRUE(got.reset.has_value() || status[0] == '4' || (grpc_status(got) != "none" && grpc_status(got) != "0"))
        << method << ": " << status << ", grpc-status " << grpc_status(got);
  }
  expect_connection_still_works();
}

TEST_F(RelayHeadsTest, MalformedHeadsEndTheirStreamOnly) {
  const HeaderList request = grpc_request(kPath);
  const HeaderList heads[] = {
      without(request, ":path"),
      without(request, ":method"),
      without(request, ":scheme"),
      grpc_request(kPath, {{"Upper-Case", "1"}}),
      grpc_request(kPath, {{":late-pseudo", "1"}}),
      grpc_request(kPath, {{":path", "/again/Twice"}}),
      grpc_request(kPath, {{"x-nul", std::string("a\0b", 3)}}),
      grpc_request(kPath, {{"x-newline", "a\r\nb: c"}}),
      grpc_request(kPath, {{"", "no name"}}),
      grpc_request(kPath, {{"host", "elsewhere.test"}}),
      without(grpc_request(kPath, {{"host", "one.test"}, {"host", "one.test"}}), ":authority"),
  };
  for (const HeaderList& head : heads) {
    const RawH2::Stream got = refused(head);
    EXPECT_TRUE(got.over());
    if (client_->state().closed) client_ = RawH2::connect(ficus_->address());
  }
  EXPECT_FALSE(arrives({}).empty());
}

// gRPC's own servers say 8 KiB, and close the connection with everybody's calls when two such heads come at a time.
TEST_F(RelayHeadsTest, AHeadLargerThanTheUpstreamTakesNeverReachesIt) {
  constexpr std::uint16_t kMaxHeaderListSize = 6;
  RawH2::Options options;
  options.settings = {{kMaxHeaderListSize, 2000}};
  RawUpstream picky(options);
  ficus_ = start_ficus(pass_through_policy(picky.address()));
  client_ = RawH2::connect(ficus_->address());
  ASSERT_TRUE(client_);
  for (int round = 0; round < 2; ++round) {
    const std::uint32_t small = client_->open(grpc_request(kPath, {{"x-small", std::string(1000, 's')}}), true);
    const auto came = picky.next_request();
    ASSERT_TRUE(came);
    EXPECT_TRUE(find_header(came->head, "x-small")) << "the large one reached the upstream";
    came->connection->send_headers(came->stream, grpc_response({{"grpc-status", "0"}}), true);
    ASSERT_TRUE(client_->wait_over(small));
    EXPECT_EQ(grpc_status(client_->stream(small)), "0");
    const std::uint32_t large = client_->open(grpc_request(kPath, {{"x-large", std::string(2000, 'l')}}), true);
    ASSERT_TRUE(client_->wait_over(large));
    EXPECT_EQ(grpc_status(client_->stream(large)), "8");
  }
  EXPECT_EQ(picky.connections().size(), 1u) << "a connection was lost";
  EXPECT_TRUE(ficus_->wait_metric("ficus_upstream_limit_hits_total", {{"limit", "peer_header_list"}, {"role", "primary"}}, 2));
}

TEST_F(RelayHeadsTest, AHeadThatWasNeverWholeIsNoCallAndHasNoLatency) {
  refused(grpc_request(kPath, {{"Upper-Case", "1"}}));
  EXPECT_TRUE(ficus_->wait_metric("ficus_refused_total", {{"reason", "malformed_head"}}, 1));
  const MetricsSnapshot seen = ficus_->metrics();
  EXPECT_EQ(seen.sum("ficus_calls_total", {}), 0) << "counted as a call";
  EXPECT_EQ(seen.sum("ficus_call_seconds_sum", {}), 0) << "seconds since the machine booted";
}

TEST_F(RelayHeadsTest, TheLettersOfTheContentTypeHaveNoCase) {
  for (const char* type : {"Application/gRPC", "application/grpc+Proto", "APPLICATION/GRPC;charset=x"}) {
    client_->open(with(grpc_request(kPath), "content-type", type), true);
    const auto request = upstream_.next_request();
    ASSERT_TRUE(request) << type;
    EXPECT_EQ(find_header(request->head, "content-type"), type);
    request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
  }
}

TEST(RelayWithoutDefaultUpstreamTest, AMethodNobodyTakesIsUnimplemented) {
  ScriptedUpstream legacy, fresh;
  const auto ficus =
      start_ficus(two_sided_policy({.legacy = legacy.address(), .new_ = fresh.address(), .default_upstream = false}),
                  {.files = {{"insurance.pb", insurance_schema()}}});
  const UnaryReply reply = call(make_channel(ficus->address()), "/some.Other/Method", "m");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(legacy.calls() + fresh.calls(), 0u);
}

}  // namespace
}  // namespace ficus::e2e
