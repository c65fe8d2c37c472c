// Issue section 3, reload: by SIGHUP and by a changed file, without losing a call or a connection; a bad file changes
// nothing; an owner never moves by a reload.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/two_sided_fixture.h"

namespace ficus::e2e {
namespace {

class ReloadTest : public TwoSidedTest {
 protected:
  // The tenant "mover" reads from that side; nothing else differs.
  std::string policy(const std::string& side) const {
    TwoSided moved = parts();
    moved.rules =
        kRules +
        "  - {name: inquiry-mover, capability: inquiry, tenants: [mover], stage: shadow, reads: {serve: " + side +
        ", shadow: {percent: 0}}}\n";
    return two_sided_policy(moved);
  }
  void start_at(const std::string& side) {
    ficus_ = start_ficus(policy(side), {.files = {{"insurance.pb", insurance_schema()}}, .workers = 2});
    channel_ = make_channel(ficus_->address());
    ASSERT_EQ(get("mover", "P-1").message(), side);
  }
  double reloads(const std::string& outcome) const {
    return metric("ficus_policy_reloads_total", {{"outcome", outcome}});
  }
  bool wait_side(const std::string& side) {
    return wait_until([&] { return get("mover", "P-1").message() == side; });
  }
  // Refused with these words in the log, and the policy in force stays.
  void expect_refused(const std::string& text, const std::vector<std::string>& words) {
    const double before = reloads("refused");
    ficus_->write_policy(text);
    ficus_->signal(SIGHUP);
    ASSERT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "refused"}}, before + 1));
    for (const std::string& word : words) EXPECT_TRUE(ficus_->wait_log(word)) << "not in the log: " << word;
    EXPECT_EQ(metric("ficus_policy_generation"), 1);
    EXPECT_EQ(get("mover", "P-1").message(), "legacy");
  }
};

TEST_F(ReloadTest, SighupReadsTheFileAgain) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  ficus_->write_policy(policy("new"));
  ficus_->signal(SIGHUP);
  EXPECT_TRUE(wait_side("new"));
  EXPECT_GE(metric("ficus_policy_generation"), 2);
}

TEST_F(ReloadTest, AReplacedFileIsReadWithoutASignal) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  ficus_->write_policy(policy("new"));  // a draft, then a rename
  EXPECT_TRUE(wait_side("new"));
}

TEST_F(ReloadTest, AFileWrittenInPlaceIsReadWhenItStoodStill) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  {
    std::ofstream file(ficus_->policy_path(), std::ios::trunc | std::ios::binary);
    const std::string text = policy("new");
    for (std::size_t at = 0; at < text.size(); at += 100) file << text.substr(at, 100) << std::flush;
  }
  EXPECT_TRUE(wait_side("new"));
  EXPECT_EQ(reloads("refused"), 0) << "read while it was being written";
}

TEST_F(ReloadTest, AKubernetesConfigMapsLinkIsFollowed) {
  // mount/..data -> ..1; mount/policy.yaml -> ..data/policy.yaml; an update replaces the link ..data.
  const TempDir mount;
  const auto publish = [&](const std::string& revision, const std::string& side) {
    std::filesystem::create_directory(mount.path(revision));
    mount.write(revision + "/policy.yaml", policy(side));
    mount.write(revision + "/insurance.pb", insurance_schema());
    std::filesystem::create_symlink(revision, mount.path("..data_tmp"));
    std::filesystem::rename(mount.path("..data_tmp"), mount.path("..data"));
  };
  publish("..1", "legacy");
  for (const char* name : {"policy.yaml", "insurance.pb"}) {
    std::filesystem::create_symlink("..data/" + std::string(name), mount.path(name));
  }
  ficus_ = start_ficus({}, {.policy_path = mount.path("policy.yaml")});
  channel_ = make_channel(ficus_->address());
  ASSERT_EQ(get("mover", "P-1").message(), "legacy");
  publish("..2", "new");
  EXPECT_TRUE(wait_side("new"));
}

TEST_F(ReloadTest, AChangedSecretIsUsed) {
  TwoSided with_secret = parts();
  with_secret.new_extra = ", metadata: {set: {x-api-key: \"file:new.key\"}}";
  start(with_secret, {.files = {{"new.key", "first\n"}}});
  get("acme", "P-1");
  EXPECT_EQ(values_of(new_.records().back().metadata, "x-api-key"), std::vector<std::string>{"first"});
  ficus_->dir().write("new.key", "second\n");
  EXPECT_TRUE(wait_until([&] {
    get("acme", "P-1");
    return values_of(new_.records().back().metadata, "x-api-key") == std::vector<std::string>{"second"};
  }));
  EXPECT_EQ(ficus_->log().find("second"), std::string::npos);
}

