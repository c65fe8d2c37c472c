// plan() and decide(): what every call asks. Nothing here allocates unless the call is refused.
#include "routing/route_table_impl.h"

namespace ficus {
namespace {

constexpr std::size_t kMaxNameInMessage = 200;  // a client chooses the path; it does not choose how long our answer is

std::string method_text(const RpcPath& path) {
  std::string text;
  text.append(path.service.substr(0, kMaxNameInMessage)).append("/").append(path.method.substr(0, kMaxNameInMessage));
  return text;
}

void refuse(Plan& plan, GrpcCode code, std::string_view reason, std::string message) {
  plan.kind = PlanKind::kRefused;
  plan.refusal = Refusal{code, reason, std::move(message)};
}

// Time depends on `given` alone, so that answers tell nothing of the token or its length.
bool equal_secret(std::string_view given, std::string_view token) noexcept {
  if (token.empty()) return false;
  std::size_t difference = given.size() ^ token.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(token[i % token.size()]);
  }
  return difference == 0;
}

std::optional<Side> side_named(std::string_view text) noexcept {
  if (text == "legacy") return Side::kLegacy;
  if (text == "new") return Side::kNew;
  return std::nullopt;
}

bool asks_for_key(const StageFacts& facts) noexcept {
  return (facts.new_share.between() && facts.new_share_by == ShareBy::kKey) ||
         (facts.shadow.between() && facts.shadow_by == ShareBy::kKey);
}

// False: the call has nothing of that kind. (A key goes by pointer: an optional's flag byte stalls each copy of it.)
bool digest_by(ShareBy by, const Plan& plan, const KeyDigest* key, Digest& digest) noexcept {
  switch (by) {
    case ShareBy::kTenant:
      if (plan.who.tenant) digest = digest_of(DigestKind::kTenant, *plan.who.tenant);
      return plan.who.tenant.has_value();
    case ShareBy::kConsumer:
      if (plan.who.consumer) digest = digest_of(DigestKind::kConsumer, *plan.who.consumer);
      return plan.who.consumer.has_value();
    case ShareBy::kKey:
      if (key != nullptr) digest = *key;
      return key != nullptr;
    case ShareBy::kRequest: break;
  }
  return false;
}

ShareOutcome share_of_digest(Percent percent, ShareBy by, Digest digest, ShareSeed seed) noexcept {
  const std::uint32_t bucket = bucket_of(digest, seed);
  return {percent, by, bucket, in_share(bucket, percent)};
}

ShareOutcome share_of_draw(Percent percent, std::uint64_t draw) noexcept {
  const auto bucket = static_cast<std::uint32_t>(draw % Percent::kFull);
  return {percent, ShareBy::kRequest, bucket, in_share(bucket, percent)};
}

}  // namespace

RouteTable::Impl::MethodHit RouteTable::Impl::find_method(const RpcPath& path) const noexcept {
  const std::uint32_t service = service_names.find(path.service);
  if (service == NameTable::kAbsent) return {};
  const ServiceEntry& entry = services[service];
  const std::uint32_t named = entry.methods.find(path.method);
  if (named != NameTable::kAbsent) return {static_cast<std::uint16_t>(named), false};
  if (entry.star != kNoIndex) return {entry.star, false};
  return {kNoIndex, entry.new_owns_a_write};
}

std::uint32_t RouteTable::Impl::find_rule(MethodKind kind, std::uint16_t capability,
                                          const CallerIdentity& who) const noexcept {
  const TenantIndex::Candidates candidates = tenants.candidates(capability, who.tenant);
  if (kind == MethodKind::kWrite) return candidates.write_rule.value_or(kNoRule);
  for (const std::uint32_t rule : candidates.rules) {
    if (narrowings[rule].takes(who)) return rule;
  }
  return kNoRule;
}

const StageFacts& RouteTable::Impl::facts_of(const Plan& plan) const noexcept {
  static const StageFacts kOff;  // legacy for everything
  return plan.rule == kNoRule ? kOff : rules[plan.rule].facts;
}

// A method in no capability. POLICY 2.
void RouteTable::Impl::plan_pass_through(const RpcHead& head, Plan& plan) const {
  if (plan.marked) {
    return refuse(plan, GrpcCode::kFailedPrecondition, "marked_unmanaged",
                  "a call with x-ficus-shadow must be a read of a capability; the policy does not say that " +
                      method_text(head.path) + " is one");
  }
  if (default_upstream == kNoIndex) {
    return refuse(plan, GrpcCode::kUnimplemented, "no_such_method",
                  "no capability takes " + method_text(head.path) + " and the policy has no default_upstream");
  }
  plan.kind = PlanKind::kPassThrough;
}

