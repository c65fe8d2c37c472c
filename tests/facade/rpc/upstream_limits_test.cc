// Connections to endpoints and calls that wait for one: their limits, and what becomes of both when endpoints change.
#include <gmock/gmock.h>

#include "facade/net/client_places.h"
#include "tests/facade/rpc/upstream_fixture.h"

namespace ficus {
namespace {

using e2e::RawH2;
using e2e::RawUpstream;
using ::testing::Each;
using ::testing::Eq;

class UpstreamLimitsTest : public UpstreamPoolTest {
 protected:
  static void answer(const RawUpstream::Request& request) {
    request.connection->send_headers(request.stream, e2e::grpc_response({{"grpc-status", "0"}}), true);
  }
  std::size_t pending(UpstreamPool& pool) {
    return on_worker([&] { return pool.find("up")->pending(); });
  }
};

TEST_F(UpstreamLimitsTest, CallsBeyondMaxPendingAreRefusedAtOnceAndShadowsCountApart) {
  const e2e::Listener mute;  // the kernel takes connections and nobody speaks
  UpstreamTarget few = target({mute.address()});
  few.connect_timeout = std::chrono::seconds(60);
  few.max_pending = 2;
  configure(few);
  const auto one = open(), two = open(), three = open();
  ASSERT_TRUE(three->wait_over());
  EXPECT_EQ(three->detail, "too many calls wait for a connection");
  EXPECT_EQ(counter(families::kUpstreamLimits, {"up", "primary", "max_pending"}), 1u);
  EXPECT_FALSE(one->over());
  const auto shadow = open(*shadow_);
  EXPECT_FALSE(shadow->over()) << "the shadow was refused by the primary's limit";
  EXPECT_EQ(pending(*primary_), 2u);
  EXPECT_EQ(pending(*shadow_), 1u);
  // Whoever gives up makes room.
  on_worker([&] { std::exchange(one->stream, nullptr)->abandon(); });
  EXPECT_EQ(pending(*primary_), 1u);
  const auto four = open();
  EXPECT_FALSE(four->over());
}

TEST_F(UpstreamLimitsTest, CallsBeyondMaxConnectionsWaitForAStream) {
  RawUpstream upstream({.settings = {{e2e::kMaxConcurrentStreams, 1}}});
  UpstreamTarget few = target({upstream.address()});
  few.max_connections = 2;
  configure(few);
  const auto one = open();
  const auto first = upstream.next_request();
  ASSERT_TRUE(first);
  const auto two = open();
  const auto second = upstream.next_request();
  ASSERT_TRUE(second);
  const auto three = open();
  EXPECT_FALSE(upstream.next_request(e2e::kQuiet));
  EXPECT_EQ(upstream.connections().size(), 2u);
  EXPECT_GE(counter(families::kUpstreamLimits, {"up", "primary", "max_connections"}), 1u);
  EXPECT_EQ(pending(*primary_), 1u);
  answer(*first);
  const auto third = upstream.next_request();
  ASSERT_TRUE(third) << "the call that waited never came";
  answer(*second);
  answer(*third);
  for (const auto& call : {one, two, three}) {
    ASSERT_TRUE(call->wait_over());
    EXPECT_EQ(call->status, "0");
  }
  EXPECT_EQ(upstream.connections().size(), 2u);
  EXPECT_EQ(pending(*primary_), 0u);
}

TEST_F(UpstreamLimitsTest, ARefusingEndpointIsPassedOverOnceItIsKnown) {
  SelfServing good;
  configure(target({e2e::refusing_address(), good.address()}));
  // The warm connection's failure is what makes it known.
  ASSERT_TRUE(e2e::wait_until([&] { return counter(families::kConnectFailures, {"up", "connection refused"}) >= 1; }));
  EXPECT_THAT(run(20), Each(Eq("0")));
  EXPECT_EQ(good.calls(), 20u);
  EXPECT_EQ(counter(families::kRetried, {"up"}), 0u) << "calls paid for what was known";
}

TEST_F(UpstreamLimitsTest, WithEveryEndpointRefusingACallEndsAfterTryingEach) {
  configure(target({e2e::refusing_address(), e2e::refusing_address(), e2e::refusing_address()}));
  const auto call = open();
  ASSERT_TRUE(call->wait_over());
  EXPECT_EQ(call->detail, "connection refused");
  EXPECT_LE(counter(families::kRetried, {"up"}), 2u);
}

TEST_F(UpstreamLimitsTest, AnEndpointThatLeavesEndsItsCallsFirstAndTheOthersKeepTheirConnections) {
  RawUpstream leaves, stays;
  configure(target({leaves.address(), stays.address()}));
  const auto staying = stays.accept();
  ASSERT_TRUE(staying);
  const auto one = open(), two = open();
  const auto request = leaves.next_request();
  ASSERT_TRUE(request);
  configure(target({stays.address()}));
  EXPECT_FALSE(request->connection->wait_closed(e2e::kQuiet)) << "closed under a call";
  answer(*request);
  EXPECT_TRUE(request->connection->wait_closed()) << "still open after its last call";
  const auto other = stays.next_request();
  ASSERT_TRUE(other);
  EXPECT_EQ(other->connection, staying);
  answer(*other);
  for (const auto& call : {one, two}) {
    ASSERT_TRUE(call->wait_over());
    EXPECT_EQ(call->status, "0");
  }
  EXPECT_FALSE(stays.accept(e2e::kQuiet)) << "a warm connection was replaced";
}

TEST_F(UpstreamLimitsTest, CallsThatWaitAtAnEndpointThatLeavesGoElsewhere) {
  const e2e::Listener mute;
  UpstreamTarget slow = target({mute.address()});
  slow.connect_timeout = std::chrono::seconds(60);
  configure(slow);
  const auto call = open();
  SelfServing good;
  configure(target({good.address()}));
  ASSERT_TRUE(call->wait_over());
  EXPECT_EQ(call->status, "0");
}

TEST_F(UpstreamLimitsTest, AnUpstreamThatIsNoLongerNamedClosesWhatItHas) {
  RawUpstream upstream;
  configure(target({upstream.address()}));
  ASSERT_TRUE(upstream.accept());
  ASSERT_TRUE(wait_connections(1));
  auto held = on_worker([&] { return primary_->find("up"); });
  on_worker([&] {
    primary_->configure({}, true);
    shadow_->configure({}, false);
  });
  EXPECT_TRUE(wait_connections(0));
  EXPECT_EQ(endpoints("healthy"), 0);
  // A call of an older policy is still served.
  auto call = std::make_shared<OpenCall>();
  calls_.push_back(call);
  on_worker([&] {
    call->stream = primary_->open(held, *call);
    HeaderBlock head;
    head.add_static(":method", "POST");
    head.add_static(":scheme", "http");
    head.add_static(":path", "/a/b");
    call->stream->send_headers(std::move(head), true);
  });
  const auto late = upstream.next_request();
  ASSERT_TRUE(late);
  answer(*late);
  ASSERT_TRUE(call->wait_over());
  EXPECT_EQ(call->status, "0");
  on_worker([&] { held.reset(); });
}

// Of 64 the last eight are kept: each of the clients that have calls may take its part of the eight.
TEST_F(UpstreamLimitsTest, TheLastEighthIsForClientsWithFewCalls) {
  const e2e::Listener mute;
  UpstreamTarget up = target({mute.address()}), other = up;
  up.max_concurrent_requests = 64;
  other.name = "other";
  on_worker([&] { primary_->configure({up, other}, true); });
  ClientPlaces many, few, none, elsewhere;
  const auto take = [&](const char* name, ClientPlaces& client, int count) {
    for (int i = 0; i < count; ++i) {
      calls_.push_back(std::make_shared<OpenCall>());
      on_worker([&, call = calls_.back()] { call->stream = primary_->open(primary_->find(name), *call, &client); });
    }
  };
  const auto limit = [&](const ClientPlaces& client) {
    const char* name = on_worker([&] { return primary_->limit_reached(*primary_->find("up"), client); });
    return std::string(name == nullptr ? "" : name);
  };
  take("other", elsewhere, 40);
  take("up", many, 55);
  EXPECT_EQ(limit(many), "") << "of the first seven eighths";
  take("up", many, 1);
  EXPECT_EQ(limit(many), "") << "nobody else is there";
  take("up", few, 1);  // two clients: four each
  EXPECT_EQ(limit(many), "connection_share");
  EXPECT_EQ(limit(few), "");
  EXPECT_EQ(limit(none), "");
  EXPECT_EQ(limit(elsewhere), "") << "its calls at another upstream are no calls here";
  take("up", few, 3);
  EXPECT_EQ(limit(few), "connection_share");
  take("up", none, 2);  // three clients: two each
  EXPECT_EQ(limit(none), "connection_share");
  take("up", elsewhere, 2);
  EXPECT_EQ(limit(none), "max_concurrent_requests");
  EXPECT_EQ(limit(many), "max_concurrent_requests");
  on_worker([&] {
    for (const auto& call : calls_) {
      if (call->stream != nullptr) std::exchange(call->stream, nullptr)->abandon();
    }
  });
  EXPECT_EQ(limit(many), "") << "all were given back";
  EXPECT_EQ(on_worker([&] { return many.at(*primary_->find("up")) + elsewhere.at(*primary_->find("other")); }), 0u);
}

}  // namespace
}  // namespace ficus
