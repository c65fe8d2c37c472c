// `ficus serve`: makes the parts, lets them know one another, runs them, and ends them in order.
#pragma once

#include <chrono>
#include <string>

namespace ficus {

struct ServeOptions {
  std::string policy;
  std::string listen;
  std::string admin = "127.0.0.1:9901";
  unsigned workers = 1;
  unsigned compare_threads = 1;
  std::string mismatch_log;   // empty: mismatches are counted, not written
  std::string redact_key;     // empty: a key of this process's life
  std::string port_file;      // empty: none. JSON, written when ready: {"listen":"HOST:PORT","admin":"HOST:PORT"}
  std::chrono::milliseconds drain_timeout{30'000};
};

// Exit codes of `ficus serve`; documented in its --help.
inline constexpr int kExitOk = 0;
inline constexpr int kExitBadPolicy = 1;
inline constexpr int kExitCannotStart = 2;
inline constexpr int kExitCallsCut = 4;

// Serves until SIGTERM or SIGINT; SIGHUP reloads the policy. Gives the exit code.
int serve(const ServeOptions& options);

}  // namespace ficus
