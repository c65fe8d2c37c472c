// Who is called and who calls: upstreams, schemas, identity, attributes, tenant_groups.
#include "routing/decision.h"
#include "routing/policy_parse_sections.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr std::uint64_t kMostConcurrentRequests = 1'000'000;

void read_metadata_changes(const Value& value, UpstreamSpec& upstream) {
  Fields fields(value, "metadata: {set: {x-api-key: \"file:new.key\"}, remove: [cookie]}");
  if (const auto set = fields.get("set")) {
    set->each_entry("set: {x-api-key: \"file:new.key\"}", [&](const Text& key, const Value& entry) {
      const Parsed<std::string> name = parse_metadata_name(key.value, MetadataUse::kSet);
      if (!name) return entry.complain_at(key.mark, name.error());
      const std::optional<std::string_view> text = entry.text();
      if (!text) return;
      MetadataSet change;
      change.mark = entry.mark();
      change.name = *name;
      change.from_file = text->substr(0, 5) == "file:";
      const Parsed<std::string> read = change.from_file ? parse_file_reference(*text) : parse_metadata_value(*text);
      if (!read) return entry.complain(read.error());
      change.value = *read;
      upstream.metadata_set.push_back(std::move(change));
    });
  }
  if (const auto remove = fields.get("remove")) {
    RepeatWarning repeats;
    remove->each_item("remove: [cookie]", [&](const Value& item) {
      const auto name =
          item.read([](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRemove); });
      if (!name) return;
      repeats.judge(item);
      for (const MetadataSet& set : upstream.metadata_set) {
        if (set.name == *name) {
          item.complain(codes::kExactlyOne, in_quotes(*name) + " is both set and removed",
                        "setting it replaces what the client sent: take it out of `remove`");
        }
      }
      upstream.metadata_remove.push_back({*name, item.mark()});
    });
  }
}

void read_upstream(const Value& value, UpstreamSpec& upstream) {
  upstream.mark = value.mark();
  Fields fields(value, "{endpoints: [\"127.0.0.1:50051\"]}");
  if (const auto endpoints = fields.need("endpoints")) {
    RepeatWarning repeats;
    endpoints->each_item("endpoints: [\"127.0.0.1:50051\"]", [&](const Value& item) {
      auto endpoint = item.read(parse_endpoint);
      if (!endpoint) return;
      repeats.judge(item);
      endpoint->mark = item.mark();
      upstream.endpoints.push_back(*std::move(endpoint));
    });
  }
  fields.get("connect_timeout", upstream.connect_timeout,
             [](std::string_view text) { return parse_duration(text, milliseconds(1), minutes(10)); });
  fields.get("max_concurrent_requests", upstream.max_concurrent_requests,
             [](std::string_view text) { return parse_count(text, 1, kMostConcurrentRequests); });
  if (const auto metadata = fields.get("metadata")) read_metadata_changes(*metadata, upstream);

  fields.not_yet("tls", "take it out: upstreams are reached over cleartext HTTP/2 for now");
  fields.not_yet("forward_peer", "take it out: the client's certificate is not known yet");
  fields.not_yet("health_check", "take it out: a failing endpoint is left alone while connecting to it fails");
  fields.not_yet("balance", "take it out: calls go round the endpoints");
  fields.not_yet("outlier", "take it out: a failing endpoint is left alone while connecting to it fails");
  fields.not_yet("slow_start", "take it out: a new endpoint gets its whole share at once");
  fields.not_yet("max_pending", "take it out; max_concurrent_requests bounds what an upstream gets");
  fields.not_yet("max_connections", "take it out; max_concurrent_requests bounds what an upstream gets");
  fields.not_yet("keepalive", "take it out: connections are kept without pings for now");
  fields.not_yet("idle_timeout", "take it out: idle connections are kept");
  fields.not_yet("authority", "take it out: the client's :authority is passed on");
}

void read_sources(const Value& value, std::string_view like, std::vector<IdentitySource>& sources) {
  value.each_item(like, [&](const Value& item) {
    Fields fields(item, "{metadata: x-tenant-id}");
    fields.not_yet("peer_san", "take it out: client certificates are not read yet; use {metadata: NAME}");
    fields.not_yet("request_field", "take it out: values are read from metadata for now; use {metadata: NAME}");
    if (fields.is_mapping() && (fields.has("peer_san") || fields.has("request_field")) && !fields.has("metadata"))
      return;
    const auto metadata = fields.need("metadata");
    if (!metadata) return;
    const auto name =
        metadata->read([](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRead); });
    if (!name) return;
    IdentitySource source;
    source.mark = item.mark();
    source.metadata = *name;
    for (const IdentitySource& other : sources) {
      if (other.metadata == source.metadata) item.complain(codes::kListedTwice, in_quotes(*name) + " is listed twice");
    }
    sources.push_back(std::move(source));
  });
}

}  // namespace

