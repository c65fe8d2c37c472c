#include "facade/cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdlib>
#include <ostream>
#include <string_view>

#include "facade/cli/flag_values.h"
#include "facade/cli/output.h"
#include "facade/compare/descriptor_store.h"
#include "routing/policy_parse_values.h"
#include "routing/spelling.h"
#include "routing/utf8.h"

namespace ficus {

int run_command_line(CLI::App& app, int argc, const char* const* argv, CommandContext& context) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // CLI11 only says that a command is required, also where one was misspelt.
    if (error.get_exit_code() != 0 && app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      context.err << "there is no command " << in_quotes(argv[1]) << "\nRun with --help for more information.\n";
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
