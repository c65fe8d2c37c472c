// The harness's own TLS, client against upstream without ficus between: what the tests with ficus stand on must hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/client_call.h"
#include "tests/support/scripted_upstream.h"
#include "tests/support/test_certs.h"

namespace ficus::e2e {
namespace {

using testing::Contains;

ScriptedUpstream::Options with_tls(const TestCa& ca, const std::string& client_ca) {
  ScriptedUpstream::Options options;
  options.tls = ServerTls{ca.issue(server_wish()), client_ca, true};
  return options;
}

TEST(TlsHarnessTest, AClientAndAnUpstreamMeetOverTls) {
  const TestCa ca;
  ScriptedUpstream upstream(echo(), with_tls(ca, ""));
  const auto channel = make_tls_channel(upstream.address(), ClientTls{ca.certificate_pem(), {}, "localhost"});
  const UnaryReply reply = call(channel, "/a.B/C", "hello");
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.message(), "hello");
}

TEST(TlsHarnessTest, AnUpstreamKnowsTheClientItAskedFor) {
  const TestCa ca;
  ScriptedUpstream upstream(echo(), with_tls(ca, ca.certificate_pem()));
  const auto channel =
      make_tls_channel(upstream.address(), ClientTls{ca.certificate_pem(), ca.issue(client_wish()), "localhost"});
  const UnaryReply reply = call(channel, "/a.B/C", "hello");
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  const auto record = upstream.wait_call(0);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->peer_subject, "client");
  EXPECT_THAT(record->peer_names, Contains("spiffe://corp/tenant/globex"));
}

TEST(TlsHarnessTest, StrangersAreUnavailableToEachOther) {
  const TestCa ca, other;
  ScriptedUpstream upstream(echo(), with_tls(ca, ca.certificate_pem()));
  const CertPair good = ca.issue(client_wish());
  const ClientTls strangers[] = {
      {other.certificate_pem(), good, "localhost"},
      {ca.certificate_pem(), good, "policy.internal"},
      {ca.certificate_pem(), {}, "localhost"},
      {ca.certificate_pem(), other.issue(client_wish()), "localhost"},
  };
  for (const ClientTls& tls : strangers) {
    const UnaryReply reply = call(make_tls_channel(upstream.address(), tls), "/a.B/C", "hello");
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNAVAILABLE) << tls.name;
  }
  EXPECT_EQ(upstream.calls(), 0U);
}

}  // namespace
}  // namespace ficus::e2e
