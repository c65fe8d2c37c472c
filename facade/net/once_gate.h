// Says an event once for the whole process although every worker sees it: a dead upstream is one line in the log, not
// one a worker. Slow paths only. Any thread.
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace ficus {

class OnceGate {
 public:
  // True for the first who begins `what`, until it ended.
  bool begin(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return begun_.insert(what).second;
  }
  // True for the first who ends it.
  bool end(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return begun_.erase(what) != 0;
  }

 private:
  std::mutex mutex_;
  std::set<std::string> begun_;
};

}  // namespace ficus
