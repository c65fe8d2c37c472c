// Issue section 2: TLS with clients and upstreams, and what a certificate says of its holder.
#include <gmock/gmock.h>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certs.h"
#include "tests/support/wait.h"

namespace ficus::e2e {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kForwarded = "x-forwarded-client-cert";

std::string value_of(const Metadata& metadata, const std::string& name) {
  std::string found;
  for (const auto& [key, value] : metadata) {
    if (key == name) found += (found.empty() ? "" : "|") + value;
  }
  return found;
}

class TlsTest : public ::testing::Test {
 protected:
  // Ficus with a cleartext and a TLS listener; its certificate is `pair`.
  void start(const std::string& policy, const CertPair& pair, std::vector<std::string> more = {},
             std::map<std::string, std::string> files = {}) {
    dir_.write("server.pem", pair.certificate_pem);
    dir_.write("server.key", pair.key_pem);
    FicusOptions options;
    options.flags = {"--tls-listen", "127.0.0.1:0", "--tls-cert", dir_.path("server.pem"), "--tls-key",
                     dir_.path("server.key")};
    options.flags.insert(options.flags.end(), more.begin(), more.end());
    options.files = std::move(files);
    ficus_ = start_ficus(policy, std::move(options));
    ASSERT_FALSE(ficus_->tls_address().empty()) << ficus_->log();
  }
  std::vector<std::string> client_flags(const char* mode) {
    dir_.write("clients.pem", ca_.certificate_pem());
    return {"--tls-client", mode, "--tls-client-ca", dir_.path("clients.pem")};
  }
  UnaryReply call_tls(const ClientTls& tls, const CallOptions& options = {}) {
    return call(make_tls_channel(ficus_->tls_address(), tls), kPath, "hello", options);
  }
  ClientTls anonymous() const { return {ca_.certificate_pem(), {}, "localhost"}; }
  ClientTls known(const std::string& uri) const {
    return {ca_.certificate_pem(), ca_.issue(client_wish(uri)), "localhost"};
  }
  // Upstream over TLS with this certificate, and the policy that names it.
  UnaryReply call_upstream(const CertPair& pair, const std::string& tls, std::map<std::string, std::string> files) {
    ScriptedUpstream::Options options;
    options.tls = ServerTls{pair, "", false};
    ScriptedUpstream upstream(echo(), options);
    FicusOptions ficus;
    ficus.files = std::move(files);
    ficus_ = start_ficus(pass_through_policy({upstream.address()}, ", tls: " + tls), std::move(ficus));
    const UnaryReply reply = call(make_channel(ficus_->address()), kPath, "hello");
    reached_ = upstream.calls();
    return reply;
  }

  TempDir dir_;
  TestCa ca_;
  ScriptedUpstream upstream_;
  std::unique_ptr<FicusProcess> ficus_;
  std::size_t reached_ = 0;
};

TEST_F(TlsTest, CleartextAndTlsListenersServeTogether) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()));
  const UnaryReply secure = call_tls(anonymous());
  EXPECT_TRUE(secure.status.ok()) << secure.status.error_message();
  EXPECT_EQ(secure.message(), "hello");
  EXPECT_TRUE(call(make_channel(ficus_->address()), kPath, "hello").status.ok());
  EXPECT_TRUE(ficus_->wait_metric("ficus_tls_handshakes_total", {{"peer", "client"}, {"result", "done"}}, 1));
}

TEST_F(TlsTest, TheLogNamesEveryListenerWithItsKind) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()), {"--listen", "127.0.0.1:0"});
  const std::string log = ficus_->log();
  const auto at = log.find(" serving ");
  ASSERT_NE(at, std::string::npos) << log;
  const std::string event = log.substr(at, log.find('\n', at) - at);
  EXPECT_THAT(event, HasSubstr(" listen=" + ficus_->address() + " "));
  // The harness's own --listen and the second one, whose port only the log knows; then the TLS one.
  EXPECT_THAT(event, ContainsRegex(" listeners=\"cleartext " + ficus_->address() +
                                   ", cleartext 127\\.0\\.0\\.1:[1-9][0-9]*, TLS " + ficus_->tls_address() + "\"$"));
}

