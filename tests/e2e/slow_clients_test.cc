// Clients that begin and do not go on: each holds one of its upstream's calls, so that a crowd of them would shut the
// others out. Who is slow is told so, who is only silent between two messages stays, and those beside see no error.
#include <algorithm>

#include "tests/e2e/hostile_fixture.h"
#include "tests/e2e/two_sided_fixture.h"

namespace ficus::e2e {
namespace {

std::string request(std::uint32_t stream) {
  return h2_frame(kHeaders, kEndHeaders, stream, literals(grpc_request(kPath)));
}

// The first `count` streams of a client, each with its head and so much of its first message.
std::string half_sent(std::uint32_t count, const std::string& body) {
  std::string all;
  for (std::uint32_t i = 0; i < count; ++i) {
    all += request(2 * i + 1);
    if (!body.empty()) all += h2_frame(kData, kNoFlags, 2 * i + 1, body);
  }
  return all;
}

std::size_t over(const RawH2& peer) {
  const auto state = peer.state();
  return static_cast<std::size_t>(
      std::count_if(state.streams.begin(), state.streams.end(), [](const auto& one) { return one.second.over(); }));
}

// Calls of kPath are echoed, others answered without end.
Script echo_or_pour() {
  return [](UpstreamCall& call) {
    if (call.path() == kPath) return echo()(call);
    const std::string block = noise(64 << 10);
    while (call.write(block)) {
    }
    return grpc::Status::OK;
  };
}

RawH2::Options takes_nothing() {
  RawH2::Options options;
  options.give_window = options.keep_data = false;
  options.connection_window = 1u << 30;
  return options;
}

class SlowClientsTest : public ::testing::Test {
 protected:
  void start(std::vector<std::string> flags, const std::string& upstream_extra = {}) {
    ficus_ = start_ficus(pass_through_policy({upstream_.address()}, upstream_extra), {.flags = std::move(flags)});
    bystander_ = std::make_unique<Bystander>(ficus_->address());
    ASSERT_TRUE(bystander_->goes_on(10)) << "before any attack";
  }
  double hits(const std::string& limit) { return ficus_->metrics().sum("ficus_limit_hits_total", {{"limit", limit}}); }
  double upstream_hits(const std::string& limit) {
    return ficus_->metrics().sum("ficus_upstream_limit_hits_total", {{"limit", limit}, {"role", "primary"}});
  }
  bool counted(const std::string& limit, double times = 1) {
    return ficus_->wait_metric("ficus_limit_hits_total", {{"limit", limit}}, times);
  }
  void expect_others_unharmed() {
    EXPECT_TRUE(bystander_->goes_on(20));
    bystander_->stop();
    EXPECT_EQ(bystander_->failure(), "");
    EXPECT_EQ(ficus_->metrics().sum("ficus_protocol_errors_total", {{"peer", "client"}}), 0);
  }
  // Many connections with one half-sent call each, one after the other.
  std::vector<std::shared_ptr<RawH2>> crowd_of(std::size_t count, const std::string& bytes) {
    std::vector<std::shared_ptr<RawH2>> crowd;
    for (std::size_t i = 0; i < count; ++i) {
      crowd.push_back(RawH2::connect(ficus_->address()));
      crowd.back()->send_bytes(bytes);
    }
    return crowd;
  }

  ScriptedUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::unique_ptr<Bystander> bystander_;
};

TEST_F(SlowClientsTest, AMessageThatDoesNotGetOnEndsItsCallAndNoOther) {
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "300ms", "--log-level", "debug"}));
  const std::string whole = grpc_frame("whole");
  const std::string begun[] = {
      whole.substr(0, 1),          // of the prefix
      whole.substr(0, 5),          // nothing but it
      whole.substr(0, 9),          // a byte short
      whole + whole.substr(0, 6),  // the second one
      "\x02" + whole.substr(1),    // no message at all
  };
  double ended = 0;
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::uint32_t beside = peer->open(grpc_request(kPath));
  for (const std::string& body : begun) {
    SCOPED_TRACE(testing::PrintToString(body));
    const std::uint32_t slow = peer->open(grpc_request(kPath));
    ASSERT_EQ(peer->send_data(slow, body, false), body.size());
    ASSERT_TRUE(peer->wait_over(slow));
    const HeaderList answer = peer->stream(slow).blocks.back();
    EXPECT_EQ(find_header(answer, "grpc-status"), "14");
    EXPECT_EQ(find_header(answer, "grpc-message"), "facade: the rest of a message did not come in time");
    EXPECT_TRUE(counted("message_time", ++ended));
  }
  EXPECT_TRUE(ficus_->wait_log("client_call_ended"));
  EXPECT_TRUE(ficus_->wait_log("peer=127.0.0.1:"));
  // Its upstream heard of each end: nothing is held any more.
  EXPECT_TRUE(wait_until([&] { return upstream_.running() <= 2; })) << upstream_.running();
  ASSERT_EQ(peer->send_data(beside, whole, true), whole.size());
  ASSERT_TRUE(peer->wait_over(beside));
  EXPECT_EQ(peer->stream(beside).data, whole);
  EXPECT_EQ(hits("message_time"), ended);
  expect_others_unharmed();
}

