#include "tests/fuzz/relay_policies.h"

#include <google/protobuf/descriptor.pb.h>

#include <chrono>
#include <cstdio>

#include "routing/policy_check.h"
#include "routing/policy_parse.h"
#include "tests/fuzz/fuzz_check.h"

namespace ficus::fuzz {
namespace {

// message Number { string number = 1; }
// message Policy { string number = 1; int32 premium = 2; repeated string notes = 3; }
// service Policies { rpc Get, List, Endorse (Number) returns (Policy); }
std::string schema() {
  using google::protobuf::FieldDescriptorProto;
  google::protobuf::FileDescriptorSet set;
  auto& file = *set.add_file();
  file.set_name("fuzz.proto");
  file.set_package("fuzz.v1");
  file.set_syntax("proto3");
  const auto add_field = [](google::protobuf::DescriptorProto& message, const char* name, int number,
                            FieldDescriptorProto::Type type, bool repeated) {
    auto& field = *message.add_field();
    field.set_name(name);
    field.set_number(number);
    field.set_type(type);
    field.set_label(repeated ? FieldDescriptorProto::LABEL_REPEATED : FieldDescriptorProto::LABEL_OPTIONAL);
  };
  auto& request = *file.add_message_type();
  request.set_name("Number");
  add_field(request, "number", 1, FieldDescriptorProto::TYPE_STRING, false);
  auto& policy = *file.add_message_type();
  policy.set_name("Policy");
  add_field(policy, "number", 1, FieldDescriptorProto::TYPE_STRING, false);
  add_field(policy, "premium", 2, FieldDescriptorProto::TYPE_INT32, false);
  add_field(policy, "notes", 3, FieldDescriptorProto::TYPE_STRING, true);
  auto& service = *file.add_service();
  service.set_name("Policies");
  for (const char* name : {"Get", "List", "Endorse"}) {
    auto& method = *service.add_method();
    method.set_name(name);
    method.set_input_type(".fuzz.v1.Number");
    method.set_output_type(".fuzz.v1.Policy");
  }
  return set.SerializeAsString();
}

// What the third policy adds, whose bounds are near, and the fourth, which checks the health of its upstreams.
struct Extra {
  const char* upstream = "";
  const char* inquiry = "";
  const char* shadow = "";
  const char* reads = "";
};
constexpr Extra kBounds{
    ", max_concurrent_requests: 2, max_pending: 1, max_connections: 1, balance: round_robin, outlier: {consecutive: 2}",
    "    key_limit: 16B\n", ", max_in_flight: 1, max_bytes: 1KiB, by: key", ", retry: {on: [UNAVAILABLE, ABORTED]}"};

constexpr Extra kHealth{", health_check: {service: policies}", "", "", ""};

std::string migration(const std::string& legacy, const std::string& fresh, const Extra& extra) {
  const std::string shadow = std::string("shadow: {percent: 100") + extra.shadow + "}" + extra.reads;
  return "apiVersion: ficus/v1\n"
         "name: fuzz\n"
         "upstreams:\n"
         "  legacy: {endpoints: [\"" + legacy + "\"]" + extra.upstream + "}\n"
         "  fresh: {endpoints: [\"" + fresh + "\"]" + extra.upstream +
         ", metadata: {remove: [cookie]}, authority: fresh}\n"
         "default_upstream: legacy\n"
         "schemas: [\"fuzz.pb\"]\n"
         "identity: {tenant: [{metadata: x-tenant-id}]}\n"
         "capabilities:\n"
         "  inquiry:\n"
         "    data: policy\n"
         "    legacy: legacy\n"
         "    new: fresh\n"
         "    service: fuzz.v1.Policies\n"
         "    reads: [Get, List]\n"
         "    key: {request_field: number, methods: {List: none}}\n"
         "    staleness: 2s\n"
         "    reverse_replication: external\n"
         "    compare: {unordered: [notes], ignore: [{path: premium, reason: fuzz}]}\n"
         "    overrides: {metadata: x-side, token: \"file:qa.token\"}\n" + extra.inquiry +
         "  address:\n"
         "    data: policy\n"
         "    legacy: legacy\n"
         "    new: fresh\n"
         "    service: fuzz.v1.Policies\n"
         "    reverse_replication: external\n"
         "    writes: [Endorse]\n"
         "rules:\n"
         "  - {name: live, capability: inquiry, tenants: [acme], stage: live, reads: {" + shadow + "}}\n"
         "  - {name: live-writes, capability: address, tenants: [acme], stage: live}\n"
         "  - {name: watched, capability: inquiry, tenants: [shady], stage: shadow, reads: {" + shadow + "}}\n"
         "  - {name: pilots, capability: inquiry, tenants: [pilot], stage: canary, "
         "reads: {canary: {percent: 50, by: key}, " + shadow + ", fallback: {on: [NOT_FOUND, UNAVAILABLE]}}}\n"
         "  - {name: moving, capability: inquiry, tenants: [moving], stage: canary, "
         "reads: {serve: new, shadow: {percent: 0}" + extra.reads + ", fallback: {on: [NOT_FOUND, UNAVAILABLE]}}}\n"
         "ownership_epoch: 1\n";
}

RelayPolicy compile(const std::string& text, std::shared_ptr<const DescriptorStore> store, std::uint64_t generation) {
  const auto refuse = [](const std::vector<Diagnostic>& found) {
    for (const Diagnostic& diagnostic : found) std::fprintf(stderr, "%s\n", to_string(diagnostic).c_str());
    FUZZ_CHECK(!has_error(found));
  };
  const auto parsed = parse_policy(text, "fuzz.yaml");
  if (!parsed) refuse(parsed.error());
  FUZZ_CHECK(parsed.has_value());
  const Date today{std::chrono::year(2027), std::chrono::month(1), std::chrono::day(1)};
  if (const auto found = check_policy({parsed->policy, store.get(), today}); has_error(found)) refuse(found);
  NamedFiles files;
  for (const std::string& name : files_named(parsed->policy)) files[name] = "secret\n";
  RelayPolicy out;
  out.table = RouteTable::compile({parsed->policy, store, files, "hash", generation});
  out.descriptors = std::move(store);
  return out;
}

}  // namespace

std::array<RelayPolicy, 4> relay_policies(const std::string& legacy, const std::string& fresh) {
  const auto opened = DescriptorStore::open({{"fuzz.pb", schema()}});
  FUZZ_CHECK(opened.has_value());
  const std::string pass_through =
      "apiVersion: ficus/v1\nname: relay\nupstreams:\n  fresh: {endpoints: [\"" + fresh +
      "\"]}\ndefault_upstream: fresh\nownership_epoch: 1\n";
  std::array<RelayPolicy, 4> policies{compile(pass_through, nullptr, 1),
                                      compile(migration(legacy, fresh, {}), *opened, 2),
                                      compile(migration(legacy, fresh, kBounds), *opened, 3),
                                      compile(migration(legacy, fresh, kHealth), *opened, 4)};
  // Small ones, so that a short script meets them.
  policies[kTight].shadow_bytes = 300;
  H2Limits& small = policies[kTight].limits;
  small.max_concurrent_streams = 3;
  small.header_list_bytes = 700;
  small.header_block_bytes = 2'000;
  small.continuation_frames = 5;
  small.output_bytes = 400;
  small.control_output_bytes = 800;
  small.stream_window_bytes = 400;
  small.held_bytes = 20 * 1024;
  small.stream_resets = small.control_frames = small.empty_frames = small.stream_errors = {8, 1};
  return policies;
}

}  // namespace ficus::fuzz
