// The process's limit of open files (RLIMIT_NOFILE): a connection is a descriptor, and shells give 1024 by default.
#pragma once

#include <cstdint>

namespace ficus {

struct FileLimit {
  std::uint64_t before = 0;  // the soft limit as it was
  std::uint64_t now = 0;     // and as it is; UINT64_MAX: none
};
// Raises the soft limit to the hard one, as any process may. A refusal leaves it as it was. At start; affects what is
// executed from here too.
FileLimit raise_file_limit();

// What a facade needs: clients, and this much for upstream connections, files, the admin address and a takeover.
inline constexpr std::uint64_t kReservedFiles = 512;
constexpr std::uint64_t files_needed(std::uint64_t max_connections) { return max_connections + kReservedFiles; }

// Raises and says so: "file_limit_raised" with from and to; "file_limit_low" when the result is less than what
// `max_connections` clients need.
void raise_file_limit_and_log(std::uint64_t max_connections);

}  // namespace ficus
