// The options of `ficus serve`.
#include <CLI/CLI.hpp>

#include <map>
#include <memory>
#include <string>

#include "facade/cli/cli.h"
#include "facade/serve.h"

namespace ficus {

void add_serve_command(CLI::App& app, CommandContext& context) {
  auto* command = app.add_subcommand("serve", "Serve gRPC traffic by a policy");
  auto options = std::make_shared<ServeOptions>();
  auto drain_seconds = std::make_shared<double>(30.0);
  command->add_option("--policy", options->policy, "The routing policy (YAML); reloaded when it changes and on SIGHUP")
      ->required();
  command->add_option("--listen", options->listen, "HOST:PORT for clients; port 0 picks a free one")->required();
  command->add_option("--admin", options->admin, "HOST:PORT for /metrics /readyz /livez /policy")->capture_default_str();
  command->add_option("--workers", options->workers, "Event loops, one a core")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  command->add_option("--compare-threads", options->compare_threads, "Threads that compare shadow answers")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  command->add_option("--mismatch-log", options->mismatch_log,
                      "Write mismatch traces here, one JSON object a line (mode 0600)");
  command->add_option("--redact-key", options->redact_key, "Key file for hashed values; made if absent (mode 0600)");
  command->add_option("--port-file", options->port_file, "Write the addresses bound here, as JSON, when ready");
  command->add_option("--drain-timeout", *drain_seconds, "How long calls in flight may go on after SIGTERM: 30s, 500ms, 2m")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"ms", 0.001}, {"s", 1.0}, {"m", 60.0}},
                                        CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME") &
                  CLI::Range(0.0, 86400.0))
      ->type_name("TIME")
      ->default_str("30s");
  command->footer(
      "Examples:\n"
      "  ficus serve --policy policies/first-step.yaml --listen 127.0.0.1:8080\n"
      "  ficus serve --policy p.yaml --listen 0.0.0.0:8080 --admin 127.0.0.1:9901 --workers 4 \\\n"
      "      --mismatch-log mismatches.jsonl --redact-key redact.key\n\n"
      "Signals: SIGHUP reads the policy again; SIGTERM and SIGINT drain and stop,\n"
      "a second one stops at once.\n"
      "Exit codes: 0 stopped, every call ended by itself; 1 the policy was refused; 2 wrong usage, or it could not\n"
      "start; 4 stopped, and the drain timeout cut calls off.");
  command->callback([options, drain_seconds, &context] {
    options->drain_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*drain_seconds * 1000));
    context.exit_code = serve(*options);
  });
}

}  // namespace ficus
