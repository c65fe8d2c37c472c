// Everything at once, for lifetimes rather than for answers: calls of every shape that end at random moments on either
// side, upstreams that come and go, reloads and scrapes in between. What succeeds must be right, every shadow begun
// must have its verdict, nothing may stay open, and under a sanitizer nothing may be reported.
#include <signal.h>

#include <random>
#include <thread>

#include "tests/e2e/shadow_fixture.h"

namespace ficus::e2e {
namespace {

// Echoes, breaks off, dawdles or floods, in turn.
Script unruly(std::uint32_t seed) {
  return [turn = std::make_shared<std::atomic<std::uint32_t>>(seed)](UpstreamCall& call) {
    switch ((*turn)++ % 9) {
      case 0:
        return grpc::Status(grpc::StatusCode::ABORTED, "at once");
      case 1:
        call.read();
        return grpc::Status(grpc::StatusCode::INTERNAL, "after one message");
      case 2:
        call.send_initial_metadata();
        call.wait_cancelled(std::chrono::milliseconds(30));
        return grpc::Status::OK;
      case 3: {
        const std::string block = noise(70000);
        for (int i = 0; i < 8 && call.write(block); ++i) {
        }
        return grpc::Status::OK;
      }
      default:
        return echo()(call);
    }
  };
}

class RelayStressTest : public ShadowTest {};

TEST_F(RelayStressTest, AnythingAtAnyTimeLeavesNothingBehind) {
  legacy_.set_script(unruly(0));
  new_.set_script(unruly(4));
  TwoSided shadowed = parts();
  shadowed.rules = shady("percent: 100, deadline: 50ms, max_in_flight: 8") +
                   "  - {name: inquiry-pilot, capability: inquiry, tenants: [pilot], stage: canary, reads: {canary: "
                   "{percent: 50, by: key}, shadow: {percent: 50}}}\n";
  FicusOptions two_workers = options();
  two_workers.workers = 2;
  start(shadowed, two_workers);
  const std::string one_policy = two_sided_policy(shadowed);
  shadowed.inquiry_extra += "    compare: {ignore: [{path: \"policy.notes\", reason: \"free text\"}]}\n";
  const std::string other_policy = two_sided_policy(shadowed);

  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kSanitized ? 8000 : 4000);
  const auto going = [until] { return std::chrono::steady_clock::now() < until; };
  std::atomic<int> calls{0}, wrong{0};
  std::vector<std::thread> load;
  for (std::uint32_t t = 0; t < 4; ++t) {
    load.emplace_back([&, t] {
      std::mt19937 random(t + 1);
      auto channel = make_channel(ficus_->address());
      while (going()) {
        if (random() % 20 == 0) channel = make_channel(ficus_->address());  // the old connection goes with its calls
        CallOptions how = {.metadata = {{"x-tenant-id", random() % 2 == 0 ? "shady" : "pilot"}}};
        if (random() % 4 == 0) how.deadline = std::chrono::milliseconds(random() % 20);
        const char* const names[] = {"GetPolicy", "ListPolicies", "StreamHistory", "EndorseAddress"};
        ClientCall one(channel, method(names[random() % 4]), how);
        ++calls;
        const std::string message = get_policy_request("P-" + std::to_string(random() % 50),
                                                       random() % 5 == 0 ? random() % 300000 : random() % 50);
        const auto messages = 1 + random() % 3;
        bool cancelled = false;
        for (std::uint32_t i = 0; i < messages && !cancelled; ++i) {
          one.write(message);
          cancelled = random() % 8 == 0;
          if (cancelled) one.cancel();
        }
        if (!cancelled) one.writes_done();
        if (random() % 8 == 0) continue;  // never reads; the destructor cancels
        std::size_t echoed = 0;
        while (auto answer = one.read()) {
          if (*answer == message)
            ++echoed;
          else if (answer->size() != 70000)
            ++wrong;
        }
        const grpc::Status status = one.finish();
        if (status.ok() && echoed > messages) ++wrong;
      }
    });
  }
  // Raw clients that vanish in the middle.
  load.emplace_back([&] {
    std::mt19937 random(99);
    while (going()) {
      const auto client = RawH2::connect(ficus_->address());
      for (int i = 0; i < 5; ++i) {
        const std::uint32_t stream = client->open(grpc_request(method("GetPolicy"), {{"x-tenant-id", "shady"}}));
        client->send_data(stream, grpc_frame(get_policy_request("P-1", random() % 100000)), random() % 2 == 0,
                          std::chrono::milliseconds(5));
        if (random() % 3 == 0) client->send_reset(stream, random() % 14);
      }
      random() % 2 == 0 ? client->abort() : client->close();
    }
  });
  // Reloads and scrapes.
  load.emplace_back([&] {
    for (int i = 0; going(); ++i) {
      ficus_->write_policy(i % 2 == 0 ? other_policy : one_policy);
      ficus_->signal(SIGHUP);
      for (const char* page : {"/metrics", "/policy", "/readyz"}) http_get(ficus_->admin(), page);
    }
  });
  for (std::thread& thread : load) thread.join();
  EXPECT_GT(calls, 50);
  EXPECT_EQ(wrong, 0) << "of " << calls;
  EXPECT_TRUE(wait_until([&] { return metric("ficus_streams") == 0; })) << ficus_->metrics().print("ficus_streams");
  // Of some two thousand. gRPC C++ itself may keep one whose channel went away while it was connecting.
  EXPECT_TRUE(wait_until([&] {
    return metric("ficus_connections", {{"peer", "client"}}) <= 4;
  })) << ficus_->metrics().print("ficus_connections");
  EXPECT_TRUE(wait_until([&] { return begun() == metric("ficus_shadow_verdicts_total"); })) << shadow_metrics();
  EXPECT_GT(begun(), 0);
  EXPECT_TRUE(wait_until([&] { return legacy_.running() + new_.running() == 0; }));
  EXPECT_EQ(ficus_->terminate(), 0);
}

TEST_F(RelayStressTest, UpstreamsThatComeAndGoCostNoCallThatNeverReachedThem) {
  // One endpoint is always there; the other comes and goes. A call fails only if the one that went had taken it.
  ScriptedUpstream steady;
  auto fickle = std::make_unique<ScriptedUpstream>();
  const std::string fickle_address = fickle->address();
  ficus_ = start_ficus(pass_through_policy({steady.address(), fickle_address}), {.workers = 2});
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0}, wrong{0}, failed{0};
  std::vector<std::thread> load;
  for (int t = 0; t < 3; ++t) {
    load.emplace_back([&, t] {
      const auto channel = make_channel(ficus_->address());
      for (int i = 0; !stop; ++i) {
        const std::string message = std::to_string(t) + "/" + std::to_string(i);
        const UnaryReply reply = call(channel, kPath, message);
        ++calls;
        if (reply.status.ok() && reply.message() != message) ++wrong;
        if (!reply.status.ok()) ++failed;
      }
    });
  }
  const int rounds = kSanitized ? 5 : 15;
  for (int i = 0; i < rounds; ++i) {
    fickle.reset();
    const int seen = calls;
    EXPECT_TRUE(wait_until([&] { return calls > seen + 50; }));
    fickle = std::make_unique<ScriptedUpstream>(echo(), ScriptedUpstream::Options{.address = fickle_address});
    EXPECT_TRUE(wait_until([&] { return calls > seen + 100; }));
  }
  stop = true;
  for (std::thread& thread : load) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(failed, 3 * rounds) << "of " << calls << ": more than were in flight when the endpoint went";
}

}  // namespace
}  // namespace ficus::e2e
