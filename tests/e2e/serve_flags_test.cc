// What `ficus serve` makes of its flags: limits of clients and files, several listeners, and combinations it refuses.
#include <sys/resource.h>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

TEST(ServeFlagsTest, ClientsBeyondMaxConnectionsAreTurnedAwayAndCountedAndOthersGoOn) {
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), {.flags = {"--max-connections", "2"}});
  const auto one = RawH2::connect(ficus->address()), two = RawH2::connect(ficus->address());
  ASSERT_TRUE(ficus->wait_metric("ficus_connections", {{"peer", "client"}}, 2));
  const auto third = RawH2::connect(ficus->address());
  EXPECT_TRUE(third == nullptr || third->wait_closed());
  EXPECT_TRUE(ficus->wait_metric("ficus_limit_hits_total", {{"limit", "client_connections"}}, 1));
  EXPECT_TRUE(ficus->wait_log("client_connections_full"));
  const std::uint32_t stream = one->open(grpc_request(kPath), true);
  EXPECT_TRUE(one->wait_over(stream));
  EXPECT_TRUE(one->stream(stream).ended);
  two->close();
  EXPECT_TRUE(wait_until([&] { return call(make_channel(ficus->address()), kPath, "m").status.ok(); }))
      << "a place that became free is given to nobody";
}

TEST(ServeFlagsTest, TheSoftLimitOfFilesIsRaisedAndSaid) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 256;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()));
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(ficus->wait_log("file_limit_raised"));
  EXPECT_TRUE(ficus->wait_log("from=256 to=" + std::to_string(before.rlim_max))) << ficus->log();
}

TEST(ServeFlagsTest, WhatDoesNotGoTogetherIsRefusedInWords) {
  const std::tuple<std::vector<std::string>, const char*> rows[] = {
      {{"--tls-listen", "127.0.0.1:0"}, "needs --tls-cert and --tls-key"},
      {{"--tls-client", "required"}, "needs --tls-client-ca"},
      {{"--tls-client", "sometimes"}, "--tls-client"},
      {{"--listen", "127.0.0.1"}, "has no port"},
      {{"--keepalive-timeout", "0s"}, "--keepalive-timeout 0"},
      {{"--head-timeout", "0s"}, "--head-timeout 0"},
      {{"--max-connections", "0"}, "--max-connections"},
      {{"--max-held-bytes", "1000"}, "--max-held-bytes"},
      {{"--max-held-bytes", "plenty"}, "--max-held-bytes"},
      {{"--client-idle-timeout", "3 weeks"}, "--client-idle-timeout"},
      {{"--log-level", "chatty"}, "--log-level"},
  };
  for (const auto& [flags, want] : rows) {
    FicusOptions options;
    options.flags = flags;
    options.expect_ready = false;
    const auto ficus = start_ficus(pass_through_policy("127.0.0.1:1"), options);
    EXPECT_EQ(ficus->wait_exit(), 2) << want;
    EXPECT_NE(ficus->log().find(want), std::string::npos) << ficus->log();
  }
}

TEST(ServeFlagsTest, BelowTheLogLevelNothingIsWritten) {
  ScriptedUpstream upstream;
  const auto usual = start_ficus(pass_through_policy(upstream.address()));
  EXPECT_NE(usual->log().find(" info "), std::string::npos) << "nothing that could be left out";
  const auto quiet = start_ficus(pass_through_policy(refusing_address()), {.flags = {"--log-level", "warn"}});
  EXPECT_TRUE(quiet->wait_log("upstream_connect_failed"));
  EXPECT_EQ(quiet->log().find(" info "), std::string::npos) << quiet->log();
}

TEST(ServeFlagsTest, TimesAreReadInEveryUnit) {
  FicusOptions options;
  options.flags = {"--client-idle-timeout", "2h",    "--max-connection-age", "1d", "--keepalive-interval", "90s",
                   "--min-ping-interval",   "500ms", "--head-timeout",       "1m", "--preface-timeout",    "3"};
  ScriptedUpstream upstream;
  const auto ficus = start_ficus(pass_through_policy(upstream.address()), options);
  EXPECT_TRUE(call(make_channel(ficus->address()), kPath, "m").status.ok());
}

}  // namespace
}  // namespace ficus::e2e
