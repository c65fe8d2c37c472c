// Policy -> RouteTable: numbers everything, resolves names, builds the indexes. Runs once per published policy.
#include <algorithm>
#include <stdexcept>

#include "routing/route_table_impl.h"

namespace ficus {
namespace {

// One trailing newline is what an editor or `echo` adds to a secret; it is no part of it.
std::string secret_of(const NamedFiles& files, const std::string& name) {
  const auto file = files.find(name);
  if (file == files.end()) return {};
  std::string secret = file->second;
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  return secret;
}

// PEM as read; what is around the blocks in it is no part of them.
std::string content_of(const NamedFiles& files, const std::string& name) {
  const auto file = files.find(name);
  return file == files.end() ? std::string() : file->second;
}

template <class T, class U>
void set(T& setting, const std::optional<At<U>>& written) {
  if (written) setting = written->value;
}

GrpcCodeSet set_of(const std::vector<At<GrpcCode>>& codes) {
  GrpcCodeSet set;
  for (const At<GrpcCode>& code : codes) set.add(code.value);
  return set;
}

HealthCheckSettings settings_of(const HealthCheckSpec& spec) {
  HealthCheckSettings settings;
  set(settings.service, spec.service);
  set(settings.interval, spec.interval);
  set(settings.timeout, spec.timeout);
  settings.timeout = std::min(settings.timeout, settings.interval);
  set(settings.healthy, spec.healthy);
  set(settings.unhealthy, spec.unhealthy);
  return settings;
}

OutlierSettings settings_of(const OutlierSpec& spec) {
  OutlierSettings settings;
  set(settings.consecutive, spec.consecutive);
  if (!spec.on.empty()) settings.on = set_of(spec.on);
  set(settings.eject, spec.eject);
  set(settings.max_percent, spec.max_percent);
  return settings;
}

KeepaliveSettings settings_of(const KeepaliveSpec& spec) {
  KeepaliveSettings settings;
  set(settings.interval, spec.interval);
  set(settings.timeout, spec.timeout);
  set(settings.idle, spec.idle);
  return settings;
}

UpstreamSettings settings_of(const UpstreamSpec& spec) {
  UpstreamSettings settings;
  set(settings.balance, spec.balance);
  if (spec.health_check) settings.health_check = settings_of(*spec.health_check);
  if (spec.outlier) settings.outlier = settings_of(*spec.outlier);
  set(settings.slow_start, spec.slow_start);
  set(settings.max_pending, spec.max_pending);
  set(settings.max_connections, spec.max_connections);
  if (spec.keepalive) settings.keepalive = settings_of(*spec.keepalive);
  set(settings.idle_timeout, spec.idle_timeout);
  set(settings.authority, spec.authority);
  set(settings.forward_peer, spec.forward_peer);
  return settings;
}

RetrySettings settings_of(const RetrySpec& spec) {
  RetrySettings settings;
  settings.on = set_of(spec.on);
  set(settings.budget, spec.budget_percent);
  set(settings.attempts, spec.attempts);
  return settings;
}

std::uint16_t index_after(std::size_t count, const char* what) {
  if (count >= kNoIndex) throw std::length_error(std::string("a policy has room for 65,534 ") + what);
  return static_cast<std::uint16_t>(count);
}

}  // namespace

UpstreamTls tls_of(const UpstreamTlsSpec& spec, const NamedFiles& files) {
  UpstreamTls tls;
  const auto resolve = [&](const std::optional<Text>& named, std::string& file, std::string& pem) {
    if (!named) return;
    file = named->value;
    pem = content_of(files, file);
  };
  resolve(spec.ca_file, tls.ca_file, tls.ca_pem);
  resolve(spec.cert_file, tls.cert_file, tls.cert_pem);
  resolve(spec.key_file, tls.key_file, tls.key_pem);
  set(tls.server_name, spec.server_name);
  return tls;
}

class RouteTable::Impl::Compiler {
 public:
  Compiler(const CompileInput& input, Impl& table) : input_(input), table_(table), policy_(table.policy) {}

