// Series whose labels hang on nothing but the code. They are there from the start, as zero: rate() sees no increase in
// a series that begins with its first event, so that an alert would miss just that one. Those that hang on the policy
// (capability, upstream, method, ...) begin when the policy's calls do.
#pragma once

#include <string_view>

#include "facade/metrics/metrics.h"

namespace ficus {

// Every value of `limit` in ficus_limit_hits_total; a test holds it against the sources.
inline constexpr std::string_view kLimitNames[] = {
    // clients and their connections (facade/net, facade/h2)
    "client_connections", "file_descriptors", "client_idle", "connection_age", "connection_age_grace", "head_time",
    "keepalive", "ping_strikes", "preface_time", "held_bytes", "continuation_frames", "control_frames",
    "control_output_bytes", "empty_frames", "frame_bytes", "header_block_bytes", "max_concurrent_streams",
    "stream_errors", "stream_resets", "window_updates",
    // calls (facade/rpc)
    "drain_timeout", "header_list_bytes", "last_words", "message_time", "retry_budget", "retry_buffer_bytes", "stalled_calls",
    // shadows, comparing, traces
    "event_loop_lag", "shadow_bytes", "shadow_in_flight", "compare_queue_bytes", "compare_queue_jobs",
    "mismatch_log_bytes", "mismatch_log_files",
    // findings and alignment (facade/findings)
    "alignment_pairs", "finding_example_bytes", "finding_methods", "findings_bytes", "findings_kept", "findings_pending",
    "findings_pending_bytes",
    // the rest
    "admin_connections", "admin_request_bytes", "admin_request_time", "control_connections", "dns_lookups", "metric_series"};

// Every outcome of ficus_dns_lookups_total, and every reason for which ficus_traces_total has one dropped.
inline constexpr std::string_view kDnsOutcomes[] = {"ok",      "not_found", "no_addresses", "server_failure",
                                                    "timeout", "malformed", "other"};
inline constexpr std::string_view kTraceDrops[] = {"disk_full",   "internal",       "io_error",
                                                   "open_failed", "reader_stalled", "unprintable"};

// Makes these series and the others of fixed labels in `shard`: what clients' connections count, reloads of
// certificates, traces. Any thread.
void add_fixed_series(MetricsShard& shard);

}  // namespace ficus
