// A file descriptor that closes itself. Any thread, one at a time.
#pragma once

#include <unistd.h>

#include <utility>

namespace ficus {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& that) noexcept : fd_(that.release()) {}
  UniqueFd& operator=(UniqueFd&& that) noexcept {
    if (this != &that) {
      reset();
      fd_ = that.release();
    }
    return *this;
  }
  ~UniqueFd() { reset(); }

  // -1: none.
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  // Gives it to the caller, who closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace ficus
