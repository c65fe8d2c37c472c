// `ficus serve`: makes the parts, lets them know one another, runs them, and ends them in order.
#pragma once

#include <chrono>
#include <string>

namespace CLI {
class App;
}

namespace ficus {

struct CommandContext;

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

// Exit codes beside those of every command (cli/cli.h): kExitProblems is a policy that was refused, kExitUsage wrong
// arguments or a start that failed. 3 is left to scripts (packages are missing).
inline constexpr int kExitCallsCut = 4;  // stopped, and the drain timeout cut calls off

// Serves until SIGTERM or SIGINT; SIGHUP reloads the policy. Gives the exit code.
int serve(const ServeOptions& options);

// Adds `ficus serve` to the program.
void add_serve_command(CLI::App& app, CommandContext& context);

}  // namespace ficus
