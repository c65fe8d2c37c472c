// FICUS_CHECK: for programmer errors only. Never for bytes from the network or from YAML.
#pragma once

#include <sstream>
#include <string>

namespace ficus::detail {

// Prints file, line, condition and the streamed reason to stderr, then aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& why);

class CheckStream {
 public:
  CheckStream(const char* file, int line, const char* condition) : file_(file), line_(line), condition_(condition) {}
  [[noreturn]] ~CheckStream() { check_failed(file_, line_, condition_, why_.str()); }
  template <class T>
  CheckStream& operator<<(const T& value) {
    why_ << value;
    return *this;
  }

 private:
  const char* file_;
  int line_;
  const char* condition_;
  std::ostringstream why_;
};

}  // namespace ficus::detail

// Aborts with a reason unless `cond`: FICUS_CHECK(worker != nullptr) << "post before start".
#define FICUS_CHECK(cond) \
  if (cond) [[likely]] {  \
  } else                  \
    ::ficus::detail::CheckStream(__FILE__, __LINE__, #cond)
