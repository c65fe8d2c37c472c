// `ficus status`: how a running facade is.
#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>

#include "facade/cli/cli.h"
#include "facade/cli/flag_values.h"
#include "facade/cli/status_print.h"
#include "facade/control/control_client.h"

namespace ficus {
namespace {

struct StatusArguments {
  std::string control{kDefaultControlPath};
  std::chrono::milliseconds timeout{5'000};
  bool json = false;
};

int run_status(const StatusArguments& arguments, CommandContext& context) {
  const auto status = ask_status(arguments.control, arguments.timeout);
  if (!status) {
    context.err << "ficus status: " << status.error().why << '\n';
    if (!status.error().hint.empty()) context.err << "hint: " << status.error().hint << '\n';
    return kExitUsage;
  }
  context.out << (arguments.json ? status_json(*status) : status_text(*status, context.colour));
  return kExitOk;
}

}  // namespace

void add_status_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<StatusArguments>();
  CLI::App* command = app.add_subcommand("status", "Say how a running facade is: policy, shares, shadows, upstreams");
  add_control_flag(*command, arguments->control,
                   "The facade's control socket, as it was given to `ficus serve --control`");
  add_time_flag(*command, "--timeout", arguments->timeout, "How long the answer may take", std::chrono::hours(1));
  command->add_flag("--json", arguments->json, "One JSON object instead of text: ficus.control.v1.GetStatusResponse");
  command->footer(
      R"(Lines that begin with ! come first and say what is wrong. Counters are those since the facade started; (12 of 50) behind
a share are calls that fell into it, of those it was applied to. States of endpoints are what one worker sees, on average.

Examples:
  ficus status
  ficus status --control /run/ficus/control.sock
  ficus status --json --timeout 2s

Exit codes: 0 the facade answered, whatever it said; 2 wrong arguments, or no facade answered.)");
  command->callback([arguments, &context] { context.exit_code = run_status(*arguments, context); });
}

}  // namespace ficus
