#include "facade/rpc/upstream_tls.h"

#include "facade/net/tls_context.h"
#include "facade/net/tls_pem.h"

namespace ficus {

TlsClientSettings client_settings_of(const UpstreamTls& tls) {
  TlsClientSettings settings;
  settings.ca_pem = tls.ca_pem;
  settings.certificate_pem = tls.cert_pem;
  settings.key_pem = tls.key_pem;
  if (!tls.ca_file.empty()) settings.ca_name = tls.ca_file;
  if (!tls.cert_file.empty()) settings.certificate_name = tls.cert_file;
  if (!tls.key_file.empty()) settings.key_name = tls.key_file;
  return settings;
}

Result<std::vector<std::string>, std::string> judge_upstream_tls(const UpstreamTls& tls) {
  const SslContextPtr scratch(SSL_CTX_new(TLS_client_method()));
  if (scratch == nullptr) return fail(std::string("out of memory"));
  std::vector<std::string> warnings;
  // By name and not by content: an empty file is not "no file", which would stand for the system's roots.
  if (!tls.ca_file.empty()) {
    const auto trusted = trust_certificates(scratch.get(), {tls.ca_file, tls.ca_pem}, false, warnings);
    if (!trusted) return fail(trusted.error());
  }
  if (!tls.cert_file.empty()) {
    const auto used = use_certificate(scratch.get(), {tls.cert_file, tls.cert_pem}, {tls.key_file, tls.key_pem}, warnings);
    if (!used) return fail(used.error());
  }
  return warnings;
}

}  // namespace ficus