void RouteTable::Impl::plan_capability(const RpcHead& head, const GivenIdentity& given, Plan& plan) const {
  const MethodEntry& method = methods[plan.method];
  plan.capability = method.capability;
  const bool write = method.kind == MethodKind::kWrite;
  if (write && plan.marked) {
    return refuse(plan, GrpcCode::kFailedPrecondition, "marked_write",
                  method_text(head.path) + " is a write: a call with x-ficus-shadow must never write");
  }
  if (auto refusal = identity.consult(head.metadata, head.peer_sans, given, plan.who)) {
    plan.kind = PlanKind::kRefused;
    plan.refusal = std::move(refusal);
    return;
  }
  plan.kind = write ? PlanKind::kWrite : PlanKind::kRead;
  plan.rule = find_rule(method.kind, method.capability, plan.who);
  if (write && !plan.who.tenant && writes_need_tenant[method.capability]) {
    return refuse(plan, GrpcCode::kFailedPrecondition, "tenant_missing",
                  "who owns a write of capability \"" + capabilities[method.capability].name +
                      "\" depends on the tenant, and this call has none: send " + identity.tenant_sources_text());
  }
  if (!capabilities[method.capability].override_metadata.empty()) plan_override(head.metadata, plan);
  if (!write) plan_key(head.metadata, plan);
}

// A tester forcing the side of a read. POLICY 3, the last paragraph but none: what is not honoured is ignored, with the
// reason counted, never refused.
void RouteTable::Impl::plan_override(MetadataView metadata, Plan& plan) const {
  const std::string& name = capabilities[plan.capability].override_metadata;
  const CompiledOverride& spec = *overrides[plan.capability];
  std::optional<std::string_view> value;
  for (const MetadataEntry& entry : metadata) {
    if (entry.name != name) continue;
    if (value) {
      plan.override_ignored = "repeated";
      return;
    }
    value = entry.value;
  }
  if (!value) return;
  if (plan.kind == PlanKind::kWrite) {
    plan.override_ignored = "write";
    return;
  }
  if (plan.marked) {
    plan.override_ignored = "marked";
    return;
  }
  const std::size_t semicolon = value->find(';');
  const std::optional<Side> side = side_named(value->substr(0, semicolon));
  if (!side || spec.by_token != (semicolon != std::string_view::npos)) {
    plan.override_ignored = "bad_value";
    return;
  }
  if (spec.by_token) {
    if (!equal_secret(value->substr(semicolon + 1), spec.token)) {
      plan.override_ignored = "bad_token";
      return;
    }
  } else if (!plan.who.consumer_verified || !spec.consumers.takes(plan.who.consumer)) {
    plan.override_ignored = "not_allowed";
    return;
  }
  const Stage stage = plan.rule == kNoRule ? Stage::kOff : rules[plan.rule].stage;
  if (stage == Stage::kOff || stage == Stage::kComplete) {
    plan.override_ignored = "stage";
    return;
  }
  plan.forced = side;
}

void RouteTable::Impl::plan_key(MetadataView metadata, Plan& plan) const {
  const StageFacts& facts = facts_of(plan);
  if (plan.forced || !asks_for_key(facts)) return;
  const KeySource& source = key_sources[plan.method];
  switch (source.kind) {
    case KeySource::Kind::kNone: return;
    case KeySource::Kind::kMetadata: {
      const SoughtValue sought = seek_value(metadata, source.metadata);
      if (sought.usable()) {
        plan.metadata_key = digest_of(DigestKind::kKey, sought.value);
      } else {
        plan.no_key = NoKey::kNoMetadata;
      }
      return;
    }
    case KeySource::Kind::kRequest:
      plan.no_key = source.unreadable;
      // A shadow's key is read from the captured request; only a canary makes the headers wait.
      plan.needs_key = !source.unreadable && facts.new_share.between() && facts.new_share_by == ShareBy::kKey;
      return;
  }
}

Plan RouteTable::plan(const RpcHead& head) const { return plan(head, std::nullopt, std::nullopt); }

