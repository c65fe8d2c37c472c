// A directory of a test's own, gone with it.
#pragma once

#include <string>
#include <string_view>

namespace ficus::e2e {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path(std::string_view name = {}) const;
  // Replaces the file in one step (a temporary file, then a rename), as careful editors do.
  void write(std::string_view name, std::string_view text) const;

 private:
  std::string root_;
};

// The whole file; empty if it cannot be read.
std::string read_file(const std::string& path);

}  // namespace ficus::e2e
