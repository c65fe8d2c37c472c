// What routing says of one RPC: Plan at its headers, RouteDecision once the key (if it matters) is known. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "routing/bucket.h"
#include "routing/key_scan.h"
#include "routing/rpc_path.h"
#include "routing/vocabulary.h"

namespace ficus {

struct MetadataEntry {
  std::string_view name;  // lower case, as HTTP/2 demands
  std::string_view value;
};
using MetadataView = std::span<const MetadataEntry>;

// The URI, DNS and email SANs of a certificate that was verified for this connection; empty where there is none. Texts
// exactly as in the certificate, each admissible (peer_san.h): its kind is told from the text.
using PeerSans = std::span<const std::string_view>;

// One RPC at its headers. Borrows everything.
struct RpcHead {
  RpcPath path;
  MetadataView metadata;
  bool shadow_marked = false;  // carries `x-ficus-shadow: 1`
  PeerSans peer_sans{};
};

// Why a call is not sent anywhere. `reason` is a metrics label; `message` goes to the client and names no secret.
struct Refusal {
  GrpcCode code = GrpcCode::kUnimplemented;
  // Static text: no_such_method, unlisted_method, marked_write, marked_unmanaged, tenant_missing, identity_repeated,
  // identity_empty, identity_too_long, identity_comma, identity_control, identity_blank, identity_conflict
  // (PERMISSION_DENIED: SANs that yield different values, or a SAN and metadata that do).
  std::string_view reason;
  std::string message;
};

// On whose behalf a call is made, as the policy's `identity` and `attributes` yield it. Borrows from the metadata.
// The digests are computed only where a share asks for them.
inline constexpr std::size_t kMaxAttributes = 4;
struct CallerIdentity {
  std::optional<std::string_view> tenant;
  std::optional<std::string_view> consumer;
  bool tenant_verified = false;  // a verified source yielded it
  bool consumer_verified = false;
  std::optional<std::string_view> attributes[kMaxAttributes];  // in the policy's order
};

// Indices into the RouteTable that made the plan; kNoIndex where there is none.
inline constexpr std::uint16_t kNoIndex = 0xffff;

enum class PlanKind : std::uint8_t {
  kRefused,      // refusal() of the table says why
  kPassThrough,  // a method in no capability: the default upstream, as it came
  kRead,
  kWrite,
};

// What is known of one RPC at its headers. Borrows from the table and the head.
struct Plan {
  PlanKind kind = PlanKind::kRefused;
  std::uint16_t method = kNoIndex;      // RouteTable::methods(): every method that the policy names, stars included
  std::uint16_t capability = kNoIndex;  // RouteTable::capabilities()
  std::uint32_t rule = 0xffffffff;      // RouteTable::rules(); kNoRule: no rule took it, stage off
  bool marked = false;
  bool needs_key = false;      // decide() wants the key out of the first message: headers must wait for it
  std::optional<Side> forced;  // a tester's override, honoured
  // Why an override was not honoured, static text: repeated, write, marked, bad_value, bad_token, not_allowed, stage.
  std::optional<std::string_view> override_ignored;
  CallerIdentity who;
  std::optional<KeyDigest> metadata_key;  // where `key: {metadata: NAME}` names one
  std::optional<NoKey> no_key;            // why there is none, where one was sought at the headers
  std::optional<Refusal> refusal;
};
inline constexpr std::uint32_t kNoRule = 0xffffffff;

// A share as it was applied to one call.
struct ShareOutcome {
  Percent percent;
  ShareBy by = ShareBy::kRequest;
  std::optional<std::uint32_t> bucket;  // absent for 0 %, 100 % and unkeyed
  bool in_share = false;
};

struct RouteDecision {
  std::optional<Refusal> refusal;     // set: nothing else holds
  std::optional<Side> side;           // absent for pass-through
  std::uint16_t upstream = kNoIndex;  // RouteTable::upstreams()
  Side owner = Side::kLegacy;         // of writes; meaningful for reads too (explain shows it)
  ShareOutcome canary;
  bool unkeyed = false;  // a canary share between 0 and 100 found nothing to bucket by
  bool forced = false;
  // Whether this call may be shadowed at all (a read with a share above 0, neither forced nor marked) and where;
  // whether it is, `shadow.in_share` says. That is settled unless `shadow_needs_key`: then RouteTable::shadow_share()
  // settles it from the captured request.
  bool shadow_possible = false;
  bool shadow_needs_key = false;
  Side shadow_side = Side::kNew;
  std::uint16_t shadow_upstream = kNoIndex;
  ShareOutcome shadow;
};

}  // namespace ficus
