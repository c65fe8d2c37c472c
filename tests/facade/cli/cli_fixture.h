// A directory with policies in it, and the program's commands run on them in this process.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "facade/cli/cli.h"

namespace ficus::test {

struct CommandResult {
  int exit_code = 0;
  std::string out, err;
};

class CliTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (std::filesystem::temp_directory_path() / "ficus-cli-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    dir_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string write(const std::string& name, std::string_view text) {
    const std::filesystem::path path = dir_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }
  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  // The demo's schema beside the policies, as "insurance.pb".
  void add_schema() { std::filesystem::copy_file(FICUS_INSURANCE_PB, dir_ / "insurance.pb"); }

  static CommandResult run(const std::vector<std::string>& arguments, bool colour = false, std::string in = {}) {
    using namespace std::chrono_literals;
    std::ostringstream out, err;
    std::istringstream stdin_stream(std::move(in));
    CommandContext context{out, err, colour, 2026y / 6 / 15};
    context.in = &stdin_stream;
    CLI::App app("test", "ficus");
    app.require_subcommand(1);
    add_check_command(app, context);
    add_explain_command(app, context);
    add_compare_command(app, context);
    add_status_command(app, context);
    std::vector<const char*> argv{"ficus"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    const int exit_code = run_command_line(app, static_cast<int>(argv.size()), argv.data(), context);
    return {exit_code, out.str(), err.str()};
  }

  std::filesystem::path dir_;
};

inline bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace ficus::test
