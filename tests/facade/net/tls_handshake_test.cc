// Who is let in and who is not, and by which word each refusal is told. Every certificate is made here.
#include <openssl/pem.h>

#include "tests/facade/net/tls_fixture.h"

namespace ficus {
namespace {

using e2e::CertPair;
using e2e::client_wish;
using e2e::server_wish;
using e2e::TestCa;

class TlsHandshakeTest : public testing::Test {
 protected:
  const TestCa ca_, other_ca_{"Another CA"};
  const ClientContext client_ = client_context(ca_.certificate_pem());
  const ServerContext server_ = server_context(ca_.issue(server_wish()));

  Meeting meet_server(const CertPair& pair, const std::string& name = "localhost") const {
    return meet(server_context(pair), client_, name);
  }
};

TEST_F(TlsHandshakeTest, AGoodServerIsTrustedByNameAndByAddress) {
  for (const std::string name : {"localhost", "LOCALHOST.", "127.0.0.1", "::1"}) {
    const Meeting met = meet(server_, client_, name);
    EXPECT_EQ(met.client, "") << name;
    EXPECT_EQ(met.server, "") << name;
    EXPECT_EQ(met.version, "TLSv1.3");
    EXPECT_EQ(met.peer, nullptr) << "a client that was not asked";
  }
}

TEST_F(TlsHandshakeTest, AnExpiredServerIsCalledSo) {
  const Meeting met = meet_server(ca_.issue(expired(server_wish())));
  EXPECT_EQ(met.client, tls_class::kExpired);
  EXPECT_EQ(met.server, "handshake refused: certificate expired");
}

TEST_F(TlsHandshakeTest, AServerOfTheFutureIsCalledSo) {
  const Meeting met = meet_server(ca_.issue(not_yet_valid(server_wish())));
  EXPECT_EQ(met.client, tls_class::kNotYetValid);
  EXPECT_EQ(met.server, "handshake refused: bad certificate");
}

TEST_F(TlsHandshakeTest, AnotherHostsCertificateIsCalledSo) {
  EXPECT_EQ(meet(server_, client_, "policy.internal").client, tls_class::kOtherHost);
  EXPECT_EQ(meet(server_, client_, "127.0.0.2").client, tls_class::kOtherHost);
}

TEST_F(TlsHandshakeTest, ASubjectIsNoHostNameAndAWildcardIsOneLabel) {
  e2e::CertWish wish;
  wish.common_name = "policy.internal";
  EXPECT_EQ(meet_server(ca_.issue(wish), "policy.internal").client, tls_class::kOtherHost);
  wish.dns = {"*.corp.internal", "p*.partial.internal"};
  const CertPair pair = ca_.issue(wish);
  EXPECT_EQ(meet_server(pair, "policy.corp.internal").client, "");
  EXPECT_EQ(meet_server(pair, "a.policy.corp.internal").client, tls_class::kOtherHost);
  EXPECT_EQ(meet_server(pair, "policy.partial.internal").client, tls_class::kOtherHost);
}

TEST_F(TlsHandshakeTest, AnAddressWrittenAsADnsNameIsNoAddress) {
  e2e::CertWish wish;
  wish.dns = {"127.0.0.1"};
  EXPECT_EQ(meet_server(ca_.issue(wish), "127.0.0.1").client, tls_class::kOtherHost);
}

TEST_F(TlsHandshakeTest, AServerOfAnotherCaIsNotTrusted) {
  const Meeting met = meet_server(other_ca_.issue(server_wish()));
  EXPECT_EQ(met.client, tls_class::kUntrusted);
  EXPECT_EQ(met.server, "handshake refused: unknown ca");
}

TEST_F(TlsHandshakeTest, ACaOfTheSameNameWithAnotherKeyIsNotTrusted) {
  EXPECT_EQ(meet_server(TestCa().issue(server_wish())).client, tls_class::kUntrusted);
}

TEST_F(TlsHandshakeTest, ASelfSignedServerIsCalledSoUnlessItIsTheTrustedOne) {
  const CertPair alone = e2e::self_signed(server_wish());
  EXPECT_EQ(meet_server(alone).client, tls_class::kSelfSigned);
  EXPECT_EQ(meet(server_context(alone), client_context(alone.certificate_pem)).client, "");
}

TEST_F(TlsHandshakeTest, AnIntermediateIsSentAlongOrTrustedByItself) {
  const TestCa below = ca_.intermediate();
  CertPair pair = below.issue(server_wish());
  EXPECT_EQ(meet_server(pair).client, "");
  EXPECT_EQ(meet(server_context(pair), client_context(below.certificate_pem())).client, "");
  pair.certificate_pem.resize(pair.certificate_pem.find("-----END") + 26);  // without its issuer
  EXPECT_EQ(meet_server(pair).client, tls_class::kUntrusted);
}

TEST_F(TlsHandshakeTest, AClientsCertificateIsNoServers) {
  e2e::CertWish wish = server_wish();
  wish.use = e2e::CertWish::Use::kClient;
  EXPECT_EQ(meet_server(ca_.issue(wish)).client, tls_class::kPurpose);
}

TEST_F(TlsHandshakeTest, TheSystemsRootsDoNotKnowOurTestCa) {
  const Meeting met = meet(server_, client_context(""));
  EXPECT_EQ(met.client, tls_class::kUntrusted);
}

// ---- client certificates: what is asked for x what is given

struct ClientCase {
  std::string given;
  CertPair pair;
  std::string none, optional, required;  // the server's class, "" for let in
  std::string refusal;                   // what the client reads where it is refused
};

TEST_F(TlsHandshakeTest, ClientCertificatesAreHeldAgainstWhatIsAskedFor) {
  e2e::CertWish servers_own = client_wish();
  servers_own.use = e2e::CertWish::Use::kServer;
  e2e::CertWish hostile = client_wish(std::string("spiffe://corp/tenant/globex\0.evil", 33));
  const std::string unknown = "handshake refused: unknown ca";
  const std::vector<ClientCase> cases = {
      {"good", ca_.issue(client_wish()), "", "", "", ""},
      {"good by an intermediate", ca_.intermediate().issue(client_wish()), "", "", "", ""},
      {"absent", {}, "", "", std::string(tls_class::kNoClientCertificate), "handshake refused: certificate required"},
      {"of another CA", other_ca_.issue(client_wish()), "", std::string(tls_class::kUntrusted),
       std::string(tls_class::kUntrusted), unknown},
      {"self-signed", e2e::self_signed(client_wish()), "", std::string(tls_class::kSelfSigned),
       std::string(tls_class::kSelfSigned), unknown},
      {"expired", ca_.issue(expired(client_wish())), "", std::string(tls_class::kExpired),
       std::string(tls_class::kExpired), "handshake refused: certificate expired"},
      {"a server's", ca_.issue(servers_own), "", std::string(tls_class::kPurpose), std::string(tls_class::kPurpose),
       "handshake refused: unsupported certificate"},
      {"with a NUL in its name", ca_.issue(hostile), "", std::string(tls_class::kUnusableName),
       std::string(tls_class::kUnusableName), "handshake refused: handshake failure"},
  };
  const CertPair own = ca_.issue(server_wish());
  const std::vector<std::pair<ClientCertificates, std::string ClientCase::*>> modes = {
      {ClientCertificates::kNone, &ClientCase::none},
      {ClientCertificates::kOptional, &ClientCase::optional},
      {ClientCertificates::kRequired, &ClientCase::required},
  };
  for (const auto& [mode, want] : modes) {
    const bool asked = mode != ClientCertificates::kNone;
    const ServerContext server = server_context(own, mode, asked ? ca_.certificate_pem() : "");
    for (const ClientCase& one : cases) {
      SCOPED_TRACE(one.given + ", mode " + std::to_string(static_cast<int>(mode)));
      const Meeting met = meet(server, client_context(ca_.certificate_pem(), one.pair));
      EXPECT_EQ(met.server, one.*want);
      EXPECT_EQ(met.client, (one.*want).empty() ? "" : one.refusal);
      const bool known = asked && met.server.empty() && one.given != "absent";
      ASSERT_EQ(met.peer != nullptr, known);
      if (!known) continue;
      EXPECT_EQ(met.peer->uris(), std::vector<std::string>{"spiffe://corp/tenant/globex"});
      EXPECT_EQ(met.peer->sha256(), e2e::sha256_of(one.pair.certificate_pem));
    }
  }
}

TEST_F(TlsHandshakeTest, ARefusedClientLearnsWhyEvenIfItWritesFirst) {
  const ServerContext server =
      server_context(ca_.issue(server_wish()), ClientCertificates::kRequired, ca_.certificate_pem());
  Wire wire;
  TlsStream ours(*server, wire.server());
  TlsStream client(*client_, wire.client(), name_of("localhost"));
  shake(wire, ours, client);
  ASSERT_EQ(ours.error_class(), tls_class::kNoClientCertificate);
  wire.close_server();
  const TlsOutcome written = client.write("PRI", 3);
  EXPECT_EQ(written.result, TlsResult::kFailed);
  EXPECT_EQ(client.error_class(), "handshake refused: certificate required");
}

TEST_F(TlsHandshakeTest, TheServerNamesItsAuthoritiesToClients) {
  const ServerContext server = server_context(ca_.issue(server_wish()), ClientCertificates::kOptional,
                                              ca_.certificate_pem() + other_ca_.certificate_pem());
  Wire wire;
  TlsStream ours(*server, wire.server());
  RawEnd client(RawEnd::Side::kClient, wire.client(), [](SSL_CTX* context) { offer(context, "h2"); });
  shake(wire, ours, client);
  const STACK_OF(X509_NAME)* named = SSL_get0_peer_CA_list(client.ssl());
  ASSERT_NE(named, nullptr);
  EXPECT_EQ(sk_X509_NAME_num(named), 2);
}

// ---- ALPN, versions and ciphers, against OpenSSL by hand

Meeting meet_raw_client(const ServerContext& server_context, const std::function<void(SSL_CTX*)>& tune) {
  Wire wire;
  TlsStream server(*server_context, wire.server());
  RawEnd client(RawEnd::Side::kClient, wire.client(), tune);
  shake(wire, server, client);
  return {std::string(server.error_class()), client.error(), nullptr, std::string(server.version())};
}

Meeting meet_raw_server(const ClientContext& client_context, const std::function<void(SSL_CTX*)>& tune) {
  Wire wire;
  RawEnd server(RawEnd::Side::kServer, wire.server(), tune);
  TlsStream client(*client_context, wire.client(), name_of("localhost"));
  shake(wire, server, client);
  return {server.error(), std::string(client.error_class()), nullptr, std::string(client.version())};
}

TEST_F(TlsHandshakeTest, AClientThatOffersOtherProtocolsOnlyIsRefused) {
  for (const std::string protocol : {"http/1.1", "h2c", "h", "h22"}) {
    const Meeting met = meet_raw_client(server_, [&](SSL_CTX* context) { offer(context, protocol); });
    EXPECT_EQ(met.server, tls_class::kNoH2) << protocol;
    EXPECT_EQ(met.client, "tlsv1 alert no application protocol") << protocol;
  }
}

TEST_F(TlsHandshakeTest, AClientWithoutAlpnIsRefusedWithAWordOfItsOwn) {
  const Meeting met = meet_raw_client(server_, [](SSL_CTX*) {});
  EXPECT_EQ(met.server, tls_class::kNoAlpn);
  EXPECT_EQ(met.client, "tlsv1 alert no application protocol");
}

TEST_F(TlsHandshakeTest, H2IsChosenWhereverItStandsInTheOffer) {
  const Meeting met = meet_raw_client(server_, [](SSL_CTX* context) {
    static constexpr std::array<unsigned char, 15> kList = {8,   'h', 't', 't', 'p', '/', '1', '.',
                                                            '1', 2,   'h', '2', 2,   'h', '3'};
    SSL_CTX_set_alpn_protos(context, kList.data(), kList.size());
  });
  EXPECT_EQ(met.server, "");
}

TEST_F(TlsHandshakeTest, AServerThatChoosesNoProtocolIsRefused) {
  const CertPair pair = ca_.issue(server_wish());
  EXPECT_EQ(meet_raw_server(client_, [&](SSL_CTX* context) { use_pair(context, pair); }).client, tls_class::kNoH2);
}

TEST_F(TlsHandshakeTest, AServerThatRefusesH2IsCalledSo) {
  const CertPair pair = ca_.issue(server_wish());
  const Meeting met = meet_raw_server(client_, [&](SSL_CTX* context) {
    use_pair(context, pair);
    SSL_CTX_set_alpn_select_cb(
        context,
        [](SSL*, const unsigned char**, unsigned char*, const unsigned char*, unsigned, void*) {
          return SSL_TLSEXT_ERR_ALERT_FATAL;
        },
        nullptr);
  });
  EXPECT_EQ(met.client, tls_class::kNoH2);
}

void only_tls11(SSL_CTX* context) {
  SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
  SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
}

TEST_F(TlsHandshakeTest, Tls11IsRefusedOnBothSides) {
  const Meeting met = meet_raw_client(server_, [](SSL_CTX* context) {
    only_tls11(context);
    offer(context, "h2");
  });
  EXPECT_EQ(met.server, tls_class::kVersion);
  EXPECT_EQ(met.client, "tlsv1 alert protocol version");

  const CertPair pair = ca_.issue(server_wish());
  const Meeting other = meet_raw_server(client_, [&](SSL_CTX* context) {
    use_pair(context, pair);
    only_tls11(context);
  });
  EXPECT_EQ(other.client, "handshake refused: protocol version");
}

TEST_F(TlsHandshakeTest, Tls12IsTakenWithGoodCiphersOnly) {
  const auto with = [&](const char* ciphers) {
    return meet_raw_client(server_, [&](SSL_CTX* context) {
      SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
      SSL_CTX_set_cipher_list(context, ciphers);
      offer(context, "h2");
    });
  };
  EXPECT_EQ(with("ECDHE-ECDSA-AES128-GCM-SHA256").server, "");
  EXPECT_EQ(with("ECDHE-ECDSA-AES128-GCM-SHA256").version, "TLSv1.2");
  // RFC 9113 appendix A: block modes, and keys that are not ephemeral.
  EXPECT_EQ(with("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA").server, tls_class::kNothingShared);
  EXPECT_EQ(with("AES128-GCM-SHA256").server, tls_class::kNothingShared);
}

TEST_F(TlsHandshakeTest, OurClientOffersNoProhibitedCipher) {
  const CertPair pair = ca_.issue(server_wish());
  const Meeting met = meet_raw_server(client_, [&](SSL_CTX* context) {
    use_pair(context, pair);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-SHA256");
  });
  EXPECT_EQ(met.client, "handshake refused: handshake failure");
}

TEST_F(TlsHandshakeTest, ANameIsSentAsSniAndAnAddressIsNot) {
  const CertPair pair = ca_.issue(server_wish());
  for (const std::string name : {"localhost", "127.0.0.1"}) {
    Wire wire;
    RawEnd server(RawEnd::Side::kServer, wire.server(), [&](SSL_CTX* context) { use_pair(context, pair); });
    TlsStream client(*client_, wire.client(), name_of(name));
    shake(wire, server, client);
    const char* sni = SSL_get_servername(server.ssl(), TLSEXT_NAMETYPE_host_name);
    EXPECT_EQ(sni == nullptr ? "" : std::string(sni), name == "localhost" ? name : "");
  }
}

// ---- peers that do not speak TLS, or stop

TEST_F(TlsHandshakeTest, PlainBytesAreCalledSoOnBothSides) {
  for (const std::string bytes : {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                  "CONNECT a:1 HTTP/1.1\r\n\r\n", "SSH-2.0-x\r\n"}) {
    Wire wire;
    ASSERT_EQ(::write(wire.client(), bytes.data(), bytes.size()), ssize_t(bytes.size()));
    TlsStream server(*server_, wire.server());
    EXPECT_EQ(server.handshake().result, TlsResult::kFailed);
    EXPECT_EQ(server.error_class(), tls_class::kNotTls) << bytes;
  }
  // An h2c server begins with its SETTINGS.
  const std::string settings("\0\0\0\x4\0\0\0\0\0", 9);
  Wire wire;
  TlsStream client(*client_, wire.client(), name_of("localhost"));
  EXPECT_EQ(client.handshake().result, TlsResult::kWantRead);
  ASSERT_EQ(::write(wire.server(), settings.data(), settings.size()), ssize_t(settings.size()));
  EXPECT_EQ(client.handshake().result, TlsResult::kFailed);
  EXPECT_EQ(client.error_class(), tls_class::kNotTls);
}

TEST_F(TlsHandshakeTest, AnEndInTheHandshakeIsAFailure) {
  Wire wire;
  TlsStream server(*server_, wire.server());
  EXPECT_EQ(server.handshake().result, TlsResult::kWantRead);
  wire.close_client();
  EXPECT_EQ(server.handshake().result, TlsResult::kFailed);
  EXPECT_EQ(server.error_class(), tls_class::kClosedInHandshake);
  EXPECT_EQ(server.handshake().result, TlsResult::kFailed) << "a failure stays";
}

TEST_F(TlsHandshakeTest, NothingIsReadOrWrittenBeforeTheHandshake) {
  Wire wire;
  char byte;
  TlsStream reader(*server_, wire.server());
  EXPECT_EQ(reader.read(&byte, 1).result, TlsResult::kFailed);
  TlsStream writer(*client_, wire.client(), name_of("localhost"));
  EXPECT_EQ(writer.write("secret", 6).result, TlsResult::kFailed);
  EXPECT_EQ(::read(wire.server(), &byte, 1), -1) << "nothing went out in clear";
}

// ---- resuming

// Connects by hand, with a session if given, and takes the ticket that comes.
struct Ticket {
  std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session{nullptr, SSL_SESSION_free};
  bool resumed = false;
  std::shared_ptr<const TlsPeer> peer;
  std::string server_class;
};
Ticket connect_by_hand(const ServerContext& context, const CertPair& pair, SSL_SESSION* session) {
  Wire wire;
  TlsStream server(*context, wire.server());
  RawEnd client(RawEnd::Side::kClient, wire.client(), [&](SSL_CTX* raw) {
    offer(raw, "h2");
    use_pair(raw, pair);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // a context that goes spoils what it has stored
  });
  if (session != nullptr) SSL_set_session(client.ssl(), session);
  shake(wire, server, client);
  read_all(client);  // the tickets
  Ticket ticket;
  ticket.session.reset(SSL_get1_session(client.ssl()));
  ticket.resumed = server.resumed();
  ticket.peer = server.peer();
  ticket.server_class = server.error_class();
  SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // or OpenSSL spoils the session
  return ticket;
}

TEST_F(TlsHandshakeTest, AResumedClientIsStillKnownAndNoLongerTrustedOneDoesNotComeBack) {
  const CertPair own = ca_.issue(server_wish()), client = other_ca_.issue(client_wish());
  const ServerContext trusting = server_context(own, ClientCertificates::kRequired, other_ca_.certificate_pem());
  const Ticket first = connect_by_hand(trusting, client, nullptr);
  ASSERT_EQ(first.server_class, "");
  EXPECT_FALSE(first.resumed);
  const Ticket second = connect_by_hand(trusting, client, first.session.get());
  EXPECT_TRUE(second.resumed);
  ASSERT_NE(second.peer, nullptr);
  EXPECT_EQ(second.peer->forwarded_client_cert(), first.peer->forwarded_client_cert());

  const ServerContext distrusting = server_context(own, ClientCertificates::kRequired, ca_.certificate_pem());
  const Ticket third = connect_by_hand(distrusting, client, second.session.get());
  EXPECT_FALSE(third.resumed);
  EXPECT_EQ(third.server_class, tls_class::kUntrusted);
}

}  // namespace
}  // namespace ficus
