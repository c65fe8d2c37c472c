#include "routing/caller_identity.h"

#include <array>

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

// One load a byte: every call has several values judged. Bytes above 0x7f are part of a name: names are bytes.
constexpr std::uint8_t kControlByte = 1;
constexpr std::uint8_t kCommaByte = 2;
constexpr std::array<std::uint8_t, 256> make_byte_faults() {
  std::array<std::uint8_t, 256> faults{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) faults[byte] = kControlByte;
  faults[0x7f] = kControlByte;
  faults[','] = kCommaByte;
  return faults;
}
constexpr std::array<std::uint8_t, 256> kByteFaults = make_byte_faults();

Refusal refuse_value(ValueFault fault, std::string what) {
  return {GrpcCode::kInvalidArgument, reason_of(fault), std::move(what.append(" ").append(sentence_of(fault)))};
}

}  // namespace

ValueFault judge_identity_value(std::string_view value) noexcept {
  if (value.empty()) return ValueFault::kEmpty;
  if (value.size() > kMaxIdentityBytes) return ValueFault::kTooLong;
  unsigned faults = 0;
  for (const char c : value) faults |= kByteFaults[static_cast<unsigned char>(c)];
  if ((faults & kControlByte) != 0) return ValueFault::kControl;
  return (faults & kCommaByte) != 0 ? ValueFault::kComma : ValueFault::kNone;
}

SoughtValue seek_value(MetadataView metadata, std::string_view name) noexcept {
  const MetadataEntry* first = nullptr;
  for (const MetadataEntry& entry : metadata) {
    if (entry.name != name) continue;
    if (first != nullptr) return {{}, true, ValueFault::kRepeated};
    first = &entry;
  }
  if (first == nullptr) return {};
  return {first->value, true, judge_identity_value(first->value)};
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

const std::string* IdentityLists::consult_list(const List& list, MetadataView metadata,
                                               std::optional<std::string_view>& value, ValueFault& fault) noexcept {
  for (const std::string& name : list.metadata_names) {
    const SoughtValue sought = seek_value(metadata, name);
    if (!sought.found) continue;
    if (sought.usable()) {
      value = sought.value;
      return nullptr;
    }
    fault = sought.fault;
    return &name;
  }
  return nullptr;
}

std::optional<Refusal> IdentityLists::consult_or_take(const List& list, MetadataView metadata,
                                                      std::optional<std::string_view> given,
                                                      std::optional<std::string_view>& value) {
  ValueFault fault = ValueFault::kNone;
  if (given) {
    value = given;
    fault = judge_identity_value(*given);
    if (fault != ValueFault::kNone) return refuse_value(fault, "the " + list.subject);
  } else if (const std::string* name = consult_list(list, metadata, value, fault)) {
    return refuse_value(fault, "metadata \"" + *name + "\" (" + list.subject + ")");
  }
  return std::nullopt;
}

std::optional<Refusal> IdentityLists::consult(MetadataView metadata, const GivenIdentity& given,
                                              CallerIdentity& who) const {
  who.tenant_verified = given.tenant.has_value();
  who.consumer_verified = given.consumer.has_value();
  if (auto refusal = consult_or_take(tenant_, metadata, given.tenant, who.tenant)) return refusal;
  if (auto refusal = consult_or_take(consumer_, metadata, given.consumer, who.consumer)) return refusal;
  for (std::size_t i = 0; i < attributes_.size() && i < kMaxAttributes; ++i) {
    if (auto refusal = consult_or_take(attributes_[i], metadata, std::nullopt, who.attributes[i])) return refusal;
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