TEST_F(TlsTest, ALoneListenerIsNamedTheSameWay) {
  ficus_ = start_ficus(pass_through_policy(upstream_.address()));
  EXPECT_THAT(ficus_->log(), HasSubstr(" listeners=\"cleartext " + ficus_->address() + "\"\n"));
}

TEST_F(TlsTest, AMegabyteGoesBothWays) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()));
  const std::string large(1 << 20, 'x');
  const UnaryReply reply = call(make_tls_channel(ficus_->tls_address(), anonymous()), kPath, large);
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_TRUE(reply.message() == large);
}

TEST_F(TlsTest, ACleartextClientOfTheTlsListenerGetsNothing) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()), {"--log-level", "debug"});
  const UnaryReply reply = call(make_channel(ficus_->tls_address()), kPath, "hello");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(upstream_.calls(), 0u);
  EXPECT_TRUE(ficus_->wait_metric("ficus_tls_handshakes_total",
                                  {{"peer", "client"}, {"result", "the peer is not speaking TLS"}}, 1));
  EXPECT_TRUE(ficus_->wait_log("client_handshake_failed"));
  EXPECT_TRUE(ficus_->wait_log("peer=127.0.0.1:"));
  EXPECT_TRUE(ficus_->wait_log("why=\"the peer is not speaking TLS\""));
}

TEST_F(TlsTest, ARequiredCertificateIsRequiredAndMustBeOfTheAuthority) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()), client_flags("required"));
  EXPECT_EQ(call_tls(anonymous()).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const TestCa other;
  const ClientTls stranger{ca_.certificate_pem(), other.issue(client_wish()), "localhost"};
  EXPECT_EQ(call_tls(stranger).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(upstream_.calls(), 0u);
  EXPECT_TRUE(call_tls(known("spiffe://corp/tenant/acme")).status.ok());
}

TEST_F(TlsTest, TheVerifiedPeerIsForwardedAndAClientsOwnWordNever) {
  start(pass_through_policy({upstream_.address()}, ", forward_peer: true"), ca_.issue(server_wish()),
        client_flags("optional"));
  ASSERT_TRUE(call_tls(known("spiffe://corp/tenant/acme"), {.metadata = {{kForwarded, "Hash=forged"}}}).status.ok());
  ASSERT_TRUE(call_tls(anonymous(), {.metadata = {{kForwarded, "Hash=forged"}}}).status.ok());
  ASSERT_TRUE(
      call(make_channel(ficus_->address()), kPath, "hello", {.metadata = {{kForwarded, "Hash=forged"}}}).status.ok());
  const auto records = upstream_.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(value_of(records[0].metadata, kForwarded), HasSubstr("URI=spiffe://corp/tenant/acme"));
  EXPECT_EQ(value_of(records[0].metadata, kForwarded).find("forged"), std::string::npos);
  EXPECT_EQ(value_of(records[1].metadata, kForwarded), "");
  EXPECT_EQ(value_of(records[2].metadata, kForwarded), "");
}

TEST_F(TlsTest, AClientsOwnWordIsDroppedAlsoWhereNobodyIsForwarded) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()), client_flags("optional"));
  ASSERT_TRUE(call_tls(known("spiffe://corp/tenant/acme"), {.metadata = {{kForwarded, "Hash=forged"}}}).status.ok());
  EXPECT_EQ(value_of(upstream_.records().at(0).metadata, kForwarded), "");
}

