// Asks the table what a call would be told, and gathers what a person wants to know of the answer.
#include "facade/cli/explanation.h"

#include <algorithm>
#include <chrono>

#include "facade/cli/output.h"
#include "routing/spelling.h"

namespace ficus {
namespace {

constexpr std::string_view kShadowMarker = "x-ficus-shadow";

std::optional<std::string_view> view(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  return *text;
}

std::string duration_text(std::chrono::milliseconds duration) {
  if (duration.count() % 1000 == 0) return std::to_string(duration.count() / 1000) + "s";
  return std::to_string(duration.count()) + "ms";
}

class Explainer {
 public:
  Explainer(const RouteTable& table, const ExplainedCall& call) : table_(table) { said_.call = call; }

  Explanation run() && {
    ask();
    name_method();
    name_rule();
    if (plan_.kind == PlanKind::kRead) explain_shares();
    note_spelling();
    note_identity();
    note_override();
    note_key();
    note_shadow();
    note_staleness();
    return std::move(said_);
  }

 private:
  void ask() {
    for (const auto& [name, value] : said_.call.metadata) {
      if (name == kShadowMarker && value == "1") head_.shadow_marked = true;
      metadata_.push_back({name, value});
    }
    head_.path = {said_.call.service, said_.call.method};
    head_.metadata = metadata_;
    peer_sans_.assign(said_.call.peer_sans.begin(), said_.call.peer_sans.end());
    head_.peer_sans = peer_sans_;
    plan_ = table_.plan(head_, view(said_.call.tenant), view(said_.call.consumer));
    std::optional<KeyDigest> key = plan_.metadata_key;
    if (said_.call.key && !said_.call.key->empty()) key = digest_of(DigestKind::kKey, *said_.call.key);
    // What hangs on the draw is left out of the explanation, so any number will do.
    decision_ = table_.decide(plan_, key, 0);
    said_.refusal = decision_.refusal;
    said_.serve = decision_.side;
    said_.unkeyed = decision_.unkeyed;
    said_.forced = decision_.forced;
    if (decision_.upstream != kNoIndex) said_.upstream = table_.upstreams()[decision_.upstream].name;
    if (plan_.who.tenant) said_.tenant = printable(*plan_.who.tenant);
    if (plan_.who.consumer) said_.consumer = printable(*plan_.who.consumer);
  }

  void name_method() {
    if (plan_.method == kNoIndex) return;
    const MethodEntry& method = table_.methods()[plan_.method];
    if (method.capability == kNoIndex) {
      said_.kind = "unmanaged";
      return;
    }
    said_.kind = to_string(method.kind);
    said_.capability = table_.capabilities()[method.capability].name;
  }

  // Identity and marker are judged before the rules: a call refused for one of them has no rule and no facts.
  bool came_to_the_rules() const {
    return plan_.capability != kNoIndex && (!plan_.refusal || plan_.refusal->reason == "tenant_missing");
  }

  void name_rule() {
    for (RuleMiss& miss : table_.explain_misses(plan_)) {
      const RuleInfo& rule = table_.rules()[miss.rule];
      said_.above.push_back({rule.name, rule.line, printable(miss.why)});
    }
    if (!came_to_the_rules()) return;
    said_.facts = plan_.rule == kNoRule ? StageFacts{} : table_.rules()[plan_.rule].facts;
    if (!said_.refusal) said_.owner = decision_.owner;
    if (plan_.rule == kNoRule) return;
    const RuleInfo& rule = table_.rules()[plan_.rule];
    said_.rule = rule.name;
    said_.rule_line = rule.line;
    said_.stage = rule.stage;
    if (plan_.kind == PlanKind::kRead) said_.retry = rule.retry;
  }

  void explain_shares() {
    const ShareOutcome& canary = decision_.canary;
    said_.canary = ExplainedShare{canary.percent, said_.facts->new_share_by, canary.bucket, canary.in_share};
    if (decision_.forced || decision_.unkeyed) said_.canary->in_share = false;

    const ShareOutcome& shadow = decision_.shadow;
    said_.shadow = ExplainedShare{shadow.percent, std::nullopt, std::nullopt, false};
    if (shadow.percent.none()) return;
    said_.shadow->by = said_.facts->shadow_by;
    if (!decision_.shadow_possible) return;
    said_.shadow_side = decision_.shadow_side;
    said_.shadow_upstream = table_.upstreams()[decision_.shadow_upstream].name;
    if (decision_.shadow_needs_key || (shadow.percent.between() && shadow.by == ShareBy::kRequest)) {
      said_.shadow->in_share = std::nullopt;
    } else {
      said_.shadow->bucket = shadow.bucket;
      said_.shadow->in_share = shadow.in_share;
    }
  }

  void note(std::string sentence) { said_.notes.push_back(std::move(sentence)); }

  // A method that the policy does not name may be a slip of the pen; so may a tenant.
  void note_spelling() {
    const std::string& service = said_.call.service;
    const std::string& method = said_.call.method;
    const MethodCatalog* catalog = table_.catalog().get();
    const bool in_schema = catalog != nullptr && catalog->find_method(service, method).has_value();
    const bool named = plan_.method != kNoIndex && table_.methods()[plan_.method].method == method;
    if (named || in_schema) return;
    std::vector<std::string> full, services, methods;
    for (const MethodEntry& entry : table_.methods()) {
      services.push_back(entry.service);
      if (entry.service == service && entry.method != "*") methods.push_back(entry.method);
    }
    if (catalog != nullptr) {
      for (const std::string& declared : catalog->methods_of(service)) methods.push_back(declared);
    }
    const bool known_service = std::find(services.begin(), services.end(), service) != services.end();
    if (known_service && plan_.method != kNoIndex && catalog == nullptr) return;  // its star takes any method
    std::string what = known_service ? "method " + in_quotes(method) + " of " + service
                                     : "service " + in_quotes(service);
    std::string hint = known_service ? suggestion(method, methods) : suggestion(service, services);
    if (hint.empty() && known_service) hint = listed(std::move(methods));
    what += plan_.method == kNoIndex ? " is not in the policy" : " is not in the schema";
    note(what + (hint.empty() ? "" : " (" + hint + ")"));
  }