Plan RouteTable::plan(const RpcHead& head, std::optional<std::string_view> tenant,
                      std::optional<std::string_view> consumer) const {
  Plan plan;
  plan.marked = head.shadow_marked;
  const Impl::MethodHit hit = impl_->find_method(head.path);
  plan.method = hit.method;
  if (hit.refused_as_unlisted) {
    refuse(plan, GrpcCode::kFailedPrecondition, "unlisted_method",
           "new owns writes of " + std::string(head.path.service.substr(0, kMaxNameInMessage)) +
               ", and the policy does not list " + method_text(head.path) +
               ": name it in a capability or under unmanaged");
  } else if (hit.method == kNoIndex || impl_->methods[hit.method].capability == kNoIndex) {
    impl_->plan_pass_through(head, plan);
  } else {
    impl_->plan_capability(head, {tenant, consumer}, plan);
  }
  return plan;
}

void RouteTable::Impl::decide_canary(const Plan& plan, const StageFacts& facts, const KeyDigest* key,
                                     RouteDecision& decision) const noexcept {
  ShareOutcome& canary = decision.canary;
  canary.percent = facts.new_share;
  if (facts.new_share_by) canary.by = *facts.new_share_by;
  if (plan.forced) {
    decision.forced = true;
    decision.side = plan.forced;
    return;
  }
  if (facts.new_share.between()) {
    Digest digest;
    if (digest_by(canary.by, plan, key, digest)) {
      canary = share_of_digest(facts.new_share, canary.by, digest, capabilities[plan.capability].canary_seed);
    } else {
      decision.unkeyed = true;  // served by legacy; never bucketed by something coarser
    }
  } else {
    canary.in_share = facts.new_share.all();
  }
  decision.side = canary.in_share ? Side::kNew : Side::kLegacy;
}

void RouteTable::Impl::decide_shadow(const Plan& plan, const StageFacts& facts, const KeyDigest* key,
                                     std::uint64_t draw, RouteDecision& decision) const noexcept {
  decision.shadow_side = other(*decision.side);
  decision.shadow_upstream = upstream_of(plan.capability, decision.shadow_side);
  decision.shadow.percent = facts.shadow;
  decision.shadow.by = facts.shadow_by;
  if (facts.shadow.none() || plan.marked || decision.forced) return;
  decision.shadow_possible = true;
  Digest digest;
  if (facts.shadow.all()) {
    decision.shadow.in_share = true;
  } else if (digest_by(facts.shadow_by, plan, key, digest)) {
    decision.shadow = share_of_digest(facts.shadow, facts.shadow_by, digest, capabilities[plan.capability].shadow_seed);
  } else if (facts.shadow_by == ShareBy::kKey && !plan.needs_key && key_sources[plan.method].readable()) {
    decision.shadow_needs_key = true;  // had the canary looked into the same message, asking again would be in vain
  } else {
    decision.shadow = share_of_draw(facts.shadow, draw);
  }
}

RouteDecision RouteTable::decide(const Plan& plan, std::optional<KeyDigest> key, std::uint64_t draw) const {
  RouteDecision decision;
  if (plan.kind == PlanKind::kRefused) {
    decision.refusal = plan.refusal;
    return decision;
  }
  if (plan.kind == PlanKind::kPassThrough) {
    decision.upstream = impl_->default_upstream;
    return decision;
  }
  const StageFacts& facts = impl_->facts_of(plan);
  decision.owner = facts.owner;
  if (plan.kind == PlanKind::kWrite) {
    decision.side = facts.owner;
  } else {
    // A key that no call of this method could yield is no key, whoever gives it (policy tests, `explain`).
    const KeySource& source = impl_->key_sources[plan.method];
    const bool yields_keys = source.kind != KeySource::Kind::kNone && !source.unreadable;
    const KeyDigest* known_key = plan.metadata_key ? &*plan.metadata_key : nullptr;
    if (key && yields_keys) known_key = &*key;
    impl_->decide_canary(plan, facts, known_key, decision);
    impl_->decide_shadow(plan, facts, known_key, draw, decision);
  }
  decision.upstream = impl_->upstream_of(plan.capability, *decision.side);
  return decision;
}

ShareOutcome RouteTable::shadow_share(std::uint16_t capability, const RouteDecision& decision,
                                      std::optional<KeyDigest> key, std::uint64_t draw) const noexcept {
  const Percent percent = decision.shadow.percent;
  if (!key) return share_of_draw(percent, draw);
  return share_of_digest(percent, ShareBy::kKey, *key, impl_->capabilities[capability].shadow_seed);
}

}  // namespace ficus
