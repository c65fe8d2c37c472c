// The owner of a write by the servers that it is. owner_table.h compares upstream names, so that endpoints which change
// hands under names that stay would move owners unseen; here they are compared. POLICY 8. Pure.
#pragma once

#include <vector>

#include "routing/diagnostic.h"
#include "routing/policy.h"

namespace ficus {

// For each upstream that owns writes of a capability in both policies, as the same side, against the servers of the
// other side in `in_force` that were not its own there too:
// - it leads to these only: an error (P172), for the owner is another, and no epoch says so;
// - it leads to some of these: a warning (W111), for such servers do move from one service to the other;
// - it leads to none of these and to none of its own former ones: a warning (W112), for they can be the other side's
//   under a name, or by a second reload.
// At `upstreams.NAME.endpoints` of `next`, once for the two upstreams, however many capabilities they are the sides
// of. Behind one gateway for both sides `authority` tells servers apart, as in servers.h. What is not seen: servers
// that had left the other side before `in_force`, and two names of one machine.
// Precondition: diff_owners(in_force, next) finds no move; what moves by name is the epoch's affair. Any thread;
// tenants are looked at only where servers changed hands.
std::vector<Diagnostic> check_owner_servers(const Policy& in_force, const Policy& next);

}  // namespace ficus
