#include "facade/findings/alignment_window.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "facade/metrics/families.h"

namespace ficus {
namespace {

using std::chrono::steady_clock;

// The last `Parts` parts of a span, and their sum. Four bytes a count: beyond four billion in a part it stays there.
template <std::size_t Parts>
class Ring {
 public:
  explicit Ring(steady_clock::duration part) : part_(part) {}

  // To the part that `age` (since the board began) lies in. Parts skipped were empty.
  void advance(steady_clock::duration age) {
    const std::int64_t at = age / part_;
    for (std::int64_t step = std::max(at_ + 1, at - static_cast<std::int64_t>(Parts) + 1); step <= at; ++step) {
      Part& part = parts_[static_cast<std::size_t>(step) % Parts];
      for (std::size_t v = 0; v < kVerdicts; ++v) sum_.by_verdict[v] -= std::exchange(part[v], 0);
    }
    at_ = std::max(at_, at);
  }

  void add(const VerdictCounts& counts) {
    Part& part = parts_[static_cast<std::size_t>(at_) % Parts];
    for (std::size_t v = 0; v < kVerdicts; ++v) {
      const std::uint64_t room = std::numeric_limits<std::uint32_t>::max() - part[v];
      const std::uint64_t n = std::min(room, counts.by_verdict[v]);
      part[v] += static_cast<std::uint32_t>(n);
      sum_.by_verdict[v] += n;
    }
  }

  const VerdictCounts& sum() const { return sum_; }

 private:
  using Part = std::array<std::uint32_t, kVerdicts>;
  steady_clock::duration part_;
  std::int64_t at_ = 0;
  std::array<Part, Parts> parts_{};
  VerdictCounts sum_;
};

// One part more than the span has, for the one that has only begun.
struct Windows {
  Ring<61> minute{std::chrono::seconds(1)};
  Ring<61> hour{std::chrono::minutes(1)};
  Ring<97> day{std::chrono::minutes(15)};
  VerdictCounts policy;

  void advance(steady_clock::duration age) {
    minute.advance(age);
    hour.advance(age);
    day.advance(age);
  }
  void add(const VerdictCounts& counts) {
    minute.add(counts);
    hour.add(counts);
    day.add(counts);
  }
  bool empty() const { return day.sum() == VerdictCounts{} && policy == VerdictCounts{}; }
};

}  // namespace

std::uint64_t VerdictCounts::begun() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : by_verdict) sum += n;
  return sum;
}

std::uint64_t VerdictCounts::compared() const { return begun() - of(Verdict::kIncomparable) - of(Verdict::kAbandoned); }

std::optional<double> VerdictCounts::alignment() const {
  if (compared() == 0) return std::nullopt;
  return static_cast<double>(of(Verdict::kMatch) + of(Verdict::kIgnored)) / static_cast<double>(compared());
}

std::optional<double> VerdictCounts::alignment_corrected() const {
  const std::uint64_t left = compared() - of(Verdict::kNoise) - of(Verdict::kLag);
  if (left == 0) return std::nullopt;
  return static_cast<double>(of(Verdict::kMatch) + of(Verdict::kIgnored)) / static_cast<double>(left);
}

std::optional<double> VerdictCounts::coverage() const {
  if (begun() == 0) return std::nullopt;
  return static_cast<double>(compared()) / static_cast<double>(begun());
}

bool VerdictCounts::known() const { return compared() > 0 && *coverage() >= kLeastCoverage; }

VerdictCounts& VerdictCounts::operator+=(const VerdictCounts& that) {
  for (std::size_t v = 0; v < kVerdicts; ++v) by_verdict[v] += that.by_verdict[v];
  return *this;
}

void AlignmentCell::end(Verdict verdict, std::uint64_t generation) noexcept {
  Pending& pending = generation < generation_->load(std::memory_order_relaxed) ? earlier_ : pending_;
  pending[static_cast<std::size_t>(verdict)].fetch_add(1, std::memory_order_relaxed);
  in_flight_.fetch_sub(1, std::memory_order_relaxed);
}

VerdictCounts AlignmentCell::take(Pending& pending) {
  VerdictCounts counts;
  for (std::size_t v = 0; v < kVerdicts; ++v) {
    counts.by_verdict[v] = pending[v].exchange(0, std::memory_order_relaxed);
  }
  return counts;
}

struct AlignmentBoard::Impl {
  struct Entry {
    std::shared_ptr<AlignmentCell> cell;
    Windows windows;
  };
  using Key = std::pair<std::string, std::string>;

  Impl(AlignmentLimits l, Metrics& metrics, std::uint64_t generation, Time now)
      : limits(l),
        limit_hits(metrics.add_shard().counter(families::kLimits, {"alignment_pairs"})),
        in_force(std::make_shared<std::atomic<std::uint64_t>>(generation)),
        began(now),
        last(now),
        policy_since(now) {}

