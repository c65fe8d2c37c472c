#include "tests/facade/control/sample_policy.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "tests/facade/control/control_test_support.h"

namespace ficus::testing {
namespace {

class FakeCatalog : public MethodCatalog {
 public:
  bool has_service(std::string_view service) const override { return methods_.count(std::string(service)) != 0; }
  std::optional<MethodInfo> find_method(std::string_view service, std::string_view method) const override {
    const auto all = methods_of(service);
    if (std::find(all.begin(), all.end(), method) == all.end()) return std::nullopt;
    return MethodInfo{};
  }
  std::vector<std::string> methods_of(std::string_view service) const override {
    const auto found = methods_.find(std::string(service));
    return found == methods_.end() ? std::vector<std::string>{} : found->second;
  }
  Result<KeyPath, std::string> resolve_request_key(std::string_view, std::string_view,
                                                   std::string_view) const override {
    return KeyPath{{1}, KeyLeaf::kBytes};
  }
  bool response_has(std::string_view, std::string_view, const PathPattern&) const override { return true; }
  bool response_has_repeated(std::string_view, std::string_view, const PathPattern&) const override { return true; }
  bool response_has_keyed(std::string_view, std::string_view, const PathPattern&, std::string_view) const override {
    return true;
  }
  bool response_has_measure(std::string_view, std::string_view, const PathPattern&, Measure) const override {
    return true;
  }

 private:
  const std::map<std::string, std::vector<std::string>> methods_ = {
      {"a.B", {"Get", "Put"}},
      {"insurance.policy.v1.PolicyService", {"GetPolicy", "ListPolicies", "StreamHistory", "EndorseAddress"}}};
};

}  // namespace

std::string sample_policy() {
  return R"(apiVersion: ficus/v1
name: sample
upstreams:
  legacy: {endpoints: ["127.0.0.1:50051"]}
  new:
    endpoints: ["127.0.0.1:50052"]
    metadata: {set: {x-api-key: "file:new.key", x-literal: "inline-value"}}
default_upstream: legacy
schemas: ["service.pb"]
identity:
  tenant: [{metadata: x-tenant-id}]
  trust_metadata: true
tenant_groups:
  eu: ["eu-*"]
capabilities:
  inquiry:
    data: policy
    legacy: legacy
    new: new
    service: a.B
    reads: [Get]
    staleness: 2s
    reverse_replication: external
  address:
    data: policy
    legacy: legacy
    new: new
    service: a.B
    writes: [Put]
    reverse_replication: external
rules:
  - {name: inquiry-acme, capability: inquiry, tenants: [acme], stage: live, reads: {shadow: {percent: 12.5}}}
  - {name: address-acme, capability: address, tenants: [acme], stage: live, until: 2026-06-30}
  - {name: inquiry-eu, capability: inquiry, tenants: ["group:eu"], stage: canary, reads: {canary: {percent: 0.0025, by: tenant}, shadow: {percent: 10}}}
tests:
  - {name: acme owns new, method: a.B/Put, tenant: acme, expect: {owner: new}}
ownership_epoch: 7
)";
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) std::abort();
  return text.replace(at, what.size(), by);
}

std::string sample_policy_with(std::string_view text, std::string_view by) {
  return replaced(sample_policy(), text, by);
}

std::string write_sample(const std::string& directory, const std::string& policy) {
  write_file(directory + "/policy.yaml", policy);
  write_file(directory + "/service.pb", "schema");
  write_file(directory + "/new.key", "correct-horse\n");
  ::chmod((directory + "/new.key").c_str(), 0600);
  return directory + "/policy.yaml";
}

CatalogMaker fake_catalog_maker() {
  return [](const std::vector<NamedSchema>& schemas)
             -> Result<std::shared_ptr<const MethodCatalog>, std::vector<std::pair<std::string, std::string>>> {
    std::vector<std::pair<std::string, std::string>> errors;
    for (const NamedSchema& schema : schemas) {
      if (schema.bytes != "schema") errors.emplace_back(schema.name, "not a FileDescriptorSet");
    }
    if (!errors.empty()) return fail(std::move(errors));
    return std::shared_ptr<const MethodCatalog>(std::make_shared<FakeCatalog>());
  };
}

LoadOptions sample_load_options() {
  LoadOptions options;
  options.make_catalog = fake_catalog_maker();
  options.today = Date{std::chrono::year{2026}, std::chrono::month{6}, std::chrono::day{15}};
  return options;
}

}  // namespace ficus::testing
