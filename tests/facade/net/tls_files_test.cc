// Certificates as files: what is said when they do not fit, and how they change under a running listener.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "facade/net/tls_server_source.h"
#include "tests/facade/net/tls_fixture.h"
#include "tests/support/temp_dir.h"

namespace ficus {
namespace {

using e2e::CertPair;
using e2e::server_wish;
using e2e::TempDir;
using e2e::TestCa;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Reload = TlsServerSource::Reload;

class TlsFilesTest : public testing::Test {
 protected:
  const TestCa ca_;
  const CertPair first_ = ca_.issue(server_wish()), second_ = ca_.issue(server_wish());
  const ClientContext client_ = client_context(ca_.certificate_pem());
  TempDir dir_;
  const TlsServerFiles files_{dir_.path("tls.pem"), dir_.path("tls.key"), "", ClientCertificates::kNone};

  void write(const std::string& certificate, const std::string& key) {
    dir_.write("tls.pem", certificate);
    dir_.write("tls.key", key);
    ::chmod(files_.key_file.c_str(), 0600);
  }
  void write(const CertPair& pair) { write(pair.certificate_pem, pair.key_pem); }
  std::string open_error() const {
    const auto source = TlsServerSource::open(files_);
    return source ? "" : source.error();
  }
  // Of the certificate that a new connection is shown.
  std::string shown(const TlsServerSource& source) {
    Wire wire;
    TlsStream server(*source.context(), wire.server());
    RawEnd client(RawEnd::Side::kClient, wire.client(), [](SSL_CTX* context) { offer(context, "h2"); });
    shake(wire, server, client);
    const X509* certificate = SSL_get0_peer_certificate(client.ssl());
    return certificate == nullptr ? "" : TlsPeer::read(*certificate)->sha256();
  }
};

TEST_F(TlsFilesTest, EveryFailedStartSaysWhichFileAndWhatIsWrongWithIt) {
  struct Case {
    std::string name, certificate, key, file, want;
  };
  const std::string pem = first_.certificate_pem, key = first_.key_pem;
  std::string two = pem + second_.certificate_pem;
  const std::vector<Case> cases = {
      {"empty certificate", "", key, "tls.pem", "is empty"},
      {"empty key", pem, "", "tls.key", "is empty"},
      {"text", "hello", key, "tls.pem", "not PEM"},
      {"DER", e2e::to_der(pem), key, "tls.pem", "is DER, not PEM; convert it with `openssl x509"},
      {"a key for the certificate", key, key, "tls.pem", "no readable CERTIFICATE"},
      {"a certificate for the key", pem, pem, "tls.key", "no readable PRIVATE KEY"},
      {"cut off", pem.substr(0, pem.size() / 2), key, "tls.pem", "cut off"},
      {"cut off in the second", two.substr(0, two.size() - 100), key, "tls.pem", "certificate 2 in it cannot be read"},
      {"another's key", pem, second_.key_pem, "tls.key", "does not match the certificate"},
      {"issuer first", ca_.certificate_pem() + pem, key, "tls.pem", "belongs to certificate 2"},
      {"encrypted", pem, e2e::encrypted_key(key, "password"), "tls.key", "is encrypted"},
      {"too large", std::string(TlsServerSource::kFileBytes + 1, 'a'), key, "tls.pem", "larger than 1 MiB"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    write(one.certificate, one.key);
    EXPECT_THAT(open_error(), AllOf(HasSubstr(dir_.path(one.file)), HasSubstr(one.want)));
    EXPECT_EQ(open_error().find("-----BEGIN PRIVATE"), std::string::npos);
  }
  write(first_);
  EXPECT_EQ(open_error(), "");
}

TEST_F(TlsFilesTest, WhatIsNoFileIsNotRead) {
  EXPECT_THAT(open_error(), AllOf(HasSubstr("tls.pem"), HasSubstr("is the path right?")));
  write(first_);
  ASSERT_EQ(::unlink(files_.key_file.c_str()), 0);
  ASSERT_EQ(::mkfifo(files_.key_file.c_str(), 0600), 0);
  EXPECT_THAT(open_error(), AllOf(HasSubstr("tls.key"), HasSubstr("not a regular file")));
  ASSERT_EQ(::unlink(files_.key_file.c_str()), 0);
  ASSERT_EQ(::mkdir(files_.key_file.c_str(), 0700), 0);
  EXPECT_THAT(open_error(), HasSubstr("not a regular file"));
}

TEST_F(TlsFilesTest, ClientCertificatesNeedACaAndACaNeedsThem) {
  write(first_);
  TlsServerFiles files = files_;
  files.client_certificates = ClientCertificates::kRequired;
  auto source = TlsServerSource::open(files);
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error(), HasSubstr("no client CA file"));

  dir_.write("ca.pem", ca_.certificate_pem());
  files.client_ca_file = dir_.path("ca.pem");
  files.client_certificates = ClientCertificates::kNone;
  source = TlsServerSource::open(files);
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error(), AllOf(HasSubstr("ca.pem"), HasSubstr("clients are not asked")));

