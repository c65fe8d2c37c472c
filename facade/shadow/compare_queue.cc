#include "facade/shadow/compare_queue.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <google/protobuf/stubs/logging.h>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/shadow/trace_builder.h"

namespace ficus {
namespace {

std::size_t bytes_of(const CompareJob& job) {
  std::size_t bytes = sizeof(CompareJob);
  for (const ObservationPtr& observation : {job.primary, job.shadow}) {
    if (observation == nullptr) continue;
    for (const ObservedMessage& message : observation->messages)
      bytes += sizeof(ObservedMessage) + message.bytes.size();
    for (const ObservedMetadata& entry : observation->metadata)
      bytes += sizeof(ObservedMetadata) + entry.name.size() + entry.value.size();
  }
  return bytes;
}

// As metrics name it; a job whose method or capability its table does not have is somebody's mistake, counted apart.
std::string_view capability_name(const RouteTable& table, std::uint16_t capability) {
  return capability < table.capabilities().size() ? std::string_view(table.capabilities()[capability].name) : "other";
}
std::uint16_t capability_of(const CompareJob& job) {
  if (job.table == nullptr || job.method >= job.table->methods().size()) return kNoIndex;
  return job.table->methods()[job.method].capability;
}

}  // namespace

struct CompareQueue::Impl {
  Impl(CompareQueueOptions o, Metrics& m, const Redactor& r, MismatchSink* s)
      : options(o),
        redactor(r),
        sink(s),
        shared(m.add_shard()),
        waiting_gauge(shared.gauge(families::kCompareQueue, {})) {
    const unsigned n = std::max(1u, options.threads);
    for (unsigned i = 0; i < n; ++i) threads.emplace_back([this, &shard = m.add_shard()] { run(shard); });
  }

  // Where a verdict is counted, but for the matches that a tap finds at sight.
  static void count(MetricsShard& shard, std::string_view capability, Verdict verdict, std::string_view reason) {
    shard.counter(families::kVerdicts, {capability, to_string(verdict), reason}).add();
  }
  void count_job(MetricsShard& shard, const CompareJob& job, Verdict verdict, std::string_view reason) {
    count(shard, job.table != nullptr ? capability_name(*job.table, capability_of(job)) : "other", verdict, reason);
  }

  void run(MetricsShard& shard) {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return !jobs.empty() || stopping; });
      if (jobs.empty()) return;
      const CompareJob job = std::move(jobs.front().job);
      const std::size_t job_bytes = jobs.front().bytes;
      jobs.pop_front();
      ++comparing;
      waiting_gauge.add(-1);
      lock.unlock();
      judge(shard, job);
      lock.lock();
      --comparing;
      bytes -= job_bytes;
      if (jobs.empty() && comparing == 0) idle.notify_all();
    }
  }

  // Exactly one verdict, whatever happens; then the trace, which may fail without touching the verdict.
  void judge(MetricsShard& shard, const CompareJob& job) noexcept {
    Comparison comparison;
    const auto begin = std::chrono::steady_clock::now();
    try {
      comparison = compare(job);
    } catch (const std::exception& e) {
      comparison = internal_error(job, e.what());
    } catch (...) {
      comparison = internal_error(job, "unknown exception");
    }
    const std::string_view capability =
        job.table != nullptr ? capability_name(*job.table, capability_of(job)) : "other";
    shard.histogram(families::kCompareSeconds, {capability}).observe(std::chrono::steady_clock::now() - begin);
    count(shard, capability, comparison.verdict, comparison.reason);
    for (const auto& [rule, n] : comparison.swallowed) shard.counter(families::kIgnored, {capability, rule}).add(n);
    if (comparison.verdict != Verdict::kMismatch) return;
    shard.counter(families::kMismatches, {capability, to_string(comparison.severity)}).add();
    if (sink == nullptr) return;
    try {
      sink->write(build_trace(job, comparison, redactor));
    } catch (const std::exception& e) {
      shard.counter(families::kTraces, {"dropped", "internal"}).add();
      log_event(LogLevel::kError, "mismatch_trace_failed", "a mismatch was counted but its trace is lost; report this",
                {{"capability", capability}, {"error", e.what()}});
    }
  }

  Comparison compare(const CompareJob& job) const {
    if (job.primary == nullptr || job.shadow == nullptr) throw std::logic_error("a job without both observations");
    const std::uint16_t capability = capability_of(job);
    if (capability >= job.table->capabilities().size()) throw std::logic_error("a job without a capability");
    return diff_responses(*job.primary, *job.shadow, job.service, job.method_name,
                          job.table->capabilities()[capability].compare, job.descriptors.get(), options.limits,
                          std::chrono::steady_clock::now);
  }

  static Comparison internal_error(const CompareJob& job, const char* what) {
    log_event(LogLevel::kError, "comparison_failed", "a comparison failed and is counted as incomparable; report this",
              {{"method", job.service + '/' + job.method_name}, {"error", what}});
    Comparison out;
    out.verdict = Verdict::kIncomparable;
    out.reason = "internal";
    return out;
  }

  struct Waiting {
    CompareJob job;
    std::size_t bytes = 0;
  };

  const CompareQueueOptions options;
  const Redactor& redactor;
  MismatchSink* const sink;
  MetricsShard& shared;  // of those who push
  Gauge& waiting_gauge;

  mutable std::mutex mutex;  // guards what follows; never held while comparing
  std::condition_variable changed, idle;
  std::deque<Waiting> jobs;
  std::size_t bytes = 0;      // of jobs waiting and being compared
  std::size_t comparing = 0;
  bool stopping = false;
  std::vector<std::thread> threads;
};

