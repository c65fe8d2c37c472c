#include "facade/net/balancer.h"

#include <algorithm>

namespace ficus {

Balancer::Slot* Balancer::find(EndpointId id) noexcept {
  for (Slot& slot : slots_) {
    if (slot.id == id) return &slot;
  }
  return nullptr;
}

std::optional<std::size_t> Balancer::index_of(EndpointId id) const noexcept {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].id == id) return i;
  }
  return std::nullopt;
}

void Balancer::set_endpoints(std::span<const EndpointId> ids, Time now) {
  std::vector<Slot> next;
  next.reserve(ids.size());
  bool any_known = false;
  for (const EndpointId id : ids) {
    if (const Slot* known = find(id)) {
      next.push_back(*known);
      any_known = true;
    } else {
      next.push_back({.id = id});
    }
  }
  if (any_known) {
    for (Slot& slot : next) {
      if (find(slot.id) == nullptr) come_back(slot, now);
    }
  }
  slots_ = std::move(next);
  ejected_ =
      static_cast<std::size_t>(std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.ejected; }));
}

void Balancer::come_back(Slot& slot, Time now) noexcept {
  slot.since = now;
  slot.slow = true;
  slot.current = 0;
}

double Balancer::weight(Slot& slot, Time now) const noexcept {
  if (!slot.slow) return 1;
  const auto spent = now - slot.since;
  // Without slow start `now` may be any time.
  if (settings_.slow_start.count() == 0 || spent >= settings_.slow_start) {
    slot.slow = false;
    return 1;
  }
  const double part = std::chrono::duration<double>(spent) / std::chrono::duration<double>(settings_.slow_start);
  return kFirstWeight + (1 - kFirstWeight) * std::max(part, 0.0);
}

template <class Eligible>
std::optional<std::size_t> Balancer::best(Time now, Eligible eligible) {
  std::optional<std::size_t> found;
  if (settings_.kind == BalanceSettings::Kind::kLeastRequest) {
    // Fewest calls for its weight; among equals the next in turn, so that idle endpoints share.
    double lowest = 0;
    const std::size_t first = slots_.empty() ? 0 : turn_ % slots_.size();
    for (std::size_t n = 0; n < slots_.size(); ++n) {
      const std::size_t i = first + n < slots_.size() ? first + n : first + n - slots_.size();
      Slot& slot = slots_[i];
      if (!eligible(slot)) continue;
      const double load = static_cast<double>(slot.in_flight + 1) / weight(slot, now);
      if (!found || load < lowest) {
        found = i;
        lowest = load;
      }
    }
    if (found) turn_ = *found + 1;  // whoever comes behind the last, so that one passed over gives its turn to nobody
    return found;
  }
  // Smooth weighted round robin (as in nginx): each is owed its weight a turn, who is owed most is next and pays all
  // weights back. With equal weights it is plain round robin.
  double total = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (!eligible(slot)) continue;
    const double share = weight(slot, now);
    slot.current += share;
    total += share;
    if (!found || slot.current > slots_[*found].current) found = i;
  }
  if (found) slots_[*found].current -= total;
  return found;
}

std::optional<std::size_t> Balancer::pick(Time now, std::span<const EndpointId> tried) {
  if (slots_.size() == 1 && tried.empty()) return 0;
  if (ejected_ != 0) release(now);
  const auto untried = [&](const Slot& slot) { return std::find(tried.begin(), tried.end(), slot.id) == tried.end(); };
  const auto out = static_cast<std::size_t>(
      std::count_if(slots_.begin(), slots_.end(), [this](const Slot& slot) { return !in_use(slot); }));
  const bool panic = out * 100 > slots_.size() * kPanicPercent;
  if (const auto found = best(now, [&](const Slot& s) { return (panic || in_use(s)) && s.reachable && untried(s); }))
    return found;
  if (const auto found = best(now, [&](const Slot& s) { return s.reachable && untried(s); })) return found;
  return best(now, untried);
}

void Balancer::begin(EndpointId id) noexcept {
  if (Slot* slot = find(id)) ++slot->in_flight;
}

void Balancer::end(EndpointId id) noexcept {
  // An endpoint that left and came back under its old id may have forgotten calls of before.
  if (Slot* slot = find(id); slot != nullptr && slot->in_flight != 0) --slot->in_flight;
}

Balancer::Verdict Balancer::on_result(EndpointId id, bool failed, Time now) {
  Slot* slot = settings_.outlier ? find(id) : nullptr;
  if (slot == nullptr) return Verdict::kNone;
  if (!failed) {
    slot->failures = 0;
    return Verdict::kNone;
  }
  const EjectionSettings& outlier = *settings_.outlier;
  ++slot->failures;
  if (outlier.consecutive_failures == 0 || slot->failures < outlier.consecutive_failures || slot->ejected)
    return Verdict::kNone;
  slot->failures = 0;
  release(now);  // those whose time is over are in nobody's way
  if ((ejected_ + 1) * 100 > slots_.size() * outlier.max_ejected_percent) return Verdict::kSpared;
  // Each base_ejection of good conduct takes one earlier ejection off the count.
  const auto base = std::max(outlier.base_ejection, std::chrono::milliseconds(1));
  if (slot->ejections != 0) {
    const auto forgiven = static_cast<std::uint64_t>((now - slot->until) / base);
    slot->ejections -= static_cast<unsigned>(std::min<std::uint64_t>(forgiven, slot->ejections));
  }
  ++slot->ejections;
  slot->ejected = true;
  slot->until = now + std::min<std::chrono::milliseconds>(base * slot->ejections, std::max(outlier.max_ejection, base));
  ++ejected_;
  return Verdict::kEjected;
}

std::optional<Balancer::Time> Balancer::release(Time now) {
  std::optional<Time> next;
  for (Slot& slot : slots_) {
    if (!slot.ejected) continue;
    if (slot.until <= now) {
      slot.ejected = false;
      slot.failures = 0;
      --ejected_;
      come_back(slot, slot.until);
    } else if (!next || slot.until < *next) {
      next = slot.until;
    }
  }
  return next;
}

bool Balancer::set_health(EndpointId id, Health health, Time now) {
  Slot* slot = find(id);
  if (slot == nullptr || slot->health == health) return false;
  if (slot->health == Health::kUnhealthy) come_back(*slot, now);
  slot->health = health;
  return true;
}

Balancer::Health Balancer::health(EndpointId id) const noexcept {
  for (const Slot& slot : slots_) {
    if (slot.id == id) return slot.health;
  }
  return Health::kUnknown;
}

void Balancer::set_reachable(EndpointId id, bool reachable, Time now) noexcept {
  Slot* slot = find(id);
  if (slot == nullptr || slot->reachable == reachable) return;
  slot->reachable = reachable;
  if (reachable) come_back(*slot, now);
}

Balancer::Counts Balancer::counts() const noexcept {
  Counts counts;
  for (const Slot& slot : slots_) {
    if (slot.ejected)
      ++counts.ejected;
    else if (slot.health == Health::kUnhealthy)
      ++counts.unhealthy;
    else
      ++counts.healthy;
  }
  return counts;
}

}  // namespace ficus
