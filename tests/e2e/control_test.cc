// Issue section "control API": `ficus serve --control PATH` and `ficus status`, over a real facade's socket.
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "ficus/control/v1/control.pb.h"
#include "tests/e2e/two_sided_fixture.h"
#include "tests/support/takeover_peer.h"

namespace ficus::e2e {
namespace {

namespace v1 = ::ficus::control::v1;
constexpr const char* kControl = "ficus.control.v1.Control";

class ControlTest : public TwoSidedTest {
 protected:
  FicusOptions options(std::vector<std::string> more = {}) const {
    FicusOptions result;
    result.workers = 2;
    result.flags = {"--control", path_};
    result.flags.insert(result.flags.end(), more.begin(), more.end());
    return result;
  }
  FicusOptions with_takeover() const { return options({"--takeover", dir_.path("takeover.sock")}); }
  std::unique_ptr<FicusProcess> pass_through(FicusOptions given) const {
    return start_ficus(pass_through_policy(legacy_.address()), std::move(given));
  }
  // One that must end by itself; gives its exit code.
  int start_and_fail(FicusOptions given, std::string& log) const {
    given.expect_ready = false;
    const auto ficus = pass_through(std::move(given));
    const auto code = ficus->wait_exit();
    log = ficus->log();
    return code.value_or(-1);
  }