TEST_F(SlowClientsTest, SilenceBetweenMessagesIsNoFault) {
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "150ms"}));
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::uint32_t nothing_yet = peer->open(grpc_request(kPath)), one_so_far = peer->open(grpc_request(kPath));
  const std::string message = grpc_frame("m");
  ASSERT_EQ(peer->send_data(one_so_far, message, false), message.size());
  ASSERT_TRUE(peer->wait_data(one_so_far, message.size()));
  EXPECT_TRUE(stays([&] { return over(*peer) == 0; }, std::chrono::milliseconds(700)));
  for (const std::uint32_t stream : {nothing_yet, one_so_far}) {
    ASSERT_EQ(peer->send_data(stream, message, true), message.size());
    ASSERT_TRUE(peer->wait_over(stream));
    EXPECT_EQ(find_header(peer->stream(stream).blocks.back(), "grpc-status"), "0");
  }
  EXPECT_EQ(peer->stream(one_so_far).data, message + message);
  EXPECT_EQ(hits("message_time"), 0);
  expect_others_unharmed();
}

TEST_F(SlowClientsTest, AMessageThatGetsOnMayTakeItsTime) {
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "400ms"}));
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::uint32_t stream = peer->open(grpc_request(kPath));
  const std::string message = grpc_frame(noise(3000));  // 2 KB/s
  for (std::size_t at = 0; at < message.size(); at += 100) {
    const std::string piece = message.substr(at, 100);
    ASSERT_EQ(peer->send_data(stream, piece, at + 100 >= message.size()), piece.size());
    if (at + 100 < message.size()) {
      ASSERT_TRUE(stays([&] { return over(*peer) == 0; }, std::chrono::milliseconds(50))) << "after " << at << " bytes";
    }
  }
  ASSERT_TRUE(peer->wait_over(stream));
  EXPECT_EQ(peer->stream(stream).data, message);
  EXPECT_EQ(hits("message_time"), 0);
  expect_others_unharmed();
}

TEST_F(SlowClientsTest, AByteNowAndThenIsNotGettingOn) {
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "500ms"}));
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::uint32_t stream = peer->open(grpc_request(kPath));
  ASSERT_EQ(peer->send_data(stream, grpc_frame(noise(3000)).substr(0, 6), false), 6u);
  ASSERT_TRUE(wait_until([&] {
    peer->send_data(stream, "x", false);
    return !stays([&] { return !peer->stream(stream).over(); }, std::chrono::milliseconds(20));  // 50 a second
  }));
  EXPECT_TRUE(counted("message_time"));
  expect_others_unharmed();
}

TEST_F(SlowClientsTest, AClientThatWeGiveNoWindowIsNotSlow) {
  RawH2::Options never_gives;
  never_gives.give_window = never_gives.keep_data = false;
  RawUpstream stalled(never_gives);
  ficus_ = start_ficus(pass_through_policy(stalled.address()), {.flags = {"--message-timeout", "200ms"}});
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::uint32_t stream = peer->open(grpc_request(kPath));
  const auto call = stalled.next_request();
  ASSERT_TRUE(call);
  const std::string message = grpc_frame(noise(2u << 20));
  const std::size_t sent = peer->send_data(stream, message, false, std::chrono::milliseconds(900));
  ASSERT_LT(sent, message.size()) << "nothing stalled";
  EXPECT_FALSE(peer->stream(stream).over());
  call->connection->send_window_update(0, 8 << 20);
  call->connection->send_window_update(call->stream, 8 << 20);
  const std::string rest = message.substr(sent);
  ASSERT_EQ(peer->send_data(stream, rest, true), rest.size());
  EXPECT_TRUE(call->connection->wait_data(call->stream, message.size()));
  EXPECT_EQ(hits("message_time"), 0);
}

// ---- where the upstream's limit is wanted by others

