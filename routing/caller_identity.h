// Who calls: the policy's `identity` and `attributes` lists, consulted against one call's metadata. POLICY 3, "Sources".
// Internal to routing/. Pure; any number of threads may use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/decision.h"
#include "routing/policy.h"

namespace ficus {

// The one value a metadata name has in a call, or what is wrong with it. POLICY 3: repeated, empty, longer than
// 256 bytes, holding a comma or a control character.
enum class ValueFault : std::uint8_t { kNone, kRepeated, kEmpty, kTooLong, kComma, kControl };
inline constexpr std::size_t kMaxIdentityBytes = 256;

// Plain members instead of an optional: copied on every call, where the optional's flag byte stalled the copy.
struct SoughtValue {
  std::string_view value;
  bool found = false;  // the name occurs, whatever is wrong with its value
  ValueFault fault = ValueFault::kNone;
  bool usable() const noexcept { return found && fault == ValueFault::kNone; }
};
ValueFault judge_identity_value(std::string_view value) noexcept;
// O(entries); no allocation.
SoughtValue seek_value(MetadataView metadata, std::string_view name) noexcept;

// Tenant and consumer as `explain` and policy tests give them: each stands for what its list would have yielded, as a
// verified value, so that list is not consulted.
struct GivenIdentity {
  std::optional<std::string_view> tenant;
  std::optional<std::string_view> consumer;
};

class IdentityLists {
 public:
  IdentityLists() = default;
  explicit IdentityLists(const Policy& policy);

  // Consults every list: the first of its sources that yields wins, and only the sources up to it are judged. Fills
  // `who`. A fault is a refusal (INVALID_ARGUMENT) that names the metadata, never its value. The policy has at most
  // kMaxAttributes attributes. No allocation unless refused.
  std::optional<Refusal> consult(MetadataView metadata, const GivenIdentity& given, CallerIdentity& who) const;

  // `metadata "x-tenant-id"`, or several joined with "or": what a call without a tenant lacks.
  std::string tenant_sources_text() const;

 private:
  struct List {
    std::string subject;  // "tenant", "consumer", "attribute product"
    std::vector<std::string> metadata_names;
  };

  static List make_list(std::string subject, const std::vector<IdentitySource>& sources);
  // Fills `value` from the first source that yields. The metadata name whose value has a fault, or null.
  static const std::string* consult_list(const List& list, MetadataView metadata, std::optional<std::string_view>& value,
                                         ValueFault& fault) noexcept;
  static std::optional<Refusal> consult_or_take(const List& list, MetadataView metadata,
                                                std::optional<std::string_view> given,
                                                std::optional<std::string_view>& value);

  List tenant_, consumer_;
  std::vector<List> attributes_;
};

}  // namespace ficus
