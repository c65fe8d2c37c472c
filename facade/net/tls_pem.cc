#include "facade/net/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <climits>

namespace ficus {
namespace {

// A CertificateRequest names the authorities that clients may choose by; a bundle of the whole world would fill it.
constexpr std::size_t kNamedAuthorities = 64;

std::unique_ptr<BIO, OpensslFree> open_text(std::string_view text) {
  if (text.size() > INT_MAX) text = {};
  return std::unique_ptr<BIO, OpensslFree>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// What the text is, where it should have been PEM.
std::string not_pem(const TlsPem& pem, std::string_view wanted) {
  const std::string block(wanted);
  if (pem.text.empty()) return pem.name + " is empty; it must hold a PEM " + block;
  // An ASN.1 SEQUENCE with a two-byte length: what DER certificates and keys begin with.
  if (pem.text.starts_with("\x30\x82")) {
    return pem.name + " is DER, not PEM; convert it with `openssl " + (block == "CERTIFICATE" ? "x509" : "pkey") +
           " -inform der`";
  }
  if (pem.text.find("-----BEGIN ") == std::string_view::npos) {
    return pem.name + " is not PEM: it holds no -----BEGIN " + block + "----- block";
  }
  const bool whole = pem.text.find("-----END ") != std::string_view::npos;
  if (!whole) return pem.name + " is cut off: a PEM block begins in it and does not end";
  return pem.name + " holds PEM, but no readable " + block + " block";
}

bool is_end_of_blocks() {
  const unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

std::string queued_reason() {
  const unsigned long error = ERR_peek_last_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return text == nullptr ? "unknown reason" : text;
}

// Nobody is asked for a password: that somebody wanted one is all that is remembered.
int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

bool has_expired(const X509* certificate) { return X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0; }
bool is_to_come(const X509* certificate) { return X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0; }

void warn_of_dates(const X509* certificate, const std::string& name, std::vector<std::string>& warnings) {
  if (has_expired(certificate)) {
    warnings.push_back("the certificate in " + name + " has expired; peers will refuse it until it is renewed");
  } else if (is_to_come(certificate)) {
    warnings.push_back("the certificate in " + name + " is not valid yet; peers will refuse it (is the clock right?)");
  }
}

}  // namespace

Result<std::vector<X509Ptr>, std::string> read_certificates(const TlsPem& pem) {
  ERR_clear_error();
  const auto bio = open_text(pem.text);
  std::vector<X509Ptr> certificates;
  bool broken = !bio;
  while (!broken) {
    X509Ptr one(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!one) {
      broken = !is_end_of_blocks();
      break;
    }
    certificates.push_back(std::move(one));
  }
  ERR_clear_error();
  if (broken && !certificates.empty()) {
    return fail(pem.name + " is damaged: certificate " + std::to_string(certificates.size() + 1) +
                " in it cannot be read");
  }
  if (broken || certificates.empty()) return fail(not_pem(pem, "CERTIFICATE"));
  return certificates;
}

Result<KeyPtr, std::string> read_private_key(const TlsPem& pem) {
  ERR_clear_error();
  const auto bio = open_text(pem.text);
  bool asked = false;
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, &asked) : nullptr);
  ERR_clear_error();
  if (asked) {
    return fail(pem.name +
                " is encrypted, and there is nobody to ask for its password; decrypt it with `openssl pkey`" +
                " and protect it by its permissions");
  }
  if (!key) return fail(not_pem(pem, "PRIVATE KEY"));
  return key;
}

Result<void, std::string> use_certificate(SSL_CTX* context, const TlsPem& chain, const TlsPem& key,
                                          std::vector<std::string>& warnings) {
  auto certificates = read_certificates(chain);
  if (!certificates) return fail(certificates.error());
  const auto private_key = read_private_key(key);
  if (!private_key) return fail(private_key.error());

  ERR_clear_error();
  X509* const own = certificates->front().get();
  if (X509_check_private_key(own, private_key->get()) != 1) {
    for (std::size_t i = 1; i < certificates->size(); ++i) {
      if (X509_check_private_key((*certificates)[i].get(), private_key->get()) != 1) continue;
      ERR_clear_error();
      return fail("the key in " + key.name + " belongs to certificate " + std::to_string(i + 1) + " of " + chain.name +
                  "; put that certificate first, then its issuers");
    }
    ERR_clear_error();
    return fail("the key in " + key.name + " does not match the certificate in " + chain.name +
                "; they must come from one request (is one of them being replaced just now?)");
  }
  ERR_clear_error();
  if (SSL_CTX_use_certificate(context, own) != 1) {
    return fail("the certificate in " + chain.name + " cannot be used: " + queued_reason());
  }
  if (SSL_CTX_use_PrivateKey(context, private_key->get()) != 1) {
    return fail("the key in " + key.name + " cannot be used: " + queued_reason());
  }
  for (std::size_t i = 1; i < certificates->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*certificates)[i].get()) != 1) {
      return fail("certificate " + std::to_string(i + 1) + " in " + chain.name + " cannot be used: " + queued_reason());
    }
  }
  warn_of_dates(own, chain.name, warnings);
  return {};
}

Result<void, std::string> trust_certificates(SSL_CTX* context, const TlsPem& authorities, bool name_to_clients,
                                             std::vector<std::string>& warnings) {
  const auto certificates = read_certificates(authorities);
  if (!certificates) return fail(certificates.error());
  ERR_clear_error();
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const X509Ptr& one : *certificates) {
    if (X509_STORE_add_cert(store, one.get()) != 1) {
      return fail("a certificate in " + authorities.name + " cannot be trusted: " + queued_reason());
    }
    if (!name_to_clients || certificates->size() > kNamedAuthorities) continue;
    if (SSL_CTX_add_client_CA(context, one.get()) != 1) {
      return fail("a certificate in " + authorities.name + " cannot be named to clients: " + queued_reason());
    }
  }
  // The operator named whom to trust: an intermediate authority without its root is meant as it stands.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  const bool none_holds = std::all_of(certificates->begin(), certificates->end(), [](const X509Ptr& one) {
    return has_expired(one.get()) || is_to_come(one.get());
  });
  if (none_holds) {
    warnings.push_back("no certificate in " + authorities.name +
                       " is within its dates (is the clock right?); every peer that it vouches for is refused");
  }
  return {};
}

}  // namespace ficus
