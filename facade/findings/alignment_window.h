// How aligned the two sides are, per capability and tenant: verdicts counted over a minute, an hour, a day and since
// the policy changed. POLICY 6. Memory is bounded by AlignmentLimits, whatever the traffic.
// Threads: a cell's functions are for any thread and cost one relaxed addition; the board's take its mutex.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "facade/compare/comparison.h"
#include "facade/metrics/metrics.h"

namespace ficus {

inline constexpr std::size_t kVerdicts = static_cast<std::size_t>(Verdict::kAbandoned) + 1;

// Verdicts of one window, and what POLICY 6 makes of them.
struct VerdictCounts {
  std::array<std::uint64_t, kVerdicts> by_verdict{};

  std::uint64_t of(Verdict verdict) const { return by_verdict[static_cast<std::size_t>(verdict)]; }
  // Shadow calls that ended in this window, in whatever verdict: n of the coverage.
  std::uint64_t begun() const;
  // Of these, those whose answers were compared: n of the alignment.
  std::uint64_t compared() const;
  // (match + ignored) / compared; nothing compared: none.
  std::optional<double> alignment() const;
  // (match + ignored) / (compared - noise - lag), to be shown beside it; none where nothing is left.
  std::optional<double> alignment_corrected() const;
  // compared / begun; nothing begun: none.
  std::optional<double> coverage() const;
  // Whether the alignment may be believed; below, it reads "unknown".
  static constexpr double kLeastCoverage = 0.95;
  bool known() const;

  VerdictCounts& operator+=(const VerdictCounts& that);
  bool operator==(const VerdictCounts&) const = default;
};

enum class AlignmentSpan : std::uint8_t { kMinute, kHour, kDay, kPolicy };
inline constexpr std::size_t kAlignmentSpans = 4;

struct AlignmentRow {
  std::string capability;
  std::string tenant;  // "" = calls without one; kOtherTenant
  std::array<VerdictCounts, kAlignmentSpans> spans;
  std::uint64_t in_flight = 0;  // begun and without a verdict yet
  const VerdictCounts& over(AlignmentSpan span) const { return spans[static_cast<std::size_t>(span)]; }
};

// Whose pair found no place.
inline constexpr std::string_view kOtherTenant = "other";

struct AlignmentLimits {
  // Pairs of capability and tenant that are told apart; the rest are their capability's `other`. Limit
  // "alignment_pairs". 6 KiB a pair: five capabilities of the 200 tenants that metrics tell apart, in 6 MiB.
  std::size_t pairs = 1000;
};

// What the calls of one capability and tenant count into. Kept by those who count; outlives the board harmlessly.
class AlignmentCell {
 public:
  // A shadow call begins. Each begun call ends once.
  void begin() noexcept { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  // It ended. `generation`: of the route table it was decided with; a call of an earlier one than the board's counts
  // in the windows of time, and not towards the policy in force.
  void end(Verdict verdict, std::uint64_t generation) noexcept;

 private:
  friend class AlignmentBoard;
  using Pending = std::array<std::atomic<std::uint64_t>, kVerdicts>;
  explicit AlignmentCell(std::shared_ptr<const std::atomic<std::uint64_t>> generation)
      : generation_(std::move(generation)) {}
  static VerdictCounts take(Pending& pending);

  std::shared_ptr<const std::atomic<std::uint64_t>> generation_;  // in force
  Pending pending_{};                                             // since the last roll
  Pending earlier_{};                                             // likewise, of an earlier policy
  std::atomic<std::int64_t> in_flight_{0};
};

class AlignmentBoard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `metrics` outlives the board; `generation` is the one in force at `now`.
  AlignmentBoard(AlignmentLimits limits, Metrics& metrics, std::uint64_t generation, Time now);
  ~AlignmentBoard();

  // The cell of a pair, made on first use; about 100 ns, so those who count much keep it. A pair that nobody keeps and
  // that counted nothing in any span gives its place to another.
  std::shared_ptr<AlignmentCell> cell(std::string_view capability, std::string_view tenant);

  // Puts what was counted since the last time into the windows: once a second, or a verdict is counted as late as it is
  // rolled. A time before the last one counts as that.
  void roll(Time now);
  // The span kPolicy begins anew. Called when a table is published.
  void policy_changed(std::uint64_t generation, Time now);
  // Rolls, then tells: by capability, then tenant; only pairs that have counted. A window covers its span and at most
  // one part of it more (a second, a minute, a quarter of an hour), so that it never shows less than it says.
  std::vector<AlignmentRow> report(Time now);
  // When the policy in force came.
  Time policy_since() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The rows of one capability added up; tenant is "".
AlignmentRow total_of(const std::vector<AlignmentRow>& rows, std::string_view capability);

}  // namespace ficus
