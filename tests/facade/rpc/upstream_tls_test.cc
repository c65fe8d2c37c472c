#include "facade/rpc/upstream_tls.h"

#include <gmock/gmock.h>

#include "tests/support/test_certs.h"

namespace ficus {
namespace {

using e2e::CertPair;
using e2e::TestCa;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

UpstreamTls named_tls(const std::string& ca, const CertPair& pair) {
  UpstreamTls tls;
  if (!ca.empty()) tls.ca_file = "ca.pem";
  tls.ca_pem = ca;
  if (!pair.certificate_pem.empty()) tls.cert_file = "me.pem", tls.key_file = "me.key";
  tls.cert_pem = pair.certificate_pem;
  tls.key_pem = pair.key_pem;
  return tls;
}

TEST(JudgeUpstreamTlsTest, WhatCanBeUsedIsFineAndTheSystemsRootsAreNotLookedInto) {
  const TestCa ca;
  const CertPair pair = ca.issue(e2e::client_wish());
  for (const UpstreamTls& tls : {named_tls(ca.certificate_pem(), pair), named_tls(ca.certificate_pem(), {}),
                                 named_tls("", pair), named_tls("", {})}) {
    const auto judged = judge_upstream_tls(tls);
    ASSERT_TRUE(judged) << judged.error();
    EXPECT_THAT(*judged, IsEmpty());
  }
}

TEST(JudgeUpstreamTlsTest, ACertificateThatTheOtherEndWillRefuseIsAWarning) {
  const TestCa ca;
  const auto judged = judge_upstream_tls(named_tls(ca.certificate_pem(), ca.issue(e2e::expired(e2e::client_wish()))));
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_THAT(*judged, ElementsAre(HasSubstr("me.pem")));
}

TEST(JudgeUpstreamTlsTest, AuthoritiesThatVouchForNobodyAnyLongerAreAWarning) {
  const std::string expired = e2e::self_signed(e2e::expired(e2e::server_wish())).certificate_pem;
  const auto judged = judge_upstream_tls(named_tls(expired, {}));
  ASSERT_TRUE(judged) << judged.error();
  EXPECT_THAT(*judged, ElementsAre(HasSubstr("no certificate in ca.pem is within its dates")));
  // A bundle keeps its old ones for a while.
  const auto bundle = judge_upstream_tls(named_tls(expired + TestCa().certificate_pem(), {}));
  ASSERT_TRUE(bundle) << bundle.error();
  EXPECT_THAT(*bundle, IsEmpty());
}

TEST(JudgeUpstreamTlsTest, WhatCannotBeUsedIsNamedByItsFile) {
  const TestCa ca;
  const CertPair pair = ca.issue(e2e::client_wish());
  const std::string other_key = ca.issue(e2e::client_wish()).key_pem;
  UpstreamTls empty_ca = named_tls(ca.certificate_pem(), {});
  empty_ca.ca_pem.clear();  // named and empty: not the same as not named, which is the system's roots
  const std::pair<UpstreamTls, const char*> cases[] = {
      {empty_ca, "ca.pem"},
      {named_tls("hello", {}), "ca.pem is not PEM"},
      {named_tls(pair.key_pem, {}), "ca.pem"},
      {named_tls(ca.certificate_pem(), {pair.certificate_pem, other_key}), "the key in me.key does not match"},
      {named_tls(ca.certificate_pem(), {"hello", pair.key_pem}), "me.pem is not PEM"},
      {named_tls(ca.certificate_pem(), {pair.certificate_pem, ""}), "me.key"},
      {named_tls(ca.certificate_pem(), {pair.certificate_pem, e2e::encrypted_key(pair.key_pem, "x")}), "me.key is encrypted"},
  };
  for (const auto& [tls, want] : cases) {
    const auto judged = judge_upstream_tls(tls);
    ASSERT_FALSE(judged) << want;
    EXPECT_THAT(judged.error(), HasSubstr(want));
    EXPECT_THAT(judged.error(), Not(HasSubstr("hello"))) << "contents are nobody's to read";
  }
}

}  // namespace
}  // namespace ficus