TEST_F(TlsTest, ACertificateSaysWhoCallsAndMetadataMayNotContradict) {
  TwoSided sides;
  ScriptedUpstream new_side;
  sides.legacy = upstream_.address();
  sides.new_ = new_side.address();
  sides.schema = false;
  sides.rules = "  - {name: acme, capability: inquiry, tenants: [acme], stage: canary, reads: {serve: new, shadow: {percent: 0}}}\n";
  std::string policy = two_sided_policy(sides);
  const std::string unverified = "{metadata: x-tenant-id}";
  const auto at = policy.find(unverified);
  ASSERT_NE(at, std::string::npos) << policy;
  policy.insert(at, "{peer_san: \"spiffe://corp/tenant/*\"}, ");
  start(policy, ca_.issue(server_wish()), client_flags("optional"));
  constexpr const char* kRead = "/insurance.policy.v1.PolicyService/GetPolicy";
  const auto read = [&](const ClientTls& tls, Metadata metadata) {
    return call(make_tls_channel(ficus_->tls_address(), tls), kRead, "x", {.metadata = std::move(metadata)});
  };
  EXPECT_TRUE(read(known("spiffe://corp/tenant/acme"), {}).status.ok());
  EXPECT_EQ(new_side.calls(), 1u) << "the certificate's tenant takes the rule";
  EXPECT_TRUE(read(known("spiffe://corp/tenant/globex"), {}).status.ok());
  EXPECT_EQ(new_side.calls(), 1u);
  const UnaryReply conflict = read(known("spiffe://corp/tenant/globex"), {{"x-tenant-id", "acme"}});
  EXPECT_EQ(conflict.status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << conflict.status.error_message();
  EXPECT_EQ(new_side.calls(), 1u);
}

TEST_F(TlsTest, TenantsThatNobodyAsksForAreWarnedOfAndOthersAreNot) {
  std::string policy = pass_through_policy(upstream_.address());
  policy.insert(policy.find("upstreams:"), "identity: {tenant: [{peer_san: \"spiffe://corp/tenant/*\"}]}\n");
  constexpr const char* kWarning = " warning tenants_unknowable message=";
  start(policy, ca_.issue(server_wish()));
  EXPECT_THAT(ficus_->log(), HasSubstr(kWarning)) << "a TLS listener that asks for no certificate";
  ficus_ = start_ficus(policy);
  EXPECT_THAT(ficus_->log(), HasSubstr(kWarning)) << "no TLS listener";
  for (const char* mode : {"optional", "required"}) {
    start(policy, ca_.issue(server_wish()), client_flags(mode));
    EXPECT_THAT(ficus_->log(), Not(HasSubstr("tenants_unknowable"))) << mode;
  }
}

TEST_F(TlsTest, NewCertificatesServeNewConnectionsAndBrokenOnesAreKeptOut) {
  start(pass_through_policy(upstream_.address()), ca_.issue(server_wish()));
  const auto old_channel = make_tls_channel(ficus_->tls_address(), anonymous());
  ASSERT_TRUE(call(old_channel, kPath, "hello").status.ok());
  dir_.write("server.pem", "not a certificate");
  ASSERT_TRUE(ficus_->wait_metric("ficus_tls_reloads_total", {{"outcome", "kept"}}, 1)) << ficus_->log();
  EXPECT_TRUE(call_tls(anonymous()).status.ok()) << "the old certificate serves on";
  const TestCa next;
  const CertPair fresh = next.issue(server_wish());
  dir_.write("server.key", fresh.key_pem);
  dir_.write("server.pem", fresh.certificate_pem);
  ASSERT_TRUE(ficus_->wait_metric("ficus_tls_reloads_total", {{"outcome", "reloaded"}}, 1)) << ficus_->log();
  EXPECT_TRUE(call_tls({next.certificate_pem(), {}, "localhost"}).status.ok());
  EXPECT_EQ(call_tls(anonymous()).status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(call(old_channel, kPath, "hello").status.ok()) << "an open connection goes on";
}

TEST_F(TlsTest, AnUpstreamsCertificateIsJudgedAndTheErrorSaysHow) {
  const TestCa other;
  CertWish elsewhere;
  elsewhere.dns = {"elsewhere.internal"};
  const std::map<std::string, std::string> files{{"ca.pem", ca_.certificate_pem()}};
  const struct {
    const char* name;
    CertPair pair;
    const char* tls;
    const char* want;  // empty: the call succeeds
  } cases[] = {
      {"good", ca_.issue(server_wish()), "{ca_file: ca.pem}", ""},
      {"good by another name", ca_.issue(server_wish()), "{ca_file: ca.pem, server_name: localhost}", ""},
      {"expired", ca_.issue(expired(server_wish())), "{ca_file: ca.pem}", "certificate expired"},
      {"not yet valid", ca_.issue(not_yet_valid(server_wish())), "{ca_file: ca.pem}", "certificate not yet valid"},
      {"wrong host", ca_.issue(elsewhere), "{ca_file: ca.pem}", "certificate is for another host"},
      {"untrusted", other.issue(server_wish()), "{ca_file: ca.pem}", "certificate issuer is not trusted"},
      {"self-signed", self_signed(server_wish()), "{ca_file: ca.pem}", "self-signed certificate"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const UnaryReply reply = call_upstream(c.pair, c.tls, files);
    if (std::string(c.want).empty()) {
      EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
      continue;
    }
    EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(reply.status.error_message(), HasSubstr(c.want));
    EXPECT_EQ(reached_, 0u);
  }
}

TEST_F(TlsTest, AnUpstreamsBrokenCertificatesAreRefusedAtTheReloadAndTheOldOnesGoOn) {
  ScriptedUpstream::Options options;
  options.tls = ServerTls{ca_.issue(server_wish()), "", false};
  ScriptedUpstream upstream(echo(), options);
  const CertPair own = ca_.issue(client_wish());
  ficus_ = start_ficus(pass_through_policy({upstream.address()}, ", tls: {ca_file: ca.pem, cert_file: me.pem, key_file: me.key}"),
                       {.files = {{"ca.pem", ca_.certificate_pem()}, {"me.pem", own.certificate_pem}, {"me.key", own.key_pem}}});
  ASSERT_TRUE(call(make_channel(ficus_->address()), kPath, "hello").status.ok());

  ficus_->dir().write("me.key", ca_.issue(client_wish()).key_pem);
  EXPECT_TRUE(ficus_->wait_log("the key in me.key does not match"));
  EXPECT_TRUE(ficus_->wait_metric("ficus_policy_reloads_total", {{"outcome", "refused"}}, 1));
  EXPECT_TRUE(call(make_channel(ficus_->address()), kPath, "hello").status.ok());
}

TEST_F(TlsTest, AnUpstreamThatSpeaksNoTlsGetsNoCallInCleartext) {
  ficus_ = start_ficus(pass_through_policy({upstream_.address()}, ", tls: {ca_file: ca.pem}"),
                       {.files = {{"ca.pem", ca_.certificate_pem()}}});
  const UnaryReply reply = call(make_channel(ficus_->address()), kPath, "hello");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(reply.status.error_message(), HasSubstr("the peer is not speaking TLS"));
  EXPECT_EQ(upstream_.calls(), 0u);
}

TEST_F(TlsTest, AnUpstreamThatAsksForOurCertificateSeesIt) {
  ScriptedUpstream::Options options;
  options.tls = ServerTls{ca_.issue(server_wish()), ca_.certificate_pem(), true};
  ScriptedUpstream upstream(echo(), options);
  const CertPair own = ca_.issue(client_wish("spiffe://corp/ficus"));
  ficus_ = start_ficus(pass_through_policy({upstream.address()},
                                           ", tls: {ca_file: ca.pem, cert_file: own.pem, key_file: own.key}"),
                       {.files = {{"ca.pem", ca_.certificate_pem()},
                                  {"own.pem", own.certificate_pem},
                                  {"own.key", own.key_pem}}});
  const UnaryReply reply = call(make_channel(ficus_->address()), kPath, "hello");
  ASSERT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_THAT(upstream.records().at(0).peer_names, testing::Contains("spiffe://corp/ficus"));
}

}  // namespace
}  // namespace ficus::e2e
