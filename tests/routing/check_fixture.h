// What the checker's tests share: the insurer's schema by hand, a file's expectations, a check in one call.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/policy_check.h"
#include "routing/policy_parse.h"

namespace ficus::test {

inline constexpr Date kToday{std::chrono::year{2026}, std::chrono::month{7}, std::chrono::day{1}};

// insurance.policy.v1.PolicyService as proto/ has it (in short), and a ClaimService with methods of every idempotency.
class InsuranceCatalog : public MethodCatalog {
 public:
  InsuranceCatalog() {
    const std::vector<std::string> policy = {"", ".status", ".premium", ".premium.amount", ".endorsements[]", ".notes",
                                             ".updated_at"};
    Method& get = add("insurance.policy.v1.PolicyService", "GetPolicy", Idempotency::kNoSideEffects);
    get.request = {"policy_number"};
    for (const std::string& field : policy) get.response.push_back("policy" + field);
    Method& list = add("insurance.policy.v1.PolicyService", "ListPolicies", Idempotency::kNoSideEffects);
    list.request = {"page_size", "page_token"};
    list.response = {"policies[]", "policies.status", "policies.updated_at", "next_page_token"};
    Method& history = add("insurance.policy.v1.PolicyService", "StreamHistory", Idempotency::kNoSideEffects);
    history.info.server_streaming = true;
    history.request = {"policy_number"};
    history.response = {"event", "policy", "policy.status"};
    add("insurance.policy.v1.PolicyService", "EndorseAddress", Idempotency::kUnknown).request = {"policy_number"};
    add("insurance.claims.v1.ClaimService", "GetClaim", Idempotency::kNoSideEffects).response = {"claim"};
    add("insurance.claims.v1.ClaimService", "FileClaim", Idempotency::kIdempotent);
    add("insurance.claims.v1.ClaimService", "SettleClaim", Idempotency::kUnknown);
  }

  bool has_service(std::string_view service) const override { return services_.count(std::string(service)) != 0; }
  std::optional<MethodInfo> find_method(std::string_view service, std::string_view method) const override {
    const Method* found = find(service, method);
    if (found == nullptr) return std::nullopt;
    return found->info;
  }
  std::vector<std::string> methods_of(std::string_view service) const override {
    std::vector<std::string> names;
    const auto found = services_.find(std::string(service));
    if (found == services_.end()) return names;
    for (const Method& method : found->second) names.push_back(method.name);
    return names;
  }
  Result<KeyPath, std::string> resolve_request_key(std::string_view service, std::string_view method,
                                                   std::string_view dotted) const override {
    const Method* found = find(service, method);
    if (found != nullptr && std::count(found->request.begin(), found->request.end(), dotted) != 0) {
      return KeyPath{{1}, KeyLeaf::kBytes};
    }
    return fail("no field \"" + std::string(dotted) + "\" in the request");
  }
  bool response_has(std::string_view service, std::string_view method, const PathPattern& pattern) const override {
    return matches(service, method, pattern, false);
  }
  bool response_has_repeated(std::string_view service, std::string_view method,
                             const PathPattern& pattern) const override {
    return matches(service, method, pattern, true);
  }
  // Endorsements have an id; that is the only list of messages with a key.
  bool response_has_keyed(std::string_view service, std::string_view method, const PathPattern& pattern,
                          std::string_view by) const override {
    return by == "id" && matches(service, method, pattern, true) && pattern.matches(steps("policy.endorsements"));
  }
  bool response_has_measure(std::string_view service, std::string_view method, const PathPattern& pattern,
                            Measure measure) const override {
    return response_has(service, method, pattern) &&
           pattern.matches(steps(measure == Measure::kNumber ? "policy.premium.amount" : "policy.updated_at"));
  }

 private:
  struct Method {
    std::string name;
    MethodInfo info;
    std::vector<std::string> request, response;  // dotted fields; "[]" at the end of a repeated one
  };

  Method& add(const std::string& service, const std::string& name, Idempotency idempotency) {
    Method& method = services_[service].emplace_back();
    method.name = name;
    method.info.idempotency = idempotency;
    return method;
  }
  const Method* find(std::string_view service, std::string_view name) const {
    const auto found = services_.find(std::string(service));
    if (found == services_.end()) return nullptr;
    for (const Method& method : found->second) {
      if (method.name == name) return &method;
    }
    return nullptr;
  }
  bool matches(std::string_view service, std::string_view name, const PathPattern& pattern, bool repeated) const {
    const Method* method = find(service, name);
    if (method == nullptr) return false;
    for (std::string field : method->response) {
      const bool is_repeated = field.size() > 2 && field.substr(field.size() - 2) == "[]";
      if (is_repeated) field.resize(field.size() - 2);
      if (pattern.matches(steps(field)) && (is_repeated || !repeated)) return true;
    }
    return false;
  }
  static FieldPath steps(const std::string& dotted) {
    FieldPath path;
    std::istringstream names(dotted);
    for (std::string name; std::getline(names, name, '.');) path.push_back({name, false, ""});
    return path;
  }

  std::map<std::string, std::vector<Method>> services_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) ADD_FAILURE() << "cannot read " << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Everything that is found in a policy's text, as `ficus check` would. A policy that names schemas gets the insurer's.
inline std::vector<Diagnostic> diagnose(const std::string& text, const std::string& file = "t.yaml") {
  auto parsed = parse_policy_or_part(text, file);
  const InsuranceCatalog catalog;
  if (!parsed) {
    std::vector<Diagnostic> found = std::move(parsed.error().diagnostics);
    if (!parsed.error().partial) return found;
    const PartialPolicy& partial = *parsed.error().partial;
    const bool schema = !partial.policy.schemas.empty();
    for (Diagnostic& diagnostic : check_partial_policy(partial, schema ? &catalog : nullptr, kToday)) {
      found.push_back(std::move(diagnostic));
    }
    sort_by_mark(found);
    return found;
  }
  std::vector<Diagnostic> found = std::move(parsed->diagnostics);
  const bool schema = !parsed->policy.schemas.empty();
  for (Diagnostic& diagnostic : check_policy({parsed->policy, schema ? &catalog : nullptr, kToday})) {
    found.push_back(std::move(diagnostic));
  }
  sort_by_mark(found);
  return found;
}

using LineAndCode = std::pair<std::uint32_t, std::string>;

// The lines `# expect: <line>: <code>` with which a file begins.
inline std::vector<LineAndCode> expectations(const std::string& text) {
  std::vector<LineAndCode> expected;
  std::istringstream lines(text);
  constexpr std::string_view kStart = "# expect: ";
  for (std::string line; std::getline(lines, line) && line.compare(0, kStart.size(), kStart) == 0;) {
    const std::size_t colon = line.find(": ", kStart.size());
    if (colon == std::string::npos) break;
    expected.emplace_back(std::stoul(line.substr(kStart.size())), line.substr(colon + 2));
  }
  return expected;
}

}  // namespace ficus::test
