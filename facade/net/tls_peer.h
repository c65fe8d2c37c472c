// What is known of a verified peer: the names in its certificate, and how an upstream is told of them.
// Immutable; computed once a connection and shared by its calls. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "routing/result.h"

struct x509_st;

namespace ficus {

// Bounds on what one certificate may say of its holder. They are copied into identities, headers and traces, so beyond
// them the certificate is unusable: cutting a list of names would hide one that a policy asks for.
struct TlsPeerLimits {
  std::size_t names = 64;         // subject alternative names of the kinds below
  std::size_t name_bytes = 2048;  // of one name, and of the subject; as long as a SPIFFE ID may be
  std::size_t all_bytes = 8192;   // of all names together: half of what gRPC takes for a whole header list by default
};

class TlsPeer {
 public:
  // Reads a certificate that has been verified. Error: a static sentence without any of its content, if a subject
  // alternative name holds a control character (an embedded NUL among them), is empty, is not ASCII, is an address of a
  // strange length, or the names cannot be decoded or go beyond the limits. Names of other kinds (directory names,
  // registered ids, other names) are passed over. Source: RFC 5280 4.2.1.6.
  static Result<TlsPeer, std::string_view> read(const x509_st& certificate, const TlsPeerLimits& limits = {});

  // Subject alternative names in the certificate's order, each kind for itself.
  const std::vector<std::string>& uris() const { return uris_; }
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  const std::vector<std::string>& emails() const { return emails_; }
  const std::vector<std::string>& ip_addresses() const { return ip_addresses_; }  // "10.0.0.1", "2001:db8::1"
  // By RFC 2253, last part first, ASCII only ("CN=client,O=corp"); empty if the certificate has none.
  const std::string& subject() const { return subject_; }
  // SHA-256 of the certificate (DER), 64 lower-case hexadecimal digits.
  const std::string& sha256() const { return sha256_; }
  // The value of `x-forwarded-client-cert` as Envoy writes it: Hash=...;Subject="...";URI=...;DNS=... The subject is
  // always in quotation marks, other values where they hold something that separates; inside, `"` and `\` are escaped
  // by `\`. Printable ASCII.
  const std::string& forwarded_client_cert() const { return forwarded_client_cert_; }

 private:
  TlsPeer() = default;
  std::vector<std::string> uris_, dns_names_, emails_, ip_addresses_;
  std::string subject_, sha256_, forwarded_client_cert_;
};

}  // namespace ficus
