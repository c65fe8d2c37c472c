#include "facade/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ficus::detail {

void check_failed(const char* file, int line, const char* condition, const std::string& why) {
  // Straight to stderr: the logger may be what is broken.
  std::fprintf(stderr, "%s:%d: check failed: %s%s%s\n", file, line, condition, why.empty() ? "" : ": ", why.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace ficus::detail
