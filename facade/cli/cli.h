// The commands of the `ficus` program that a person runs beside `serve`: one file a command. Each adds itself to the
// program's options and, when it is the one asked for, runs inside parse and leaves its exit code in the context.
// Main thread only.
#pragma once

#include <iosfwd>

#include <CLI/App.hpp>

#include "facade/control/policy_loader.h"
#include "routing/policy.h"

namespace ficus {

// Exit codes of every command; `serve` adds its own above these.
inline constexpr int kExitOk = 0;
inline constexpr int kExitProblems = 1;  // the policy has errors
inline constexpr int kExitUsage = 2;     // wrong arguments, or what was to be read (a file, a facade) does not answer
inline constexpr int kExitNoVerdict = 3;  // `compare`: the answers cannot be compared

struct CommandContext {
  std::ostream& out;
  std::ostream& err;
  bool colour = false;  // `out` is a terminal that wants it: wants_colour()
  Date today;           // UTC; --today stands in for it
  int exit_code = kExitOk;
  TlsJudge judge_tls;   // for LoadOptions, so that cli/ need not know TLS
  std::istream* in = nullptr;  // what a file called `-` is read from; null: it is empty
};

// `ficus check FILE...`: every diagnostic of every file.
void add_check_command(CLI::App& app, CommandContext& context);
// `ficus explain FILE --method M ...`: where one call would go, and why.
void add_explain_command(CLI::App& app, CommandContext& context);
// `ficus compare LEGACY NEW --policy P --method M ...`: the verdict on two answers, without any traffic.
void add_compare_command(CLI::App& app, CommandContext& context);
// `ficus status`: how a running facade is, asked over its control socket.
void add_status_command(CLI::App& app, CommandContext& context);

// Parses the arguments, which runs the command they name, and returns the exit code: kExitUsage for wrong arguments,
// kExitOk after --help, else context.exit_code. `app` has all its commands.
int run_command_line(CLI::App& app, int argc, const char* const* argv, CommandContext& context);

// Whether a descriptor is a terminal that shows colours: not with NO_COLOR set (no-color.org) or TERM=dumb.
bool wants_colour(int descriptor);
// Today's date, UTC.
Date utc_today();
// Schemas as compare's DescriptorStore reads them: for LoadOptions, so that control/ need not know compare/.
CatalogMaker descriptor_catalog_maker();

}  // namespace ficus
