// Issue section 3, upstreams: names are looked up again and again, each address is an endpoint, and a reload that
// changes endpoints keeps the warm connections that remain.
#include <signal.h>

#include <atomic>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"
#include "tests/support/stub_dns.h"

namespace ficus::e2e {
namespace {

using grpc::StatusCode;

std::string port_of(const std::string& address) { return address.substr(address.rfind(':')); }

class UpstreamsTest : public ::testing::Test {
 protected:
  void start(const std::string& policy, int workers = 1) {
    ficus_ = start_ficus(policy, {.workers = workers, .flags = {"--dns-server", dns_.address()}});
    channel_ = make_channel(ficus_->address());
  }
  UnaryReply call_one() { return call(channel_, kPath, "m"); }
  double metric(const std::string& name, MetricsSnapshot::Labels labels) { return ficus_->metrics().sum(name, labels); }
  void reload(const std::string& policy) {
    const double before = metric("ficus_policy_reloads_total", {{"outcome", "applied"}});
    ficus_->write_policy(policy);
    ficus_->signal(SIGHUP);
    ASSERT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "applied"}}, before + 1));
  }

  StubDns dns_;
  std::unique_ptr<FicusProcess> ficus_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(UpstreamsTest, ANameIsLookedUpAtTheGivenServer) {
  ScriptedUpstream upstream;
  dns_.set("svc.test", {"127.0.0.1"});
  start(pass_through_policy("svc.test" + port_of(upstream.address())));
  EXPECT_TRUE(call_one().status.ok());
  EXPECT_GE(dns_.asked("svc.test"), 1u);
}

TEST_F(UpstreamsTest, EachAddressOfANameIsBalancedAndOneThatLeavesGetsNoMoreCalls) {
  Gate gate;
  ScriptedUpstream one;
  ScriptedUpstream two(echo(), {.address = "127.0.0.2" + port_of(one.address())});
  dns_.set("svc.test", {"127.0.0.1", "127.0.0.2"}, 1);
  start(pass_through_policy("svc.test" + port_of(one.address())));
  ASSERT_TRUE(wait_until([&] { return call_one().status.ok() && one.calls() > 0 && two.calls() > 0; }));
  // A call that is open on the address that leaves goes on.
  two.set_script([&](UpstreamCall& c) {
    c.read();
    c.wait_for(gate);
    c.write("late");
    return grpc::Status::OK;
  });
  std::vector<std::unique_ptr<ClientCall>> open;
  while (two.running() == 0 && open.size() < 10) {
    open.push_back(std::make_unique<ClientCall>(channel_, kPath));
    open.back()->write("m");
    open.back()->writes_done();
    const std::size_t begun = one.calls() + two.calls();
    wait_until([&] { return one.calls() + two.calls() > begun || two.running() > 0; }, std::chrono::milliseconds(200));
  }
  ASSERT_GT(two.running(), 0u);
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  ASSERT_TRUE(ficus_->wait_metric("ficus_endpoints", {{"role", "primary"}, {"state", "healthy"}}, 1));
  ASSERT_TRUE(wait_until([&] { return metric("ficus_endpoints", {{"role", "primary"}, {"state", "healthy"}}) == 1; }));
  const std::size_t before = two.calls();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(call_one().status.ok());
  EXPECT_EQ(two.calls(), before);
  gate.open();
  for (const auto& each : open) EXPECT_TRUE(each->finish().ok()) << "cut off when its address left";
  EXPECT_TRUE(wait_until([&] { return metric("ficus_connections", {{"peer", "policy-new"}}) == 1; }));
  EXPECT_EQ(metric("ficus_connections_total", {{"peer", "policy-new"}}), 2) << "the one that stayed was not kept";
}

TEST_F(UpstreamsTest, AFailedLookUpKeepsTheLastAddressesAndIsSaidOnce) {
  ScriptedUpstream upstream;
  dns_.set("svc.test", {"127.0.0.1"}, 1);
  start(pass_through_policy("svc.test" + port_of(upstream.address())), 2);
  ASSERT_TRUE(call_one().status.ok());
  dns_.set("svc.test", {DnsReply::How::kServerFails, {}, 0});
  ASSERT_TRUE(ficus_->wait_metric("ficus_dns_lookups_total", {{"outcome", "server_failure"}}, 4));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(call_one().status.ok());
  const std::string log = ficus_->log();
  const auto first = log.find("dns_lookup_failed");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("dns_lookup_failed", first + 1), std::string::npos) << "said by each worker, or each time";
  dns_.set("svc.test", {"127.0.0.1"}, 300);
  EXPECT_TRUE(ficus_->wait_log("dns_lookup_works"));
}

