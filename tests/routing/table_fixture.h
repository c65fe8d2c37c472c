// What the route table's tests share: a table from YAML, a call in a line, an answer in a line, a catalog by hand.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/policy_parse.h"
#include "routing/route_table.h"

namespace ficus::test {

// Knows the methods that a test declares. Keys: a request field "x" resolves to field number 1, anything else to none.
class FakeCatalog : public MethodCatalog {
 public:
  FakeCatalog& add(const std::string& service, const std::string& method, MethodInfo info = {}) {
    services_[service].emplace_back(method, info);
    return *this;
  }

  bool has_service(std::string_view service) const override { return services_.count(std::string(service)) > 0; }
  std::optional<MethodInfo> find_method(std::string_view service, std::string_view method) const override {
    const auto found = services_.find(std::string(service));
    if (found == services_.end()) return std::nullopt;
    for (const auto& [name, info] : found->second) {
      if (name == method) return info;
    }
    return std::nullopt;
  }
  std::vector<std::string> methods_of(std::string_view service) const override {
    std::vector<std::string> names;
    const auto found = services_.find(std::string(service));
    if (found == services_.end()) return names;
    for (const auto& [name, info] : found->second) names.push_back(name);
    return names;
  }
  Result<KeyPath, std::string> resolve_request_key(std::string_view, std::string_view, std::string_view dotted) const override {
    if (dotted == "x") return KeyPath{{1}, KeyLeaf::kBytes};
    return fail(std::string("no such field"));
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
  std::map<std::string, std::vector<std::pair<std::string, MethodInfo>>> services_;
};

// `body` is a policy without its first and last lines and its upstreams "old", "fresh" and "rest".
inline std::string policy_text(std::string_view body) {
  std::string text = R"(apiVersion: ficus/v1
name: t
upstreams:
  old: {endpoints: ["127.0.0.1:1"]}
  fresh: {endpoints: ["127.0.0.1:2"]}
  rest: {endpoints: ["127.0.0.1:3"]}
)";
  text += body;
  return text + "\nownership_epoch: 1\n";
}

inline Policy parse_or_die(const std::string& text) {
  auto parsed = parse_policy(text, "t.yaml");
  if (!parsed) {
    for (const Diagnostic& diagnostic : parsed.error()) ADD_FAILURE() << to_string(diagnostic);
    throw std::runtime_error("the test's policy does not parse");
  }
  return std::move(parsed->policy);
}

inline std::shared_ptr<const RouteTable> table_of(const Policy& policy, std::shared_ptr<const MethodCatalog> catalog = nullptr,
                                                  const NamedFiles& files = {}) {
  return RouteTable::compile({policy, std::move(catalog), files, "hash", 7});
}
inline std::shared_ptr<const RouteTable> table_of(std::string_view body, std::shared_ptr<const MethodCatalog> catalog = nullptr,
                                                  const NamedFiles& files = {}) {
  return table_of(parse_or_die(policy_text(body)), std::move(catalog), files);
}

// One call at its headers; owns what RpcHead borrows.
struct Call {
  std::string service, method;
  std::vector<std::pair<std::string, std::string>> metadata;
  bool marked = false;
  std::vector<std::string> peer_sans{};  // of the client's certificate
  std::vector<MetadataEntry> entries{};
  std::vector<std::string_view> sans{};

  RpcHead head() {
    entries.clear();
    for (const auto& [name, value] : metadata) entries.push_back({name, value});
    sans.assign(peer_sans.begin(), peer_sans.end());
    return {{service, method}, entries, marked, sans};
  }
};

// "refused FAILED_PRECONDITION marked_write", "pass rest", "read new fresh by inquiry, owner legacy", "... by none".
inline std::string describe(const RouteTable& table, const Plan& plan, const RouteDecision& decision) {
  if (decision.refusal) {
    return "refused " + std::string(to_string(decision.refusal->code)) + " " + std::string(decision.refusal->reason);
  }
  const std::string upstream = decision.upstream == kNoIndex ? "nowhere" : table.upstreams()[decision.upstream].name;
  if (plan.kind == PlanKind::kPassThrough) return "pass " + upstream;
  return std::string(plan.kind == PlanKind::kRead ? "read " : "write ") + std::string(to_string(*decision.side)) + " " +
         upstream + " by " + (plan.rule == kNoRule ? "none" : table.rules()[plan.rule].name);
}

inline std::string route(const RouteTable& table, Call call, std::uint64_t draw = 0) {
  const Plan plan = table.plan(call.head());
  return describe(table, plan, table.decide(plan, std::nullopt, draw));
}

}  // namespace ficus::test
