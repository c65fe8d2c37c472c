// What TLS connections of one kind have in common: certificates, whom to trust, versions and ciphers. Immutable once
// made, and shared by all workers: OpenSSL counts references of an SSL_CTX atomically and only reads it otherwise.
// TLS 1.2 and 1.3, with ephemeral keys and authenticated encryption only (none of RFC 9113 appendix A), no compression,
// no renegotiation, no early data (0-RTT could be replayed), and h2 by ALPN or nothing (RFC 9113 3.2, 3.3).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/result.h"

struct ssl_ctx_st;

namespace ficus {

enum class ClientCertificates : std::uint8_t {
  kNone,      // not asked for
  kOptional,  // asked for; one that is sent must be good
  kRequired,  // a client without one is refused
};

struct TlsServerSettings {
  std::string certificate_pem;  // ours first, then its issuers, without the root
  std::string key_pem;          // not encrypted
  std::string client_ca_pem;    // whom to trust when clients send certificates; empty only with kNone
  ClientCertificates client_certificates = ClientCertificates::kNone;
  // What error sentences call the three: paths.
  std::string certificate_name = "the TLS certificate", key_name = "the TLS key", client_ca_name = "the client CA";
};

class TlsServerContext {
 public:
  // Error: a sentence that names the text at fault and what to do. Costs a few 100 us; not for the data plane.
  static Result<std::shared_ptr<const TlsServerContext>, std::string> make(const TlsServerSettings& settings);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  // What an operator should know although it works: an expired certificate.
  const std::vector<std::string>& warnings() const { return warnings_; }
  ClientCertificates client_certificates() const { return client_certificates_; }
  ssl_ctx_st* native() const { return context_; }  // for TlsStream

 private:
  TlsServerContext() = default;
  ssl_ctx_st* context_ = nullptr;
  ClientCertificates client_certificates_ = ClientCertificates::kNone;
  std::vector<std::string> warnings_;
};

struct TlsClientSettings {
  std::string ca_pem;           // empty: the system's roots
  std::string certificate_pem;  // our own, then its issuers; empty: we show none
  std::string key_pem;          // with certificate_pem, and only with it
  // What error sentences call the three.
  std::string ca_name = "ca_file", certificate_name = "cert_file", key_name = "key_file";
};

// One for each upstream. The server's name is checked always, so it belongs to each stream: see TlsPeerName.
class TlsClientContext {
 public:
  // Error: a sentence. With the system's roots a few ms, since some hundred certificates are read.
  static Result<std::shared_ptr<const TlsClientContext>, std::string> make(const TlsClientSettings& settings);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  const std::vector<std::string>& warnings() const { return warnings_; }
  ssl_ctx_st* native() const { return context_; }  // for TlsStream

 private:
  TlsClientContext() = default;
  ssl_ctx_st* context_ = nullptr;
  std::vector<std::string> warnings_;
};

// Whom an upstream's certificate must be for: the policy's `server_name`, or else the host of the endpoint. A name is
// sent as SNI and looked for among the certificate's DNS names ("*.corp" matches one label, the subject's CN counts for
// nothing: RFC 9525 6.3, 2); an address is looked for among its IP addresses and not sent (RFC 6066 3).
class TlsPeerName {
 public:
  // "policy.internal", "10.0.0.1", "::1" (no brackets). One dot at the end is taken off. Error: a sentence.
  static Result<TlsPeerName, std::string> parse(std::string_view text);
  const std::string& text() const { return text_; }
  bool is_address() const { return is_address_; }

 private:
  TlsPeerName() = default;
  std::string text_;
  bool is_address_ = false;
};

}  // namespace ficus