  std::shared_ptr<AlignmentCell> make(Key key) {
    auto entry = std::make_unique<Entry>();
    entry->cell = std::shared_ptr<AlignmentCell>(new AlignmentCell(in_force));
    entry->windows.advance(last - began);
    return entries.emplace(std::move(key), std::move(entry)).first->second->cell;
  }

  void roll(Time now) {
    last = std::max(last, now);
    for (auto& [key, entry] : entries) {
      entry->windows.advance(last - began);
      const VerdictCounts fresh = AlignmentCell::take(entry->cell->pending_);
      entry->windows.add(fresh);
      entry->windows.policy += fresh;
      entry->windows.add(AlignmentCell::take(entry->cell->earlier_));
    }
  }

  // Whether an entry may go: nobody else holds its cell (nor can get it, under the mutex), and it knows nothing.
  static bool idle(const Entry& entry) {
    return entry.cell.use_count() == 1 && entry.windows.empty() &&
           entry.cell->in_flight_.load(std::memory_order_relaxed) == 0;
  }
  // Once a roll at most: strangers who find no place must not make us look through all pairs at each of their calls.
  void drop_idle() {
    if (swept == last) return;
    roll(last);
    swept = last;
    std::erase_if(entries, [](const auto& pair) { return idle(*pair.second); });
  }

  const AlignmentLimits limits;
  Counter& limit_hits;
  const std::shared_ptr<std::atomic<std::uint64_t>> in_force;
  const Time began;
  std::mutex mutex;  // guards what follows
  Time last;
  Time policy_since;
  std::optional<Time> swept;
  std::map<Key, std::unique_ptr<Entry>> entries;
};

AlignmentBoard::AlignmentBoard(AlignmentLimits limits, Metrics& metrics, std::uint64_t generation, Time now)
    : impl_(std::make_unique<Impl>(limits, metrics, generation, now)) {}
AlignmentBoard::~AlignmentBoard() = default;

std::shared_ptr<AlignmentCell> AlignmentBoard::cell(std::string_view capability, std::string_view tenant) {
  const std::lock_guard lock(impl_->mutex);
  auto& entries = impl_->entries;
  Impl::Key key{capability, tenant};
  if (const auto found = entries.find(key); found != entries.end()) return found->second->cell;
  if (entries.size() >= impl_->limits.pairs) impl_->drop_idle();
  if (entries.size() < impl_->limits.pairs) return impl_->make(std::move(key));

  impl_->limit_hits.add();
  // The places of `other` are beyond the limit, and a capability each (a policy has a bounded number) up to as many.
  key.second = kOtherTenant;
  if (const auto found = entries.find(key); found != entries.end()) return found->second->cell;
  if (entries.size() >= 2 * impl_->limits.pairs) {
    key.first = kOtherTenant;
    if (const auto found = entries.find(key); found != entries.end()) return found->second->cell;
  }
  return impl_->make(std::move(key));
}

void AlignmentBoard::roll(Time now) {
  const std::lock_guard lock(impl_->mutex);
  impl_->roll(now);
}

void AlignmentBoard::policy_changed(std::uint64_t generation, Time now) {
  const std::lock_guard lock(impl_->mutex);
  impl_->in_force->store(generation, std::memory_order_relaxed);
  impl_->roll(now);
  impl_->policy_since = impl_->last;
  for (auto& [key, entry] : impl_->entries) entry->windows.policy = {};
}

std::vector<AlignmentRow> AlignmentBoard::report(Time now) {
  const std::lock_guard lock(impl_->mutex);
  impl_->roll(now);
  std::vector<AlignmentRow> rows;
  for (const auto& [key, entry] : impl_->entries) {
    const std::int64_t in_flight = entry->cell->in_flight_.load(std::memory_order_relaxed);
    if (entry->windows.empty() && in_flight <= 0) continue;
    rows.push_back(
        {key.first,
         key.second,
         {entry->windows.minute.sum(), entry->windows.hour.sum(), entry->windows.day.sum(), entry->windows.policy},
         static_cast<std::uint64_t>(std::max<std::int64_t>(0, in_flight))});
  }
  return rows;
}

AlignmentBoard::Time AlignmentBoard::policy_since() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->policy_since;
}

AlignmentRow total_of(const std::vector<AlignmentRow>& rows, std::string_view capability) {
  AlignmentRow total{std::string(capability), {}, {}, 0};
  for (const AlignmentRow& row : rows) {
    if (row.capability != capability) continue;
    for (std::size_t i = 0; i < kAlignmentSpans; ++i) total.spans[i] += row.spans[i];
    total.in_flight += row.in_flight;
  }
  return total;
}

}  // namespace ficus
