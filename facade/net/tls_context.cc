#include "facade/net/tls_context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "facade/net/tls_peer.h"
#include "facade/net/tls_pem.h"

namespace ficus {
namespace {

// ALPN's protocol list: a length, then the name (RFC 7301 3.1).
constexpr std::array<unsigned char, 3> kAlpnH2 = {2, 'h', '2'};

// TLS 1.2 suites that RFC 9113 appendix A leaves: ephemeral keys, authenticated encryption. TLS 1.3's are all good.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
// Issuers between a peer and a trusted one: more is nobody's chain, and each costs a signature check.
constexpr int kChainDepth = 8;

std::string queue_text() {
  const unsigned long error = ERR_peek_last_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return text == nullptr ? "unknown reason" : text;
}

Result<SslContextPtr, std::string> make_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SslContextPtr context(SSL_CTX_new(method));
  const bool ok = context && SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1 &&
                  SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                  SSL_CTX_set_cipher_list(context.get(), kCiphers12) == 1 &&
                  SSL_CTX_set1_groups_list(context.get(), kGroups) == 1;
  if (!ok) return fail("OpenSSL cannot be set up (see the system's openssl.cnf): " + queue_text());
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  // Buffers of 16 KiB and more are given back whenever they are empty: 10,000 idle connections must not hold them.
  // A write may be repeated from another address, since output queues move.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // One read(2) for a record's head and body together, and for several small records.
  SSL_CTX_set_read_ahead(context.get(), 1);
  // Sessions are resumed by tickets, which need no store that workers would share a lock for.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify_depth(context.get(), kChainDepth);
  return context;
}

// RFC 9113 3.2: over TLS, HTTP/2 is chosen by ALPN. A client that offers nothing would be answered in a protocol it may
// not speak, so it is told.
int on_client_hello(SSL* ssl, int* alert, void*) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &size) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

int select_h2(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
              unsigned int offered_size, void*) {
  for (unsigned int at = 0; at < offered_size; at += 1U + offered[at]) {
    if (offered[at] != 2 || at + 2 >= offered_size || offered[at + 1] != 'h' || offered[at + 2] != '2') continue;
    *out = offered + at + 1;
    *out_size = 2;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// The usual check, and then that the names in the certificate may be used: here, so that the client is told.
int verify_client(X509_STORE_CTX* store, void*) {
  if (X509_verify_cert(store) != 1) return 0;
  const X509* certificate = X509_STORE_CTX_get0_cert(store);
  if (certificate != nullptr && TlsPeer::read(*certificate)) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  bool at_label = true;
  for (const char c : text) {
    const bool word =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (c == '.' ? at_label : !word) return false;
    at_label = c == '.';
  }
  return !at_label;
}

}  // namespace

Result<std::shared_ptr<const TlsServerContext>, std::string> TlsServerContext::make(const TlsServerSettings& settings) {
  auto context = make_context(TLS_server_method());
  if (!context) return fail(context.error());
  SSL_CTX* const native = context->get();
  std::shared_ptr<TlsServerContext> made(new TlsServerContext);
  made->client_certificates_ = settings.client_certificates;

  const auto used = use_certificate(native, {settings.certificate_name, settings.certificate_pem},
                                    {settings.key_name, settings.key_pem}, made->warnings_);
  if (!used) return fail(used.error());

  if (settings.client_certificates == ClientCertificates::kNone && !settings.client_ca_pem.empty()) {
    return fail(settings.client_ca_name +
                " is given, but clients are not asked for certificates; say whether they are" +
                " optional or required, or leave it out");
  }
  SSL_CTX_set_client_hello_cb(native, on_client_hello, nullptr);
  SSL_CTX_set_alpn_select_cb(native, select_h2, nullptr);
  if (settings.client_certificates != ClientCertificates::kNone) {
    const auto trusted = trust_certificates(native, {settings.client_ca_name, settings.client_ca_pem}, true, made->warnings_);
    if (!trusted) return fail(trusted.error());
    int mode = SSL_VERIFY_PEER;
    if (settings.client_certificates == ClientCertificates::kRequired) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(native, mode, nullptr);
    SSL_CTX_set_cert_verify_callback(native, verify_client, nullptr);
    // OpenSSL wants a name for the sessions that carry a verified client. Tickets of another context cannot be read
    // with this one's key anyway: who is no longer trusted after a reload does not come back by a ticket.
    static constexpr std::array<unsigned char, 5> kSessionName = {'f', 'i', 'c', 'u', 's'};
    SSL_CTX_set_session_id_context(native, kSessionName.data(), kSessionName.size());
  }
  made->context_ = context->release();
  return made;
}

TlsServerContext::~TlsServerContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const TlsClientContext>, std::string> TlsClientContext::make(const TlsClientSettings& settings) {
  auto context = make_context(TLS_client_method());
  if (!context) return fail(context.error());
  SSL_CTX* const native = context->get();
  std::shared_ptr<TlsClientContext> made(new TlsClientContext);

  SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
  if (settings.ca_pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(native) != 1) {
      return fail("the system's trusted certificates cannot be read (set " + settings.ca_name + "): " + queue_text());
    }
  } else {
    const auto trusted = trust_certificates(native, {settings.ca_name, settings.ca_pem}, false, made->warnings_);
    if (!trusted) return fail(trusted.error());
  }
  if (settings.certificate_pem.empty() != settings.key_pem.empty()) {
    const bool lone_key = settings.certificate_pem.empty();
    return fail((lone_key ? settings.key_name : settings.certificate_name) + " is given without " +
                (lone_key ? settings.certificate_name : settings.key_name) + "; give both or neither");
  }
  if (!settings.certificate_pem.empty()) {
    const auto used = use_certificate(native, {settings.certificate_name, settings.certificate_pem},
                                      {settings.key_name, settings.key_pem}, made->warnings_);
    if (!used) return fail(used.error());
  }
  // 0 is success here, and only here.
  if (SSL_CTX_set_alpn_protos(native, kAlpnH2.data(), kAlpnH2.size()) != 0) return fail(std::string("out of memory"));
  made->context_ = context->release();
  return made;
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

Result<TlsPeerName, std::string> TlsPeerName::parse(std::string_view text) {
  TlsPeerName name;
  name.text_ = text;
  std::array<unsigned char, sizeof(in6_addr)> address;
  name.is_address_ = inet_pton(AF_INET, name.text_.c_str(), address.data()) == 1 ||
                     inet_pton(AF_INET6, name.text_.c_str(), address.data()) == 1;
  if (name.is_address_ && text.find('\0') == std::string_view::npos) return name;
  if (name.text_.ends_with('.')) name.text_.pop_back();
  if (is_host_name(name.text_)) return name;
  return fail(
      std::string("a server name must be a host name like \"policy.internal\" or an IP address without brackets"));
}

}  // namespace ficus