TEST_F(ReloadTest, NoCallAndNoConnectionIsLostUnderLoad) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  const auto watcher = RawH2::connect(ficus_->address());
  ClientCall open_stream(channel_, "/other.v1.Other/Stream");
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0}, failed{0};
  std::vector<std::thread> load;
  for (int t = 0; t < 4; ++t) {
    load.emplace_back([&] {
      const auto channel = make_channel(ficus_->address());
      while (!stop) {
        const UnaryReply reply =
            call(channel, method("GetPolicy"), get_policy_request("P-1"), {.metadata = {{"x-tenant-id", "mover"}}});
        ++calls;
        if (!reply.status.ok() || (reply.message() != "legacy" && reply.message() != "new")) ++failed;
      }
    });
  }
  const double connected = metric("ficus_connections_total", {{"peer", "policy-legacy"}});
  for (int i = 0; i < 10; ++i) {
    const double before = reloads("applied");
    ficus_->write_policy(policy(i % 2 == 0 ? "new" : "legacy"));
    ficus_->signal(SIGHUP);
    ASSERT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "applied"}}, before + 1));
    const int seen = calls;
    ASSERT_TRUE(wait_until([&] { return calls > seen + 20; }));
  }
  stop = true;
  for (std::thread& thread : load) thread.join();
  EXPECT_EQ(failed, 0) << "of " << calls;
  EXPECT_FALSE(watcher->state().closed);
  EXPECT_TRUE(watcher->state().goaways.empty());
  EXPECT_LE(metric("ficus_connections_total", {{"peer", "policy-legacy"}}), connected + 4)
      << "reloads drop warm connections";
  open_stream.write("still open");
  open_stream.writes_done();
  EXPECT_TRUE(open_stream.finish().ok());
}

TEST_F(ReloadTest, ACallKeepsThePolicyItBeganWith) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  legacy_.set_script(echo());
  new_.set_script(echo());
  const std::size_t at_legacy = legacy_.calls();
  ClientCall stream(channel_, method("StreamHistory"), {.metadata = {{"x-tenant-id", "mover"}}});
  ASSERT_TRUE(stream.write("one"));
  EXPECT_EQ(stream.read(), "one");
  ficus_->write_policy(policy("new"));
  ficus_->signal(SIGHUP);
  ASSERT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "applied"}}, 1));
  ASSERT_TRUE(stream.write("two"));
  EXPECT_EQ(stream.read(), "two");
  stream.writes_done();
  EXPECT_TRUE(stream.finish().ok());
  EXPECT_EQ(legacy_.calls(), at_legacy + 1);
  EXPECT_EQ(legacy_.wait_ended(at_legacy)->messages, (std::vector<std::string>{"one", "two"}));
}

TEST_F(ReloadTest, ABadFileIsExplainedAndChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  std::string two_errors = policy("new");
  two_errors.replace(two_errors.find("stage: live"), 11, "stage: lively");
  two_errors.replace(two_errors.find("new: policy-new"), 15, "new: policy-nwe");
  expect_refused(two_errors, {"lively", "policy-nwe", "policy.yaml:"});
}

TEST_F(ReloadTest, AFileCutOffChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  const std::string whole = policy("new");
  expect_refused(whole.substr(0, whole.size() / 2), {});
  expect_refused(whole.substr(0, whole.size() - 1), {});
  expect_refused("", {});
}

TEST_F(ReloadTest, AReloadThatMovesAnOwnerIsRefused) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  EXPECT_EQ(endorse("acme").message(), "new");
  std::string moved = policy("new");
  for (const std::string name : {"inquiry-acme", "address-acme"}) {
    const auto rule = moved.find("{name: " + name);
    const auto stage = moved.find("stage: live", rule);
    moved.replace(stage, 11, "stage: shadow");
    if (name == "address-acme") moved.replace(moved.find("stage: shadow", rule), 13, "stage: off");
  }
  expect_refused(moved, {"ownership_epoch"});
  std::string raised = moved;
  raised.replace(raised.find("ownership_epoch: 1"), 18, "ownership_epoch: 2");
  expect_refused(raised, {"restart to move owners"});
  EXPECT_EQ(endorse("acme").message(), "new") << "the owner moved";
}

TEST_F(ReloadTest, AnEpochRaisedForNothingIsRefused) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  std::string raised = policy("new");
  raised.replace(raised.find("ownership_epoch: 1"), 18, "ownership_epoch: 2");
  expect_refused(raised, {"ownership_epoch"});
}

TEST_F(ReloadTest, AMendedFileIsTakenAfterABadOne) {
  ASSERT_NO_FATAL_FAILURE(start_at("legacy"));
  ficus_->write_policy("nonsense: [\n");
  ASSERT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "refused"}}, 1));
  ficus_->write_policy(policy("new"));
  EXPECT_TRUE(wait_side("new"));
}

}  // namespace
}  // namespace ficus::e2e