  void run() {
    table_.identity = IdentityLists(policy_);
    add_upstreams();
    add_capabilities();
    add_rules();
    divide_tenants();
    add_methods();
    add_tenant_labels();
  }

 private:
  void add_upstreams() {
    for (const UpstreamSpec& spec : policy_.upstreams) {
      const std::uint16_t index = index_after(table_.upstreams.size(), "upstreams");
      upstream_numbers_.insert(spec.name.value, index);
      UpstreamInfo info;
      info.name = spec.name.value;
      info.endpoints = spec.endpoints;
      if (spec.connect_timeout) info.connect_timeout = spec.connect_timeout->value;
      if (spec.max_concurrent_requests) info.max_concurrent_requests = spec.max_concurrent_requests->value;
      if (spec.tls) info.tls = tls_of(*spec.tls, input_.files);
      info.settings = settings_of(spec);
      for (const MetadataSet& set : spec.metadata_set) {
        info.metadata_set.emplace_back(set.name, set.from_file ? secret_of(input_.files, set.value) : set.value);
      }
      for (const Text& name : spec.metadata_remove) info.metadata_remove.push_back(name.value);
      table_.upstreams.push_back(std::move(info));
    }
    if (policy_.default_upstream) table_.default_upstream = upstream(policy_.default_upstream->value);
  }

  std::uint16_t upstream(const std::string& name) const {
    const std::uint32_t found = upstream_numbers_.find(name);
    return found == NameTable::kAbsent ? kNoIndex : static_cast<std::uint16_t>(found);
  }

  void add_capabilities() {
    for (const CapabilitySpec& spec : policy_.capabilities) {
      capability_numbers_.insert(spec.name.value, index_after(table_.capabilities.size(), "capabilities"));
      CapabilityInfo info;
      info.name = spec.name.value;
      info.legacy_upstream = upstream(spec.legacy.value);
      info.new_upstream = upstream(spec.new_.value);
      const std::string& salt = spec.salt ? spec.salt->value : spec.name.value;
      info.canary_seed = share_seed_of(salt, SharePurpose::kCanary);
      info.shadow_seed = share_seed_of(salt, SharePurpose::kShadow);
      if (spec.key_limit_bytes) info.key_limit_bytes = spec.key_limit_bytes->value;
      if (spec.staleness) info.staleness = spec.staleness->value;
      if (spec.compare) {
        info.compare = *spec.compare;
        info.compared_metadata = metadata_names(*spec.compare);
      }
      if (spec.overrides) info.override_metadata = spec.overrides->metadata.value;
      table_.capabilities.push_back(std::move(info));
      add_override(spec);
    }
  }

  static std::vector<std::string> metadata_names(const CompareSpec& compare) {
    std::vector<std::string> names;
    const auto add = [&](const CompareRules& part) {
      for (const Text& name : part.metadata) {
        if (std::find(names.begin(), names.end(), name.value) == names.end()) names.push_back(name.value);
      }
    };
    add(compare);
    for (const CompareSpec::PerMethod& method : compare.methods) add(method);
    return names;
  }

  void add_override(const CapabilitySpec& spec) {
    table_.overrides.emplace_back();
    if (!spec.overrides) return;
    CompiledOverride compiled;
    compiled.by_token = spec.overrides->token_file.has_value();
    if (compiled.by_token) compiled.token = secret_of(input_.files, spec.overrides->token_file->value);
    compiled.consumers = NameSet(spec.overrides->consumers);
    table_.overrides.back() = std::move(compiled);
  }

