#include "facade/shadow/compare_queue.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/facade/compare/schema_fixture.h"
#include "tests/facade/shadow/compare_job_fixture.h"
#include "tests/support/wait.h"

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
using testing::UnorderedElementsAre;
using namespace std::chrono_literals;

// Keeps what it is given; can be told to fail, or to hold whoever writes.
class FakeSink : public MismatchSink {
 public:
  void write(const MismatchTrace& trace) override {
    std::unique_lock lock(mutex_);
    ++entered;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    if (fails) throw std::runtime_error("no paper");
    traces.push_back(trace);
  }
  void flush() override { ++flushes; }

  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  bool wait_until_entered(int n) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, e2e::kPatience, [&] { return entered >= n; });
  }

  std::vector<MismatchTrace> traces;
  int flushes = 0;
  int entered = 0;
  bool fails = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

class CompareQueueTest : public testing::Test {
 protected:
  CompareJob job(const char* legacy, const char* fresh) const { return test::get_job(table_, legacy, fresh); }

  // "name{labels}" -> value of every sample of a family.
  std::map<std::string, std::string> samples(const std::string& family) {
    std::map<std::string, std::string> out;
    const std::string text = metrics_.expose();
    for (std::size_t at = 0; (at = text.find('\n' + family, at)) != std::string::npos;) {
      const std::size_t begin = at + 1;
      const std::size_t end = text.find('\n', begin);
      const std::size_t space = text.rfind(' ', end);
      out[text.substr(begin + family.size(), space - begin - family.size())] = text.substr(space + 1, end - space - 1);
      at = end;
    }
    return out;
  }

  std::shared_ptr<const RouteTable> table_ = test::inquiry_table(
      "      ignore: [{path: \"**.updated_at\", reason: clocks}]\n      unordered: [numbers]\n      severity: {minor: "
      "[done]}");
  Metrics metrics_;
  Redactor redactor_{Redactor::Key{}};
  FakeSink sink_;
};

constexpr const char* kInquiry = "{capability=\"inquiry\",verdict=";

TEST_F(CompareQueueTest, EachJobEndsInOneCountedVerdict) {
  CompareQueue queue({}, metrics_, redactor_, &sink_);
  queue.push(job("done: true", "done: true"));
  queue.push(job("done: true", ""));
  queue.push(job("policy { updated_at { seconds: 1 } }", "policy { updated_at { seconds: 2 } }"));
  queue.push(job("numbers: 1 numbers: 2 policy { updated_at { seconds: 1 } }", "numbers: 2 numbers: 1"));
  CompareJob without_schema = job("done: true", "");
  without_schema.descriptors = nullptr;
  queue.push(without_schema);
  CompareJob unavailable = job("done: true", "");
  auto shadow = std::make_shared<Observation>(*unavailable.shadow);
  shadow->grpc_status = GrpcCode::kUnavailable;
  unavailable.shadow = shadow;
  queue.push(unavailable);
  queue.count_uncompared(job("done: true", "done: true"), Verdict::kAbandoned, "answer_too_large");
  queue.stop(e2e::kPatience);

  EXPECT_THAT(samples("ficus_shadow_verdicts_total"),
              UnorderedElementsAre(Pair(kInquiry + std::string("\"match\",reason=\"\"}"), "1"),
                                   Pair(kInquiry + std::string("\"mismatch\",reason=\"\"}"), "1"),
                                   Pair(kInquiry + std::string("\"ignored\",reason=\"\"}"), "2"),
                                   Pair(kInquiry + std::string("\"incomparable\",reason=\"no_schema\"}"), "1"),
                                   Pair(kInquiry + std::string("\"abandoned\",reason=\"shadow_unavailable\"}"), "1"),
                                   Pair(kInquiry + std::string("\"abandoned\",reason=\"answer_too_large\"}"), "1")));
  EXPECT_THAT(samples("ficus_mismatches_total"), ElementsAre(Pair("{capability=\"inquiry\",severity=\"minor\"}", "1")));
  EXPECT_THAT(samples("ficus_ignored_total"),
              UnorderedElementsAre(Pair("{capability=\"inquiry\",rule=\"**.updated_at\"}", "2"),
                                   Pair("{capability=\"inquiry\",rule=\"numbers\"}", "1")));
  EXPECT_THAT(samples("ficus_compare_seconds_count"), ElementsAre(Pair("{capability=\"inquiry\"}", "6")));
  EXPECT_THAT(samples("ficus_compare_queue"), ElementsAre(Pair("", "0")));
  ASSERT_EQ(sink_.traces.size(), 1u);
  EXPECT_EQ(sink_.traces[0].severity(), MismatchTrace::MINOR);
  EXPECT_EQ(sink_.flushes, 1);
  EXPECT_EQ(queue.backlog(), 0u);
}

TEST_F(CompareQueueTest, FullQueueAbandonsAndCounts) {
  CompareQueueOptions options;
  options.max_jobs = 2;
  sink_.hold();
  CompareQueue queue(options, metrics_, redactor_, &sink_);
  queue.push(job("done: true", ""));
  ASSERT_TRUE(sink_.wait_until_entered(1));  // the one thread is busy now
  for (int i = 0; i < 5; ++i) queue.push(job("done: true", ""));
  EXPECT_EQ(queue.backlog(), 3u);
  EXPECT_THAT(samples("ficus_compare_queue"), ElementsAre(Pair("", "2")));
  sink_.release();
  queue.stop(e2e::kPatience);
  EXPECT_EQ(samples("ficus_shadow_verdicts_total")[kInquiry + std::string("\"abandoned\",reason=\"queue_full\"}")],
            "3");
  EXPECT_EQ(samples("ficus_shadow_verdicts_total")[kInquiry + std::string("\"mismatch\",reason=\"\"}")], "3");
  EXPECT_EQ(samples("ficus_limit_hits_total")["{limit=\"compare_queue_jobs\"}"], "3");
}

