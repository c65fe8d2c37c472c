#include "facade/net/file_limit.h"

#include <sys/resource.h>

#include <string>

#include "facade/base/log.h"

namespace ficus {
namespace {

std::uint64_t plain(rlim_t limit) { return limit == RLIM_INFINITY ? UINT64_MAX : static_cast<std::uint64_t>(limit); }

std::string shown(std::uint64_t limit) { return limit == UINT64_MAX ? "unlimited" : std::to_string(limit); }

}  // namespace

FileLimit raise_file_limit() {
  rlimit limit{};
  FileLimit result;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return result;
  result.before = result.now = plain(limit.rlim_cur);
  if (limit.rlim_cur == limit.rlim_max) return result;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) result.now = plain(limit.rlim_max);
  return result;
}

void raise_file_limit_and_log(std::uint64_t max_connections) {
  const FileLimit limit = raise_file_limit();
  if (limit.now != limit.before) {
    log_event(LogLevel::kInfo, "file_limit_raised", "the soft limit of open files is now the hard one",
              {{"from", shown(limit.before)}, {"to", shown(limit.now)}});
  }
  if (limit.now < files_needed(max_connections)) {
    log_event(
        LogLevel::kWarn, "file_limit_low",
        "fewer files may be open than --max-connections needs: raise the hard limit (ulimit -Hn, LimitNOFILE= of "
        "the unit), or lower --max-connections",
        {{"limit", shown(limit.now)}, {"needed", files_needed(max_connections)}, {"max_connections", max_connections}});
  }
}

}  // namespace ficus
