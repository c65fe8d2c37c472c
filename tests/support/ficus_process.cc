#include "tests/support/ficus_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>

extern char** environ;

namespace ficus::e2e {
namespace {

// The value of "name":"..." in the small flat JSON of --port-file.
std::string json_text(const std::string& json, const std::string& name) {
  const auto key = json.find("\"" + name + "\"");
  if (key == std::string::npos) return {};
  const auto open = json.find('"', json.find(':', key));
  const auto close = open == std::string::npos ? open : json.find('"', open + 1);
  return close == std::string::npos ? std::string() : json.substr(open + 1, close - open - 1);
}

constexpr const char* kSanitizerMarks[] = {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                                           "runtime error:", "WARNING: ThreadSanitizer",
                                           "AddressSanitizer:DEADLYSIGNAL"};

}  // namespace

FicusProcess::FicusProcess(FicusOptions options) : expect_ready_(options.expect_ready) {
  policy_path_ = options.policy_path;
  if (policy_path_.empty()) {
    policy_path_ = dir_.path("policy.yaml");
    dir_.write("policy.yaml", options.policy);
  }
  for (const auto& [name, bytes] : options.files) dir_.write(name, bytes);
  start(options);
  if (expect_ready_) wait_for_ports();
}

void FicusProcess::start(const FicusOptions& options) {
  const char* const other = std::getenv("FICUS_BINARY");  // a packaged or a release binary instead of this build's
  std::vector<std::string> words = {other != nullptr ? other : FICUS_BINARY,
                                    "serve",
                                    "--policy",
                                    policy_path_,
                                    "--listen",
                                    options.listen,
                                    "--admin",
                                    "127.0.0.1:0",
                                    "--workers",
                                    std::to_string(options.workers),
                                    "--port-file",
                                    dir_.path("ports.json"),
                                    "--drain-timeout",
                                    std::to_string(options.drain_seconds),
                                    "--shadow-max-lag",
                                    options.shadow_max_lag};
  words.insert(words.end(), options.flags.begin(), options.flags.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (std::string& entry : variables) envp.push_back(entry.data());
  envp.push_back(nullptr);
  const int log = ::open(dir_.path("stderr.log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

  pid_ = ::fork();
  if (pid_ == 0) {                       // only async-signal-safe calls from here on: this process has threads
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test killed by ctest leaves no ficus behind
    ::dup2(log, STDERR_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(log);
}

void FicusProcess::wait_for_ports() {
  const bool came = wait_until([this] {
    const std::string ports = read_file(dir_.path("ports.json"));
    listen_ = json_text(ports, "listen");
    tls_listen_ = json_text(ports, "tls_listen");
    admin_ = json_text(ports, "admin");
    return (!listen_.empty() && !admin_.empty() && ports.find('}') != std::string::npos) || !running();
  });
  if (!came || listen_.empty() || exit_) {
    ADD_FAILURE() << "ficus did not start (" << FICUS_BINARY << "), exit " << exit_.value_or(-1000) << "\n" << log();
    listen_ = admin_ = "127.0.0.1:1";  // whatever the test does next fails quickly
    return;
  }
  EXPECT_TRUE(wait_until([this] { return ready() || !running(); })) << "never ready";
}

FicusProcess::~FicusProcess() {
  if (running()) {
    terminate();
    if (running()) {
      ADD_FAILURE() << "ficus did not end within " << kPatience.count() << " ms of SIGTERM";
      ::kill(pid_, SIGKILL);
      wait_exit();
    }
  }
  const std::string text = log();
  for (const char* mark : kSanitizerMarks) {
    EXPECT_EQ(text.find(mark), std::string::npos) << "a sanitizer reported";
  }
  if (exit_ && *exit_ < 0 && *exit_ != -SIGKILL) ADD_FAILURE() << "ficus died of signal " << -*exit_;
  if (expect_ready_ && exit_ && *exit_ > 0 && *exit_ != 4) ADD_FAILURE() << "ficus ended with code " << *exit_;
  if (::testing::Test::HasFailure()) {
    std::cerr << "---- ficus's log (pid " << pid_ << ")\n"
              << (text.size() > 40000 ? text.substr(text.size() - 40000) : text) << "---- end of ficus's log\n";
  }
}

MetricsSnapshot FicusProcess::metrics() const { return MetricsSnapshot(http_get(admin_, "/metrics").body); }

bool FicusProcess::wait_metric(const std::string& name, MetricsSnapshot::Labels labels, double at_least,
                               std::chrono::milliseconds limit) const {
  return wait_until([&] { return metrics().sum(name, labels) >= at_least; }, limit);
}

std::string FicusProcess::log() const { return read_file(dir_.path("stderr.log")); }

bool FicusProcess::wait_log(const std::string& text, std::chrono::milliseconds limit) const {
  return wait_until([&] { return log().find(text) != std::string::npos; }, limit);
}

void FicusProcess::signal(int number) const {
  if (pid_ > 0 && !exit_) ::kill(pid_, number);
}

bool FicusProcess::running() {
  if (pid_ <= 0 || exit_) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return false;
}

std::optional<int> FicusProcess::wait_exit(std::chrono::milliseconds limit) {
  wait_until([this] { return !running(); }, limit);
  return exit_;
}

std::optional<int> FicusProcess::terminate(std::chrono::milliseconds limit) {
  signal(SIGTERM);
  return wait_exit(limit);
}

std::size_t FicusProcess::proc_status_bytes(const std::string& field) const {
  std::istringstream lines(read_file("/proc/" + std::to_string(pid_) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(field, 0) == 0) return std::stoull(line.substr(field.size())) * 1024;
  }
  return 0;
}

std::size_t FicusProcess::open_descriptors() const {
  std::size_t count = 0;
  std::error_code gone;
  for (auto it = std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd", gone);
       !gone && it != std::filesystem::directory_iterator(); it.increment(gone)) {
    ++count;
  }
  return count;
}

}  // namespace ficus::e2e
