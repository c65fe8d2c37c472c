// What was seen since the last commit, added up per finding: a storm of one bug is one row to write. Bounded by
// FindingLimits. PendingFindings is for any thread; a FindingBatch is a value.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "facade/findings/finding.h"
#include "ficus/trace/v1/mismatch_trace.pb.h"

namespace ficus {

using MethodKey = std::pair<std::string, std::string>;    // capability, method
using ExampleBytes = std::shared_ptr<const std::string>;  // a serialized trace; findings of one call share it

// At most FindingLimits::names names, and the calls of the rest.
struct TouchedDelta {
  std::map<std::string, Touched, std::less<>> names;
  std::uint64_t other = 0;
  void add(std::string_view name, std::uint64_t count, FindingTime seen, std::size_t limit);
};

struct FindingDelta {
  FindingSignature signature;
  std::uint64_t count = 0;
  FindingTime first_seen{}, last_seen{};
  // The first and the last sighting's place among the batch's comparisons of the method, from 1.
  std::uint64_t first_at = 0, last_at = 0;
  TouchedDelta tenants, consumers, policies;
  std::vector<ExampleBytes> examples;              // oldest first
  std::optional<Acknowledgement> acknowledgement;  // only of findings that were kept in memory
};

struct FindingBatch {
  std::map<FindingId, FindingDelta> findings;
  std::map<MethodKey, std::uint64_t> comparisons;
  std::uint64_t sightings = 0;    // that `findings` hold
  std::size_t example_bytes = 0;  // likewise; an example counts once a finding
  bool empty() const { return findings.empty() && comparisons.empty(); }
};

// How often a limit acted; see FindingLimits.
struct BatchHits {
  std::uint64_t pending = 0;        // sightings dropped
  std::uint64_t pending_bytes = 0;  // examples not kept
  std::uint64_t example_bytes = 0;  // likewise
};

// Puts `newer` behind `older`, which could not be written yet.
void append_batch(FindingBatch& older, FindingBatch&& newer, const FindingLimits& limits, BatchHits& hits);

class PendingFindings {
 public:
  explicit PendingFindings(const FindingLimits& limits) : limits_(limits) {}

  // Counts comparisons of one method; kept by those who count. Any thread, one relaxed addition.
  class Comparisons {
   public:
    void add(std::uint64_t n = 1) noexcept { count_.fetch_add(n, std::memory_order_relaxed); }

   private:
    friend class PendingFindings;
    std::atomic<std::uint64_t> count_{0};
  };

  // Lives as long as this object. Beyond FindingLimits::methods, all share one that is never read: `told_apart` false.
  struct Counted {
    Comparisons& comparisons;
    bool told_apart;
  };
  Counted comparisons(std::string_view capability, std::string_view method);

  // Takes one mismatch in: under a mutex held for some hashing and, for a few traces between two commits, a copy.
  // `now` stands in where the trace has no time. Gives how many sightings it was. Throws only std::bad_alloc.
  std::size_t add(const ficus::trace::v1::MismatchTrace& trace, FindingTime now, BatchHits& hits);

  // What has come since the last call.
  FindingBatch take();

 private:
  const FindingLimits limits_;
  std::mutex mutex_;  // guards what follows
  FindingBatch batch_;
  std::map<MethodKey, std::unique_ptr<Comparisons>> counters_;
  Comparisons beyond_;
};

}  // namespace ficus
