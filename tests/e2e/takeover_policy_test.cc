// During a takeover two processes serve, by two policies: no write may have two owners (POLICY 8).
#include <signal.h>

#include <fstream>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/takeover_peer.h"

namespace ficus::e2e {
namespace {

class TakeoverPolicyTest : public ::testing::Test {
 protected:
  // The tenant "mover" reads from one side and has its writes owned by one.
  std::string policy(const std::string& reads, const std::string& owner, int epoch) const {
    TwoSided parts;
    parts.legacy = legacy_.address();
    parts.new_ = new_.address();
    parts.schema = false;
    parts.epoch = epoch;
    const std::string stage = owner == "new" ? "live" : "shadow";
    parts.rules = "  - {name: reads-mover, capability: inquiry, tenants: [mover], stage: " + stage +
                  ", reads: {serve: " + reads + ", shadow: {percent: 0}}}\n";
    parts.rules += "  - {name: writes-mover, capability: address, tenants: [mover], stage: ";
    parts.rules += owner == "new" ? "live}\n" : "off}\n";
    return two_sided_policy(parts);
  }
  std::unique_ptr<FicusProcess> start(const std::string& text, bool expect_ready = true) const {
    FicusOptions options;
    options.drain_seconds = 30;
    options.flags = {"--takeover", path_};
    options.expect_ready = expect_ready;
    return start_ficus(text, std::move(options));
  }
  // Starts one that must end by itself, with code 1.
  std::string refused(const std::string& text) const {
    const auto ficus = start(text, false);
    EXPECT_EQ(ficus->wait_exit(), 1) << ficus->log();
    return ficus->log();
  }
  static std::string write_as_mover(const FicusProcess& ficus) {
    return call(make_channel(ficus.address()), method("EndorseAddress"), "m", {.metadata = {{"x-tenant-id", "mover"}}})
        .message();
  }
  static std::string read_as_mover(const FicusProcess& ficus) {
    return call(make_channel(ficus.address()), method("GetPolicy"), "m", {.metadata = {{"x-tenant-id", "mover"}}})
        .message();
  }

