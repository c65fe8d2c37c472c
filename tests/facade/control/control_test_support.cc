#include "tests/facade/control/control_test_support.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace ficus::testing {

TempDir::TempDir() {
  path_ = (std::filesystem::temp_directory_path() / "ficus-control-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) std::abort();
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  ASSERT_TRUE(out) << path;
}

void replace_file(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".tmp~";
  write_file(beside, bytes);
  ASSERT_EQ(std::rename(beside.c_str(), path.c_str()), 0) << path;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

void make_link(const std::string& target, const std::string& path) {
  ASSERT_EQ(::symlink(target.c_str(), path.c_str()), 0) << path;
}

void replace_link(const std::string& target, const std::string& path) {
  const std::string beside = path + "_tmp";
  make_link(target, beside);
  ASSERT_EQ(std::rename(beside.c_str(), path.c_str()), 0) << path;
}

void make_directory(const std::string& path) { ASSERT_EQ(::mkdir(path.c_str(), 0755), 0) << path; }

bool run_until(asio::io_context& io, const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace ficus::testing
