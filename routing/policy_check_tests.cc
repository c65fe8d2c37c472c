// Runs the policy's own `tests:` against the table it compiles to. POLICY 7.
#include <memory>

#include "routing/policy_check_internal.h"
#include "routing/route_table.h"

namespace ficus::policy_check {
namespace {

constexpr std::string_view kShadowMarker = "x-ficus-shadow";

// The table keeps the catalog only while the tests run, so it need not own it.
std::shared_ptr<const MethodCatalog> borrowed(const MethodCatalog* catalog) {
  return std::shared_ptr<const MethodCatalog>(std::shared_ptr<const void>(), catalog);
}

std::string_view to_text(PolicyTest::Expect::Serve serve) {
  switch (serve) {
    case PolicyTest::Expect::Serve::kLegacy: return "legacy";
    case PolicyTest::Expect::Serve::kNew: return "new";
    case PolicyTest::Expect::Serve::kAny: break;
  }
  return "any";
}

std::string percent_text(Percent percent) { return to_string(percent) + " %"; }

class TestRun {
 public:
  TestRun(const RouteTable& table, std::size_t index, Report& report)
      : table_(table), test_(table.policy().tests[index]), path_(item_path("tests", index)), report_(report) {}

  void run() {
    std::vector<MetadataEntry> metadata;
    RpcHead head;
    head.path = {test_.method.service, test_.method.method};
    for (const auto& [name, value] : test_.metadata) {
      if (name == kShadowMarker && value == "1") head.shadow_marked = true;
      metadata.push_back({name, value});
    }
    head.metadata = metadata;
    const Plan plan = table_.plan(head, text(test_.tenant), text(test_.consumer));
    std::optional<KeyDigest> key = plan.metadata_key;
    if (test_.key) key = digest_of(DigestKind::kKey, test_.key->value);
    // What hangs on the call's own random number is no fact of the policy, and no test can ask for it.
    const RouteDecision decision = table_.decide(plan, key, 0);

    if (plan.rule != kNoRule) {
      const RuleInfo& rule = table_.rules()[plan.rule];
      by_rule_ = "rule \"" + rule.name + "\", line " + std::to_string(rule.line);
    }
    const PolicyTest::Expect& expect = test_.expect;
    if (decision.refusal && !expect.refused) {
      report_.error(codes::kTestRefused, test_.expect.mark, path_ + ".expect",
                    named() + ": the call is refused with " + std::string(to_string(decision.refusal->code)) + ": " +
                        decision.refusal->message,
                    "if that is meant, expect: {refused: " + std::string(to_string(decision.refusal->code)) + "}");
      return;
    }
    if (expect.refused && (!decision.refusal || decision.refusal->code != expect.refused->value)) {
      differs("refused", expect.refused->mark, to_string(expect.refused->value),
              decision.refusal ? to_string(decision.refusal->code) : "a call that is not refused");
      if (!decision.refusal) return;
    }
    if (expect.rule) {
      const std::string got = plan.rule == kNoRule ? "none" : table_.rules()[plan.rule].name;
      if (got != expect.rule->value) differs("rule", expect.rule->mark, expect.rule->value, got);
    }
    compare_sides(plan, decision);
  }

 private:
  static std::optional<std::string_view> text(const std::optional<Text>& text) {
    if (!text) return std::nullopt;
    return text->value;
  }

  void compare_sides(const Plan& plan, const RouteDecision& decision) {
    const PolicyTest::Expect& expect = test_.expect;
    // What a call without sides has instead of each fact.
    std::string none;
    if (decision.refusal) {
      none = "a refused call";
    } else if (plan.kind == PlanKind::kPassThrough) {
      none = "a method in no capability, which goes to the default upstream";
    }
    if (expect.owner) {
      const std::string_view got = none.empty() ? to_string(decision.owner) : none;
      if (got != to_string(expect.owner->value)) differs("owner", expect.owner->mark, to_string(expect.owner->value), got);
    }
    if (expect.serve && (expect.serve->value != PolicyTest::Expect::Serve::kAny || !none.empty())) {
      const std::string_view got = decision.side && none.empty() ? to_string(*decision.side) : none;
      if (got != to_text(expect.serve->value)) differs("serve", expect.serve->mark, to_text(expect.serve->value), got);
    }
    if (expect.new_share) {
      const Percent share = stage_share(plan);
      if (!none.empty() || share != expect.new_share->value) {
        differs("new_share", expect.new_share->mark, percent_text(expect.new_share->value),
                none.empty() ? percent_text(share) : none);
      }
    }
    if (expect.shadow) {
      const Percent shadow = decision.shadow_possible ? decision.shadow.percent : Percent{};
      if ((!none.empty() && !expect.shadow->value.none()) || shadow != expect.shadow->value) {
        differs("shadow", expect.shadow->mark, percent_text(expect.shadow->value),
                none.empty() ? percent_text(shadow) : none);
      }
    }
  }

  Percent stage_share(const Plan& plan) const {
    return plan.rule == kNoRule ? Percent{} : table_.rules()[plan.rule].facts.new_share;
  }

  void differs(const char* what, Mark mark, std::string_view expected, std::string_view got) {
    std::string message = named() + ": expected " + what + ' ' + std::string(expected) + ", got " + std::string(got);
    message += by_rule_.empty() ? " (no rule)" : " (" + by_rule_ + ')';
    report_.error(codes::kTestFails, mark, path_ + ".expect." + what, std::move(message), "why: " + explain());
  }

  // The command that shows how the call is decided.
  std::string explain() const {
    std::string command = "ficus explain " + table_.policy().file + " --method " + name_of(test_.method);
    const auto add = [&](const char* option, const std::string& value) {
      const bool plain = value.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/=") == std::string::npos;
      command += std::string(" --") + option + ' ';
      command += plain ? value : "'" + value + "'";
    };
    if (test_.tenant) add("tenant", test_.tenant->value);
    if (test_.consumer) add("consumer", test_.consumer->value);
    if (test_.key) add("key", test_.key->value);
    for (const auto& [name, value] : test_.metadata) add("metadata", name + '=' + value);
    return command;
  }

  std::string named() const { return "test \"" + test_.name.value + '"'; }

  const RouteTable& table_;
  const PolicyTest& test_;
  const std::string path_;
  Report& report_;
  std::string by_rule_;
};

}  // namespace

void run_policy_tests(const CheckInput& input, Report& report) {
  if (input.policy.tests.empty()) return;
  // No test hangs on what a secret is, so the files need not be read for it.
  NamedFiles files;
  for (std::string& name : files_named(input.policy)) files.emplace(std::move(name), "");
  const auto table = RouteTable::compile({input.policy, borrowed(input.catalog), files, "", 0});
  for (std::size_t i = 0; i < input.policy.tests.size(); ++i) TestRun(*table, i, report).run();
}

}  // namespace ficus::policy_check