  UnaryReply ask(const std::string& path, std::string_view request = {}) const {
    return call(make_channel("unix:" + path_), path, request, {.deadline = kPatience});
  }
  v1::GetStatusResponse status() const {
    v1::GetStatusResponse response;
    const UnaryReply reply = ask("/ficus.control.v1.Control/GetStatus");
    EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
    EXPECT_TRUE(response.ParseFromString(reply.message()));
    return response;
  }
  // grpc.health.v1.HealthCheckResponse.status: 1 is SERVING, 2 NOT_SERVING; -1: no answer.
  int health(const std::string& service) const {
    std::string request;  // field 1, a string
    if (!service.empty()) request = std::string("\x0a") + static_cast<char>(service.size()) + service;
    const UnaryReply reply = ask("/grpc.health.v1.Health/Check", request);
    if (!reply.status.ok() || reply.message().size() != 2) return -1;
    return reply.message()[1];  // field 1, a varint
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  struct Printed {
    int exit_code = -1;
    std::string text;
  };
  // `ficus status` with these words, both of its outputs.
  Printed ficus_status(const std::string& words) const {
    const char* const other = std::getenv("FICUS_BINARY");
    const std::string command = std::string(other != nullptr ? other : FICUS_BINARY) + " status " + words + " 2>&1";
    Printed printed;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return printed;
    std::array<char, 4096> part;
    while (const std::size_t got = std::fread(part.data(), 1, part.size(), pipe)) printed.text.append(part.data(), got);
    const int ended = ::pclose(pipe);
    printed.exit_code = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    return printed;
  }

  TempDir dir_;
  const std::string path_ = dir_.path("control.sock");
};

// ---------------------------------------------------------------- what it says

TEST_F(ControlTest, StatusSaysWhatRunsHere) {
  start(parts(), options());
  const v1::GetStatusResponse said = status();
  EXPECT_EQ(said.process().pid(), static_cast<std::uint32_t>(ficus_->pid()));
  EXPECT_EQ(said.process().state(), v1::Process::READY);
  EXPECT_FALSE(said.process().version().empty());
  EXPECT_GE(said.process().now().seconds(), said.process().started_at().seconds());
  EXPECT_EQ(said.policy().hash().size(), 64u);
  EXPECT_EQ(said.workers_size(), 2);
  ASSERT_EQ(said.listeners_size(), 2);
  EXPECT_EQ(said.listeners(0).address(), ficus_->address());
  EXPECT_EQ(said.listeners(1).kind(), v1::Listener::ADMIN);
  EXPECT_EQ(said.listeners(1).address(), ficus_->admin());
  EXPECT_EQ(said.capabilities_size(), 2);
  EXPECT_FALSE(said.has_last_reload());
}

TEST_F(ControlTest, CountersAreThoseOfTheCallsThatWent) {
  TwoSided shadowed = parts();
  shadowed.rules =
      "  - {name: shady, capability: inquiry, tenants: [shady], stage: shadow, reads: {shadow: {percent: 100}}}\n";
  start(shadowed, options());
  ASSERT_TRUE(get("shady", "P-1").status.ok());
  ASSERT_TRUE(wait_verdicts(1));
  const v1::GetStatusResponse said = status();
  const v1::Capability& inquiry = said.capabilities(0);
  ASSERT_EQ(inquiry.name(), "inquiry");
  EXPECT_EQ(inquiry.rules(0).stage(), "shadow");
  EXPECT_EQ(inquiry.rules(0).shadowed_reads().percent_millionths(), 1'000'000u);
  const v1::ShadowCounts& shadows = inquiry.shadows();
  EXPECT_EQ(shadows.begun(), 1u);
  EXPECT_EQ(shadows.match() + shadows.ignored() + shadows.mismatch() + shadows.incomparable() + shadows.abandoned(),
            1u);
  std::uint64_t connections = 0;
  for (const v1::Worker& worker : said.workers()) connections += worker.client_connections();
  EXPECT_EQ(connections, 1u);
  bool healthy_shadow = false;
  for (const v1::Upstream& upstream : said.upstreams()) healthy_shadow |= upstream.shadow().healthy() > 0;
  EXPECT_TRUE(healthy_shadow) << said.DebugString();
}

TEST_F(ControlTest, ARefusedReloadIsSaidWithItsReasonAndWithoutSecrets) {
  constexpr const char* kSecret = "SeCrEt-7f3a9c";
  TwoSided planted = parts();
  planted.new_extra = std::string(", metadata: {set: {x-api-key: \"file:new.key\", x-inline: \"") + kSecret + "\"}}";
  FicusOptions given = options();
  given.files = {{"new.key", std::string(kSecret) + "\n"}};
  start(planted, given);
  EXPECT_EQ(status().DebugString().find(kSecret), std::string::npos);
  // Wrong right beside, and in, what is secret.
  TwoSided wrong = planted;
  wrong.new_extra = std::string(", metadata: {set: {x-inline: \"") + kSecret + "\\x01\", x-list: [" + kSecret + "]}}";
  wrong.rules = "  - {name: bad, capability: inquiry, tenants: [a], stage: canray}\n";
  ficus_->write_policy(two_sided_policy(wrong));
  ficus_->signal(SIGHUP);
  ASSERT_TRUE(wait_until([&] { return status().has_last_reload(); }));
  const v1::GetStatusResponse said = status();
  EXPECT_EQ(said.last_reload().outcome(), v1::Reload::REFUSED);
  EXPECT_GE(said.last_reload().diagnostics_size(), 2);
  EXPECT_EQ(said.policy().generation(), 1u);
  const std::string everything =
      said.DebugString() + ficus_status("--control " + path_).text + ficus_status("--json --control " + path_).text;
  EXPECT_EQ(everything.find(kSecret), std::string::npos) << everything;
  EXPECT_NE(everything.find("canray"), std::string::npos) << everything;
}

TEST_F(ControlTest, HealthAndReflectionStandBesideIt) {
  const auto ficus = pass_through(options());
  EXPECT_EQ(health(""), 1);
  EXPECT_EQ(health(kControl), 1);
  EXPECT_EQ(ask("/grpc.health.v1.Health/Check", "\x0a\x04none").status.error_code(), grpc::StatusCode::NOT_FOUND);
  ClientCall reflection(make_channel("unix:" + path_),
                        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  ASSERT_TRUE(reflection.write("\x3a\x01*"));  // list_services: "*"
  const auto listed = reflection.read();
  ASSERT_TRUE(listed);
  EXPECT_NE(listed->find(kControl), std::string::npos);
  EXPECT_NE(listed->find("grpc.health.v1.Health"), std::string::npos);
  ASSERT_TRUE(reflection.write(std::string("\x22") + static_cast<char>(std::string(kControl).size()) + kControl));
  const auto file = reflection.read();  // file_containing_symbol
  ASSERT_TRUE(file);
  EXPECT_NE(file->find("GetStatus"), std::string::npos);
  reflection.writes_done();
  EXPECT_TRUE(reflection.finish().ok());
}

TEST_F(ControlTest, ARequestThatIsTooLongIsRefusedAndTheNextIsAnswered) {
  const auto ficus = pass_through(options());
  const std::string long_field = std::string("\x0a\xff\xff\x07") + std::string((1 << 17) - 1, 'x');
  EXPECT_EQ(ask("/ficus.control.v1.Control/GetStatus", long_field).status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(ficus->pid()));
}

TEST_F(ControlTest, TheCommandPrintsItAsTextAndAsJson) {
  start(parts(), options());
  const Printed text = ficus_status("--control unix:" + path_);
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.text.find("pid " + std::to_string(ficus_->pid()) + ": ready"), std::string::npos) << text.text;
  EXPECT_NE(text.text.find("inquiry-shady"), std::string::npos) << text.text;
  EXPECT_EQ(text.text.find('\033'), std::string::npos) << "colours for a pipe";
  const Printed json = ficus_status("--json --control " + path_);
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(json.text.front(), '{');
  EXPECT_NE(json.text.find("\"generation\""), std::string::npos) << json.text;
  const Printed absent = ficus_status("--control " + dir_.path("absent.sock"));
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_NE(absent.text.find("nothing listens at"), std::string::npos) << absent.text;
}

TEST_F(ControlTest, AFacadeThatHangsIsGivenUpAfterTheTimeout) {
  const auto ficus = pass_through(options());
  ficus->signal(SIGSTOP);
  const Printed printed = ficus_status("--timeout 100ms --control " + path_);
  ficus->signal(SIGCONT);
  EXPECT_EQ(printed.exit_code, 2);
  EXPECT_NE(printed.text.find("no answer"), std::string::npos) << printed.text;
}

// ---------------------------------------------------------------- its socket

TEST_F(ControlTest, ItsModeIs0600AlsoUnderAnOpenUmaskAndItGoesWithItsProcess) {
  const mode_t before = ::umask(0);
  const auto ficus = pass_through(options());
  ::umask(before);
  EXPECT_EQ(mode_of(path_), mode_t{0600});
  EXPECT_EQ(ficus->terminate(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlTest, ASocketThatAKilledFacadeLeftBehindIsReplaced) {
  {
    const auto killed = pass_through(options());
    killed->signal(SIGKILL);
    killed->wait_exit();
  }
  ASSERT_TRUE(std::filesystem::is_socket(path_));
  const auto ficus = pass_through(options());
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(ficus->pid()));
}

TEST_F(ControlTest, APathThatIsTakenOrWrongIsAnErrorAndIsLeftAlone) {
  const auto first = pass_through(options());
  std::string log;
  EXPECT_EQ(start_and_fail(options(), log), 2);
  EXPECT_NE(log.find("another process (pid " + std::to_string(first->pid()) + ") listens there"), std::string::npos)
      << log;
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(first->pid()));

  FicusOptions given = options();
  dir_.write("file", "precious");
  given.flags[1] = dir_.path("file");
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("is no socket"), std::string::npos) << log;
  EXPECT_EQ(read_file(dir_.path("file")), "precious");