  void add_rules() {
    for (const RuleSpec& spec : policy_.rules) {
      RuleInfo info;
      info.name = spec.name.value;
      info.line = spec.mark.line;
      info.capability = static_cast<std::uint16_t>(capability_numbers_.find(spec.capability.value));
      if (info.capability == kNoIndex) {
        throw std::invalid_argument("rule " + spec.name.value + " names no capability of the policy: check_policy() first");
      }
      info.stage = spec.stage.value;
      info.facts = stage_facts(&spec);
      if (spec.shadow) {
        if (spec.shadow->deadline) info.shadow_deadline = spec.shadow->deadline->value;
        info.shadow_deadline_given = spec.shadow->deadline.has_value();
        if (spec.shadow->max_in_flight) info.shadow_max_in_flight = spec.shadow->max_in_flight->value;
        if (spec.shadow->max_bytes) info.shadow_max_bytes = spec.shadow->max_bytes->value;
      }
      if (spec.retry) info.retry = settings_of(*spec.retry);
      table_.rules.push_back(std::move(info));
      table_.narrowings.push_back(narrowing_of(spec));
    }
  }

  RuleNarrowing narrowing_of(const RuleSpec& spec) const {
    RuleNarrowing narrowing;
    narrowing.by_consumer = !spec.consumers.empty();
    narrowing.consumers = NameSet(spec.consumers);
    for (const AttributeMatch& match : spec.match) {
      for (std::size_t i = 0; i < policy_.attributes.size() && i < kMaxAttributes; ++i) {
        if (policy_.attributes[i].name.value == match.attribute.value) {
          narrowing.attributes.emplace_back(i, NameSet(match.values));
        }
      }
    }
    return narrowing;
  }

  void divide_tenants() {
    std::vector<NameList> lists;
    for (const RuleSpec& rule : policy_.rules) lists.push_back({&rule.tenants, &policy_.tenant_groups});
    const NameClasses classes(lists);
    const auto divided = divide_by_tenant(policy_, classes, 0, capabilities_of_rules(policy_));
    table_.tenants = TenantIndex(classes, divided);
    for (const CapabilityTenants& capability : divided) {
      table_.writes_need_tenant.push_back(refuses_tenantless_write(policy_, capability));
      owned_by_new_.push_back(new_owns_some(capability));
    }
  }

  void add_methods() {
    for (std::size_t i = 0; i < policy_.capabilities.size(); ++i) {
      const CapabilitySpec& spec = policy_.capabilities[i];
      const auto capability = static_cast<std::uint16_t>(i);
      for (const MethodRef& ref : spec.reads) {
        if (!ref.star()) add_method(ref.service, ref.method, capability, MethodKind::kRead);
      }
      for (const MethodRef& ref : spec.writes) {
        add_method(ref.service, ref.method, capability, MethodKind::kWrite);
        if (owned_by_new_[i]) service(ref.service).new_owns_a_write = true;
      }
    }
    for (const UnmanagedSpec& spec : policy_.unmanaged) {
      add_method(spec.method.service, spec.method.method, kNoIndex, MethodKind::kWrite);
    }
    // Last, since it takes only what nobody named.
    for (std::size_t i = 0; i < policy_.capabilities.size(); ++i) {
      for (const MethodRef& ref : policy_.capabilities[i].reads) {
        if (ref.star()) add_read_star(ref.service, static_cast<std::uint16_t>(i));
      }
    }
  }

  // A star under `reads` takes just the methods that the schema marks NO_SIDE_EFFECTS; each becomes an entry of its
  // own, so that a method added to the schema later never becomes a read by itself.
  void add_read_star(const std::string& service_name, std::uint16_t capability) {
    if (!table_.catalog) return;
    for (const std::string& method : table_.catalog->methods_of(service_name)) {
      if (service(service_name).methods.find(method) != NameTable::kAbsent) continue;
      const auto info = table_.catalog->find_method(service_name, method);
      if (info && info->idempotency == Idempotency::kNoSideEffects) {
        add_method(service_name, method, capability, MethodKind::kRead);
      }
    }
  }

