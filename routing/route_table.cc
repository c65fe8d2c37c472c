// A RouteTable's life and its plain questions; see route_table_compile.cc, _decide.cc and _explain.cc for the rest.
#include "routing/route_table.h"

#include "routing/route_table_impl.h"

namespace ficus {

RouteTable::RouteTable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RouteTable::~RouteTable() = default;

const std::string& RouteTable::name() const { return impl_->policy.name.value; }
const std::string& RouteTable::hash() const { return impl_->hash; }
std::uint64_t RouteTable::generation() const { return impl_->generation; }
const Policy& RouteTable::policy() const { return impl_->policy; }
const std::shared_ptr<const MethodCatalog>& RouteTable::catalog() const { return impl_->catalog; }
const std::vector<UpstreamInfo>& RouteTable::upstreams() const { return impl_->upstreams; }
std::uint16_t RouteTable::default_upstream() const { return impl_->default_upstream; }
const std::vector<MethodEntry>& RouteTable::methods() const { return impl_->methods; }
const std::vector<CapabilityInfo>& RouteTable::capabilities() const { return impl_->capabilities; }
const std::vector<RuleInfo>& RouteTable::rules() const { return impl_->rules; }
const std::vector<std::string>& RouteTable::tenant_labels() const { return impl_->tenant_labels; }

std::uint16_t RouteTable::tenant_label(std::string_view tenant) const noexcept {
  const std::uint32_t found = impl_->tenant_label_numbers.find(tenant);
  return found == NameTable::kAbsent ? kNoIndex : static_cast<std::uint16_t>(found);
}

Side RouteTable::write_owner(std::uint16_t capability, std::optional<std::string_view> tenant) const {
  const auto rule = impl_->tenants.candidates(capability, tenant).write_rule;
  return rule ? impl_->rules[*rule].facts.owner : Side::kLegacy;
}

bool RouteTable::write_needs_tenant(std::uint16_t capability) const { return impl_->writes_need_tenant[capability]; }

}  // namespace ficus
