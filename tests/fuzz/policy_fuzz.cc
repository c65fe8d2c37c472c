// Policies: any bytes. What must hold: nothing crashes; a refusal has an error in it and shows no control character; a
// policy that is read prints to text that reads back to an equal policy; no prefix of it reads as another policy; one
// that also passes the check compiles, and its decisions are deterministic.
#include <chrono>
#include <string>
#include <string_view>

#include "routing/policy_check.h"
#include "routing/policy_parse.h"
#include "routing/route_table.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace ficus;

constexpr PolicyParseLimits kLimits{.text_bytes = 1 << 16, .depth = 16, .nodes = 20'000};

void judge(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& d : diagnostics) {
    for (char c : to_string(d)) FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20);
    FUZZ_CHECK(!d.message.empty());
  }
}

void decide_some(const Policy& policy) {
  NamedFiles files;
  for (const std::string& name : files_named(policy)) files[name] = "secret\n";
  const auto table = RouteTable::compile({policy, nullptr, files, "hash", 1});
  FUZZ_CHECK(table != nullptr);
  std::vector<std::string> tenants = {"nobody"};
  for (const std::string& tenant : table->tenant_labels()) {
    if (tenants.size() < 4) tenants.push_back(tenant);
  }
  for (std::size_t m = 0; m < table->methods().size() && m < 8; ++m) {
    const MethodEntry& method = table->methods()[m];
    RpcHead head;
    head.path = {method.service, method.method == "*" ? std::string_view("Any") : std::string_view(method.method)};
    for (const std::string& tenant : tenants) {
      const Plan plan = table->plan(head, tenant, std::nullopt);
      const RouteDecision once = table->decide(plan, KeyDigest{m}, 17);
      const RouteDecision again = table->decide(plan, KeyDigest{m}, 17);
      FUZZ_CHECK(once.side == again.side && once.upstream == again.upstream && once.owner == again.owner);
      FUZZ_CHECK(once.refusal.has_value() || once.upstream < table->upstreams().size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_policy(text, "fuzz.yaml", kLimits);
  if (!parsed) {
    FUZZ_CHECK(has_error(parsed.error()));
    judge(parsed.error());
    return 0;
  }
  FUZZ_CHECK(!has_error(parsed->diagnostics));
  judge(parsed->diagnostics);
  const Policy& policy = parsed->policy;
  // Printing writes aliases out and names services in full, so its text may be larger than what was read.
  const auto again = parse_policy(print_policy(policy), "fuzz.yaml");
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->policy == policy);
  // One cut an input, spread by its size; the property test tries them all.
  const auto part = parse_policy(text.substr(0, size * 7919 % (size + 1)), "fuzz.yaml", kLimits);
  FUZZ_CHECK(!part || part->policy == policy);

  const std::vector<Diagnostic> judged = check_policy({policy, nullptr, std::chrono::year(2027) / 1 / 1});
  judge(judged);
  if (!has_error(judged)) decide_some(policy);
  return 0;
}
