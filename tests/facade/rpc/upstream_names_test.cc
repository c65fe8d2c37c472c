// Upstreams by name: calls before the first answer, and addresses that come and go.
#include <gmock/gmock.h>

#include "tests/facade/rpc/upstream_fixture.h"

namespace ficus {
namespace {

using e2e::DnsReply;
using ::testing::Each;
using ::testing::Eq;

class UpstreamNamesTest : public UpstreamPoolTest {
 protected:
  static std::string at(const std::string& host, const std::string& address) {
    return host + address.substr(address.rfind(':'));
  }
};

TEST_F(UpstreamNamesTest, CallsBeforeTheFirstAnswerWaitForIt) {
  SelfServing up;
  dns_.set("svc.test", {DnsReply::How::kSilence, {}, 0});
  UpstreamTarget patient = target({at("svc.test", up.address())});
  patient.connect_timeout = std::chrono::seconds(60);
  configure(patient);
  const auto call = open();
  ASSERT_TRUE(dns_.wait_asked("svc.test", 1));
  EXPECT_FALSE(call->over());
  dns_.set("svc.test", {"127.0.0.1"});  // the second try is answered
  ASSERT_TRUE(call->wait_over());
  EXPECT_EQ(call->status, "0");
}

TEST_F(UpstreamNamesTest, CallsThatWaitForAnAnswerEndWithTheConnectTimeout) {
  dns_.set("svc.test", {DnsReply::How::kSilence, {}, 0});
  UpstreamTarget hasty = target({"svc.test:1"});
  hasty.connect_timeout = std::chrono::milliseconds(100);
  configure(hasty);
  EXPECT_THAT(run(2), Each(Eq("host not found")));
}

TEST_F(UpstreamNamesTest, WaitingForAnAnswerCountsAsPendingAndMayBeGivenUp) {
  dns_.set("svc.test", {DnsReply::How::kSilence, {}, 0});
  UpstreamTarget few = target({"svc.test:1"});
  few.connect_timeout = std::chrono::seconds(60);
  few.max_pending = 1;
  configure(few);
  const auto one = open(), two = open();
  ASSERT_TRUE(two->wait_over());
  EXPECT_EQ(two->detail, "too many calls wait for a connection");
  on_worker([&] { std::exchange(one->stream, nullptr)->abandon(); });
  EXPECT_EQ(on_worker([&] { return primary_->find("up")->pending(); }), 0u);
}

TEST_F(UpstreamNamesTest, ANameThatDoesNotExistFailsEachCallAtOnce) {
  UpstreamTarget nowhere = target({"nowhere.test:1"});
  nowhere.connect_timeout = std::chrono::seconds(60);
  configure(nowhere);
  EXPECT_THAT(run(3), Each(Eq("host not found")));
  EXPECT_GE(counter(families::kConnectFailures, {"up", "host not found"}), 1u);
}

TEST_F(UpstreamNamesTest, AnUnknownNameBesideAGoodEndpointHarmsNobody) {
  SelfServing up;
  configure(target({"nowhere.test:1", up.address()}));
  EXPECT_THAT(run(10), Each(Eq("0")));
}

TEST_F(UpstreamNamesTest, AddressesComeAndGoWithTheirConnections) {
  // Two listeners on one port number cannot be had at will, so two names stand for two addresses.
  SelfServing one, two;
  dns_.set("one.test", {"127.0.0.1"}, 1);
  dns_.set("two.test", {"192.0.2.1"}, 1);  // nothing there, until it moves
  UpstreamTarget both = target({at("one.test", one.address()), at("two.test", two.address())});
  configure(both);
  ASSERT_TRUE(e2e::wait_until([&] { return endpoints("healthy") == 2; }));
  const auto opened = [&] { return counter(families::kConnectionsTotal, {"up"}); };
  ASSERT_TRUE(e2e::wait_until([&] { return opened() == 1; }));
  dns_.set("two.test", {"127.0.0.1"}, 1);
  ASSERT_TRUE(e2e::wait_until([&] {
    run(2);
    return two.calls() > 0;
  }));
  EXPECT_EQ(opened(), 2u) << "the connection that was warm is not the one in use";
  EXPECT_GT(one.calls(), 0u);
}

TEST_F(UpstreamNamesTest, AFailedLookUpKeepsTheEndpointsInUse) {
  SelfServing up;
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  configure(target({at("svc.test", up.address())}));
  EXPECT_THAT(run(1), Each(Eq("0")));
  dns_.set("svc.test", {DnsReply::How::kNotFound, {}, 0});
  ASSERT_TRUE(e2e::wait_until([&] { return counter(families::kDnsLookups, {"not_found"}) >= 2; }));
  EXPECT_THAT(run(5), Each(Eq("0")));
  EXPECT_EQ(counter(families::kConnectionsTotal, {"up"}), 1u);
}

}  // namespace
}  // namespace ficus