  files.client_certificates = ClientCertificates::kOptional;
  dir_.write("ca.pem", "");
  source = TlsServerSource::open(files);
  ASSERT_FALSE(source);
  EXPECT_THAT(source.error(), AllOf(HasSubstr("ca.pem"), HasSubstr("is empty")));
}

TEST_F(TlsFilesTest, DatesAndOpenKeysAreWarningsOnly) {
  write(ca_.issue(expired(server_wish())));
  ::chmod(files_.key_file.c_str(), 0644);
  const auto source = TlsServerSource::open(files_);
  ASSERT_TRUE(source) << source.error();
  EXPECT_THAT(source->warnings(), UnorderedElementsAre(HasSubstr("has expired"), HasSubstr("may read the key")));
  write(ca_.issue(not_yet_valid(server_wish())));
  EXPECT_THAT(TlsServerSource::open(files_)->warnings(), UnorderedElementsAre(HasSubstr("not valid yet")));
  write(first_);
  EXPECT_THAT(TlsServerSource::open(files_)->warnings(), IsEmpty());
}

TEST_F(TlsFilesTest, FilesThatStayAreNotReadAgain) {
  write(first_);
  auto source = TlsServerSource::open(files_);
  ASSERT_TRUE(source) << source.error();
  const ServerContext before = source->context();
  EXPECT_EQ(source->reload_if_changed(), Reload::kUnchanged);
  EXPECT_EQ(source->context(), before);
}

TEST_F(TlsFilesTest, AChangedPairServesTheNextConnectionWhileOldOnesGoOn) {
  write(first_);
  auto source = TlsServerSource::open(files_);
  ASSERT_TRUE(source) << source.error();
  Wire wire;
  TlsStream server(*source->context(), wire.server());
  TlsStream client(*client_, wire.client(), name_of("localhost"));
  shake(wire, server, client);
  EXPECT_EQ(shown(*source), e2e::sha256_of(first_.certificate_pem));

  write(second_);
  EXPECT_EQ(source->reload_if_changed(), Reload::kReloaded);
  EXPECT_EQ(shown(*source), e2e::sha256_of(second_.certificate_pem));
  EXPECT_EQ(source->reload_if_changed(), Reload::kUnchanged);

  // The context that the old connection was made from is gone; the connection is not.
  ASSERT_EQ(client.write("still", 5).result, TlsResult::kDone);
  EXPECT_EQ(read_all(server), "still");
  ASSERT_EQ(server.write("here", 4).result, TlsResult::kDone);
  EXPECT_EQ(read_all(client), "here");
}

TEST_F(TlsFilesTest, APairReplacedOneAfterTheOtherKeepsTheOldInBetween) {
  write(first_);
  auto source = TlsServerSource::open(files_);
  ASSERT_TRUE(source) << source.error();
  dir_.write("tls.key", second_.key_pem);
  EXPECT_EQ(source->reload_if_changed(), Reload::kKept);
  EXPECT_THAT(source->error(), HasSubstr("does not match"));
  EXPECT_EQ(shown(*source), e2e::sha256_of(first_.certificate_pem));
  EXPECT_EQ(source->reload_if_changed(), Reload::kUnchanged) << "what is wrong is told once";
  dir_.write("tls.pem", second_.certificate_pem);
  EXPECT_EQ(source->reload_if_changed(), Reload::kReloaded);
  EXPECT_EQ(source->error(), "");
  EXPECT_EQ(shown(*source), e2e::sha256_of(second_.certificate_pem));
}

TEST_F(TlsFilesTest, ABrokenOrMissingFileKeepsTheOldAndSaysWhy) {
  write(first_);
  auto source = TlsServerSource::open(files_);
  ASSERT_TRUE(source) << source.error();
  dir_.write("tls.pem", "oops");
  EXPECT_EQ(source->reload_if_changed(), Reload::kKept);
  EXPECT_THAT(source->error(), AllOf(HasSubstr("tls.pem"), HasSubstr("not PEM")));
  ASSERT_EQ(::unlink(files_.certificate_file.c_str()), 0);
  EXPECT_EQ(source->reload_if_changed(), Reload::kKept);
  EXPECT_THAT(source->error(), AllOf(HasSubstr("tls.pem"), HasSubstr("cannot read")));
  EXPECT_EQ(shown(*source), e2e::sha256_of(first_.certificate_pem));
  dir_.write("tls.pem", first_.certificate_pem);
  EXPECT_EQ(source->reload_if_changed(), Reload::kReloaded);
}

TEST_F(TlsFilesTest, AChangedClientCaDecidesAboutTheNextClient) {
  write(first_);
  const TestCa old_ca("Old client CA"), new_ca("New client CA");
  dir_.write("ca.pem", old_ca.certificate_pem());
  TlsServerFiles files = files_;
  files.client_ca_file = dir_.path("ca.pem");
  files.client_certificates = ClientCertificates::kRequired;
  auto source = TlsServerSource::open(files);
  ASSERT_TRUE(source) << source.error();
  EXPECT_EQ(source->files().size(), 3U);
  const ClientContext client = client_context(ca_.certificate_pem(), new_ca.issue(e2e::client_wish()));
  EXPECT_EQ(meet(source->context(), client).server, tls_class::kUntrusted);
  dir_.write("ca.pem", old_ca.certificate_pem() + new_ca.certificate_pem());
  EXPECT_EQ(source->reload_if_changed(), Reload::kReloaded);
  EXPECT_EQ(meet(source->context(), client).server, "");
}

// ---- an upstream's texts

TEST(TlsClientContextTest, EveryUnfitTextIsNamed) {
  const TestCa ca;
  const CertPair pair = ca.issue(e2e::client_wish());
  struct Case {
    std::string ca, certificate, key, want;
  };
  const std::vector<Case> cases = {
      {"hello", "", "", "ca_file is not PEM"},
      {ca.certificate_pem(), pair.certificate_pem, "", "cert_file is given without key_file"},
      {ca.certificate_pem(), "", pair.key_pem, "key_file is given without cert_file"},
      {ca.certificate_pem(), pair.certificate_pem, ca.issue(e2e::client_wish()).key_pem, "does not match"},
      {ca.certificate_pem(), pair.certificate_pem, e2e::encrypted_key(pair.key_pem, "x"), "key_file is encrypted"},
  };
  for (const Case& one : cases) {
    TlsClientSettings settings;
    settings.ca_pem = one.ca;
    settings.certificate_pem = one.certificate;
    settings.key_pem = one.key;
    const auto made = TlsClientContext::make(settings);
    ASSERT_FALSE(made) << one.want;
    EXPECT_THAT(made.error(), HasSubstr(one.want));
  }
}

TEST(TlsPeerNameTest, NamesAndAddressesAreToldApart) {
  struct Case {
    std::string text, want;
    bool address;
  };
  for (const Case& one : std::vector<Case>{{"policy.internal", "policy.internal", false},
                                           {"policy.internal.", "policy.internal", false},
                                           {"a_b-1", "a_b-1", false},
                                           {"10.0.0.1", "10.0.0.1", true},
                                           {"::1", "::1", true}}) {
    const auto name = TlsPeerName::parse(one.text);
    ASSERT_TRUE(name) << one.text;
    EXPECT_EQ(name->text(), one.want);
    EXPECT_EQ(name->is_address(), one.address) << one.text;
  }
  for (const std::string& bad :
       {std::string(""), std::string("."), std::string("a..b"), std::string(".a"), std::string("*.corp"),
        std::string("[::1]"), std::string("a b"), std::string("a/b"), std::string("host:443"), std::string("a\0b", 3),
        std::string("10.0.0.1\0", 9), std::string(254, 'a')}) {
    EXPECT_FALSE(TlsPeerName::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace ficus
