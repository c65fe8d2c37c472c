// Who owns a write: the table that the epoch rule guards. POLICY 8. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "routing/diagnostic.h"
#include "routing/policy.h"

namespace ficus {

// How a policy's rules divide tenants: every name, every prefix class, any other name, and none. Two tenants of one
// class are treated alike by every write rule of every capability.
// One difference between two policies' owner(method, tenant).
struct OwnerMove {
  std::string method;       // "service/method" or "service/*"
  std::string tenant;       // "acme", "eu-*", "any other tenant", "no tenant"
  std::string from, to;     // "policy-legacy (legacy)", "refused", "read"
};

// Every difference, in order of method then tenant, at most `limit` of them (the rest are counted in `more`).
struct OwnerDiff {
  std::vector<OwnerMove> moves;
  std::size_t more = 0;
  bool any() const { return !moves.empty(); }
};
OwnerDiff diff_owners(const Policy& in_force, const Policy& next, std::size_t limit = 20);

// The epoch rule. Empty: `next` may follow `in_force` as far as the epoch goes. Otherwise diagnostics at
// `ownership_epoch` of `next` that name the first moves. Whether a move may happen without a restart is the caller's.
std::vector<Diagnostic> check_epoch(const Policy& in_force, const Policy& next, const OwnerDiff& diff);

}  // namespace ficus