TEST_F(UpstreamsTest, AnUnknownNameIsUnavailableWithoutTheNameAndServesOnceItIsKnown) {
  ScriptedUpstream upstream;
  start(pass_through_policy("svc.test" + port_of(upstream.address())));
  const UnaryReply reply = call_one();
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(reply.status.error_message(), "policy-new: host not found");
  EXPECT_TRUE(ficus_->wait_log("svc.test")) << "the name is for the log";
  dns_.set("svc.test", {"127.0.0.1"});
  EXPECT_TRUE(wait_until([&] { return call_one().status.ok(); }));
}

TEST_F(UpstreamsTest, ADnsServerThatIsNoAddressRefusesToStart) {
  FicusProcess ficus({.policy = pass_through_policy("127.0.0.1:1"),
                      .flags = {"--dns-server", "dns.example:53"},
                      .expect_ready = false});
  EXPECT_EQ(ficus.wait_exit(), 2);
  EXPECT_NE(ficus.log().find("--dns-server"), std::string::npos);
}

TEST_F(UpstreamsTest, AReloadThatChangesEndpointsKeepsTheWarmConnectionsThatRemain) {
  RawUpstream stays, leaves, comes;
  const auto answer = [](const RawUpstream::Request& request) {
    request.connection->send_headers(request.stream, grpc_response({{"grpc-status", "0"}}), true);
  };
  start(pass_through_policy({stays.address(), leaves.address()}));
  const auto kept = stays.accept(), dropped = leaves.accept();
  ASSERT_TRUE(kept);
  ASSERT_TRUE(dropped);
  const auto client = RawH2::connect(ficus_->address());
  ASSERT_TRUE(client);
  // One call on each.
  const std::uint32_t first = client->open(grpc_request(kPath), true);
  const std::uint32_t second = client->open(grpc_request(kPath), true);
  const auto on_stays = stays.next_request(), on_leaves = leaves.next_request();
  ASSERT_TRUE(on_stays);
  ASSERT_TRUE(on_leaves);
  ASSERT_NO_FATAL_FAILURE(reload(pass_through_policy({comes.address(), stays.address()})));
  ASSERT_TRUE(comes.accept()) << "the new endpoint is not warm";
  EXPECT_FALSE(dropped->wait_closed(kQuiet)) << "closed under a call";
  answer(*on_stays);
  answer(*on_leaves);
  for (const std::uint32_t stream : {first, second}) {
    ASSERT_TRUE(client->wait_over(stream));
    EXPECT_EQ(find_header(client->stream(stream).blocks.at(0), "grpc-status"), "0");
  }
  EXPECT_TRUE(dropped->wait_closed()) << "still open after its last call";
  EXPECT_FALSE(stays.accept(kQuiet)) << "a warm connection was replaced";
  EXPECT_FALSE(kept->state().closed);
  EXPECT_EQ(metric("ficus_connections_total", {{"peer", "policy-new"}}), 3);
}

// ---- as the policy says

std::string two(const std::string& one, const std::string& other, const std::string& fields) {
  return pass_through_policy(std::vector{one, other}, ", " + fields);
}

TEST_F(UpstreamsTest, RoundRobinAndLeastRequestBothUseEveryEndpoint) {
  for (const char* balance : {"round_robin", "least_request"}) {
    ScriptedUpstream one, other;
    start(two(one.address(), other.address(), std::string("balance: ") + balance));
    ASSERT_TRUE(wait_until([&] { return metric("ficus_connections", {{"peer", "policy-new"}}) == 2; }));
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(call_one().status.ok());
    EXPECT_EQ(one.calls(), 5u) << balance;
    EXPECT_EQ(other.calls(), 5u) << balance;
  }
}

TEST_F(UpstreamsTest, LeastRequestKeepsAwayFromAnEndpointThatIsBusy) {
  const Gate gate;  // outlives the calls that wait for it
  ScriptedUpstream quick, stuck;
  stuck.set_script([&](UpstreamCall& c) {
    c.wait_for(gate);
    return grpc::Status::OK;
  });
  start(two(quick.address(), stuck.address(), "balance: least_request"));
  // One call that hangs there: idle endpoints take turns, so the first or the second gets there.
  ASSERT_TRUE(wait_until([&] { return metric("ficus_connections", {{"peer", "policy-new"}}) == 2; }));
  std::unique_ptr<ClientCall> hanging;
  for (std::size_t i = 0; i < 2 && stuck.calls() == 0; ++i) {
    hanging = std::make_unique<ClientCall>(channel_, kPath);
    hanging->writes_done();
    ASSERT_TRUE(wait_until([&] { return stuck.running() + quick.calls() == i + 1; }));
    if (stuck.calls() == 0) {
      EXPECT_TRUE(hanging->finish().ok());
    }
  }
  ASSERT_EQ(stuck.running(), 1u);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(call(channel_, kPath, "m", {.deadline = kPatience}).status.ok());
  EXPECT_EQ(stuck.calls(), 1u);
  hanging->cancel();
}

