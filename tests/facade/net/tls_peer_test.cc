// What a certificate says of its holder, and how it is passed on.
#include "facade/net/tls_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <memory>

#include "tests/support/test_certs.h"

namespace ficus {
namespace {

using e2e::CertWish;
using testing::ElementsAre;

Result<TlsPeer, std::string_view> peer_of(const std::string& pem, const TlsPeerLimits& limits = {}) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), int(pem.size())), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> one(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                        X509_free);
  return TlsPeer::read(*one, limits);
}
Result<TlsPeer, std::string_view> peer_of(const CertWish& wish) {
  return peer_of(e2e::self_signed(wish).certificate_pem);
}

TEST(TlsPeerTest, EachKindOfNameIsFoundInOrder) {
  CertWish wish;
  wish.uris = {"spiffe://corp/tenant/globex", "spiffe://corp/app/crm"};
  wish.dns = {"b.internal", "a.internal"};
  wish.emails = {"ops@corp.example"};
  wish.ips = {"10.0.0.1", "2001:db8::1"};
  const auto peer = peer_of(wish);
  ASSERT_TRUE(peer) << peer.error();
  EXPECT_THAT(peer->uris(), ElementsAre("spiffe://corp/tenant/globex", "spiffe://corp/app/crm"));
  EXPECT_THAT(peer->dns_names(), ElementsAre("b.internal", "a.internal"));
  EXPECT_THAT(peer->emails(), ElementsAre("ops@corp.example"));
  EXPECT_THAT(peer->ip_addresses(), ElementsAre("10.0.0.1", "2001:db8::1"));
  EXPECT_EQ(peer->subject(), "CN=ficus test,O=Ficus");
}

TEST(TlsPeerTest, ACertificateWithoutNamesHasNone) {
  const auto peer = peer_of(CertWish{});
  ASSERT_TRUE(peer) << peer.error();
  EXPECT_TRUE(peer->uris().empty() && peer->dns_names().empty());
}

TEST(TlsPeerTest, NamesThatAreNoneMakeTheCertificateUnusable) {
  struct Case {
    std::string name;
    CertWish wish;
  };
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, auto change) {
    CertWish wish;
    wish.uris = {"spiffe://corp/tenant/good"};
    change(wish);
    cases.push_back({name, wish});
  };
  add("NUL in a URI", [](CertWish& w) { w.uris.emplace_back("spiffe://corp/tenant/a\0b", 24); });
  add("NUL in a DNS name", [](CertWish& w) { w.dns.emplace_back("good.internal\0.evil", 19); });
  add("NUL at the end of an address", [](CertWish& w) { w.emails.emplace_back("a@b\0", 4); });
  add("line feed", [](CertWish& w) { w.uris.emplace_back("spiffe://corp/a\nx-tenant-id: b"); });
  add("carriage return", [](CertWish& w) { w.dns.emplace_back("a\rb"); });
  add("DEL", [](CertWish& w) { w.dns.emplace_back("a\x7f"); });
  add("not ASCII", [](CertWish& w) { w.dns.emplace_back("m\xc3\xbcnchen"); });
  add("empty", [](CertWish& w) { w.uris.emplace_back(""); });
  add("five bytes of address", [](CertWish& w) { w.raw_ips.emplace_back("\x0a\0\0\1\1", 5); });
  add("too long", [](CertWish& w) { w.uris.push_back("spiffe://" + std::string(2048, 'a')); });
  add("too many", [](CertWish& w) { w.dns.assign(64, "a"); });
  add("too much together", [](CertWish& w) { w.dns.assign(5, std::string(2000, 'a')); });
  add("the extension twice", [](CertWish& w) { w.names_twice = true; });
  for (const Case& one : cases) {
    const auto peer = peer_of(one.wish);
    EXPECT_FALSE(peer) << one.name;
    const std::string_view error = peer ? std::string_view() : peer.error();
    EXPECT_EQ(error.find("good"), std::string_view::npos) << "no content in errors";
  }
}

TEST(TlsPeerTest, JustWithinTheLimitsIsFine) {
  CertWish wish;
  wish.dns.assign(63, "a.internal");
  wish.uris = {"spiffe://" + std::string(2048 - 9, 'a')};
  const auto peer = peer_of(wish);
  ASSERT_TRUE(peer) << peer.error();
  EXPECT_EQ(peer->dns_names().size(), 63U);
}

TEST(TlsPeerTest, TheForwardedValueIsEnvoys) {
  CertWish wish;
  wish.common_name = "client";
  wish.uris = {"spiffe://corp/tenant/globex"};
  wish.dns = {"a.internal", "b.internal"};
  const auto pair = e2e::self_signed(wish);
  const auto peer = peer_of(pair.certificate_pem);
  ASSERT_TRUE(peer) << peer.error();
  EXPECT_EQ(peer->forwarded_client_cert(), "Hash=" + e2e::sha256_of(pair.certificate_pem) +
                                               ";Subject=\"CN=client,O=Ficus\";URI=spiffe://corp/tenant/globex"
                                               ";DNS=a.internal;DNS=b.internal");
}

TEST(TlsPeerTest, AForwardedValueCannotBreakOutOfItsField) {
  CertWish wish;
  wish.common_name = "a \"b\", c\\";
  wish.uris = {"spiffe://corp/a,URI=spiffe://corp/admin", "spiffe://corp/b;Hash=00", "spiffe://corp/\"q\\"};
  const auto pair = e2e::self_signed(wish);
  const auto peer = peer_of(pair.certificate_pem);
  ASSERT_TRUE(peer) << peer.error();
  // RFC 2253 writes a \"b\"\, c\\ ; each of its backslashes and quotation marks is escaped once more.
  EXPECT_EQ(peer->forwarded_client_cert(),
            "Hash=" + e2e::sha256_of(pair.certificate_pem) + R"(;Subject="CN=a \\\"b\\\"\\, c\\\\,O=Ficus")" +
                R"(;URI="spiffe://corp/a,URI=spiffe://corp/admin";URI="spiffe://corp/b;Hash=00")" +
                R"(;URI="spiffe://corp/\"q\\")");
}

TEST(TlsPeerTest, ASubjectBeyondAsciiIsWrittenInAscii) {
  CertWish wish;
  wish.common_name = "M\xc3\xbcller\nx";
  const auto peer = peer_of(wish);
  ASSERT_TRUE(peer) << peer.error();
  EXPECT_EQ(peer->subject(), R"(CN=M\C3\BCller\0Ax,O=Ficus)");
}

}  // namespace
}  // namespace ficus
