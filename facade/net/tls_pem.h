// PEM text into an SSL_CTX, with sentences for people when it does not fit. Internal to facade/net/tls_*.cc.
// Any thread. Every error sentence says what was wrong with which text, and what to do; none holds content of it.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/result.h"

namespace ficus {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using X509Ptr = std::unique_ptr<X509, OpensslFree>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree>;
using SslContextPtr = std::unique_ptr<SSL_CTX, OpensslFree>;

// A text and what messages call it: a path, or the policy's field.
struct TlsPem {
  std::string name;
  std::string_view text;
};

// Every certificate in the text, at least one. Text around the blocks is allowed, a block of another kind too.
Result<std::vector<X509Ptr>, std::string> read_certificates(const TlsPem& pem);
Result<KeyPtr, std::string> read_private_key(const TlsPem& pem);

// Takes the first certificate of `chain` as ours, the others as what we send along, and the key that belongs to it.
// `warnings` gets a sentence for a certificate that is expired or not yet valid: that is for the peer to refuse, and a
// process that does not start helps nobody.
Result<void, std::string> use_certificate(SSL_CTX* context, const TlsPem& chain, const TlsPem& key,
                                          std::vector<std::string>& warnings);

// Trusts these certificates, whether they sign themselves or not, and no others. As the server also names them to
// clients when it asks for a certificate, unless they are too many. `warnings` gets a sentence where the dates of every
// one of them are over or to come: no peer can be verified then.
Result<void, std::string> trust_certificates(SSL_CTX* context, const TlsPem& authorities, bool name_to_clients,
                                             std::vector<std::string>& warnings);

}  // namespace ficus
