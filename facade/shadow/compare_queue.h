// From two observations to a counted verdict and, for a mismatch, a trace: a bounded queue and compare threads.
// Workers only push; comparing never runs on them. Every job pushed (and every job refused) ends in one counted
// verdict.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "facade/compare/observation.h"
#include "facade/compare/response_diff.h"
#include "facade/metrics/metrics.h"
#include "facade/trace/mismatch_sink.h"
#include "facade/trace/redact.h"
#include "routing/route_table.h"

namespace ficus {

// Everything that a comparison and its trace need of one shadowed call. Owns it all.
struct CompareJob {
  std::shared_ptr<const RouteTable> table;              // keeps the generation alive
  std::shared_ptr<const DescriptorStore> descriptors;   // of that generation; may be null
  std::uint16_t method = kNoIndex;      // of table->methods()
  std::string service, method_name;     // as called (a star's entry names none)
  std::uint32_t rule = kNoRule;
  std::string tenant, consumer;         // "" = none
  std::string key;                      // the business key, raw; "" = none. Leaves the process only as an HMAC
  std::string trace_id;                 // 32 lower-case hex digits
  std::string parent_span_id, primary_span_id, shadow_span_id;  // 16 hex digits each; parent may be ""
  ObservationPtr primary;
  ObservationPtr shadow;
};

struct CompareQueueOptions {
  std::size_t max_jobs = 4096;              // limit "compare_queue_jobs"
  std::size_t max_bytes = 64u << 20;        // of observed messages and metadata; limit "compare_queue_bytes"
  unsigned threads = 1;
  CompareLimits limits;
};

class CompareQueue {
 public:
  // `redactor` and `sink` outlive the queue; `sink` may be null (verdicts are still counted).
  CompareQueue(CompareQueueOptions options, Metrics& metrics, const Redactor& redactor, MismatchSink* sink);
  // Stops as if by stop(0).
  ~CompareQueue();

  // Takes the job or, when full, counts abandoned{queue_full} and drops it. Never waits for a comparison: a mutex held
  // for tens of nanoseconds. Any thread.
  void push(CompareJob job);

  // A shadow that ended without a comparison (never sent, over a limit, cancelled): counts its verdict and keeps
  // begun == sum of verdicts. `verdict` is kAbandoned or kIncomparable. Any thread.
  void count_uncompared(const CompareJob& job, Verdict verdict, std::string_view reason);

  // Finishes what is queued, for at most `patience`; what is left is counted abandoned{shutdown}. Then flushes the
  // sink.
  void stop(std::chrono::milliseconds patience);

  // Jobs waiting or being compared. Any thread.
  std::size_t backlog() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
