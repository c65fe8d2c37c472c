#include "deploy/demo/policy_store.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <tuple>

#include "deploy/demo/process.h"

namespace insurer {
namespace {

using google::protobuf::util::TimeUtil;

std::string make_log_id(Side side) {
  return std::string(to_string(side)) + "-" + TimeUtil::ToString(timestamp_now());
}

pb::Endorsement endorsement_of(const pb::EndorseAddressRequest& request) {
  pb::Endorsement endorsement;
  endorsement.set_endorsement_id(request.endorsement_id());
  endorsement.set_kind("address");
  endorsement.set_effective_on(request.effective_on());
  endorsement.set_text("moved to " + request.address().city());
  return endorsement;
}

}  // namespace

PolicyStore::PolicyStore(Side side, std::uint64_t seed, std::size_t policies) : side_(side), log_id_(make_log_id(side)) {
  entries_.reserve(policies);
  for (std::size_t i = 0; i < policies; ++i) {
    Entry entry;
    entry.record = make_record(seed, i);
    entry.current = derive_policy(entry.record, entry.record.events.size(), side);
    stamp(entry.current);
    entries_.push_back(std::move(entry));
  }
}

void PolicyStore::stamp(pb::Policy& policy) const { *policy.mutable_updated_at() = timestamp_now(); }

const PolicyStore::Entry* PolicyStore::find(std::string_view number) const {
  const auto index = policy_index(number);
  return index && *index < entries_.size() ? &entries_[*index] : nullptr;
}

PolicyStore::Entry* PolicyStore::find(std::string_view number) { return const_cast<Entry*>(std::as_const(*this).find(number)); }

std::optional<pb::Policy> PolicyStore::get(std::string_view number) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = find(number);
  if (entry == nullptr) return std::nullopt;
  return entry->current;
}

std::vector<pb::Policy> PolicyStore::page(std::size_t first, std::size_t count) const {
  const std::lock_guard lock(mutex_);
  std::vector<pb::Policy> policies;
  for (std::size_t i = first; i < entries_.size() && policies.size() < count; ++i) policies.push_back(entries_[i].current);
  return policies;
}

std::vector<pb::StreamHistoryResponse> PolicyStore::history(std::string_view number) const {
  const std::lock_guard lock(mutex_);
  std::vector<pb::StreamHistoryResponse> answer;
  const Entry* entry = find(number);
  if (entry == nullptr) return answer;
  for (std::size_t i = 0; i < entry->record.events.size(); ++i) {
    pb::StreamHistoryResponse& message = answer.emplace_back();
    message.set_event(entry->record.events[i].kind);
    message.set_on(entry->record.events[i].on);
    *message.mutable_policy() = derive_policy(entry->record, i + 1, side_);
    *message.mutable_policy()->mutable_updated_at() = entry->current.updated_at();
  }
  return answer;
}

bool PolicyStore::has_endorsement(const Entry& entry, const std::string& endorsement_id) {
  return std::any_of(entry.record.events.begin(), entry.record.events.end(), [&](const Event& event) {
    return event.endorsement && event.endorsement->endorsement_id() == endorsement_id;
  });
}

bool PolicyStore::take(Entry& entry, const Change& change) {
  // At equal versions legacy's change counts as the later one: both sides must come to the same end.
  const auto rank = [](std::uint64_t version, const std::string& side) { return std::tuple(version, side == "legacy"); };
  const bool later = rank(change.version(), change.origin()) > rank(entry.current.version(), entry.decided_by);
  const bool fresh = !has_endorsement(entry, change.endorsement().endorsement_id());
  if (fresh) {
    Event event{"endorsed", change.endorsement().effective_on(), change.endorsement().effective_on(), change.endorsement(), std::nullopt};
    if (later) event.moved_to = change.address();
    entry.record.events.push_back(std::move(event));
  }
  if (!fresh && !later) return false;
  const std::uint64_t version = std::max(entry.current.version(), change.version());
  if (later) {
    entry.decided_by = change.origin();
    entry.moved_to = change.address();
  }
  entry.current = derive_policy(entry.record, entry.record.events.size(), side_);
  entry.current.set_version(version);
  // Not the last event's: an earlier change may come in after a later one.
  if (entry.moved_to) *entry.current.mutable_holder()->mutable_address() = *entry.moved_to;
  stamp(entry.current);
  return true;
}

std::optional<pb::Policy> PolicyStore::endorse_address(const pb::EndorseAddressRequest& request) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(request.policy_number());
  if (entry == nullptr) return std::nullopt;
  if (has_endorsement(*entry, request.endorsement_id())) return entry->current;

  Change change;
  change.set_log_id(log_id_);
  change.set_sequence(log_.size() + 1);
  change.set_origin(std::string(to_string(side_)));
  change.set_policy_number(request.policy_number());
  change.set_version(entry->current.version() + 1);
  *change.mutable_address() = request.address();
  *change.mutable_endorsement() = endorsement_of(request);
  *change.mutable_committed_at() = timestamp_now();
  take(*entry, change);
  log_.push_back(std::move(change));
  grown_.notify_all();
  return entry->current;
}

bool PolicyStore::apply(const Change& change) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(change.policy_number());
  return entry != nullptr && take(*entry, change);
}

std::vector<PolicyStore::Change> PolicyStore::changes_after(const std::string& log_id, std::uint64_t position,
                                                            std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  if (log_id != log_id_) position = 0;
  grown_.wait_for(lock, limit, [&] { return log_.size() > position; });
  if (log_.size() <= position) return {};
  return {log_.begin() + static_cast<std::ptrdiff_t>(position), log_.end()};
}

}  // namespace insurer
