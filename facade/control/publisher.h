// Hands a route table to every worker and says when all have it.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "routing/route_table.h"

namespace ficus {

// Makes one worker use `table` for calls born from now on, then calls `done` (on any thread). `main` gives one a
// worker; it posts to the worker's loop.
using PublishToWorker = std::function<void(std::shared_ptr<const RouteTable> table, std::function<void()> done)>;

class Publisher {
 public:
  explicit Publisher(std::vector<PublishToWorker> workers);
  // Posts the same table to every worker; the future is ready after the last ran it. One publish at a time.
  std::future<void> publish(std::shared_ptr<const RouteTable> table);
  // The table last published; null before the first. Any thread.
  std::shared_ptr<const RouteTable> in_force() const;

 private:
  std::vector<PublishToWorker> workers_;
  mutable std::mutex mutex_;
  std::shared_ptr<const RouteTable> in_force_;
};

}  // namespace ficus
