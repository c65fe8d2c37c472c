#include "facade/cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "facade/cli/flag_values.h"
#include "facade/cli/output.h"
#include "facade/compare/descriptor_store.h"
#include "routing/policy_parse_values.h"
#include "routing/spelling.h"
#include "routing/utf8.h"

namespace ficus {
namespace {

// What was not expected on the command line, and what may have been meant: CLI11 lists it backwards, and never guesses.
void print_extras(const CLI::App& app, int argc, const char* const* argv, std::ostream& err) {
  const auto commands = app.get_subcommands();
  const CLI::App& command = commands.empty() ? app : *commands.front();
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::string_view flag = argument.substr(0, argument.find('='));
    if (!flag.starts_with("--") || std::find(names.begin(), names.end(), flag) != names.end()) continue;
    const std::string hint = did_you_mean(flag, {names.begin(), names.end()});
    err << "there is no flag " << in_quotes(flag) << (hint.empty() ? "" : ": ") << hint << '\n';
    return;
  }
  const auto extras = command.remaining();
  err << "one argument too many: " << in_quotes(extras.empty() ? "" : extras.back()) << '\n';
}

}  // namespace

int run_command_line(CLI::App& app, int argc, const char* const* argv, CommandContext& context) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 only says that a command is required, also where one was misspelt.
    if (error.get_exit_code() != 0 && app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      std::vector<std::string> names;
      for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
      const std::string hint = did_you_mean(argv[1], {names.begin(), names.end()});
      context.err << "there is no command " << in_quotes(argv[1]) << (hint.empty() ? "" : ": ") << hint
                  << "\nRun with --help for more information.\n";
      return kExitUsage;
    }
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
      print_extras(app, argc, argv, context.err);
      context.err << "Run with --help for more information.\n";
      return kExitUsage;
    }
    // CLI11 has an exit code for each kind of mistake; scripts want one for all of them.
    return app.exit(error, context.out, context.err) == 0 ? kExitOk : kExitUsage;
  }
  return context.exit_code;
}

bool wants_colour(int descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  return isatty(descriptor) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

Date utc_today() { return std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()); }

CatalogMaker descriptor_catalog_maker() {
  return [](const std::vector<NamedSchema>& schemas)
             -> Result<std::shared_ptr<const MethodCatalog>, std::vector<std::pair<std::string, std::string>>> {
    std::vector<SchemaFile> files;
    for (const NamedSchema& schema : schemas) files.push_back({schema.name, schema.bytes});
    auto store = DescriptorStore::open(files);
    if (store) return std::shared_ptr<const MethodCatalog>(std::move(*store));
    std::vector<std::pair<std::string, std::string>> errors;
    for (SchemaError& error : store.error()) errors.emplace_back(std::move(error.name), std::move(error.message));
    return fail(std::move(errors));
  };
}

void print_diagnostic(std::ostream& out, const Diagnostic& diagnostic, const Paint& paint) {
  std::string line = to_string(diagnostic);
  const bool error = diagnostic.level == DiagnosticLevel::kError;
  const std::string label = (error ? "error[" : "warning[") + diagnostic.code + "]";
  const std::size_t at = line.find(label);
  if (at != std::string::npos) line.replace(at, label.size(), error ? paint.red(label) : paint.yellow(label));
  out << line << '\n';
}

std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

void add_today_option(CLI::App& command, CommandContext& context) {
  command
      .add_option_function<std::string>(
          "--today",
          [&context](const std::string& text) {
            const auto date = parsing::parse_date(text);
            if (!date) {
              // A hint of the parser's says how a date is written, which stands there already.
              const char* hint = date.error().hint.empty() ? "there is no such day" : "";
              throw_wrong_value("--today", text, {"YYYY-MM-DD, as 2027-07-01", hint});
            }
            context.today = *date;
          },
          "Judge `until` dates as of this day (default: today, UTC)")
      ->type_name("YYYY-MM-DD");
}

Result<LoadedPolicy, LoadFailure> load_for_command(const std::string& file, const CommandContext& context) {
  LoadOptions options;
  options.make_catalog = descriptor_catalog_maker();
  options.judge_tls = context.judge_tls;
  options.today = context.today;
  return load_policy(file, options);
}

std::string printable(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string shown;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char decoded = decode_utf8(text, at);
    if (decoded.bytes > 0 && !hides_or_reorders(decoded.code)) {
      shown.append(text.substr(at, decoded.bytes));
      at += decoded.bytes;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[at++]);
    shown.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
  }
  return shown;
}

}  // namespace ficus