TEST_F(SlowClientsTest, AFewConnectionsWithManyHalfSentCallsShutNobodyOut) {
  ASSERT_NO_FATAL_FAILURE(start({}));
  std::vector<std::unique_ptr<Bystander>> others;
  for (int i = 0; i < 3; ++i) others.push_back(std::make_unique<Bystander>(ficus_->address()));
  for (const std::string& body :
       {std::string("\0", 1), grpc_frame("a message that may be one of many"), std::string()}) {
    SCOPED_TRACE(body.size());
    // Refused, or, where they took so long that the first of them stand still, let in at their expense.
    const auto kept_off = [&] { return upstream_hits("connection_share") + hits("stalled_calls"); };
    const double before = kept_off();
    const auto crowd = crowd_of(12, half_sent(100, body));  // 1200 of 1024
    EXPECT_TRUE(wait_until([&] { return kept_off() > before; }))
        << ficus_->metrics().print("ficus_upstream_limit_hits_total") << upstream_.running();
    for (const auto& other : others) EXPECT_TRUE(other->goes_on(20));
    for (const auto& one : crowd) EXPECT_TRUE(one->state().goaways.empty()) << "its connection is in order";
  }
  for (const auto& other : others) {
    other->stop();
    EXPECT_EQ(other->failure(), "");
  }
  EXPECT_EQ(upstream_hits("max_concurrent_requests"), 0) << "the last eighth was to be kept";
  expect_others_unharmed();
}

// A stream on which something is said now and then, be it by its server alone, is at work; so is anybody's only one.
TEST_F(SlowClientsTest, StreamsAtWorkDoNotGiveWay) {
  upstream_.set_script([](UpstreamCall& call) {
    if (call.path() != "/s.S/Push") return echo()(call);
    while (call.write("news") && !call.cancelled())
      stays([&] { return !call.cancelled(); }, std::chrono::milliseconds(300));
    return grpc::Status::OK;
  });
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "3s"}, ", max_concurrent_requests: 7"));
  bystander_->stop();
  const auto many = RawH2::connect(ficus_->address()), one = RawH2::connect(ficus_->address());
  ASSERT_TRUE(many && one);
  const std::size_t before = upstream_.calls();
  std::vector<std::uint32_t> talk;
  for (int i = 0; i < 3; ++i) talk.push_back(many->open(grpc_request(kPath)));
  for (int i = 0; i < 3; ++i) many->open(grpc_request("/s.S/Push"));
  one->open(grpc_request(kPath));
  ASSERT_TRUE(wait_until([&] { return upstream_.calls() == before + 7; }));
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(7)) {
    for (const std::uint32_t stream : talk) many->send_data(stream, grpc_frame("m"), false);
    // Each a client of its own, with no call at all.
    const UnaryReply refused = call(make_channel(ficus_->address()), kPath, "m");
    ASSERT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.status.error_message();
    ASSERT_TRUE(stays([&] { return over(*many) + over(*one) == 0; }, std::chrono::milliseconds(250)));
  }
  EXPECT_EQ(hits("stalled_calls"), 0);
}

// A stream that says nothing may be at work, but not with everybody's places.
TEST_F(SlowClientsTest, SilentCallsGiveWayToClientsWithFewer) {
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "2s"}, ", max_concurrent_requests: 16"));
  bystander_->stop();
  const std::size_t before = upstream_.calls();
  const auto greedy = RawH2::connect(ficus_->address());
  ASSERT_TRUE(greedy);
  ASSERT_TRUE(greedy->send_bytes(half_sent(12, {})));
  ASSERT_TRUE(wait_until([&] { return upstream_.calls() == before + 12; }));
  const auto small = crowd_of(4, half_sent(1, grpc_frame("one")));
  ASSERT_TRUE(wait_until([&] { return upstream_.calls() == before + 16; }));
  const auto channel = make_channel(ficus_->address());
  ASSERT_TRUE(wait_until([&] { return call(channel, kPath, "m").status.ok(); }));
  EXPECT_TRUE(counted("stalled_calls"));
  Bystander later(ficus_->address());
  EXPECT_TRUE(later.goes_on(20));
  later.stop();
  EXPECT_EQ(later.failure(), "");
  EXPECT_GE(over(*greedy), 1u);
  for (const auto& one : small) EXPECT_EQ(over(*one), 0u) << "it has no more than who wants its place";
}

