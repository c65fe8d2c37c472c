#include "facade/control/publisher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "facade/control/asio.h"
#include "tests/facade/control/control_test_support.h"

namespace ficus {
namespace {

using namespace testing;
using namespace std::chrono_literals;

std::shared_ptr<const RouteTable> table_of_generation(std::uint64_t generation) {
  Policy policy;
  policy.name.value = "test";
  const NamedFiles no_files;
  return RouteTable::compile({policy, nullptr, no_files, "hash", generation});
}

bool ready(const std::future<void>& future) { return future.wait_for(0s) == std::future_status::ready; }

// A worker that takes up a table when it is told to.
struct LateWorker {
  std::deque<std::pair<std::shared_ptr<const RouteTable>, std::function<void()>>> queue;
  std::uint64_t generation = 0;

  PublishToWorker entry() {
    return [this](std::shared_ptr<const RouteTable> table, std::function<void()> done) {
      queue.emplace_back(std::move(table), std::move(done));
    };
  }
  void run_one() {
    generation = queue.front().first->generation();
    queue.front().second();
    queue.pop_front();
  }
};

TEST(PublisherTest, NothingIsInForceBeforeTheFirst) { EXPECT_EQ(Publisher({}).in_force(), nullptr); }

TEST(PublisherTest, AcknowledgesAfterTheLastWorkerAndNotBefore) {
  LateWorker a, b;
  Publisher publisher({a.entry(), b.entry()});
  int acknowledged = 0;
  const auto table = table_of_generation(1);
  const std::future<void> done = publisher.publish(table, [&] { ++acknowledged; });
  EXPECT_EQ(publisher.in_force(), table);
  b.run_one();
  EXPECT_FALSE(ready(done));
  EXPECT_EQ(acknowledged, 0);
  a.run_one();
  EXPECT_TRUE(ready(done));
  EXPECT_EQ(acknowledged, 1);
}

TEST(PublisherTest, WithoutWorkersItIsDoneAtOnce) {
  Publisher publisher({});
  EXPECT_TRUE(ready(publisher.publish(table_of_generation(1))));
}

TEST(PublisherTest, AWorkerMayAnswerAtOnceAndTheAcknowledgementMayPublishAgain) {
  std::uint64_t seen = 0;
  Publisher publisher({[&](std::shared_ptr<const RouteTable> table, std::function<void()> done) {
    seen = table->generation();
    done();
  }});
  publisher.publish(table_of_generation(1), [&] { publisher.publish(table_of_generation(2)); });
  EXPECT_EQ(seen, 2u);
  EXPECT_EQ(publisher.in_force()->generation(), 2u);
}

TEST(PublisherTest, ASecondPublishMayOvertakeAnAcknowledgementButNotATable) {
  LateWorker a, b;
  Publisher publisher({a.entry(), b.entry()});
  const auto first = publisher.publish(table_of_generation(1));
  const auto second = publisher.publish(table_of_generation(2));
  a.run_one();
  a.run_one();
  EXPECT_FALSE(ready(first));
  EXPECT_FALSE(ready(second));
  b.run_one();
  EXPECT_TRUE(ready(first));
  EXPECT_FALSE(ready(second));
  b.run_one();
  EXPECT_TRUE(ready(second));
  EXPECT_EQ(a.generation, 2u);
  EXPECT_EQ(b.generation, 2u);
}

TEST(PublisherTest, EveryWorkerEndsWithTheLastTableWhoeverPublishes) {
  constexpr int kWorkers = 3, kPublishers = 4, kRounds = 50;
  struct Worker {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> busy{io.get_executor()};
    std::shared_ptr<const RouteTable> table;
    std::thread thread{[this] { io.run(); }};
  };
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<PublishToWorker> entries;
  for (int i = 0; i < kWorkers; ++i) {
    Worker& worker = *workers.emplace_back(std::make_unique<Worker>());
    entries.push_back([&worker](std::shared_ptr<const RouteTable> table, std::function<void()> done) {
      asio::post(worker.io, [&worker, table = std::move(table), done = std::move(done)] {
        worker.table = table;
        done();
      });
    });
  }
  Publisher publisher(std::move(entries));
  std::vector<std::thread> publishers;
  for (int p = 0; p < kPublishers; ++p) {
    publishers.emplace_back([&publisher, p] {
      for (int i = 0; i < kRounds; ++i)
        publisher.publish(table_of_generation(static_cast<std::uint64_t>(p * kRounds + i + 1))).wait();
    });
  }
  for (std::thread& thread : publishers) thread.join();
  for (const auto& worker : workers) {
    worker->busy.reset();
    worker->thread.join();
    EXPECT_EQ(worker->table, publisher.in_force());
  }
}

TEST(PublisherDeathTest, PublishingNothingIsAProgrammersError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Publisher publisher({});
  EXPECT_DEATH(publisher.publish(nullptr), "publishing nothing");
}

}  // namespace
}  // namespace ficus
