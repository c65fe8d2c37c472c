// A real `ficus serve` under test: started on free ports with a policy of the test's own, watched, and ended with it.
// Any death by a signal, an unexpected exit code or a sanitizer's report fails the test that ran it, and its log is
// printed with any failure.
// Threads: start and destroy on the test's main thread; the rest from any.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/admin_client.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

struct FicusOptions {
  std::string policy;                        // its text; written as policy.yaml
  std::string policy_path;                   // instead of `policy`: a file of the test's own keeping
  std::map<std::string, std::string> files;  // beside it: schemas, secrets
  int workers = 1;
  std::string listen = "127.0.0.1:0";
  std::vector<std::string> flags;  // e.g. {"--mismatch-log", path}
  double drain_seconds = 2;
  // Tests share the cores with one another, so that a loop which runs late says nothing of ficus: not judged but where
  // it is what the test is about.
  std::string shadow_max_lag = "0";
  std::map<std::string, std::string> environment;  // added to ours
  bool expect_ready = true;                        // false: the test expects the start to fail and asks wait_exit()
};

class FicusProcess {
 public:
  explicit FicusProcess(FicusOptions options);
  // Ends it (SIGTERM, bounded) unless it has ended, and judges how.
  ~FicusProcess();
  FicusProcess(const FicusProcess&) = delete;
  FicusProcess& operator=(const FicusProcess&) = delete;

  const std::string& address() const { return listen_; }
  const std::string& admin() const { return admin_; }
  // Of --tls-listen; empty without.
  const std::string& tls_address() const { return tls_listen_; }
  pid_t pid() const { return pid_; }
  const TempDir& dir() const { return dir_; }
  const std::string& policy_path() const { return policy_path_; }

  MetricsSnapshot metrics() const;
  // Scrapes until the sum reaches `at_least`; false after `limit`. Counters are written after the client has its
  // answer.
  bool wait_metric(const std::string& name, MetricsSnapshot::Labels labels, double at_least,
                   std::chrono::milliseconds limit = kPatience) const;
  bool ready() const { return http_get(admin_, "/readyz").status == 200; }
  std::string log() const;
  bool wait_log(const std::string& text, std::chrono::milliseconds limit = kPatience) const;

  void write_policy(const std::string& text) const { dir_.write("policy.yaml", text); }
  void signal(int number) const;
  // The exit code, or -signal; nullopt when it still runs after `limit`.
  std::optional<int> wait_exit(std::chrono::milliseconds limit = kPatience);
  // SIGTERM, then wait_exit.
  std::optional<int> terminate(std::chrono::milliseconds limit = kPatience);
  bool running();

  // Peak and present resident memory, in bytes (VmHWM, VmRSS of /proc). 0 if it is gone.
  std::size_t peak_memory_bytes() const { return proc_status_bytes("VmHWM:"); }
  std::size_t resident_memory_bytes() const { return proc_status_bytes("VmRSS:"); }
  std::size_t open_descriptors() const;

 private:
  void start(const FicusOptions& options);
  void wait_for_ports();
  std::size_t proc_status_bytes(const std::string& field) const;

  TempDir dir_;
  std::string policy_path_, listen_, tls_listen_, admin_;
  pid_t pid_ = -1;
  std::optional<int> exit_;
  bool expect_ready_ = true;
};

}  // namespace ficus::e2e
