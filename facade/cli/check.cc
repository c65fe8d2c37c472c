// `ficus check FILE...`: what an editor, a pre-commit hook and a pipeline ask.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "facade/cli/cli.h"
#include "facade/cli/flag_values.h"
#include "facade/cli/output.h"
#include "facade/control/json_writer.h"

namespace ficus {
namespace {

struct CheckArguments {
  std::vector<std::string> files;
  bool json = false;
};

struct CheckedFile {
  std::string file;
  std::vector<Diagnostic> diagnostics;
  bool unreadable = false;
};

CheckedFile check_file(const std::string& file, const CommandContext& context) {
  auto loaded = load_for_command(file, context);
  if (loaded) return {file, std::move(loaded->warnings), false};
  return {file, std::move(loaded.error().diagnostics), loaded.error().unreadable};
}

void print_text(const CheckedFile& checked, CommandContext& context) {
  const Paint paint(context.colour);
  for (const Diagnostic& diagnostic : checked.diagnostics) print_diagnostic(context.out, diagnostic, paint);
  const auto errors = static_cast<std::size_t>(
      std::count_if(checked.diagnostics.begin(), checked.diagnostics.end(),
                    [](const Diagnostic& diagnostic) { return diagnostic.level == DiagnosticLevel::kError; }));
  const std::size_t warnings = checked.diagnostics.size() - errors;
  context.out << checked.file << ": " << (errors == 0 ? paint.green("ok") : paint.red(counted(errors, "error")));
  if (warnings > 0) context.out << ", " << paint.yellow(counted(warnings, "warning"));
  context.out << '\n';
}

void append_json(const CheckedFile& checked, JsonWriter& json) {
  json.begin_object();
  json.key("file").text(checked.file);
  json.key("ok").boolean(!has_error(checked.diagnostics));
  json.key("diagnostics").begin_array();
  for (const Diagnostic& diagnostic : checked.diagnostics) {
    json.begin_object();
    json.key("code").text(diagnostic.code);
    json.key("level").text(diagnostic.level == DiagnosticLevel::kError ? "error" : "warning");
    json.key("file").text(diagnostic.file);
    json.key("line").number(diagnostic.mark.line);
    json.key("column").number(diagnostic.mark.column);
    json.key("path").text(diagnostic.yaml_path);
    json.key("message").text(diagnostic.message);
    json.key("hint").text(diagnostic.hint);
    json.end_object();
  }
  json.end_array().end_object();
}

int run_check(const CheckArguments& arguments, CommandContext& context) {
  JsonWriter json;
  json.begin_array();
  int exit_code = kExitOk;
  for (const std::string& file : arguments.files) {
    const CheckedFile checked = check_file(file, context);
    if (arguments.json) {
      append_json(checked, json);
    } else {
      print_text(checked, context);
    }
    if (has_error(checked.diagnostics)) exit_code = std::max(exit_code, kExitProblems);
    if (checked.unreadable) exit_code = std::max(exit_code, kExitUsage);
  }
  json.end_array();
  if (arguments.json) context.out << json.take() << '\n';
  return exit_code;
}

}  // namespace

void add_check_command(CLI::App& app, CommandContext& context) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* command = app.add_subcommand("check", "Check policies and print every problem in them");
  command->add_option("FILE", arguments->files, "Policy files; the files they name are read as well")->required();
  add_word_flag(*command, "--format", arguments->json, "text, or json for machines: an array with one object a file",
                {{"text", false}, {"json", true}});
  add_today_option(*command, context);
  command->footer(R"(Each problem is a line: FILE:LINE:COLUMN: error[CODE]: what is wrong (what to do). Warnings never refuse a policy.
The policy's own `tests:` are run as well.

Examples:
  ficus check policies/insurer.yaml
  ficus check --format json policies/*.yaml
  ficus check --today 2027-07-01 policies/insurer.yaml     # what will have run out by then?

Exit codes: 0 no errors, 1 some policy has errors, 2 wrong arguments or a file that cannot be read.)");
  command->callback([arguments, &context] { context.exit_code = run_check(*arguments, context); });
}

}  // namespace ficus