CompareQueue::CompareQueue(CompareQueueOptions options, Metrics& metrics, const Redactor& redactor, MismatchSink* sink)
    : impl_(std::make_unique<Impl>(options, metrics, redactor, sink)) {
  // protobuf complains on stderr of every invalid UTF-8 string it parses, so that an upstream could flood the log with
  // them. What a comparison finds it says in its verdict.
  google::protobuf::SetLogHandler(nullptr);
}

CompareQueue::~CompareQueue() { stop(std::chrono::milliseconds(0)); }

void CompareQueue::push(CompareJob job) {
  const std::size_t bytes = bytes_of(job);
  std::string_view limit;
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->stopping) {
      if (impl_->jobs.size() >= impl_->options.max_jobs) {
        limit = "compare_queue_jobs";
      } else if (bytes > impl_->options.max_bytes - std::min(impl_->bytes, impl_->options.max_bytes)) {
        limit = "compare_queue_bytes";
      } else {
        impl_->bytes += bytes;
        impl_->jobs.push_back({std::move(job), bytes});
        impl_->waiting_gauge.add(1);
        impl_->changed.notify_one();
        return;
      }
    }
  }
  if (!limit.empty()) impl_->shared.counter(families::kLimits, {limit}).add();
  impl_->count_job(impl_->shared, job, Verdict::kAbandoned, limit.empty() ? "shutdown" : "queue_full");
}

void CompareQueue::count_uncompared(const CompareJob& job, Verdict verdict, std::string_view reason) {
  impl_->count_job(impl_->shared, job, verdict, reason);
}

void CompareQueue::stop(std::chrono::milliseconds patience) {
  std::deque<Impl::Waiting> left;
  std::vector<std::thread> threads;
  {
    std::unique_lock lock(impl_->mutex);
    impl_->stopping = true;
    impl_->changed.notify_all();
    impl_->idle.wait_for(lock, patience, [this] { return impl_->jobs.empty() && impl_->comparing == 0; });
    left.swap(impl_->jobs);
    for (const Impl::Waiting& waiting : left) impl_->bytes -= waiting.bytes;
    impl_->waiting_gauge.add(-static_cast<std::int64_t>(left.size()));
    threads.swap(impl_->threads);
  }
  for (const Impl::Waiting& waiting : left)
    impl_->count_job(impl_->shared, waiting.job, Verdict::kAbandoned, "shutdown");
  if (threads.empty()) return;  // stopped before
  for (std::thread& thread : threads) thread.join();  // a comparison under way ends within CompareLimits::time
  if (impl_->sink != nullptr) impl_->sink->flush();
}

std::size_t CompareQueue::backlog() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->jobs.size() + impl_->comparing;
}

}  // namespace ficus
