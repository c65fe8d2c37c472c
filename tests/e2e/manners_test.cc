// The manners asked of peers: who is slow, silent, idle, dead, old or nagging is told to go, with the right GOAWAY and
// a count, and whoever is not sees nothing of it.
#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"
#include "tests/support/sockets.h"

namespace ficus::e2e {
namespace {

constexpr std::uint32_t kEveryStream = 0x7fffffff;
const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class MannersTest : public ::testing::Test {
 protected:
  void start(std::vector<std::string> flags) {
    ficus_ = start_ficus(pass_through_policy(upstream_.address()), {.flags = std::move(flags)});
    channel_ = make_channel(ficus_->address());
    bystander_ = std::make_unique<ClientCall>(channel_, kPath);
    ASSERT_TRUE(bystander_->write("before"));
    ASSERT_EQ(bystander_->read(), "before");
  }
  std::shared_ptr<RawH2> client(RawH2::Options options = {}) { return RawH2::connect(ficus_->address(), options); }
  bool counted(const std::string& limit, double times = 1) {
    return ficus_->wait_metric("ficus_limit_hits_total", {{"limit", limit}}, times);
  }
  double count(const std::string& limit) { return ficus_->metrics().sum("ficus_limit_hits_total", {{"limit", limit}}); }
  // It gets that GOAWAY and then the end of the connection.
  void expect_sent_away(RawH2& peer, std::uint32_t code, const std::string& debug) {
    ASSERT_TRUE(peer.wait([](const RawH2::State& s) { return !s.goaways.empty(); })) << "no GOAWAY";
    EXPECT_EQ(peer.state().goaways.back().code, code);
    EXPECT_EQ(peer.state().goaways.back().debug, debug);
    EXPECT_TRUE(peer.wait_closed()) << "GOAWAY, and still open";
  }
  void expect_bystander_unharmed() {
    ASSERT_TRUE(bystander_->write("after"));
    ASSERT_EQ(bystander_->read(), "after") << "another client's call was touched";
    EXPECT_TRUE(call(channel_, kPath, "m").status.ok());
    EXPECT_EQ(ficus_->metrics().sum("ficus_protocol_errors_total", {{"peer", "client"}}), 0);
  }
  // A call of the raw client's that the echo answers.
  void expect_served(RawH2& peer) {
    const std::uint32_t stream = peer.open(grpc_request(kPath));
    peer.send_data(stream, grpc_frame("m"), true);
    ASSERT_TRUE(peer.wait_over(stream));
    EXPECT_EQ(grpc_frames(peer.stream(stream).data), (std::vector<GrpcFrame>{{0, "m"}}));
  }

  ScriptedUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<ClientCall> bystander_;
};

// ---- slow

TEST_F(MannersTest, AClientThatDoesNotSayThatItSpeaksHttp2IsCut) {
  start({"--preface-timeout", "500ms", "--log-level", "debug"});
  const std::string said[] = {"", kPreface.substr(0, 10), kPreface, kPreface + std::string("\0\0\x6\4", 4)};
  double cut = 0;
  for (const std::string& bytes : said) {
    SCOPED_TRACE(bytes.size());
    // By hand: a client that knows HTTP/2 would acknowledge our SETTINGS.
    const Socket peer = connect_loopback(ficus_->address());
    ASSERT_TRUE(peer);
    send_all(peer, bytes);
    const std::string heard = read_to_end(peer, kPatience);
    const std::string goaway = std::string("\0\0\0\x4", 4) + "preface_time";  // SETTINGS_TIMEOUT, and why
    EXPECT_NE(heard.find(goaway), std::string::npos);
    EXPECT_TRUE(counted("preface_time", ++cut));
  }
  EXPECT_TRUE(ficus_->wait_log("client_broken_off"));
  expect_bystander_unharmed();
  EXPECT_EQ(count("preface_time"), cut) << "a client that had said it was cut";
}

TEST_F(MannersTest, AHeadThatDoesNotEndIsCut) {
  start({"--head-timeout", "200ms"});
  const std::string begun[] = {h2_frame(kHeaders, kNoFlags, 3, {}),                          // CONTINUATION never comes
                               h2_frame(kHeaders, kEndHeaders, 3, "123456").substr(0, 12)};  // cut within the frame
  double cut = 0;
  for (const std::string& bytes : begun) {
    SCOPED_TRACE(bytes.size());
    const auto peer = client();
    ASSERT_TRUE(peer);
    expect_served(*peer);
    peer->send_bytes(bytes);
    ASSERT_NO_FATAL_FAILURE(expect_sent_away(*peer, kEnhanceYourCalm, "head_time"));
    EXPECT_TRUE(counted("head_time", ++cut));
  }
  expect_bystander_unharmed();
}

TEST_F(MannersTest, ManyHeadsInPiecesAreNotOneLongHead) {
  start({"--head-timeout", "2s"});
  const auto peer = client();
  ASSERT_TRUE(peer);
  // First a call, so that the harness has said all it says by itself: nothing of it may fall between the pieces.
  ASSERT_NO_FATAL_FAILURE(expect_served(*peer));
  // Each read ends within a head, for longer than one head may take.
  const std::string refused = h2_frame(kHeaders, kEndHeaders | kEndStream, 3, "\x82");  // malformed: answered at once
  const auto begin = std::chrono::steady_clock::now();
  std::uint32_t stream = 3;
  peer->send_bytes(refused.substr(0, 9));
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(2600)) {
    const std::uint32_t next = stream + 2;
    peer->send_bytes("\x82" + h2_frame(kHeaders, kEndHeaders | kEndStream, next, "\x82").substr(0, 9));
    ASSERT_TRUE(peer->wait_over(stream));
    ASSERT_FALSE(peer->state().closed) << "after " << stream / 2 << " heads";
    stream = next;
    stays([&] { return !peer->state().closed; }, std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(peer->state().goaways.empty());
  EXPECT_EQ(count("head_time"), 0);
}

// ---- idle and dead

TEST_F(MannersTest, AnIdleClientIsToldToGoAndOneWithACallStays) {
  start({"--client-idle-timeout", "300ms"});
  const auto idle = client(), later_idle = client();
  ASSERT_TRUE(idle && later_idle);
  const std::uint32_t stream = later_idle->open(grpc_request(kPath));
  ASSERT_NO_FATAL_FAILURE(expect_sent_away(*idle, kNoError, ""));
  EXPECT_EQ(idle->state().goaways.front().last_stream, kEveryStream) << "a call on its way would be lost";
  EXPECT_EQ(idle->state().goaways.size(), 2u);
  EXPECT_TRUE(counted("client_idle"));
  EXPECT_TRUE(stays([&] { return later_idle->state().goaways.empty(); }, std::chrono::milliseconds(700)));
  later_idle->send_data(stream, grpc_frame("m"), true);
  ASSERT_TRUE(later_idle->wait_over(stream));
  EXPECT_EQ(later_idle->stream(stream).data, grpc_frame("m"));
  ASSERT_NO_FATAL_FAILURE(expect_sent_away(*later_idle, kNoError, ""));
  expect_bystander_unharmed();
}

TEST_F(MannersTest, AClientThatDoesNotAnswerAPingIsCutAndOneThatDoesStays) {
  start({"--keepalive-interval", "200ms", "--keepalive-timeout", "2s"});
  RawH2::Options dead;
  dead.answer = false;
  const auto peer = client(dead), alive = client();
  ASSERT_TRUE(peer && alive);
  ASSERT_NO_FATAL_FAILURE(expect_sent_away(*peer, kNoError, "keepalive_timeout"));
  EXPECT_EQ(peer->state().pings, 1u);
  EXPECT_TRUE(counted("keepalive"));
  EXPECT_TRUE(alive->wait([](const RawH2::State& s) { return s.pings >= 3; }));
  EXPECT_TRUE(alive->state().goaways.empty());
  expect_served(*alive);
  expect_bystander_unharmed();
  EXPECT_EQ(count("keepalive"), 1);
}

// ---- old

TEST_F(MannersTest, ACallThatOutlivesItsConnectionsAgeAndGraceEndsUnavailable) {
  ficus_ = start_ficus(pass_through_policy(upstream_.address()),
                       {.flags = {"--max-connection-age", "500ms", "--max-connection-age-grace", "300ms"}});
  const auto peer = client();
  ASSERT_TRUE(peer);
  const std::uint32_t stream = peer->open(grpc_request(kPath));
  ASSERT_TRUE(peer->wait([](const RawH2::State& s) { return s.goaways.size() == 2; }));
  EXPECT_EQ(peer->state().goaways[0].last_stream, kEveryStream);
  EXPECT_EQ(peer->state().goaways[1].last_stream, stream);
  EXPECT_EQ(peer->state().goaways[1].code, kNoError);
  EXPECT_TRUE(counted("connection_age"));
  ASSERT_TRUE(peer->wait_over(stream));
  ASSERT_FALSE(peer->stream(stream).blocks.empty());
  EXPECT_EQ(find_header(peer->stream(stream).blocks.back(), "grpc-status"), "14");
  EXPECT_EQ(find_header(peer->stream(stream).blocks.back(), "grpc-message"),
            "facade: the connection has reached its age");
  EXPECT_TRUE(counted("connection_age_grace"));
  EXPECT_EQ(count("drain_timeout"), 0) << "the facade drains not";
  EXPECT_TRUE(peer->wait_closed());
}

TEST_F(MannersTest, AClientThatHeedsGoawayLosesNoCallToItsConnectionsAge) {
  ficus_ = start_ficus(pass_through_policy(upstream_.address()),
                       {.flags = {"--max-connection-age", "200ms", "--max-connection-age-grace", "10s"}});
  // Without its retries gRPC's client fails a call that it began on a connection whose GOAWAY it has just read.
  channel_ = make_retrying_channel(ficus_->address());
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (count("connection_age") < 4 && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 20; ++i) {
      const UnaryReply reply = call(channel_, kPath, "m");
      ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
    }
  }
  EXPECT_GE(count("connection_age"), 4);
}

// ---- nagging

TEST_F(MannersTest, AClientThatPingsTooOftenIsToldToBeCalm) {
  start({"--min-ping-interval", "1m"});
  const auto nag = client(), polite = client();
  ASSERT_TRUE(nag && polite);
  const auto ping = [](RawH2& peer, std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
      const std::size_t acks = peer.state().ping_acks;
      ASSERT_TRUE(peer.send_ping());
      ASSERT_TRUE(peer.wait([&](const RawH2::State& s) { return s.ping_acks > acks; })) << "PING " << i;
    }
  };
  ASSERT_NO_FATAL_FAILURE(ping(*nag, 3));  // the first is free, then two strikes
  EXPECT_TRUE(nag->state().goaways.empty());
  nag->send_ping();
  ASSERT_NO_FATAL_FAILURE(expect_sent_away(*nag, kEnhanceYourCalm, "too_many_pings"));
  EXPECT_TRUE(counted("ping_strikes"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(ping(*polite, 3));
    expect_served(*polite);  // what is sent between wipes them out
  }
  EXPECT_TRUE(polite->state().goaways.empty());
  EXPECT_EQ(count("ping_strikes"), 1);
  expect_bystander_unharmed();
}

TEST_F(MannersTest, WithoutAMinimumPingsAreNotJudged) {
  start({"--min-ping-interval", "0"});
  const auto peer = client();
  ASSERT_TRUE(peer);
  for (int i = 0; i < 50; ++i) peer->send_ping();
  EXPECT_TRUE(peer->wait([](const RawH2::State& s) { return s.ping_acks == 50; }));
  EXPECT_TRUE(peer->state().goaways.empty());
}

// ---- our own, towards upstreams

void answer(const RawUpstream::Request& request) {
  request.connection->send_headers(request.stream, grpc_response({{"grpc-status", "0"}}), true);
}

TEST(UpstreamMannersTest, AnUpstreamThatDoesNotAnswerAPingLosesItsCallsAndOneThatDoesKeepsThem) {
  RawH2::Options dead;
  dead.answer = false;
  RawUpstream gone(dead), lively;
  const auto ficus =
      start_ficus(pass_through_policy({gone.address(), lively.address()}, ", keepalive: {interval: 10s, timeout: 1s}"));
  const auto client = RawH2::connect(ficus->address());
  ASSERT_TRUE(client);
  // Least request: one call each.
  const std::uint32_t one = client->open(grpc_request(kPath), true), other = client->open(grpc_request(kPath), true);
  const auto on_gone = gone.next_request(), on_lively = lively.next_request();
  ASSERT_TRUE(on_gone);
  ASSERT_TRUE(on_lively);
  ASSERT_TRUE(client->wait(
      [&](const RawH2::State& s) { return s.streams.at(one).over() || s.streams.at(other).over(); }, 2 * kPatience))
      << "a dead upstream keeps its call";
  const std::uint32_t lost = client->stream(one).over() ? one : other;
  const RawH2::Stream got = client->stream(lost);
  ASSERT_FALSE(got.blocks.empty());
  EXPECT_EQ(find_header(got.blocks.back(), "grpc-status"), "14");
  EXPECT_EQ(find_header(got.blocks.back(), "grpc-message"), "policy-new: keepalive timeout");
  EXPECT_TRUE(ficus->wait_metric("ficus_upstream_limit_hits_total", {{"limit", "keepalive"}}, 1));
  EXPECT_TRUE(on_gone->connection->wait_closed());
  EXPECT_EQ(on_gone->connection->state().pings, 1u);
  EXPECT_TRUE(on_lively->connection->wait([](const RawH2::State& s) { return s.pings >= 1; }));
  answer(*on_lively);
  ASSERT_TRUE(client->wait_over(lost == one ? other : one));
  EXPECT_EQ(find_header(client->stream(lost == one ? other : one).blocks.at(0), "grpc-status"), "0");
}

TEST(UpstreamMannersTest, AConnectionWithoutCallsIsClosedAndTheNextCallOpensOne) {
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy({upstream.address()}, ", idle_timeout: 300ms"));
  const auto client = RawH2::connect(ficus->address());
  const std::uint32_t first = client->open(grpc_request(kPath), true);
  const auto request = upstream.next_request();
  ASSERT_TRUE(request);
  EXPECT_TRUE(stays([&] { return !request->connection->state().closed; }, std::chrono::milliseconds(700)))
      << "closed under a call";
  answer(*request);
  ASSERT_TRUE(client->wait_over(first));
  ASSERT_TRUE(request->connection->wait_closed());
  ASSERT_EQ(request->connection->state().goaways.size(), 1u);
  EXPECT_EQ(request->connection->state().goaways[0].code, kNoError);
  EXPECT_TRUE(ficus->wait_metric("ficus_upstream_limit_hits_total", {{"limit", "idle_timeout"}}, 1));
  EXPECT_FALSE(upstream.accept(std::chrono::milliseconds(1300))) << "opened again without a call";
  const std::uint32_t second = client->open(grpc_request(kPath), true);
  const auto again = upstream.next_request();
  ASSERT_TRUE(again);
  answer(*again);
  ASSERT_TRUE(client->wait_over(second));
  EXPECT_EQ(find_header(client->stream(second).blocks.at(0), "grpc-status"), "0");
}

TEST(UpstreamMannersTest, AnUpstreamIsCalledByTheAuthorityThatThePolicyNames) {
  RawUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy({upstream.address()}, ", authority: \"inner.test:8443\""));
  const auto client = RawH2::connect(ficus->address());
  const std::uint32_t stream = client->open(grpc_request(kPath), true);
  const auto request = upstream.next_request();
  ASSERT_TRUE(request);
  EXPECT_EQ(find_all(request->head, ":authority"), std::vector<std::string>{"inner.test:8443"});
  answer(*request);
  EXPECT_TRUE(client->wait_over(stream));
}

}  // namespace
}  // namespace ficus::e2e