  given.flags[1] = dir_.path("missing/control.sock");
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("make it, mode 0700"), std::string::npos) << log;

  given.flags[1] = "/" + std::string(103, 'x');  // fits, but not with what its first name has behind it
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("too long for a Unix socket (104 bytes; at most "), std::string::npos) << log;
  given.flags[1] = dir_.path(std::string(120, 'x'));
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("too long for a Unix socket"), std::string::npos) << log;
  EXPECT_EQ(start_and_fail(options({"--takeover", path_}), log), 2);
  EXPECT_NE(log.find("name the same path"), std::string::npos) << log;
}

TEST_F(ControlTest, WithoutTheFlagThereIsNoSocketAndAStartThatFailsLeavesNone) {
  std::string log;
  FicusOptions given = options();
  given.listen = "256.0.0.1:0";
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_FALSE(std::filesystem::exists(path_)) << log;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), std::filesystem::directory_iterator()), 0);
}

// ---------------------------------------------------------------- its process ends

TEST_F(ControlTest, WhileItDrainsItAnswersAndSaysSo) {
  Gate gate;
  ScriptedUpstream slow([&](UpstreamCall& one) {
    wait_until([&] { return gate.is_open(); });
    return answer({"late"})(one);
  });
  FicusOptions given = options();
  given.drain_seconds = 30;
  const auto ficus = start_ficus(pass_through_policy(slow.address()), given);
  ClientCall held(make_channel(ficus->address()), kPath);
  held.write("m");
  held.writes_done();
  ASSERT_TRUE(ficus->wait_metric("ficus_streams", {{"role", "primary"}}, 1));
  ficus->signal(SIGTERM);
  EXPECT_TRUE(wait_until([&] { return status().process().state() == v1::Process::DRAINING; }));
  EXPECT_EQ(health(""), 2);
  EXPECT_EQ(status().load().primary_calls(), 1u);
  gate.open();
  EXPECT_TRUE(held.finish().ok());
  EXPECT_EQ(ficus->wait_exit(), 0);
}

