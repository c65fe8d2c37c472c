// Random policies, as parse_policy() could have read them: for printing, differential tests and fuzz seeds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "routing/policy.h"

namespace ficus::test {

struct RandomPolicyOptions {
  // Also without any error of check_policy() (no catalog, any date): coherent stages, rules that can all match, no
  // `tests`. Otherwise only each value by itself is right: names may lead nowhere, and texts are as odd as they may be.
  bool checkable = false;
  std::size_t max_capabilities = 4;
  std::size_t max_rules = 12;
};

// Equal seeds and options give equal policies, on every machine. `file` is "random.yaml"; marks are {0, 0}.
//
// In checkable policies tenants are named "t0", "t1", ... and prefixes "p0-*", "p1-*", ...; consumers "c0", ...;
// attribute values "v0", ...; identity comes from the metadata x-tenant-id and x-consumer-id, in some before that from
// SANs ("spiffe://corp/tenant/*", "*.tenants.corp", "spiffe://corp/client/*"); attributes from x-attribute-0 and
// x-attribute-1, in some before that from "*@0.corp" and "*@1.corp"; keys from x-key; methods are "random.v1.Service<N>/Read<M>" and ".../Write<M>".
Policy random_policy(std::uint64_t seed, const RandomPolicyOptions& options = {});

}  // namespace ficus::test