// Each upload waits for its turn on the line longer than a message may stand still, and the connection gets on.
TEST_F(SlowClientsTest, UploadsThatShareASlowLineTakeTurns) {
  constexpr std::uint32_t kUploads = 30;
  ASSERT_NO_FATAL_FAILURE(start({"--message-timeout", "1s"}, ", max_concurrent_requests: 30"));
  bystander_->stop();
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  ASSERT_TRUE(peer->send_bytes(half_sent(kUploads, grpc_frame(noise(60'000)).substr(0, 100))));
  ASSERT_TRUE(ficus_->wait_metric("ficus_streams", {}, kUploads));
  const auto channel = make_channel(ficus_->address());
  std::uint32_t turn = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::seconds(4)) {
    peer->send_data(2 * (turn++ % kUploads) + 1, std::string(3000, 'x'), false);
    const UnaryReply refused = call(channel, kPath, "m");
    ASSERT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE) << refused.status.error_message();
    ASSERT_TRUE(stays([&] { return over(*peer) == 0; }, std::chrono::milliseconds(50))) << "after " << turn;
  }
  EXPECT_EQ(hits("stalled_calls") + hits("message_time"), 0);
}

// So many that each has no more than its part: then who stands still gives way, the longest standing first.
TEST_F(SlowClientsTest, WhoStandsStillGivesWayAtAFullUpstream) {
  ASSERT_NO_FATAL_FAILURE(start({}, ", max_concurrent_requests: 20"));
  bystander_->stop();
  const std::size_t before = upstream_.calls();
  const std::string one_call = half_sent(1, std::string("\0", 1));
  auto crowd = crowd_of(1, one_call);
  ASSERT_TRUE(wait_until([&] { return upstream_.calls() > before; }));
  for (auto& one : crowd_of(19, one_call)) crowd.push_back(std::move(one));
  ASSERT_TRUE(wait_until([&] { return upstream_.calls() == before + 20; }));
  const auto channel = make_channel(ficus_->address());
  ASSERT_TRUE(wait_until([&] { return call(channel, kPath, "m").status.ok(); }));
  EXPECT_TRUE(counted("stalled_calls"));
  ASSERT_TRUE(crowd[0]->wait_over(1)) << "it has waited longest";
  const HeaderList answer = crowd[0]->stream(1).blocks.back();
  EXPECT_EQ(find_header(answer, "grpc-status"), "14");
  EXPECT_EQ(find_header(answer, "grpc-message"),
            "facade: a call that waited for its client gave way: its upstream's limit was reached");
  Bystander later(ficus_->address());
  EXPECT_TRUE(later.goes_on(20));
  later.stop();
  EXPECT_EQ(later.failure(), "");
  EXPECT_LE(hits("stalled_calls"), 3) << "more gave way than had to";
}

TEST_F(SlowClientsTest, CallsThatGetOnDoNotGiveWay) {
  ASSERT_NO_FATAL_FAILURE(start({}, ", max_concurrent_requests: 4"));
  bystander_->stop();
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  // Two between their messages, two in a message that comes.
  std::vector<std::uint32_t> open;
  const std::string message = grpc_frame(noise(60'000));
  for (int i = 0; i < 4; ++i) open.push_back(peer->open(grpc_request(kPath)));
  const auto channel = make_channel(ficus_->address());
  ASSERT_TRUE(wait_until([&] { return !call(channel, kPath, "m").status.ok(); }));
  std::size_t sent = 0;
  EXPECT_TRUE(stays(
      [&] {
        const std::string piece = message.substr(sent, 100);
        sent += piece.size();
        for (const std::uint32_t stream : {open[2], open[3]}) peer->send_data(stream, piece, false);
        const UnaryReply refused = call(channel, kPath, "m");
        return refused.status.error_code() == grpc::StatusCode::UNAVAILABLE && over(*peer) == 0;
      },
      std::chrono::milliseconds(2500)));
  EXPECT_EQ(hits("stalled_calls"), 0);
}

// An answer larger than the client's window waits for it, and so does its upstream.
TEST_F(SlowClientsTest, AnswersThatNobodyTakesGiveWay) {
  upstream_.set_script(echo_or_pour());
  ASSERT_NO_FATAL_FAILURE(start({}, ", max_concurrent_requests: 8"));
  bystander_->stop();
  const auto reader = RawH2::connect(ficus_->address(), takes_nothing());
  ASSERT_TRUE(reader);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(reader->wait_data(reader->open(grpc_request("/s.S/Much"), true), 65535));
  const auto channel = make_channel(ficus_->address());
  ASSERT_TRUE(wait_until([&] { return call(channel, kPath, "m").status.ok(); }));
  EXPECT_TRUE(counted("stalled_calls"));
  Bystander later(ficus_->address());
  EXPECT_TRUE(later.goes_on(20));
  later.stop();
  EXPECT_EQ(later.failure(), "");
  EXPECT_LE(hits("stalled_calls"), 3);
}

// What such a client is told stands behind an answer that it does not take.
TEST_F(SlowClientsTest, ACallThatEndedIsNotKeptForAClientThatTakesNothing) {
  upstream_.set_script(echo_or_pour());
  ASSERT_NO_FATAL_FAILURE(start({}));
  const auto reader = RawH2::connect(ficus_->address(), takes_nothing());
  ASSERT_TRUE(reader);
  const std::uint32_t stream = reader->open(grpc_request("/s.S/Much", {{"grpc-timeout", "300m"}}), true);
  ASSERT_TRUE(reader->wait_over(stream));
  EXPECT_EQ(reader->stream(stream).reset, kCancel);
  EXPECT_TRUE(counted("last_words"));
  // One that makes room in time hears how it ended.
  const std::uint32_t late = reader->open(grpc_request("/s.S/Much", {{"grpc-timeout", "300m"}}), true);
  ASSERT_TRUE(upstream_.wait_call(upstream_.calls() - 1));
  ASSERT_TRUE(wait_until([&] {
    return ficus_->metrics().sum("ficus_calls_total", {{"grpc_status", "DEADLINE_EXCEEDED"}}) >= 2;
  })) << ficus_->metrics().print("ficus_calls_total");
  reader->send_window_update(late, 64 << 20);
  ASSERT_TRUE(reader->wait_over(late));
  EXPECT_EQ(find_header(reader->stream(late).blocks.back(), "grpc-status"), "4");
  expect_others_unharmed();
}

// ---- what a schema says

class SlowUnaryTest : public TwoSidedTest {};

// Calls whose side hangs on a key in a message that does not come whole: what they hold counts as any other bytes.
TEST_F(SlowUnaryTest, RequestsThatWaitForTheirKeyHoldNoMoreThanTheyMay) {
  start(parts(), {.flags = {"--max-held-bytes", "4MiB"}});
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::string most = grpc_frame(get_policy_request("P-1", 60'000)).substr(0, 50'000);
  for (int i = 0; i < 200 && !peer->state().closed; ++i) {
    peer->send_data(peer->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "pilot"}})), most, false,
                    std::chrono::milliseconds(200));
  }
  ASSERT_TRUE(peer->wait_closed());
  ASSERT_FALSE(peer->state().goaways.empty());
  EXPECT_EQ(peer->state().goaways.back().debug, "held_bytes");
  EXPECT_TRUE(ficus_->wait_metric("ficus_limit_hits_total", {{"limit", "held_bytes"}}, 1));
  EXPECT_LT(peer->state().opened.size(), 200u);
  // It is given back: others may hold as much again.
  for (int round = 0; round < 3; ++round) {
    const auto other = RawH2::connect(ficus_->address());
    ASSERT_TRUE(other);
    for (int i = 0; i < 40; ++i) {
      other->send_data(other->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "pilot"}})), most, false);
    }
    EXPECT_TRUE(get("pilot", "P-2").status.ok());
    EXPECT_FALSE(other->state().closed) << "2 MB are within the limit";
  }
}

