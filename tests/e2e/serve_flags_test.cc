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
      {{"--tls-cert", "/nonexistent"}, "--tls-cert does nothing without a TLS listener: give --tls-listen"},
      {{"--tls-key", "/nonexistent"}, "--tls-key does nothing without a TLS listener"},
      {{"--tls-client", "required", "--tls-client-ca", "/nonexistent"}, "--tls-client-ca does nothing without a TLS"},
      {{"--keepalive-timeout", "0s"}, "--keepalive-timeout 0"},
      {{"--head-timeout", "0s"}, "--head-timeout 0"},
      {{"--takeover-timeout", "0"}, "--takeover-timeout 0"},
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

// flag_values_test has the kinds of values; here, which flag is of which kind. The harness gives --workers,
// --drain-timeout and --shadow-max-lag itself, and none of them may be repeated.
TEST(ServeFlagsTest, AWrongValueIsRefusedWithItsFlagAndWhatIsAllowed) {
  constexpr const char* kDay = "a time from 0 to 1d, as 500ms, 30s or 2h";
  constexpr const char* kYear = "a time from 0 to 365d, as 500ms, 30s or 2h";
  constexpr const char* kAddress = "HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080";
  const struct {
    const char* flag;
    const char* given;
    std::string allowed;
    const char* hint;  // empty: none
  } rows[] = {
      {"--listen", "127.0.0.1", kAddress, "it has no port"},
      {"--listen", "::1:8080", kAddress, "an IPv6 address stands in brackets"},
      {"--tls-listen", "127.0.0.1:65536", kAddress, "its port is none from 0 to 65535"},
      {"--admin", "local host:1", kAddress, "it holds a blank"},
      {"--dns-server", "dns.test:53", "ADDRESS:PORT, for example 127.0.0.1:53 or [::1]:53",
       "it names a host, and there is nobody yet to look that up"},
      {"--dns-server", "127.0.0.1:0", "ADDRESS:PORT, for example 127.0.0.1:53 or [::1]:53", "port 0 is nobody's"},
      {"--tls-client", "sometimes", "none, optional or required", ""},
      {"--tls-client", "requried", "none, optional or required", "did you mean \"required\"?"},
      {"--tls-client", "2", "none, optional or required", ""},
      {"--log-level", "wrong", "debug, info, warn or error", ""},
      {"--log-level", "Warn", "debug, info, warn or error", "did you mean \"warn\"?"},
      {"--log-level", "0", "debug, info, warn or error", ""},
      {"--compare-threads", "65", "a whole number from 1 to 64", "that is more"},
      {"--max-connections", "020", "a whole number from 1 to 10000000", "it begins with a zero"},
      {"--max-held-bytes", "1000", "a size from 1MiB to 1TiB, as 64MiB or 2GiB", "that is less"},
      {"--max-held-bytes", "plenty", "a size from 1MiB to 1TiB, as 64MiB or 2GiB", "it does not begin with a digit"},
      {"--client-idle-timeout", "3 weeks", kYear, "it holds a blank"},
      {"--keepalive-interval", "366d", kYear, "that is more"},
      {"--max-connection-age", "1year", kYear, "units are ms, s, m, h and d"},
      {"--max-connection-age-grace", "30S", kYear, "did you mean \"30s\"?"},
      {"--keepalive-timeout", "08s", kDay, "it begins with a zero"},
      {"--preface-timeout", "10 s", kDay, "it holds a blank"},
      {"--head-timeout", "+10s", kDay, "it has a sign"},
      {"--min-ping-interval", "0.1ms", kDay, "that is no whole number of milliseconds"},
      {"--takeover-timeout", "2d", kDay, "that is more"},
  };
  for (const auto& row : rows) {
    FicusOptions options;
    options.flags = {row.flag, row.given};
    options.expect_ready = false;
    const auto ficus = start_ficus(pass_through_policy("127.0.0.1:1"), options);
    const std::string hint = std::string(row.hint).empty() ? "" : " (" + std::string(row.hint) + ")";
    const std::string want =
        std::string(row.flag) + ": \"" + row.given + "\" is not allowed; give " + row.allowed + hint + "\n";
    EXPECT_EQ(ficus->wait_exit(), 2) << want;
    EXPECT_NE(ficus->log().find(want), std::string::npos) << ficus->log() << want;
  }
}

// What, where and what to do; and the exit code that `ficus check` has for it.
TEST(ServeFlagsTest, APolicyThatCannotBeReadIsExitTwoAndOneThatIsRefusedExitOne) {
  TempDir dir;
  dir.write("empty.yaml", "");
  dir.write("wrong.yaml", "apiVersion: nobody/v1\n");
  std::string named = pass_through_policy("127.0.0.1:1");
  named.insert(named.find("upstreams:"), "schemas: [absent.pb]\n");
  dir.write("names-a-missing-schema.yaml", named);
  const struct {
    const char* name;
    std::string policy;
    int exit_code;
    std::vector<std::string> says;
  } rows[] = {
      {"missing", dir.path("absent.yaml"), 2,
       {dir.path("absent.yaml"), "error[P200]: cannot read the policy: ", "ficus serve: the policy could not be read; "}},
      {"a directory", dir.path("."), 2, {dir.path("."), "error[P200]", "the policy could not be read"}},
      {"below a file", dir.path("empty.yaml/p.yaml"), 2, {"error[P200]", "the policy could not be read"}},
      {"empty", dir.path("empty.yaml"), 1, {"empty.yaml", "error[P", "ficus serve: the policy was refused; "}},
      {"wrong", dir.path("wrong.yaml"), 1, {"wrong.yaml:1:", "error[P", "the policy was refused"}},
      {"its schema is missing", dir.path("names-a-missing-schema.yaml"), 1, {"P201", "the policy was refused"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    FicusOptions options;
    options.policy_path = row.policy;
    options.expect_ready = false;
    FicusProcess ficus(options);
    EXPECT_EQ(ficus.wait_exit(), row.exit_code) << ficus.log();
    for (const std::string& part : row.says) EXPECT_NE(ficus.log().find(part), std::string::npos) << part << ficus.log();
    EXPECT_NE(ficus.log().find("`ficus check " + row.policy + "` says the same"), std::string::npos) << ficus.log();
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
