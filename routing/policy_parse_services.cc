// Who calls: schemas, identity, attributes, tenant_groups.
#include <algorithm>

#include "routing/decision.h"
#include "routing/policy_parse_sections.h"
#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

void read_sources(const Value& value, std::string_view like, std::vector<IdentitySource>& sources) {
  value.each_item(like, [&](const Value& item) {
    Fields fields(item, "{metadata: x-tenant-id}");
    const auto peer_san = fields.get(fields::kPeerSan);
    fields.not_yet("request_field", "take it out: values are read from metadata for now; use {metadata: NAME}");
    const bool other_kind = fields.has(fields::kPeerSan.key) || fields.has("request_field");
    if (fields.has(fields::kPeerSan.key) && fields.has("metadata")) {
      item.complain(codes::kExactlyOne, "a source is one of peer_san and metadata",
                    "write two sources, the verified one first: [{peer_san: PATTERN}, {metadata: NAME}]");
    }
    const auto metadata = other_kind ? fields.get("metadata") : fields.need("metadata");
    IdentitySource source;
    source.mark = item.mark();
    if (peer_san) {
      const auto pattern = peer_san->read(parse_peer_san);
      if (!pattern) return;
      source.peer_san = *pattern;
    } else {
      if (!metadata) return;
      const auto name =
          metadata->read([](std::string_view text) { return parse_metadata_name(text, MetadataUse::kRead); });
      if (!name) return;
      source.metadata = *name;
    }
    const std::string& text = peer_san ? source.peer_san : source.metadata;
    for (const IdentitySource& other : sources) {
      if (other == source) item.complain(codes::kListedTwice, in_quotes(text) + " is listed twice");
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

void read_codes(const Value& value, const std::vector<GrpcCode>& allowed, std::vector<At<GrpcCode>>& codes) {
  RepeatWarning repeats;
  value.each_item("a list: [UNAVAILABLE]", [&](const Value& item) {
    const auto code = item.read([&](std::string_view text) -> Parsed<GrpcCode> {
      const std::optional<GrpcCode> named = parse_grpc_code(text);
      if (named && std::find(allowed.begin(), allowed.end(), *named) != allowed.end()) return *named;
      std::vector<std::string_view> words;
      for (const GrpcCode word : allowed) words.push_back(to_string(word));
      return fail(unknown_word(text, words));
    });
    if (!code) return;
    repeats.judge(item);
    codes.push_back({*code, item.mark()});
  });
}

void read_schemas(const Value& value, std::vector<Text>& files, std::vector<Text>& upstreams,
                  const LanguageField& reflection) {
  const auto read_files = [&](const Value& list) {
    RepeatWarning repeats;
    list.each_item("schemas: [\"insurance.pb\"]", [&](const Value& item) {
      auto name = item.read(parse_file_name);
      if (!name) return;
      repeats.judge(item);
      files.push_back({*std::move(name), item.mark()});
    });
  };
  if (!value.is_mapping()) return read_files(value);
  Fields fields(value, "schemas: [\"insurance.pb\"]");
  if (const auto list = fields.get("files")) read_files(*list);
  if (const auto list = fields.get(reflection)) {
    RepeatWarning repeats;
    list->each_item("reflection: [policy-new]", [&](const Value& item) {
      auto name = item.read(parse_name);
      if (!name) return;
      repeats.judge(item);
      upstreams.push_back({*std::move(name), item.mark()});
    });
  }
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