TEST_F(SlowUnaryTest, ARequestOfOneMessageIsToEndInTime) {
  start(parts(), {.flags = {"--message-timeout", "300ms"}});
  const auto peer = RawH2::connect(ficus_->address());
  ASSERT_TRUE(peer);
  const std::string whole = grpc_frame(get_policy_request("P-1"));
  double ended = 0;
  for (const char* name : {"GetPolicy", "EndorseAddress"}) {
    for (const std::string& body : {std::string(), whole.substr(0, 3), whole}) {
      SCOPED_TRACE(name + std::to_string(body.size()));
      const std::uint32_t slow = peer->open(grpc_request(method(name), {{"x-tenant-id", "acme"}}));
      ASSERT_EQ(peer->send_data(slow, body, false), body.size());
      ASSERT_TRUE(peer->wait_over(slow));
      EXPECT_EQ(find_header(peer->stream(slow).blocks.back(), "grpc-status"), "14");
      EXPECT_TRUE(ficus_->wait_metric("ficus_limit_hits_total", {{"limit", "message_time"}}, ++ended));
    }
  }
  EXPECT_TRUE(get("acme", "P-2").status.ok());
  EXPECT_TRUE(endorse("acme").status.ok());
}

}  // namespace
}  // namespace ficus::e2e
