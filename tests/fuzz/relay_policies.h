// The policies that relay sessions run under, compiled.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "facade/compare/descriptor_store.h"
#include "facade/h2/h2_limits.h"
#include "routing/route_table.h"

namespace ficus::fuzz {

inline constexpr std::string_view kService = "/fuzz.v1.Policies/";
// What must hold of them all but the first: acme's writes belong to the new side, everybody else's to legacy.
inline constexpr std::string_view kWrite = "/fuzz.v1.Policies/Endorse";
inline constexpr std::string_view kOwnedByNew = "acme";

struct RelayPolicy {
  std::shared_ptr<const RouteTable> table;
  std::shared_ptr<const DescriptorStore> descriptors;  // null: no schema
  H2Limits limits;
  std::size_t shadow_bytes = 1 << 20;
};

enum PolicyNumber { kPassThrough, kMigration, kTight, kChecked };
// `legacy` and `fresh` are addresses.
std::array<RelayPolicy, 4> relay_policies(const std::string& legacy, const std::string& fresh);

}  // namespace ficus::fuzz
