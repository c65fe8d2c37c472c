// Who calls: the policy's `identity` and `attributes` lists, consulted against one call's metadata and the SANs of the
// certificate that its client was verified by. POLICY 3, "Sources".
// Internal to routing/. Pure; any number of threads may use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/decision.h"
#include "routing/peer_san.h"
#include "routing/policy.h"

namespace ficus {

// The one value a metadata name has in a call, or what is wrong with it. POLICY 3: repeated, empty, longer than
// 256 bytes, holding a comma or a control character, beginning or ending with a blank (stricter than POLICY: see
// judge_identity_value); or another than one that has as much right or more (a conflict).
enum class ValueFault : std::uint8_t { kNone, kRepeated, kEmpty, kTooLong, kComma, kControl, kBlank, kConflict };
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

  // Consults every list: its verified sources up to the first that yields, then its unverified ones likewise, and only
  // these are judged. What a verified one yields wins, and what an unverified one says must be the same. Fills `who`. A
  // fault is a refusal (INVALID_ARGUMENT, for a conflict PERMISSION_DENIED) that names the source, never its value. The
  // policy has at most kMaxAttributes attributes. No allocation unless refused.
  std::optional<Refusal> consult(MetadataView metadata, PeerSans peer_sans, const GivenIdentity& given,
                                 CallerIdentity& who) const;

  // `a client certificate that names one or metadata "x-tenant-id"`: what a call without a tenant lacks.
  std::string tenant_sources_text() const;

 private:
  struct List {
    std::string subject;                   // "tenant", "consumer", "attribute product"
    std::vector<SanPattern> san_patterns;  // the verified sources
    std::vector<std::string> metadata_names;
  };
  // What one list says of a call.
  struct Consulted {
    std::optional<std::string_view> value;
    bool verified = false;
    ValueFault fault = ValueFault::kNone;
    const std::string* metadata = nullptr;  // whose value has the fault; null: the certificate's
  };

  static List make_list(std::string subject, const std::vector<IdentitySource>& sources);
  static Consulted consult_list(const List& list, MetadataView metadata, PeerSans peer_sans) noexcept;
  static void consult_certificate(const List& list, PeerSans peer_sans, Consulted& said) noexcept;
  static std::optional<Refusal> consult_or_take(const List& list, MetadataView metadata, PeerSans peer_sans,
                                                std::optional<std::string_view> given,
                                                std::optional<std::string_view>& value, bool* verified);

  List tenant_, consumer_;
  std::vector<List> attributes_;
};

}  // namespace ficus
