// What the commands share in talking to people. Internal to facade/cli/.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>

#include "facade/cli/cli.h"
#include "routing/diagnostic.h"

namespace ficus {

// Colours text, or leaves it as it is where nobody would see them.
class Paint {
 public:
  explicit Paint(bool colour) : colour_(colour) {}
  std::string bold(std::string_view text) const { return wrap("\033[1m", text); }
  std::string red(std::string_view text) const { return wrap("\033[1;31m", text); }
  std::string yellow(std::string_view text) const { return wrap("\033[33m", text); }
  std::string green(std::string_view text) const { return wrap("\033[32m", text); }
  std::string faint(std::string_view text) const { return wrap("\033[2m", text); }

 private:
  std::string wrap(const char* begin, std::string_view text) const {
    return colour_ ? begin + std::string(text) + "\033[0m" : std::string(text);
  }
  bool colour_;
};

// One line, "error[P014]" or "warning[W003]" in its colour.
void print_diagnostic(std::ostream& out, const Diagnostic& diagnostic, const Paint& paint);

// "1 error", "2 errors".
std::string counted(std::size_t count, std::string_view noun);

// Adds --today YYYY-MM-DD, which stands in for context.today.
void add_today_option(CLI::App& command, CommandContext& context);

// Loads a policy as both commands do.
Result<LoadedPolicy, LoadFailure> load_for_command(const std::string& file, const CommandContext& context);

// `text` made fit for a terminal: control characters and bytes that are not UTF-8 as \xNN, whatever the length.
std::string printable(std::string_view text);

}  // namespace ficus