void RepeatWarning::judge(const Value& item) {
  const std::optional<std::string_view> text = item.text();
  if (text && !seen_.insert(*text).second) {
    item.complain(codes::kListedTwice, in_quotes(*text) + " is listed twice", "take one of them out");
  }
}

bool read_given_name(const Text& key, const Value& value, Text& name) {
  Parsed<std::string> parsed = parse_name(key.value);
  if (!parsed) {
    value.complain_at(key.mark, parsed.error());
    return false;
  }
  name = {*std::move(parsed), key.mark};
  return true;
}

void read_names(const Value& value, PatternForms forms, std::vector<NamePattern>& names) {
  RepeatWarning repeats;
  value.each_item("a list: [acme, \"eu-*\"]", [&](const Value& item) {
    auto name = item.read([forms](std::string_view text) { return parse_name_pattern(text, forms); });
    if (!name) return;
    repeats.judge(item);
    name->mark = item.mark();
    names.push_back(*std::move(name));
  });
}

void read_expiry(Fields& fields, std::optional<At<Date>>& until, std::optional<Text>& contact) {
  fields.get("until", until, parse_date);
  fields.get("contact", contact, parse_line);
}

void read_upstreams(const Value& value, std::vector<UpstreamSpec>& upstreams) {
  value.each_entry("upstreams: {policy-legacy: {endpoints: [\"127.0.0.1:50051\"]}}",
                   [&](const Text& key, const Value& entry) {
                     UpstreamSpec upstream;
                     read_given_name(key, entry, upstream.name);
                     read_upstream(entry, upstream);
                     upstreams.push_back(std::move(upstream));
                   });
}

void read_schemas(const Value& value, std::vector<Text>& schemas) {
  if (value.is_mapping()) {
    Fields fields(value, "");
    fields.not_yet("reflection", "take it out: name FileDescriptorSets, like schemas: [\"insurance.pb\"]");
    return;
  }
  RepeatWarning repeats;
  value.each_item("schemas: [\"insurance.pb\"]", [&](const Value& item) {
    auto name = item.read(parse_file_name);
    if (!name) return;
    repeats.judge(item);
    schemas.push_back({*std::move(name), item.mark()});
  });
}

void read_identity(const Value& value, IdentitySpec& identity) {
  identity.mark = value.mark();
  Fields fields(value, "identity: {tenant: [{metadata: x-tenant-id}]}");
  if (const auto tenant = fields.get("tenant")) {
    read_sources(*tenant, "tenant: [{metadata: x-tenant-id}]", identity.tenant);
  }
  if (const auto consumer = fields.get("consumer")) {
    read_sources(*consumer, "consumer: [{metadata: x-consumer-id}]", identity.consumer);
  }
  if (const auto trust = fields.get("trust_metadata")) {
    identity.trust_metadata = trust->read(parse_bool).value_or(false);
  }
  fields.not_yet("forward_peer", "take it out: the client's certificate is not known yet");
}

void read_attributes(const Value& value, std::vector<AttributeSpec>& attributes) {
  value.each_entry("attributes: {product: [{metadata: x-product}]}", [&](const Text& key, const Value& entry) {
    AttributeSpec attribute;
    attribute.mark = entry.mark();
    read_given_name(key, entry, attribute.name);
    read_sources(entry, "[{metadata: x-product}]", attribute.sources);
    attributes.push_back(std::move(attribute));
  });
  if (attributes.size() > kMaxAttributes) {
    value.complain(codes::kTooMany, "there are " + std::to_string(attributes.size()) + " attributes",
                   "at most " + std::to_string(kMaxAttributes));
  }
}

void read_tenant_groups(const Value& value, std::vector<TenantGroup>& groups) {
  value.each_entry("tenant_groups: {pilot: [globex, initech]}", [&](const Text& key, const Value& entry) {
    TenantGroup group;
    group.mark = entry.mark();
    read_given_name(key, entry, group.name);
    read_names(entry, PatternForms::kNames, group.members);
    groups.push_back(std::move(group));
  });
}

}  // namespace ficus::parsing