  void add_method(const std::string& service_name, const std::string& method, std::uint16_t capability, MethodKind kind) {
    const std::uint16_t index = index_after(table_.methods.size(), "methods");
    ServiceEntry& entry = service(service_name);
    if (method == "*") {
      entry.star = index;
    } else {
      entry.methods.insert(method, index);
    }
    MethodEntry added;
    added.service = service_name;
    added.method = method;
    added.capability = capability;
    added.kind = kind;
    if (table_.catalog) {
      if (const auto info = table_.catalog->find_method(service_name, method)) {
        added.client_streaming = info->client_streaming;
        added.server_streaming = info->server_streaming;
        added.one_request = !info->client_streaming;
      }
    }
    KeySource source;
    if (capability != kNoIndex && kind == MethodKind::kRead) source = key_source_of(policy_.capabilities[capability], added);
    table_.methods.push_back(std::move(added));
    table_.key_sources.push_back(std::move(source));
  }

  ServiceEntry& service(const std::string& name) {
    const auto next = static_cast<std::uint32_t>(table_.services.size());
    const std::uint32_t index = table_.service_names.insert(name, next);
    if (index == next) table_.services.emplace_back();
    return table_.services[index];
  }

  KeySource key_source_of(const CapabilitySpec& spec, MethodEntry& method) const {
    if (!spec.key) return {};
    const Text* field = spec.key->request_field ? &*spec.key->request_field : nullptr;
    bool none = false;
    bool own = false;
    for (const KeySpec::PerMethod& entry : spec.key->methods) {
      if (entry.method.value != method.method) continue;
      own = true;
      none = !entry.request_field;
      field = entry.request_field ? &*entry.request_field : nullptr;
    }
    if (none) return {};
    if (!own && spec.key->metadata) return {KeySource::Kind::kMetadata, spec.key->metadata->value, std::nullopt};
    if (!field) return {};
    if (!table_.catalog) return {KeySource::Kind::kRequest, {}, NoKey::kNoSchema};
    if (method.client_streaming) return {KeySource::Kind::kRequest, {}, NoKey::kStreaming};
    auto path = table_.catalog->resolve_request_key(method.service, method.method, field->value);
    if (!path) return {KeySource::Kind::kRequest, {}, NoKey::kNoSchema};
    method.key_path = std::move(*path);
    return {KeySource::Kind::kRequest, {}, std::nullopt};
  }

  void add_tenant_labels() {
    std::vector<const NamePattern*> mentions;
    const auto mention = [&](const std::vector<NamePattern>& patterns) {
      for (const NamePattern& pattern : patterns) {
        if (pattern.kind == NamePattern::Kind::kName) mentions.push_back(&pattern);
      }
    };
    for (const TenantGroup& group : policy_.tenant_groups) mention(group.members);
    for (const RuleSpec& rule : policy_.rules) mention(rule.tenants);
    std::stable_sort(mentions.begin(), mentions.end(),
                     [](const NamePattern* a, const NamePattern* b) { return a->mark < b->mark; });
    for (const NamePattern* pattern : mentions) {
      if (table_.tenant_labels.size() == RouteTable::kMaxTenantLabels) return;
      const auto next = static_cast<std::uint32_t>(table_.tenant_labels.size());
      if (table_.tenant_label_numbers.insert(pattern->text, next) == next) table_.tenant_labels.push_back(pattern->text);
    }
  }

  const CompileInput& input_;
  Impl& table_;
  const Policy& policy_;  // the table's own copy
  NameTable upstream_numbers_, capability_numbers_;
  std::vector<bool> owned_by_new_;  // of capabilities: writes, for some tenant
};

std::shared_ptr<const RouteTable> RouteTable::compile(const CompileInput& input) {
  auto impl = std::make_unique<Impl>(input);
  Impl::Compiler(input, *impl).run();
  return std::shared_ptr<const RouteTable>(new RouteTable(std::move(impl)));
}

}  // namespace ficus
