// Findings, kept: what mismatch traces add up to, in a database in the state directory. The hot path only adds to what
// is pending; one thread commits it twice a second, so that a process that is killed loses less than its last second.
// Nothing that happens to the database reaches a caller of the hot path: what cannot be written waits, or is kept in
// memory, or is dropped and counted, and health() says so.
// Threads: any, for every function.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "facade/findings/finding.h"
#include "facade/findings/finding_batch.h"
#include "facade/findings/finding_queries.h"
#include "facade/findings/store_error.h"
#include "facade/metrics/metrics.h"
#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

struct FindingStoreOptions {
  std::string directory;  // where "findings.db" is, or is made; empty: in memory only, and no complaint about it
  FindingLimits limits;
  std::chrono::milliseconds commit_every{500};
  // By the store's clock: how often a database that could not be used is tried again, and how often the log repeats
  // one complaint.
  std::chrono::milliseconds retry_every{10'000};
  std::chrono::milliseconds complain_every{60'000};
};

struct FindingHealth {
  bool ok = true;          // false: what is asked for (a file that keeps findings) is not so
  bool in_memory = false;  // a restart forgets them
  std::string text;        // a sentence: where findings are kept, or what is wrong and what happens meanwhile
  std::uint64_t commits = 0;
  std::uint64_t waiting = 0;               // sightings that a failed commit left for the next
  std::uint64_t written = 0, dropped = 0;  // sightings
};

// While the file cannot be opened, or turns out damaged, findings are kept in memory under the same limits and can be
// asked for; the file is not touched, and tried again every `retry_every`: once it can be used, what is in memory goes
// into it. While it can be read but not written (disk full, locked), what is pending waits, within its limits. Two
// processes may share a directory (a facade and its successor): their sightings add up. A file that was moved or
// removed is made anew at the next commit.
class FindingStore {
 public:
  using Clock = std::function<FindingTime()>;
  static FindingTime system_time();

  // Never fails; opens the database on the writer thread. `metrics` outlives the store.
  FindingStore(FindingStoreOptions options, Metrics& metrics, Clock now = system_time);
  // Stops.
  ~FindingStore();

  // The counter of a method's comparisons: every call that was compared (match, ignored, noise, lag, mismatch), counted
  // before its mismatch is added. Lives as long as the store; about 100 ns, so hot paths keep it.
  PendingFindings::Comparisons& comparisons(std::string_view capability, std::string_view method);

  // Takes a trace whose verdict is MISMATCH; any other is ignored. Redacted already: what stands in it is kept.
  // Never throws, never waits for the database.
  void add(const ficus::trace::v1::MismatchTrace& trace) noexcept;

  // Commits what is pending, on this thread; afterwards health() says whether that worked.
  void flush();
  // Flushes and ends the writer thread; later sightings are never written. What cannot be written now is dropped and
  // counted.
  void stop();

  FindingHealth health() const;

  // As in finding_queries.h, at the clock's time, after a flush. They wait for a commit under way.
  StoreResult<FindingPage> list(const FindingFilter& filter);
  StoreResult<FindingDetail> show(std::string_view id);
  StoreResult<void> export_all(const FindingFilter& filter, const std::function<void(const FindingDetail&)>& take);
  StoreResult<Finding> acknowledge(std::string_view id, Acknowledgement ack);
  StoreResult<Finding> withdraw(std::string_view id);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