TEST_F(ControlTest, ASuccessorHasThePathFromTheTakeoverOnAndTheOldOneLeavesItAlone) {
  FicusOptions given = with_takeover();
  given.drain_seconds = 30;
  const auto first = pass_through(given);
  ClientCall conversation(make_channel(first->address()), kPath);  // so that the old one drains
  conversation.write("before");
  ASSERT_TRUE(first->wait_metric("ficus_streams", {{"role", "primary"}}, 1));
  const auto second = pass_through(given);
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(second->pid()));
  EXPECT_EQ(mode_of(path_), mode_t{0600});
  conversation.cancel();
  EXPECT_EQ(first->wait_exit(), 0);
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(second->pid())) << "the old one took the name away";
  EXPECT_EQ(second->terminate(), 0);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlTest, ASuccessorThatFailsLeavesThePathWithTheRunningOne) {
  const auto first = pass_through(with_takeover());
  FicusOptions given = with_takeover();
  given.expect_ready = false;
  {
    const auto refused = start_ficus("apiVersion: ficus/v1\nname: broken\nownership_epoch: 1\n", given);
    EXPECT_EQ(refused->wait_exit(), 1);
  }
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(first->pid()));
}

TEST_F(ControlTest, ASuccessorMayNotHaveAThirdProcesssPath) {
  const auto first = pass_through(options({"--takeover", dir_.path("takeover.sock")}));
  const auto third =
      start_ficus(pass_through_policy(legacy_.address()), {.flags = {"--control", dir_.path("third.sock")}});
  FicusOptions given = with_takeover();
  given.flags[1] = dir_.path("third.sock");
  std::string log;
  EXPECT_EQ(start_and_fail(given, log), 2);
  EXPECT_NE(log.find("another process (pid " + std::to_string(third->pid())), std::string::npos) << log;
  EXPECT_TRUE(first->ready());
  EXPECT_EQ(status().process().pid(), static_cast<std::uint32_t>(first->pid()));
}

}  // namespace
}  // namespace ficus::e2e