  static std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
    return did_you_mean(word, {candidates.begin(), candidates.end()});
  }

  // "it has A, B and 3 more": what else to ask for when nothing is spelt alike.
  static std::string listed(std::vector<std::string> methods) {
    constexpr std::size_t kShown = 8;
    std::sort(methods.begin(), methods.end());
    methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
    std::string text;
    for (std::size_t i = 0; i < methods.size() && i < kShown; ++i) text += (i == 0 ? "it has " : ", ") + methods[i];
    if (methods.size() > kShown) text += " and " + std::to_string(methods.size() - kShown) + " more";
    return text;
  }

  void note_identity() {
    if (!said_.call.tenant) return;
    std::vector<std::string_view> names;
    bool named = false;
    const auto gather = [&](const std::vector<NamePattern>& patterns) {
      for (const NamePattern& pattern : patterns) {
        const bool prefix = pattern.kind == NamePattern::Kind::kPrefix;
        if (pattern.kind != NamePattern::Kind::kName && !prefix) continue;
        named |= prefix ? said_.call.tenant->starts_with(pattern.text) : *said_.call.tenant == pattern.text;
        if (!prefix) names.push_back(pattern.text);
      }
    };
    for (const TenantGroup& group : table_.policy().tenant_groups) gather(group.members);
    for (const RuleSpec& rule : table_.policy().rules) gather(rule.tenants);
    if (named) return;
    const std::string hint = did_you_mean(*said_.call.tenant, names);
    if (!hint.empty()) note("the policy does not name tenant " + in_quotes(*said_.call.tenant) + " (" + hint + ")");
  }

  void note_override() {
    if (decision_.forced) {
      note("forced by the override: not shadowed, and in no share");
    } else if (plan_.override_ignored) {
      note("the override was ignored: " + override_text(*plan_.override_ignored));
    }
  }

  static std::string override_text(std::string_view reason) {
    if (reason == "write") return "no override moves a write";
    if (reason == "marked") return "the call carries x-ficus-shadow";
    if (reason == "stage") return "the stage is off or complete";
    if (reason == "repeated") return "its metadata is repeated";
    if (reason == "bad_token") return "the token is not the one in the file";
    if (reason == "bad_value") return "its value is neither legacy nor new (with a token: new;TOKEN)";
    if (reason == "not_allowed") return "the consumer is not a verified one that it lists";
    return std::string(reason);
  }

  void note_key() {
    if (plan_.kind != PlanKind::kRead || !said_.facts) return;
    const bool canary_by_key = said_.facts->new_share.between() && said_.facts->new_share_by == ShareBy::kKey;
    const bool shadow_by_key = said_.facts->shadow.between() && said_.facts->shadow_by == ShareBy::kKey;
    if (decision_.unkeyed) {
      note("the canary is counted by " + std::string(to_string(*said_.facts->new_share_by)) +
           " and this call has none: legacy serves it, counted as unkeyed");
    }
    if (!canary_by_key && !shadow_by_key) {
      if (said_.call.key) note("no share of this rule is counted by key: --key changes nothing");
      return;
    }
    if (said_.call.key && said_.call.key->empty()) {
      note("an empty --key is no key");
    } else if (said_.call.key && ((canary_by_key && decision_.unkeyed) || (shadow_by_key && !said_.shadow->in_share))) {
      note("no call of this method yields a key" +
           (plan_.no_key ? " (" + std::string(to_string(*plan_.no_key)) + ")" : std::string()) +
           ": --key changes nothing");
    } else if (!said_.call.key && !plan_.metadata_key) {
      note("no --key was given: a call that carries one may be decided otherwise");
    }
  }

  void note_shadow() {
    if (plan_.kind == PlanKind::kRead && plan_.marked && said_.facts && !said_.facts->shadow.none()) {
      note("the call carries x-ficus-shadow: never shadowed, forced or counted in a share");
    }
  }

  void note_staleness() {
    if (plan_.kind != PlanKind::kRead || !said_.facts || said_.refusal) return;
    const CapabilityInfo& capability = table_.capabilities()[plan_.capability];
    const Side owner = decision_.owner;
    const StageFacts& facts = *said_.facts;
    const bool legacy_reads = !facts.new_share.all();
    const bool new_reads = !facts.new_share.none();
    if (decision_.side == owner && !(owner == Side::kLegacy ? new_reads : legacy_reads)) return;
    const std::string bound = capability.staleness
                                  ? "answers may be up to " + duration_text(*capability.staleness) + " old (staleness)"
                                  : "how old answers may be is not said (no staleness)";
    note("reads are " + std::string(decision_.side == owner ? "partly " : "") + "served by " +
         std::string(to_string(other(owner))) + " while " + std::string(to_string(owner)) + " owns the writes: " + bound);
  }

  const RouteTable& table_;
  Explanation said_;
  std::vector<MetadataEntry> metadata_;
  std::vector<std::string_view> peer_sans_;
  RpcHead head_;
  Plan plan_;
  RouteDecision decision_;
};

}  // namespace

Explanation explain(const RouteTable& table, const ExplainedCall& call) { return Explainer(table, call).run(); }

}  // namespace ficus