  TempDir dir_;
  const std::string path_ = dir_.path("takeover.sock");
  ScriptedUpstream legacy_{answer({"legacy"})}, new_{answer({"new"})};
};

TEST_F(TakeoverPolicyTest, ASuccessorMayChangeWhatMovesNoOwner) {
  const auto first = start(policy("legacy", "legacy", 1));
  ASSERT_EQ(read_as_mover(*first), "legacy");
  const auto second = start(policy("new", "legacy", 1));
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_EQ(read_as_mover(*second), "new");
  EXPECT_EQ(write_as_mover(*second), "legacy");
}

TEST_F(TakeoverPolicyTest, ASuccessorThatMovesAnOwnerIsRefusedAlsoWithTheNextEpoch) {
  const auto first = start(policy("legacy", "legacy", 1));
  const std::string log = refused(policy("legacy", "new", 2));
  EXPECT_NE(log.find("P208"), std::string::npos) << log;
  EXPECT_NE(log.find("EndorseAddress for mover would move from policy-legacy (legacy) to policy-new (new)"),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("stop it (SIGTERM"), std::string::npos) << "what to do: " << log;
  EXPECT_EQ(write_as_mover(*first), "legacy");
  EXPECT_TRUE(first->wait_log("its policy was refused"));
  // Stopped first, there is one owner at a time, and it starts.
  EXPECT_EQ(first->terminate(), 0);
  const auto second = start(policy("legacy", "new", 2));
  EXPECT_EQ(write_as_mover(*second), "new");
}

TEST_F(TakeoverPolicyTest, TheEpochRuleHoldsBetweenProcessesToo) {
  const auto first = start(policy("legacy", "legacy", 3));
  const std::string moved = refused(policy("legacy", "new", 3));
  EXPECT_NE(moved.find("ownership_epoch"), std::string::npos) << moved;
  const std::string raised = refused(policy("legacy", "legacy", 4));
  EXPECT_NE(raised.find("ownership_epoch"), std::string::npos) << raised;
  EXPECT_EQ(write_as_mover(*first), "legacy");
}

TEST_F(TakeoverPolicyTest, ASuccessorUnderWhoseNamesTheServersChangedSidesIsRefused) {
  const auto first = start(policy("legacy", "legacy", 1));
  TwoSided swapped;
  swapped.legacy = new_.address();
  swapped.new_ = legacy_.address();
  swapped.schema = false;
  const std::string log = refused(two_sided_policy(swapped));
  EXPECT_NE(log.find("P172"), std::string::npos) << log;
  EXPECT_NE(log.find("would lead only to servers of the new side, \"policy-new\" in the policy in force: " + new_.address()),
            std::string::npos)
      << log;
  EXPECT_NE(log.find("stop the facade that runs (SIGTERM"), std::string::npos) << "what to do: " << log;
  EXPECT_EQ(write_as_mover(*first), "legacy");
}

TEST_F(TakeoverPolicyTest, WhatIsComparedIsThePolicyInForceNotTheFile) {
  const auto first = start(policy("legacy", "legacy", 1));
  // The file says another owner, but the running facade refused it: it still serves by what it had.
  first->write_policy(policy("legacy", "new", 2));
  first->signal(SIGHUP);
  ASSERT_TRUE(first->wait_log("policy_reload_refused"));
  EXPECT_NE(refused(policy("legacy", "new", 2)).find("P208"), std::string::npos);
  const auto second = start(policy("legacy", "legacy", 1));
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_EQ(write_as_mover(*second), "legacy");
}

TEST_F(TakeoverPolicyTest, WhileASuccessorStartsThePolicyInForceStaysAsItWasOffered) {
  const auto first = start(policy("legacy", "legacy", 1));
  TakeoverPeer peer = TakeoverPeer::to(path_);
  peer.say("ficus-takeover 1 hello\n");
  ASSERT_EQ(peer.hear().head, "ficus-takeover 1 offer");
  first->write_policy(policy("new", "legacy", 1));
  first->signal(SIGHUP);
  ASSERT_TRUE(first->wait_log("policy_reload_held"));
  EXPECT_EQ(read_as_mover(*first), "legacy");
  peer.close();
  EXPECT_TRUE(wait_until([&] { return read_as_mover(*first) == "new"; })) << "the held reload never came";
}

TEST_F(TakeoverPolicyTest, WhileThePredecessorDrainsNoReloadMovesAnOwnerAwayFromIts) {
  Gate gate;
  legacy_.set_script([&](UpstreamCall& call) {
    call.wait_for(gate);
    call.write("legacy");
    return grpc::Status::OK;
  });
  // Unmanaged in the first: served by the default upstream, so owned there, though no table says so.
  const auto without_writes = [&](const std::string& writes, const std::string& default_upstream) {
    return "apiVersion: ficus/v1\nname: narrow\nupstreams:\n  policy-legacy: {endpoints: [\"" + legacy_.address() +
           "\"]}\n  policy-new: {endpoints: [\"" + new_.address() + "\"]}\ndefault_upstream: " + default_upstream +
           "\ncapabilities:\n  inquiry: {data: policy, legacy: policy-legacy, new: policy-new, service: "
           "insurance.policy.v1.PolicyService, reads: [GetPolicy]}\n" +
           writes + "ownership_epoch: 1\n";
  };
  const std::string takes_up =
      "  address: {data: address, legacy: policy-legacy, new: policy-new, service: insurance.policy.v1.PolicyService, "
      "writes: [EndorseAddress]}\n";
  const auto first = start(without_writes(takes_up, "policy-legacy"));
  ClientCall held(make_channel(first->address()), method("GetPolicy"));
  held.write("m");
  held.writes_done();
  ASSERT_TRUE(legacy_.wait_call(0));
  const auto second = start(without_writes("", "policy-legacy"));  // dropped: the same upstream serves it
  ASSERT_TRUE(first->wait_log("draining"));
  // By itself this reload is nothing to the second one, which knows no write here. The first one does, and still runs.
  second->write_policy(without_writes("", "policy-new"));
  second->signal(SIGHUP);
  ASSERT_TRUE(second->wait_log("policy_reload_refused")) << "two owners of EndorseAddress";
  EXPECT_TRUE(second->wait_log("ownership_epoch"));
  gate.open();
  EXPECT_TRUE(held.finish().ok());
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_TRUE(second->wait_log("policy_applied")) << "not tried again when the first one was gone";
}

}  // namespace
}  // namespace ficus::e2e
