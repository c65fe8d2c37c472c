#include "routing/caller_identity.h"

namespace ficus {
namespace {

std::string_view reason_of(ValueFault fault) {
  switch (fault) {
    case ValueFault::kRepeated: return "identity_repeated";
    case ValueFault::kEmpty: return "identity_empty";
    case ValueFault::kTooLong: return "identity_too_long";
    case ValueFault::kComma: return "identity_comma";
    case ValueFault::kControl: return "identity_control";
    case ValueFault::kNone: break;
  }
  return "identity_invalid";
}

std::string_view sentence_of(ValueFault fault) {
  switch (fault) {
    case ValueFault::kRepeated: return "is repeated; send it once";
    case ValueFault::kEmpty: return "is empty; send a value or leave it out";
    case ValueFault::kTooLong: return "is longer than 256 bytes";
    case ValueFault::kComma: return "holds a comma; send exactly one value";
    case ValueFault::kControl: return "holds a control character";
    case ValueFault::kNone: break;
  }
  return "is not usable";
}

Refusal refuse_value(ValueFault fault, std::string what) {
  return {GrpcCode::kInvalidArgument, reason_of(fault), std::move(what.append(" ").append(sentence_of(fault)))};
}

}  // namespace

ValueFault judge_identity_value(std::string_view value) noexcept {
  if (value.empty()) return ValueFault::kEmpty;
  if (value.size() > kMaxIdentityBytes) return ValueFault::kTooLong;
  bool comma = false;
  bool control = false;
  for (const char c : value) {  // bytes above 0x7f are part of a name: names are bytes
    const auto byte = static_cast<unsigned char>(c);
    comma |= byte == ',';
    control |= byte < 0x20 || byte == 0x7f;
  }
  if (control) return ValueFault::kControl;
  return comma ? ValueFault::kComma : ValueFault::kNone;
}

SoughtValue seek_value(MetadataView metadata, std::string_view name) noexcept {
  SoughtValue sought;
  for (const MetadataEntry& entry : metadata) {
    if (entry.name != name) continue;
    if (sought.value) return {std::nullopt, ValueFault::kRepeated};
    sought.value = entry.value;
  }
  if (!sought.value) return sought;
  sought.fault = judge_identity_value(*sought.value);
  if (sought.fault != ValueFault::kNone) sought.value.reset();
  return sought;
}

IdentityLists::IdentityLists(const Policy& policy)
    : tenant_(make_list("tenant", policy.identity.tenant)), consumer_(make_list("consumer", policy.identity.consumer)) {
  for (const AttributeSpec& attribute : policy.attributes) {
    attributes_.push_back(make_list("attribute " + attribute.name.value, attribute.sources));
  }
}

IdentityLists::List IdentityLists::make_list(std::string subject, const std::vector<IdentitySource>& sources) {
  // Every source that is built today reads metadata and is unverified; so no two of one list can be in conflict.
  List list{std::move(subject), {}};
  for (const IdentitySource& source : sources) list.metadata_names.push_back(source.metadata);
  return list;
}

std::optional<Refusal> IdentityLists::consult_list(const List& list, MetadataView metadata,
                                                   std::optional<std::string_view>& value) {
  for (const std::string& name : list.metadata_names) {
    const SoughtValue sought = seek_value(metadata, name);
    if (sought.fault != ValueFault::kNone) {
      return refuse_value(sought.fault, "metadata \"" + name + "\" (" + list.subject + ")");
    }
    if (sought.value) {
      value = sought.value;
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<Refusal> IdentityLists::take_given(const List& list, std::string_view given,
                                                 std::optional<std::string_view>& value) {
  const ValueFault fault = judge_identity_value(given);
  if (fault != ValueFault::kNone) return refuse_value(fault, "the " + list.subject);
  value = given;
  return std::nullopt;
}

std::optional<Refusal> IdentityLists::consult(MetadataView metadata, const GivenIdentity& given,
                                              CallerIdentity& who) const {
  who.tenant_verified = given.tenant.has_value();
  who.consumer_verified = given.consumer.has_value();
  if (auto refusal = given.tenant ? take_given(tenant_, *given.tenant, who.tenant)
                                  : consult_list(tenant_, metadata, who.tenant)) {
    return refusal;
  }
  if (auto refusal = given.consumer ? take_given(consumer_, *given.consumer, who.consumer)
                                    : consult_list(consumer_, metadata, who.consumer)) {
    return refusal;
  }
  for (std::size_t i = 0; i < attributes_.size() && i < kMaxAttributes; ++i) {
    if (auto refusal = consult_list(attributes_[i], metadata, who.attributes[i])) return refusal;
  }
  return std::nullopt;
}

std::string IdentityLists::tenant_sources_text() const {
  std::string text;
  for (const std::string& name : tenant_.metadata_names) {
    text.append(text.empty() ? "metadata \"" : " or \"").append(name).append("\"");
  }
  return text;
}

}  // namespace ficus