TEST_F(UpstreamsTest, AnEndpointThatFailsInARowIsLeftOut) {
  ScriptedUpstream good;
  ScriptedUpstream bad(fail(grpc::Status(StatusCode::UNAVAILABLE, "down for repair")));
  start(two(good.address(), bad.address(), "balance: round_robin, outlier: {consecutive: 3, eject: 60m}"));
  int failed = 0;
  for (int i = 0; i < 40; ++i) failed += call_one().status.ok() ? 0 : 1;
  EXPECT_EQ(failed, 3) << "an endpoint is left out after its third failure in a row";
  EXPECT_EQ(metric("ficus_ejections_total", {{"upstream", "policy-new"}, {"role", "primary"}}), 1);
  EXPECT_EQ(metric("ficus_endpoints", {{"role", "primary"}, {"state", "ejected"}}), 1);
  EXPECT_TRUE(ficus_->wait_log("upstream_endpoint_ejected"));
  EXPECT_EQ(ficus_->log().find("down for repair"), std::string::npos) << "an upstream's words are in the log";
}

TEST_F(UpstreamsTest, ASlowEndpointIsLeftOutWhereDeadlinesCount) {
  const Gate gate;
  ScriptedUpstream good, stuck;
  stuck.set_script([&](UpstreamCall& c) {
    c.wait_for(gate);
    return grpc::Status::OK;
  });
  start(two(good.address(), stuck.address(),
            "balance: round_robin, outlier: {consecutive: 2, \"on\": [DEADLINE_EXCEEDED], eject: 60m}"));
  ASSERT_TRUE(wait_until([&] {
    call(channel_, kPath, "m", {.deadline = std::chrono::milliseconds(300)});
    return metric("ficus_endpoints", {{"role", "primary"}, {"state", "ejected"}}) == 1;
  }));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(call_one().status.ok());
}

// Serves grpc.health.v1 with the status that the test sets.
Script with_health(const std::atomic<int>& status) {
  return [&status](UpstreamCall& c) {
    if (c.path() != "/grpc.health.v1.Health/Check") return echo()(c);
    while (c.read()) {
    }
    c.write(std::string("\x08") + static_cast<char>(status.load()));
    return grpc::Status::OK;
  };
}

TEST_F(UpstreamsTest, AnEndpointWhoseChecksFailGetsNoCallsUntilTheySucceed) {
  std::atomic<int> healthy{1}, sick{2};  // SERVING, NOT_SERVING
  ScriptedUpstream one(with_health(healthy)), other(with_health(sick));
  start(two(one.address(), other.address(),
            "balance: round_robin, health_check: {interval: 100ms, timeout: 100ms, healthy: 1, unhealthy: 1}"),
        2);
  const auto endpoints = [&](const char* state) {
    return metric("ficus_endpoints", {{"role", "primary"}, {"state", state}});
  };
  const auto calls = [](const ScriptedUpstream& upstream) {
    std::size_t count = 0;
    for (const auto& record : upstream.records()) count += record.path == kPath ? 1 : 0;
    return count;
  };
  ASSERT_TRUE(wait_until([&] { return endpoints("unhealthy") == 2; })) << "one endpoint, seen by two workers";
  EXPECT_TRUE(ficus_->wait_log("upstream_unhealthy"));
  const std::size_t before = calls(other);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(call_one().status.ok());
  EXPECT_EQ(calls(other), before);
  sick = 1;
  ASSERT_TRUE(wait_until([&] { return endpoints("healthy") == 4; }));
  EXPECT_TRUE(wait_until([&] { return call_one().status.ok() && calls(other) > before; }));
  EXPECT_TRUE(ficus_->wait_log("upstream_healthy"));
}

TEST_F(UpstreamsTest, CallsBeyondMaxPendingAreRefusedAtOnceWithUnavailable) {
  const Listener mute;  // the kernel takes connections and nobody speaks
  start(pass_through_policy({mute.address()}, ", connect_timeout: 1m, max_pending: 2"));
  ClientCall one(channel_, kPath), other(channel_, kPath);
  ASSERT_TRUE(wait_until([&] { return metric("ficus_streams", {{"role", "primary"}}) == 2; }));
  const UnaryReply reply = call_one();
  EXPECT_EQ(reply.status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(reply.status.error_message(), "policy-new: too many calls wait for a connection");
  EXPECT_TRUE(ficus_->wait_metric("ficus_upstream_limit_hits_total", {{"limit", "max_pending"}}, 1));
  one.cancel();
  other.cancel();
}

}  // namespace
}  // namespace ficus::e2e
