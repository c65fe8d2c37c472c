// Wiring only: the commands of `ficus`, one file each.
#include <unistd.h>

#include <iostream>

#include <CLI/CLI.hpp>

#include "facade/cli/cli.h"
#include "facade/rpc/upstream_tls.h"
#include "facade/serve.h"

int main(int argc, char** argv) {
  CLI::App app{"Ficus stands in front of a legacy gRPC service and the one that replaces it."};
  app.require_subcommand(1);
  app.set_version_flag("--version", FICUS_VERSION);
  ficus::CommandContext context{std::cout, std::cerr, ficus::wants_colour(STDOUT_FILENO), ficus::utc_today()};
  context.judge_tls = ficus::judge_upstream_tls;
  context.in = &std::cin;
  ficus::add_serve_command(app, context);
  ficus::add_check_command(app, context);
  ficus::add_explain_command(app, context);
  ficus::add_compare_command(app, context);
  ficus::add_status_command(app, context);
  return ficus::run_command_line(app, argc, argv, context);
}
