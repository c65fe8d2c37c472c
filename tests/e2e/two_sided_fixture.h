// Ficus between a legacy and a new side, both scripted, with the insurance schema beside the policy.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "insurance/policy/v1/policy_service.pb.h"
#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {

namespace insurance = ::insurance::policy::v1;

// Rules that several tests share. Tenants: acme is live on the new side, shady shadows every read, pilot is a canary of
// 30 % by policy number; everybody else is off.
inline const std::string kRules =
    "  - {name: inquiry-acme, capability: inquiry, tenants: [acme], stage: live, reads: {shadow: {percent: 0}}}\n"
    "  - {name: address-acme, capability: address, tenants: [acme], stage: live}\n"
    "  - {name: inquiry-shady, capability: inquiry, tenants: [shady], stage: shadow, reads: {shadow: {percent: 100}}}\n"
    "  - {name: inquiry-pilot, capability: inquiry, tenants: [pilot], stage: canary, reads: {canary: {percent: 30, by: "
    "key}, shadow: {percent: 0}}}\n";
inline const std::string kKeyOfRequest = "    key: {request_field: policy_number, methods: {ListPolicies: none}}\n";

// Reads the request, then says which side it is.
inline Script say(const std::string& name) { return answer({name}); }

class TwoSidedTest : public ::testing::Test {
 protected:
  TwoSided parts() const {
    return {.legacy = legacy_.address(), .new_ = new_.address(), .rules = kRules, .inquiry_extra = kKeyOfRequest};
  }
  void start(const TwoSided& parts, FicusOptions options = {}) {
    options.files.emplace("insurance.pb", insurance_schema());
    ficus_ = start_ficus(two_sided_policy(parts), std::move(options));
    channel_ = make_channel(ficus_->address());
  }
  UnaryReply get(const std::string& tenant, const std::string& number, Metadata metadata = {}) {
    if (!tenant.empty()) metadata.emplace_back("x-tenant-id", tenant);
    return call(channel_, method("GetPolicy"), get_policy_request(number), {.metadata = std::move(metadata)});
  }
  UnaryReply endorse(const std::string& tenant, Metadata metadata = {}) {
    if (!tenant.empty()) metadata.emplace_back("x-tenant-id", tenant);
    return call(channel_, method("EndorseAddress"), get_policy_request("P-1"), {.metadata = std::move(metadata)});
  }
  double metric(const std::string& name, MetricsSnapshot::Labels labels = {}) const {
    return ficus_->metrics().sum(name, labels);
  }
  double begun() const { return metric("ficus_shadow_begun_total"); }
  double verdicts(const std::string& verdict) const {
    return metric("ficus_shadow_verdicts_total", {{"verdict", verdict}});
  }
  bool wait_verdicts(double count) const { return ficus_->wait_metric("ficus_shadow_verdicts_total", {}, count); }

  Gate gate_;  // for scripts to wait at: it outlives the upstreams, as what a script refers to must
  ScriptedUpstream legacy_{say("legacy")}, new_{say("new")};
  std::unique_ptr<FicusProcess> ficus_;
  std::shared_ptr<grpc::Channel> channel_;
};

// A GetPolicyResponse in wire format.
inline std::string policy_response(const std::string& number, std::int64_t premium = 42000,
                                   const std::string& notes = {}) {
  insurance::GetPolicyResponse response;
  response.mutable_policy()->set_policy_number(number);
  response.mutable_policy()->mutable_premium()->set_amount(premium);
  response.mutable_policy()->set_notes(notes);
  return response.SerializeAsString();
}

}  // namespace ficus::e2e
