// What /metrics of a process that has served nobody holds: rate() sees no increase in a series that begins with its
// first event.
#include <set>

#include "facade/metrics/fixed_series.h"
#include "tests/e2e/relay_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certs.h"

namespace ficus::e2e {
namespace {

using Labels = std::map<std::string, std::string>;

// The values of the family's series, by their labels.
std::map<Labels, double> series_of(const MetricsSnapshot& metrics, const std::string& name) {
  std::map<Labels, double> series;
  for (const MetricsSnapshot::Sample& sample : metrics.samples()) {
    if (sample.name == name) series[sample.labels] = sample.value;
  }
  return series;
}

// "" or what is wrong: not there, or not zero.
std::string why_not_zero(const MetricsSnapshot& metrics, const std::string& name, const Labels& labels) {
  const auto series = series_of(metrics, name);
  const auto found = series.find(labels);
  if (found == series.end()) return "not there\n" + metrics.print(name);
  return found->second == 0 ? "" : std::to_string(found->second);
}

TEST(FreshMetricsTest, EveryLimitIsThereAsZeroAndNoOther) {
  const auto ficus = start_ficus(pass_through_policy("127.0.0.1:1"));
  const MetricsSnapshot metrics = ficus->metrics();
  for (const std::string_view limit : kLimitNames) {
    EXPECT_EQ(why_not_zero(metrics, "ficus_limit_hits_total", {{"limit", std::string(limit)}}), "") << limit;
  }
  EXPECT_EQ(series_of(metrics, "ficus_limit_hits_total").size(), std::size(kLimitNames));
}

TEST(FreshMetricsTest, WhatHangsOnNothingButTheCodeIsThereAsZero) {
  const auto ficus = start_ficus(pass_through_policy("127.0.0.1:1"));
  const MetricsSnapshot metrics = ficus->metrics();
  const std::pair<std::string, Labels> rows[] = {
      {"ficus_policy_reloads_total", {{"outcome", "applied"}}},
      {"ficus_policy_reloads_total", {{"outcome", "unchanged"}}},
      {"ficus_policy_reloads_total", {{"outcome", "refused"}}},
      {"ficus_tls_reloads_total", {{"outcome", "reloaded"}}},
      {"ficus_tls_reloads_total", {{"outcome", "kept"}}},
      {"ficus_traces_total", {{"outcome", "written"}, {"reason", ""}}},
      {"ficus_traces_total", {{"outcome", "dropped"}, {"reason", "disk_full"}}},
      {"ficus_traces_total", {{"outcome", "dropped"}, {"reason", "internal"}}},
      {"ficus_dns_lookups_total", {{"outcome", "ok"}}},
      {"ficus_dns_lookups_total", {{"outcome", "timeout"}}},
      {"ficus_protocol_errors_total", {{"peer", "client"}}},
      {"ficus_connections_total", {{"peer", "client"}}},
      {"ficus_connections", {{"peer", "client"}}},
      {"ficus_streams", {{"role", "primary"}}},
      {"ficus_compare_queue", {}},
      {"ficus_own_seconds_count", {{"direction", "request"}}},
      {"ficus_own_seconds_count", {{"direction", "answer"}}},
  };
  for (const auto& [name, labels] : rows) {
    EXPECT_EQ(why_not_zero(metrics, name, labels), "") << name << (labels.empty() ? "" : " " + labels.rbegin()->second);
  }
  // Of a listener that there is none of.
  EXPECT_TRUE(series_of(metrics, "ficus_tls_handshakes_total").empty());
}

TEST(FreshMetricsTest, ATlsListenersHandshakesAreThereAsZero) {
  TempDir dir;
  const TestCa ca;
  const CertPair pair = ca.issue(server_wish());
  dir.write("server.pem", pair.certificate_pem);
  dir.write("server.key", pair.key_pem);
  FicusOptions options;
  options.flags = {"--tls-listen",         "127.0.0.1:0", "--tls-cert",
                   dir.path("server.pem"), "--tls-key",   dir.path("server.key")};
  const auto ficus = start_ficus(pass_through_policy("127.0.0.1:1"), options);
  const MetricsSnapshot metrics = ficus->metrics();
  for (const char* result : {"done", "no client certificate", "the peer is not speaking TLS", "no h2 by ALPN",
                             "certificate expired", "handshake refused: unknown ca"}) {
    EXPECT_EQ(why_not_zero(metrics, "ficus_tls_handshakes_total", {{"peer", "client"}, {"result", result}}), "")
        << result;
  }
  // One event is one event: the zero beside it, on another shard, adds nothing and hides nothing.
  ASSERT_TRUE(call(make_tls_channel(ficus->tls_address(), {ca.certificate_pem(), {}, "localhost"}), kPath, "m")
                  .status.error_code() == grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(ficus->wait_metric("ficus_tls_handshakes_total", {{"peer", "client"}, {"result", "done"}}, 1));
  EXPECT_EQ(series_of(ficus->metrics(), "ficus_tls_handshakes_total").size(),
            series_of(metrics, "ficus_tls_handshakes_total").size());
}

}  // namespace
}  // namespace ficus::e2e
