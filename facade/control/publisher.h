// Hands a route table to every worker and says when all have it.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <vector>

#include "routing/route_table.h"

namespace ficus {

// Makes one worker use `table` for calls born from now on, then calls `done` (on any thread). `main` gives one a
// worker; it posts to the worker's loop.
using PublishToWorker = std::function<void(std::shared_ptr<const RouteTable> table, std::function<void()> done)>;

class Publisher {
 public:
  explicit Publisher(std::vector<PublishToWorker> workers);
  // Posts the same table to every worker, in the same order for every worker when several publish at once. The future
  // is ready, and `acknowledged` (if set) was called, after the last worker ran it; the call is made on that worker's
  // thread (or on this one) with no lock held. in_force() gives the new table from the moment the first worker may use
  // it. Any thread.
  std::future<void> publish(std::shared_ptr<const RouteTable> table, std::function<void()> acknowledged = {});
  // The table last published; null before the first. Any thread.
  std::shared_ptr<const RouteTable> in_force() const;

 private:
  std::vector<PublishToWorker> workers_;
  std::mutex publishing_;
  mutable std::mutex mutex_;
  std::shared_ptr<const RouteTable> in_force_;
};

}  // namespace ficus
