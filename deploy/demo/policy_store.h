// One side's policies and its log of changes, in memory. Any thread; one mutex, held for microseconds.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "deploy/demo/book.h"
#include "insurance/replication/v1/replication_service.pb.h"

namespace insurer {

class PolicyStore {
 public:
  using Change = insurance::replication::v1::Change;

  // The first `policies` records of the seed, as `side` derives them.
  PolicyStore(Side side, std::uint64_t seed, std::size_t policies);

  Side side() const { return side_; }
  std::size_t size() const { return entries_.size(); }

  std::optional<pb::Policy> get(std::string_view number) const;
  // Policies [first, first + count) of the book, as many as there are.
  std::vector<pb::Policy> page(std::size_t first, std::size_t count) const;
  // Each event with the policy as it stood after it. Empty: no such policy.
  std::vector<pb::StreamHistoryResponse> history(std::string_view number) const;

  // A client's change of address: decided here, logged for the other side. An endorsement_id already there changes
  // nothing. Empty: no such policy.
  std::optional<pb::Policy> endorse_address(const pb::EndorseAddressRequest& request);

  // A change the other side decided. True if it changed anything here. See ReplicationService.ApplyChange.
  bool apply(const Change& change);

  // The log's next changes after `position`, waiting up to `limit` for one; empty if none came.
  // A position of another log (`log_id`) reads as 0.
  std::vector<Change> changes_after(const std::string& log_id, std::uint64_t position, std::chrono::milliseconds limit) const;

 private:
  struct Entry {
    Record record;
    pb::Policy current;      // what get() answers
    std::optional<pb::Address> moved_to;  // by the latest change, if there was one
    std::string decided_by;  // side of the last change; with the version, what concurrent changes are ordered by
  };

  Entry* find(std::string_view number);
  const Entry* find(std::string_view number) const;
  static bool has_endorsement(const Entry& entry, const std::string& endorsement_id);
  // Adds the endorsement (once) and, if this change is the later one, its address and version. Needs the mutex.
  bool take(Entry& entry, const Change& change);
  void stamp(pb::Policy& policy) const;

  const Side side_;
  const std::string log_id_;
  mutable std::mutex mutex_;
  mutable std::condition_variable grown_;
  std::vector<Entry> entries_;
  std::vector<Change> log_;  // the change with sequence n stands at n - 1
};

}  // namespace insurer