TEST_F(CompareQueueTest, BytesAreBoundedUntilTheirComparisonIsOver) {
  const std::string big = "policy { notes: '" + std::string(4000, 'x') + "' }";
  CompareQueueOptions options;
  options.max_bytes = 12'000;
  sink_.hold();
  CompareQueue queue(options, metrics_, redactor_, &sink_);
  queue.push(job(big.c_str(), ""));
  ASSERT_TRUE(sink_.wait_until_entered(1));
  queue.push(job(big.c_str(), ""));
  queue.push(job(big.c_str(), ""));  // over
  queue.push(job("", ""));           // still fits
  sink_.release();
  ASSERT_TRUE(e2e::wait_until([&] { return queue.backlog() == 0; }));
  queue.push(job(big.c_str(), ""));  // fits again
  queue.stop(e2e::kPatience);
  auto verdicts = samples("ficus_shadow_verdicts_total");
  EXPECT_EQ(verdicts[kInquiry + std::string("\"abandoned\",reason=\"queue_full\"}")], "1");
  EXPECT_EQ(verdicts[kInquiry + std::string("\"mismatch\",reason=\"\"}")], "3");
  EXPECT_EQ(verdicts[kInquiry + std::string("\"match\",reason=\"\"}")], "1");
  EXPECT_EQ(samples("ficus_limit_hits_total")["{limit=\"compare_queue_bytes\"}"], "1");
}

TEST_F(CompareQueueTest, WhatIsLeftAtTheEndIsCountedAsShutDown) {
  sink_.hold();
  CompareQueue queue({}, metrics_, redactor_, &sink_);
  for (int i = 0; i < 4; ++i) queue.push(job("done: true", ""));
  ASSERT_TRUE(sink_.wait_until_entered(1));
  std::thread stopper([&] { queue.stop(0ms); });
  ASSERT_TRUE(e2e::wait_until([&] { return queue.backlog() == 1; }));
  queue.push(job("done: true", ""));  // too late
  sink_.release();
  stopper.join();
  auto verdicts = samples("ficus_shadow_verdicts_total");
  EXPECT_EQ(verdicts[kInquiry + std::string("\"abandoned\",reason=\"shutdown\"}")], "4");
  EXPECT_EQ(verdicts[kInquiry + std::string("\"mismatch\",reason=\"\"}")], "1");
  EXPECT_THAT(samples("ficus_compare_queue"), ElementsAre(Pair("", "0")));
  queue.stop(0ms);  // once more does nothing
  EXPECT_EQ(sink_.flushes, 1);
}

TEST_F(CompareQueueTest, SinkThatFailsCostsTheTraceAndNotTheVerdict) {
  sink_.fails = true;
  testing::internal::CaptureStderr();
  {
    CompareQueue queue({}, metrics_, redactor_, &sink_);
    queue.push(job("done: true", ""));
    queue.push(job("done: true", "done: true"));
    queue.stop(e2e::kPatience);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("mismatch_trace_failed"));
  EXPECT_THAT(samples("ficus_shadow_verdicts_total"),
              UnorderedElementsAre(Pair(kInquiry + std::string("\"match\",reason=\"\"}"), "1"),
                                   Pair(kInquiry + std::string("\"mismatch\",reason=\"\"}"), "1")));
  EXPECT_EQ(samples("ficus_traces_total")["{outcome=\"dropped\",reason=\"internal\"}"], "1");
}

TEST_F(CompareQueueTest, JobThatCannotBeComparedIsIncomparableAndLogged) {
  testing::internal::CaptureStderr();
  CompareQueue queue({}, metrics_, redactor_, &sink_);
  CompareJob broken = job("done: true", "");
  broken.shadow = nullptr;
  queue.push(broken);
  broken = job("done: true", "policy { notes: 'SECRET' }");
  broken.method = 999;
  queue.push(broken);
  queue.stop(e2e::kPatience);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("comparison_failed"));
  EXPECT_THAT(log, Not(HasSubstr("SECRET")));
  EXPECT_THAT(samples("ficus_shadow_verdicts_total"),
              UnorderedElementsAre(Pair(kInquiry + std::string("\"incomparable\",reason=\"internal\"}"), "1"),
                                   Pair("{capability=\"other\",verdict=\"incomparable\",reason=\"internal\"}", "1")));
}

TEST_F(CompareQueueTest, VerdictsAreCountedWithoutASink) {
  CompareQueue queue({}, metrics_, redactor_, nullptr);
  queue.push(job("done: true", ""));
  queue.stop(e2e::kPatience);
  EXPECT_THAT(samples("ficus_shadow_verdicts_total"),
              ElementsAre(Pair(kInquiry + std::string("\"mismatch\",reason=\"\"}"), "1")));
}

TEST_F(CompareQueueTest, VerdictsAddUpWhenManyPushAndTheQueueStopsUnderThem) {
  CompareQueueOptions options;
  options.max_jobs = 50;
  options.threads = 3;
  CompareQueue queue(options, metrics_, redactor_, &sink_);
  const CompareJob same = job("done: true", "done: true");
  const CompareJob other = job("done: true", "");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) queue.push(i % 3 == 0 ? other : same);
    });
  }
  queue.stop(5ms);
  for (std::thread& thread : threads) thread.join();
  std::uint64_t sum = 0;
  for (const auto& [labels, value] : samples("ficus_shadow_verdicts_total")) sum += std::stoull(value);
  EXPECT_EQ(sum, 2000u);
}

}  // namespace
}  // namespace ficus
