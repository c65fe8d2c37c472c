#include "facade/control/publisher.h"

#include <atomic>
#include <utility>

#include "facade/base/check.h"

namespace ficus {
namespace {

// Counts down from the number of workers and one for the publisher itself, so that the acknowledgement never runs while
// publish() still holds its mutex.
struct Countdown {
  std::atomic<std::size_t> left;
  std::promise<void> all_done;
  std::function<void()> acknowledged;

  Countdown(std::size_t workers, std::function<void()> call) : left(workers + 1), acknowledged(std::move(call)) {}
  void one_done() {
    const std::size_t before = left.fetch_sub(1, std::memory_order_acq_rel);
    FICUS_CHECK(before != 0) << "a worker acknowledged one table twice";
    if (before != 1) return;
    if (acknowledged) acknowledged();
    all_done.set_value();
  }
};

}  // namespace

Publisher::Publisher(std::vector<PublishToWorker> workers) : workers_(std::move(workers)) {}

std::future<void> Publisher::publish(std::shared_ptr<const RouteTable> table, std::function<void()> acknowledged) {
  FICUS_CHECK(table != nullptr) << "there is no such thing as publishing nothing";
  const auto countdown = std::make_shared<Countdown>(workers_.size(), std::move(acknowledged));
  std::future<void> done = countdown->all_done.get_future();
  {
    const std::lock_guard one_after_another(publishing_);
    {
      const std::lock_guard lock(mutex_);
      in_force_ = table;
    }
    for (const PublishToWorker& worker : workers_) worker(table, [countdown] { countdown->one_done(); });
  }
  countdown->one_done();
  return done;
}

std::shared_ptr<const RouteTable> Publisher::in_force() const {
  const std::lock_guard lock(mutex_);
  return in_force_;
}

}  // namespace ficus
