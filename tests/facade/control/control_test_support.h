// Temporary directories, files, and an io_context that is run until something holds. For the tests of facade/control.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "facade/control/asio.h"

namespace ficus::testing {

// A directory of its own, removed with everything in it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// Writes in place: truncates, writes, closes. Fails the test if it cannot.
void write_file(const std::string& path, std::string_view bytes);
// Writes beside it and renames over it.
void replace_file(const std::string& path, std::string_view bytes);
std::string read_file(const std::string& path);
void make_link(const std::string& target, const std::string& path);
// What `ln -sfn` and the kubelet do: a new link, renamed over the old one.
void replace_link(const std::string& target, const std::string& path);
void make_directory(const std::string& path);

inline constexpr std::chrono::seconds kPatience{20};

// Runs `io` on this thread until `done` holds; false when it does not within `limit`.
bool run_until(asio::io_context& io, const std::function<bool()>& done, std::chrono::milliseconds limit = kPatience);

}  // namespace ficus::testing
