#include "facade/rpc/retry_budget.h"

namespace ficus {

RetryBudget::Slot& RetryBudget::slot(Time now) noexcept {
  const std::int64_t second = second_of(now);
  Slot& slot = slots_[static_cast<std::size_t>(second) % kSlots];
  if (slot.second != second) slot = {second, 0, 0};
  return slot;
}

bool RetryBudget::take(Time now, Percent share) noexcept {
  const std::int64_t oldest = second_of(now) - static_cast<std::int64_t>(kSlots) + 1;
  std::uint64_t reads = 0, repeats = 0;
  for (const Slot& s : slots_) {
    if (s.second < oldest) continue;
    reads += s.reads;
    repeats += s.repeats;
  }
  // 64 bits hold the product up to 18 * 10^12 reads in ten seconds.
  const bool within = (repeats + 1) * Percent::kFull <= reads * share.millionths;
  if (repeats >= kLeast && !within) return false;
  ++slot(now).repeats;
  return true;
}

}  // namespace ficus
