#include "facade/findings/finding_batch.h"

#include <algorithm>
#include <optional>

namespace ficus {
namespace {

using ficus::trace::v1::MismatchTrace;

// Bounds on what callers and upstreams choose: a path may be as deep as a message.
constexpr std::size_t kMaxNameBytes = 256, kMaxMethodBytes = 512, kMaxPathBytes = 1024;

// Cut before the character that would not fit, so that it stays UTF-8.
std::string clipped(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  constexpr std::string_view kMark = "...";
  std::size_t end = limit - kMark.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + std::string(kMark);
}

FindingTime time_of(const MismatchTrace& trace, FindingTime now) {
  if (!trace.has_time()) return now;
  return FindingTime(std::chrono::seconds(trace.time().seconds()) +
                     std::chrono::milliseconds(trace.time().nanos() / 1'000'000));
}

void append_touched(TouchedDelta& older, const TouchedDelta& newer, std::size_t limit) {
  for (const auto& [name, touched] : newer.names) older.add(name, touched.count, touched.last_seen, limit);
  older.other += newer.other;
}

}  // namespace

void TouchedDelta::add(std::string_view name, std::uint64_t count, FindingTime seen, std::size_t limit) {
  if (name.empty()) return;
  if (const auto found = names.find(name); found != names.end()) {
    found->second.count += count;
    found->second.last_seen = std::max(found->second.last_seen, seen);
  } else if (names.size() < limit) {
    names.emplace(std::string(name), Touched{clipped(name, kMaxNameBytes), count, seen});
  } else {
    other += count;
  }
}

void append_batch(FindingBatch& older, FindingBatch&& newer, const FindingLimits& limits, BatchHits& hits) {
  for (auto& [id, delta] : newer.findings) {
    const auto before = older.comparisons.find({delta.signature.capability, delta.signature.method});
    const std::uint64_t shift = before == older.comparisons.end() ? 0 : before->second;
    delta.first_at += shift;
    delta.last_at += shift;

    const auto found = older.findings.find(id);
    if (found == older.findings.end() && older.findings.size() >= limits.pending) {
      hits.pending += delta.count;
      continue;
    }
    std::vector<ExampleBytes> examples = std::move(delta.examples);
    delta.examples.clear();
    older.sightings += delta.count;
    FindingDelta* into = nullptr;
    if (found == older.findings.end()) {
      into = &older.findings.emplace(id, std::move(delta)).first->second;
    } else {
      into = &found->second;
      into->count += delta.count;
      into->first_seen = std::min(into->first_seen, delta.first_seen);
      into->last_seen = std::max(into->last_seen, delta.last_seen);
      into->last_at = std::max(into->last_at, delta.last_at);
      append_touched(into->tenants, delta.tenants, limits.names);
      append_touched(into->consumers, delta.consumers, limits.names);
      append_touched(into->policies, delta.policies, limits.names);
      if (delta.acknowledgement) into->acknowledgement = std::move(delta.acknowledgement);
    }
    for (ExampleBytes& example : examples) {
      if (into->examples.size() >= limits.examples) break;
      if (older.example_bytes + example->size() > limits.pending_bytes) {
        ++hits.pending_bytes;
        break;
      }
      older.example_bytes += example->size();
      into->examples.push_back(std::move(example));
    }
  }
  for (const auto& [method, count] : newer.comparisons) older.comparisons[method] += count;
  newer = {};
}

PendingFindings::Counted PendingFindings::comparisons(std::string_view capability, std::string_view method) {
  MethodKey key{std::string(capability), clipped(method, kMaxMethodBytes)};
  const std::lock_guard lock(mutex_);
  if (const auto found = counters_.find(key); found != counters_.end()) return {*found->second, true};
  if (counters_.size() >= limits_.methods) return {beyond_, false};
  return {*counters_.emplace(std::move(key), std::make_unique<Comparisons>()).first->second, true};
}

std::size_t PendingFindings::add(const MismatchTrace& trace, FindingTime now, BatchHits& hits) {
  const std::vector<FindingSignature> signatures = signatures_of(trace);
  if (signatures.empty()) return 0;
  const FindingTime seen = time_of(trace, now);
  const std::string method = clipped(trace.method(), kMaxMethodBytes);
  std::optional<ExampleBytes> example;  // made for the first finding that wants it; null: too large
  std::size_t taken = 0;

  const std::lock_guard lock(mutex_);
  const auto counter = counters_.find({trace.capability(), method});
  const std::uint64_t counted =
      counter == counters_.end() ? 0 : counter->second->count_.load(std::memory_order_relaxed);
  // A call is counted before its mismatch is added; a commit between the two leaves nothing to count from.
  const std::uint64_t at = std::max<std::uint64_t>(1, counted);
  for (const FindingSignature& signature : signatures) {
    const FindingId id = id_of(signature);
    auto found = batch_.findings.find(id);
    if (found == batch_.findings.end()) {
      if (batch_.findings.size() >= limits_.pending) {
        ++hits.pending;
        continue;
      }
      FindingDelta fresh;
      fresh.signature = signature;
      fresh.signature.method = method;
      fresh.signature.path = clipped(signature.path, kMaxPathBytes);
      fresh.first_seen = fresh.last_seen = seen;
      fresh.first_at = at;
      found = batch_.findings.emplace(id, std::move(fresh)).first;
    }
    FindingDelta& delta = found->second;
    ++taken;
    ++batch_.sightings;
    ++delta.count;
    delta.first_seen = std::min(delta.first_seen, seen);
    delta.last_seen = std::max(delta.last_seen, seen);
    delta.last_at = std::max(delta.last_at, at);
    delta.tenants.add(trace.tenant(), 1, seen, limits_.names);
    delta.consumers.add(trace.consumer(), 1, seen, limits_.names);
    delta.policies.add(trace.policy_hash(), 1, seen, limits_.names);

    if (delta.examples.size() >= limits_.examples) continue;
    if (!example) {
      const bool fits = trace.ByteSizeLong() <= limits_.example_bytes;
      if (!fits) ++hits.example_bytes;
      example = fits ? std::make_shared<const std::string>(trace.SerializeAsString()) : nullptr;
    }
    if (*example == nullptr) continue;
    if (batch_.example_bytes + (*example)->size() > limits_.pending_bytes) {
      ++hits.pending_bytes;
      continue;
    }
    batch_.example_bytes += (*example)->size();
    delta.examples.push_back(*example);
  }
  return taken;
}

FindingBatch PendingFindings::take() {
  const std::lock_guard lock(mutex_);
  FindingBatch batch = std::exchange(batch_, {});
  for (auto& [key, counter] : counters_) {
    const std::uint64_t n = counter->count_.exchange(0, std::memory_order_relaxed);
    if (n > 0) batch.comparisons[key] = n;
  }
  return batch;
}

}  // namespace ficus
