#include "tests/facade/shadow/compare_job_fixture.h"

#include <gtest/gtest.h>

#include "routing/policy_parse.h"
#include "tests/facade/compare/schema_fixture.h"

namespace ficus::test {

std::shared_ptr<const RouteTable> inquiry_table(const std::string& compare) {
  const std::string text = R"(apiVersion: ficus/v1
name: test
upstreams:
  policy-legacy: {endpoints: ["127.0.0.1:1"]}
  policy-new: {endpoints: ["127.0.0.1:2"]}
identity:
  tenant: [{metadata: x-tenant-id}]
capabilities:
  inquiry:
    legacy: policy-legacy
    new: policy-new
    service: testing.Service
    reads: [Get, Watch]
    compare:
)" + compare + R"(
rules:
  - {name: inquiry-acme, capability: inquiry, tenants: [acme], stage: shadow, reads: {shadow: {percent: 100}}}
ownership_epoch: 1
)";
  auto parsed = parse_policy(text, "test.yaml");
  if (!parsed) {
    for (const Diagnostic& diagnostic : parsed.error()) ADD_FAILURE() << to_string(diagnostic);
    return nullptr;
  }
  const NamedFiles files;
  return RouteTable::compile({parsed->policy, test_store(), files, "c0ffee", 7});
}

CompareJob get_job(std::shared_ptr<const RouteTable> table, const std::string& legacy, const std::string& fresh) {
  const auto store = test_store();
  CompareJob job;
  job.descriptors = store;
  for (std::size_t i = 0; i < table->methods().size(); ++i) {
    if (table->methods()[i].method == "Get") job.method = static_cast<std::uint16_t>(i);
  }
  job.table = std::move(table);
  job.service = kService;
  job.method_name = "Get";
  job.rule = 0;
  job.tenant = "acme";
  job.consumer = "portal";
  job.trace_id = "0af7651916cd43dd8448eb211c80319c";
  job.parent_span_id = "b7ad6b7169203331";
  job.primary_span_id = "00f067aa0ba902b7";
  job.shadow_span_id = "00f067aa0ba902b8";
  Observation primary = answered(Side::kLegacy, {wire_of(*store, "testing.Answer", legacy)});
  primary.started = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'250));
  primary.latency = std::chrono::microseconds(1500);
  Observation shadow = answered(Side::kNew, {wire_of(*store, "testing.Answer", fresh)});
  shadow.latency = std::chrono::milliseconds(3);
  job.primary = std::make_shared<const Observation>(std::move(primary));
  job.shadow = std::make_shared<const Observation>(std::move(shadow));
  return job;
}

}  // namespace ficus::test
