// Which fields of the language this build acts on. A field that is not built is refused by name (P013), never ignored:
// set `built` to false and `check` says `instead`; nothing else need be changed. POLICY 9.
#pragma once

#include <string_view>

namespace ficus {

struct LanguageField {
  std::string_view key;  // as it stands in its mapping
  bool built = false;
  std::string_view instead;  // what to do while it is not built; ends the diagnostic
};

namespace fields {

// ---- upstreams.NAME ----
inline constexpr LanguageField kTls{"tls", true, "take it out: upstreams are reached over cleartext HTTP/2 for now"};
inline constexpr LanguageField kForwardPeer{"forward_peer", true,
                                            "take it out: the client's certificate is not known yet"};
inline constexpr LanguageField kHealthCheck{
    "health_check", true, "take it out: a failing endpoint is left alone while connecting to it fails"};
inline constexpr LanguageField kBalance{"balance", true, "take it out: calls go round the endpoints"};
inline constexpr LanguageField kOutlier{"outlier", true,
                                        "take it out: a failing endpoint is left alone while connecting to it fails"};
inline constexpr LanguageField kSlowStart{"slow_start", true,
                                          "take it out: a new endpoint gets its whole share at once"};
inline constexpr LanguageField kMaxPending{"max_pending", true,
                                           "take it out; max_concurrent_requests bounds what an upstream gets"};
inline constexpr LanguageField kMaxConnections{"max_connections", true,
                                               "take it out; max_concurrent_requests bounds what an upstream gets"};
inline constexpr LanguageField kKeepalive{"keepalive", true, "take it out: connections are kept without pings for now"};
inline constexpr LanguageField kIdleTimeout{"idle_timeout", true, "take it out: idle connections are kept"};
inline constexpr LanguageField kAuthority{"authority", true, "take it out: the client's :authority is passed on"};

// ---- schemas ----
inline constexpr LanguageField kSchemaReflection{
    "reflection", false, "take it out: name FileDescriptorSets, like schemas: [\"insurance.pb\"]"};

// ---- identity, attributes: a source ----
inline constexpr LanguageField kPeerSan{"peer_san", true,
                                        "take it out: client certificates are not read yet; use {metadata: NAME}"};

// ---- rules[].reads ----
inline constexpr LanguageField kRetry{"retry", true,
                                      "take it out: only a call that never reached an upstream is tried again"};
inline constexpr LanguageField kFallback{"fallback", true, "take it out: the side that serves answers alone for now"};

}  // namespace fields
}  // namespace ficus
