// Every metric that Ficus exposes, in one place: name, meaning, labels. README's table is tested against it.
// Labels: method is a name of the policy or "other"; tenant one of at most 200 that the policy names, or "other";
// side legacy|new|none; role primary|shadow.
#pragma once

#include "facade/metrics/metrics.h"

namespace ficus::families {

using Type = Family::Type;

// ---- calls ----
inline const Family kCalls{"ficus_calls_total", "Calls that ended, by the grpc-status the caller saw", Type::kCounter,
                           {"capability", "method", "side", "role", "grpc_status"}};
inline const Family kCallSeconds{"ficus_call_seconds", "From the request's head to the answer's end", Type::kHistogram,
                                 {"capability", "side", "role"}};
inline const Family kOwnSeconds{"ficus_own_seconds",
                                "What the facade itself adds: from reading a message's last byte to writing it on (request, answer)",
                                Type::kHistogram, {"direction"}};
inline const Family kTenantCalls{"ficus_tenant_calls_total", "Calls routed, by tenant and the stage of the rule that took them",
                                 Type::kCounter, {"capability", "tenant", "stage", "kind", "side"}};
inline const Family kRuleCalls{"ficus_rule_calls_total", "Calls routed, by rule (none: no rule took it)", Type::kCounter,
                               {"capability", "rule", "side"}};
inline const Family kRefused{"ficus_refused_total", "Calls answered by the facade itself, by reason", Type::kCounter, {"capability", "reason"}};
inline const Family kForced{"ficus_override_total", "Calls that carried an override, by what became of it", Type::kCounter,
                            {"capability", "outcome"}};
inline const Family kUnkeyed{"ficus_unkeyed_total", "Canary calls without what the share is counted by, by reason",
                             Type::kCounter, {"capability", "reason"}};
inline const Family kRetried{"ficus_retried_total", "Calls sent again on another connection since they never reached an upstream",
                             Type::kCounter, {"upstream"}};
inline const Family kReadRetries{"ficus_read_retries_total", "Answers that reads.retry speaks of, by whether the read was sent again or why not",
                                 Type::kCounter, {"capability", "rule", "outcome"}};
inline const Family kFallbacks{"ficus_fallbacks_total", "Answers of the new side that reads.fallback speaks of, by what legacy said or why it was not asked",
                               Type::kCounter, {"capability", "outcome"}};
inline const Family kUpstreamFailures{"ficus_upstream_failures_total", "Calls an upstream failed in transport, by class",
                                      Type::kCounter, {"upstream", "role", "class"}};

// ---- shares ----
inline const Family kShareConfigured{"ficus_share_configured_percent", "What the rule says", Type::kGauge,
                                     {"capability", "rule", "share"}};  // share: canary|shadow; in percent, with decimals
inline const Family kShareEligible{"ficus_share_eligible_total", "Calls a share was applied to", Type::kCounter,
                                   {"capability", "rule", "share"}};
inline const Family kShareIn{"ficus_share_in_total", "Of these, calls that fell into the share", Type::kCounter,
                             {"capability", "rule", "share"}};

// ---- shadows and comparing ----
inline const Family kShadowBegun{"ficus_shadow_begun_total", "Shadow calls begun; each ends in exactly one verdict",
                                 Type::kCounter, {"capability"}};
inline const Family kNotShadowed{"ficus_not_shadowed_total", "Calls in a shadow share for which none was begun, by reason",
                                 Type::kCounter, {"capability", "reason"}};
inline const Family kVerdicts{"ficus_shadow_verdicts_total", "Verdicts (POLICY 6); reason is empty but for incomparable and abandoned",
                              Type::kCounter, {"capability", "verdict", "reason"}};
inline const Family kMismatches{"ficus_mismatches_total", "Mismatches by their gravest difference", Type::kCounter,
                                {"capability", "severity"}};
inline const Family kIgnored{"ficus_ignored_total", "Differences swallowed, by the rule's path", Type::kCounter, {"capability", "rule"}};
inline const Family kCompareSeconds{"ficus_compare_seconds", "Time of one comparison on a compare thread (small answers of the same bytes need none)", Type::kHistogram, {"capability"}};
inline const Family kCompareQueue{"ficus_compare_queue", "Comparisons waiting", Type::kGauge, {}};
inline const Family kTraces{"ficus_traces_total", "Mismatch traces, by what became of them (written, dropped) and why",
                            Type::kCounter, {"outcome", "reason"}};

inline const Family kFindings{"ficus_findings_total", "Sightings of findings, by what became of them (written, dropped) and why",
                              Type::kCounter, {"outcome", "reason"}};
inline const Family kFindingStoreErrors{"ficus_finding_store_errors_total", "Failures to open or write the findings' database, by class",
                                        Type::kCounter, {"class"}};

// ---- the policy ----
inline const Family kPolicyGeneration{"ficus_policy_generation", "Number of the route table in force", Type::kGauge, {}};
inline const Family kPolicyInfo{"ficus_policy_info", "1, labelled with the policy in force", Type::kGauge, {"name", "hash"}};
inline const Family kReloads{"ficus_policy_reloads_total", "Reloads by outcome (applied, unchanged, refused)", Type::kCounter, {"outcome"}};
inline const Family kPolicyReloadOk{"ficus_policy_last_reload_ok", "1 unless the last reload was refused: then the file and the policy in force differ",
                                    Type::kGauge, {}};
inline const Family kWriteOwner{"ficus_write_owner", "1 for the side that owns the capability's writes of the tenant; `none` (calls without one) only where they are not refused", Type::kGauge,
                                {"capability", "tenant", "owner"}};
inline const Family kExpired{"ficus_policy_expired", "Entries of the policy past their `until`", Type::kGauge, {"what"}};

// ---- the transport ----
inline const Family kConnections{"ficus_connections", "Open connections", Type::kGauge, {"peer"}};  // client, or an upstream's name
inline const Family kConnectionsTotal{"ficus_connections_total", "Connections opened", Type::kCounter, {"peer"}};
inline const Family kConnectFailures{"ficus_connect_failures_total", "Upstream connections that failed to open, by class",
                                     Type::kCounter, {"upstream", "class"}};
inline const Family kDnsLookups{"ficus_dns_lookups_total", "Look-ups of upstreams' names, by outcome", Type::kCounter, {"outcome"}};
inline const Family kEndpoints{"ficus_endpoints", "Endpoints as each worker sees them, added up, by state (healthy: not known to be bad; unhealthy; ejected)",
                               Type::kGauge, {"upstream", "role", "state"}};
inline const Family kEjections{"ficus_ejections_total", "Endpoints left out for a while after failures in a row, a worker each",
                               Type::kCounter, {"upstream", "role"}};
inline const Family kHealthChecks{"ficus_health_checks_total", "Health checks of endpoints, by outcome", Type::kCounter, {"upstream", "outcome"}};
inline const Family kStreams{"ficus_streams", "Calls in flight", Type::kGauge, {"role"}};
inline const Family kLimits{"ficus_limit_hits_total", "How often a limit of the facade's own was hit, by the limit's name", Type::kCounter, {"limit"}};
inline const Family kUpstreamLimits{"ficus_upstream_limit_hits_total", "How often a limit of an upstream was hit, by the limit's name in the policy",
                                    Type::kCounter, {"upstream", "role", "limit"}};
inline const Family kTlsHandshakes{"ficus_tls_handshakes_total", "TLS handshakes by their result: done, or the class of the failure",
                                   Type::kCounter, {"peer", "result"}};
inline const Family kTlsReloads{"ficus_tls_reloads_total", "Changed certificate files of the listener, by outcome (reloaded, kept)",
                                Type::kCounter, {"outcome"}};
inline const Family kProtocolErrors{"ficus_protocol_errors_total", "Connections and streams ended because the peer broke HTTP/2", Type::kCounter, {"peer"}};

// All of the above, for the tests that hold README's table and the dashboards against them.
inline const Family* const kAll[] = {
    &kCalls, &kCallSeconds, &kOwnSeconds, &kTenantCalls, &kRuleCalls, &kRefused, &kForced, &kUnkeyed, &kRetried,
    &kReadRetries, &kFallbacks, &kUpstreamFailures, &kShareConfigured, &kShareEligible, &kShareIn, &kShadowBegun, &kNotShadowed, &kVerdicts,
    &kMismatches, &kIgnored, &kCompareSeconds, &kCompareQueue, &kTraces, &kFindings, &kFindingStoreErrors, &kPolicyGeneration, &kPolicyInfo,
    &kReloads, &kPolicyReloadOk, &kWriteOwner, &kExpired, &kConnections, &kConnectionsTotal, &kConnectFailures,
    &kDnsLookups, &kEndpoints, &kEjections, &kHealthChecks, &kStreams, &kLimits, &kUpstreamLimits, &kTlsHandshakes, &kTlsReloads, &kProtocolErrors};

}  // namespace ficus::families
