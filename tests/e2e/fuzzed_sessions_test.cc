// Sessions that no client would hold: the seeds of the engine's fuzz target and requests of the policy's own, bent by a
// seeded hand and sent to a real ficus. It must live, and the clients beside must see nothing of it.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "tests/e2e/hostile_fixture.h"
#include "tests/e2e/two_sided_fixture.h"
#include "tests/support/temp_dir.h"

namespace ficus::e2e {
namespace {

constexpr int kMutations = 500;

// The sessions of the corpus that play the peer of such an end; without the first byte, which is the target's own.
std::vector<std::string> corpus(const std::string& end) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(FICUS_SOURCE_DIR "/tests/fuzz/corpus/h2_engine_fuzz")) {
    if (entry.path().filename().string().starts_with(end)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> sessions;
  for (const auto& file : files) sessions.push_back(read_file(file.string()).substr(1));
  return sessions;
}

std::string policy_request(const std::string& name, const std::string& tenant) {
  return h2_frame(kSettings, kNoFlags, 0, {}) +
         h2_frame(kHeaders, kEndHeaders, 1, literals(grpc_request(method(name), {{"x-tenant-id", tenant}}))) +
         h2_frame(kData, kEndStream, 1, grpc_frame(get_policy_request("P-1")));
}

class Hand {
 public:
  explicit Hand(std::uint32_t seed) : random_(seed) {}
  std::string bend(const std::vector<std::string>& sessions) {
    std::string bytes = sessions[below(sessions.size())];
    for (std::size_t i = 0, bends = 1 + below(4); i < bends && !bytes.empty(); ++i) {
      const std::size_t at = below(bytes.size()), count = 1 + below(std::min<std::size_t>(40, bytes.size() - at));
      switch (below(5)) {
        case 0:
          bytes[at] ^= static_cast<char>(1 << below(8));
          break;
        case 1:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 2:
          bytes.erase(at, count);
          break;
        case 3:
          bytes.insert(at, bytes.substr(at, count));
          break;
        default: {
          const std::string& other = sessions[below(sessions.size())];
          bytes = bytes.substr(0, at) + other.substr(below(other.size()));
        }
      }
    }
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }
  std::mt19937 random_;  // fixed seed: a failure can be run again
};

std::vector<std::string> with_bent(std::vector<std::string> sessions, std::uint32_t seed) {
  const std::vector<std::string> whole = sessions;
  Hand hand(seed);
  for (int i = 0; i < kMutations; ++i) sessions.push_back(hand.bend(whole));
  return sessions;
}

void attack_with(const FicusProcess& ficus, const std::vector<std::string>& sessions) {
  for (const std::string& session : sessions) {
    const Socket peer = connect_loopback(ficus.address());
    ASSERT_TRUE(peer) << "ficus takes nobody any more";
    send_all(peer, kPreface + session);
    read_to_end(peer, std::chrono::milliseconds(2));
  }
}

TEST(FuzzedSessionsTest, OfClientsTouchNobodyElse) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.workers = 2});
  Bystander bystander(ficus->address());
  const std::vector<std::string> seeds = corpus("server_");
  ASSERT_GE(seeds.size(), 5u);
  ASSERT_NO_FATAL_FAILURE(attack_with(*ficus, with_bent(seeds, 20260201)));
  EXPECT_TRUE(bystander.goes_on(20));
  bystander.stop();
  EXPECT_EQ(bystander.failure(), "");
  EXPECT_TRUE(ficus->running());
  EXPECT_GT(ficus->metrics().sum("ficus_protocol_errors_total", {{"peer", "client"}}), 50) << "nothing was bent";
}

using FuzzedPolicySessionsTest = TwoSidedTest;

TEST_F(FuzzedPolicySessionsTest, OfClientsTouchNobodyElse) {
  start(parts());
  std::vector<std::string> seeds = corpus("server_");
  for (const char* tenant : {"acme", "shady", "pilot", "nobody"}) {
    seeds.push_back(policy_request("GetPolicy", tenant));
    seeds.push_back(policy_request("EndorseAddress", tenant));
  }
  const std::vector<std::string> sessions = with_bent(seeds, 20260202);
  constexpr std::size_t kAtOnce = 25;
  for (std::size_t i = 0; i < sessions.size(); i += kAtOnce) {
    const auto some = sessions.begin() + static_cast<std::ptrdiff_t>(i);
    ASSERT_NO_FATAL_FAILURE(
        attack_with(*ficus_, {some, some + static_cast<std::ptrdiff_t>(std::min(kAtOnce, sessions.size() - i))}));
    const UnaryReply acme = get("acme", "P-1"), shady = get("shady", "P-1");
    ASSERT_TRUE(acme.status.ok()) << "after session " << i << ": " << acme.status.error_message();
    ASSERT_EQ(acme.message(), "new");
    ASSERT_TRUE(shady.status.ok()) << "after session " << i << ": " << shady.status.error_message();
    ASSERT_EQ(shady.message(), "legacy");
  }
  const double good = 2 * std::ceil(static_cast<double>(sessions.size()) / kAtOnce);
  EXPECT_GE(metric("ficus_calls_total", {{"role", "primary"}}), good + 50) << "no session reached the policy";
}

}  // namespace
}  // namespace ficus::e2e
