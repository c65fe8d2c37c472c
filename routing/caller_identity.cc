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
    case ValueFault::kBlank: return "identity_blank";
    case ValueFault::kConflict: return "identity_conflict";
    case ValueFault::kNone: break;
  }
  return "identity_invalid";
}

// Of metadata that a client sends; what stands in a certificate needs no advice on how to send it.
std::string_view sentence_of(ValueFault fault, bool metadata) {
  switch (fault) {
    case ValueFault::kRepeated: return "is repeated; send it once";
    case ValueFault::kEmpty: return metadata ? "is empty; send a value or leave it out" : "is empty";
    case ValueFault::kTooLong: return "is longer than 256 bytes";
    case ValueFault::kComma: return metadata ? "holds a comma; send exactly one value" : "holds a comma";
    case ValueFault::kControl: return "holds a control character";
    case ValueFault::kBlank: return "begins or ends with a blank";
    case ValueFault::kConflict:
      return metadata ? "says another than the client certificate; leave it out" : "is not one: its names differ";
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

Refusal refuse_value(ValueFault fault, std::string what, bool metadata) {
  return {fault == ValueFault::kConflict ? GrpcCode::kPermissionDenied : GrpcCode::kInvalidArgument, reason_of(fault),
          std::move(what.append(" ").append(sentence_of(fault, metadata)))};
}

}  // namespace

ValueFault judge_identity_value(std::string_view value) noexcept {
  if (value.empty()) return ValueFault::kEmpty;
  if (value.size() > kMaxIdentityBytes) return ValueFault::kTooLong;
  unsigned faults = 0;
  for (const char c : value) faults |= kByteFaults[static_cast<unsigned char>(c)];
  if ((faults & kControlByte) != 0) return ValueFault::kControl;
  if ((faults & kCommaByte) != 0) return ValueFault::kComma;
  // A receiver may strip it (gRPC over HTTP/2, Custom-Metadata), and then it is another's name.
  return value.front() == ' ' || value.back() == ' ' ? ValueFault::kBlank : ValueFault::kNone;
}

namespace {

[[gnu::always_inline]] inline SoughtValue seek(MetadataView metadata, std::string_view name) noexcept {
  const MetadataEntry* first = nullptr;
  for (const MetadataEntry& entry : metadata) {
    if (entry.name != name) continue;
    if (first != nullptr) return {{}, true, ValueFault::kRepeated};
    first = &entry;
  }
  if (first == nullptr) return {};
  return {first->value, true, judge_identity_value(first->value)};
}

}  // namespace

SoughtValue seek_value(MetadataView metadata, std::string_view name) noexcept { return seek(metadata, name); }

IdentityLists::IdentityLists(const Policy& policy)
    : tenant_(make_list("tenant", policy.identity.tenant)), consumer_(make_list("consumer", policy.identity.consumer)) {
  for (const AttributeSpec& attribute : policy.attributes) {
    attributes_.push_back(make_list("attribute " + attribute.name.value, attribute.sources));
  }
}

IdentityLists::List IdentityLists::make_list(std::string subject, const std::vector<IdentitySource>& sources) {
  List list{std::move(subject), {}, {}};
  for (const IdentitySource& source : sources) {
    if (!source.verified()) {
      list.metadata_names.push_back(source.metadata);
    } else if (auto pattern = SanPattern::parse(source.peer_san)) {
      list.san_patterns.push_back(*std::move(pattern));
    }
  }
  return list;
}

void IdentityLists::consult_certificate(const List& list, PeerSans peer_sans, Consulted& said) noexcept {
  for (const SanPattern& pattern : list.san_patterns) {
    for (const std::string_view san : peer_sans) {
      const std::optional<std::string_view> matched = pattern.match(san);
      if (!matched) continue;
      if (said.verified && *said.value != *matched) {
        said.fault = ValueFault::kConflict;
        return;
      }
      said.value = matched;
      said.verified = true;
    }
    if (!said.verified) continue;
    said.fault = judge_identity_value(*said.value);
    return;
  }
}

// Inlined, so that the value stays in registers: stored in halves and loaded whole, it would be waited for.
[[gnu::always_inline]] inline IdentityLists::Consulted IdentityLists::consult_list(const List& list,
                                                                                   MetadataView metadata,
                                                                                   PeerSans peer_sans) noexcept {
  Consulted said;
  if (!peer_sans.empty()) consult_certificate(list, peer_sans, said);
  if (said.fault != ValueFault::kNone) return said;
  for (const std::string& name : list.metadata_names) {
    const SoughtValue sought = seek(metadata, name);
    if (!sought.found) continue;
    said.fault = sought.fault;
    said.metadata = &name;
    if (!sought.usable()) return said;
    if (!said.verified) {
      said.value = sought.value;
    } else if (*said.value != sought.value) {
      said.fault = ValueFault::kConflict;
    }
    return said;
  }
  return said;
}

std::optional<Refusal> IdentityLists::consult_or_take(const List& list, MetadataView metadata, PeerSans peer_sans,
                                                      std::optional<std::string_view> given,
                                                      std::optional<std::string_view>& value, bool* verified) {
  if (given) {
    value = given;
    if (verified != nullptr) *verified = true;
    const ValueFault fault = judge_identity_value(*given);
    if (fault != ValueFault::kNone) return refuse_value(fault, "the " + list.subject, true);
    return std::nullopt;
  }
  const Consulted said = consult_list(list, metadata, peer_sans);
  if (said.fault == ValueFault::kNone) {
    value = said.value;
    if (verified != nullptr) *verified = said.verified;
    return std::nullopt;
  }
  if (said.metadata != nullptr) {
    return refuse_value(said.fault, "metadata \"" + *said.metadata + "\" (" + list.subject + ")", true);
  }
  return refuse_value(said.fault, "the " + list.subject + " in the client certificate", false);
}

std::optional<Refusal> IdentityLists::consult(MetadataView metadata, PeerSans peer_sans, const GivenIdentity& given,
                                              CallerIdentity& who) const {
  if (auto refusal =
          consult_or_take(tenant_, metadata, peer_sans, given.tenant, who.tenant, &who.tenant_verified)) {
    return refusal;
  }
  if (auto refusal =
          consult_or_take(consumer_, metadata, peer_sans, given.consumer, who.consumer, &who.consumer_verified)) {
    return refusal;
  }
  for (std::size_t i = 0; i < attributes_.size() && i < kMaxAttributes; ++i) {
    if (auto refusal =
            consult_or_take(attributes_[i], metadata, peer_sans, std::nullopt, who.attributes[i], nullptr)) {
      return refusal;
    }
  }
  return std::nullopt;
}

std::string IdentityLists::tenant_sources_text() const {
  std::string text;
  if (!tenant_.san_patterns.empty()) text = "a client certificate that names one";
  bool first = true;
  for (const std::string& name : tenant_.metadata_names) {
    text.append(text.empty() ? "" : " or ").append(first ? "metadata \"" : "\"").append(name).append("\"");
    first = false;
  }
  return text;
}

}  // namespace ficus
