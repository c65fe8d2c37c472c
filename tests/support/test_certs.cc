#include "tests/support/test_certs.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace ficus::e2e {
namespace {

struct Free {
  void operator()(X509* one) const { X509_free(one); }
  void operator()(EVP_PKEY* one) const { EVP_PKEY_free(one); }
  void operator()(BIO* one) const { BIO_free(one); }
  void operator()(GENERAL_NAMES* one) const { GENERAL_NAMES_free(one); }
  void operator()(X509_EXTENSION* one) const { X509_EXTENSION_free(one); }
};
using X509Ptr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;
using BioPtr = std::unique_ptr<BIO, Free>;

void need(bool ok, const char* what) {
  if (ok) return;
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  throw std::runtime_error(std::string("test certificates: ") + what + ": " + text.data());
}

std::string text_of(const BioPtr& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string to_pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_X509(bio.get(), certificate) == 1, "write certificate");
  return text_of(bio);
}

std::string to_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "write key");
  return text_of(bio);
}

BioPtr reader(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

X509Ptr first_certificate(std::string_view pem) {
  X509Ptr one(PEM_read_bio_X509(reader(pem).get(), nullptr, nullptr, nullptr));
  need(one != nullptr, "read certificate");
  return one;
}

KeyPtr new_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  need(key != nullptr, "make key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  need(extension && X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

void add_name(GENERAL_NAMES* names, int kind, const std::string& bytes) {
  ASN1_STRING* text = ASN1_STRING_type_new(kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  GENERAL_NAME* name = GENERAL_NAME_new();
  need(text && name && ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size())) == 1, "name");
  GENERAL_NAME_set0_value(name, kind, text);
  need(sk_GENERAL_NAME_push(names, name) > 0, "names");
}

void add_names(X509* certificate, const CertWish& wish) {
  const std::unique_ptr<GENERAL_NAMES, Free> names(GENERAL_NAMES_new());
  for (const std::string& name : wish.uris) add_name(names.get(), GEN_URI, name);
  for (const std::string& name : wish.dns) add_name(names.get(), GEN_DNS, name);
  for (const std::string& name : wish.emails) add_name(names.get(), GEN_EMAIL, name);
  for (const std::string& address : wish.ips) {
    ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(address.c_str());
    need(bytes != nullptr, address.c_str());
    add_name(names.get(), GEN_IPADD,
             {reinterpret_cast<const char*>(ASN1_STRING_get0_data(bytes)), std::size_t(ASN1_STRING_length(bytes))});
    ASN1_OCTET_STRING_free(bytes);
  }
  for (const std::string& bytes : wish.raw_ips) add_name(names.get(), GEN_IPADD, bytes);
  if (sk_GENERAL_NAME_num(names.get()) == 0) return;
  for (int i = 0; i < (wish.names_twice ? 2 : 1); ++i) {
    need(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) == 1, "add names");
  }
}

// Signed by `issuer`; null: by itself.
X509Ptr make_certificate(const CertWish& wish, EVP_PKEY* key, bool authority, X509* issuer, EVP_PKEY* issuer_key) {
  X509Ptr made(X509_new());
  X509* const one = made.get();
  std::array<unsigned char, 8> serial{};
  need(RAND_bytes(serial.data(), serial.size()) == 1, "serial");
  serial[0] &= 0x7f;
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(serial.data(), serial.size(), nullptr), BN_free);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(one));
  X509_set_version(one, X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(one), static_cast<long>(wish.not_before.count()));
  X509_gmtime_adj(X509_getm_notAfter(one), static_cast<long>(wish.not_after.count()));
  X509_NAME* const subject = X509_get_subject_name(one);
  const auto* cn = reinterpret_cast<const unsigned char*>(wish.common_name.data());
  need(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>("Ficus"), -1, -1,
                                  0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, cn, static_cast<int>(wish.common_name.size()), -1,
                                      0) == 1,
       "subject");
  X509_set_issuer_name(one, issuer != nullptr ? X509_get_subject_name(issuer) : subject);
  X509_set_pubkey(one, key);
  X509* const signer = issuer != nullptr ? issuer : one;
  add_extension(one, signer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(one, signer, NID_key_usage, authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  add_extension(one, signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(one, signer, NID_authority_key_identifier, "keyid");
  if (wish.use == CertWish::Use::kServer) add_extension(one, signer, NID_ext_key_usage, "serverAuth");
  if (wish.use == CertWish::Use::kClient) add_extension(one, signer, NID_ext_key_usage, "clientAuth");
  add_names(one, wish);
  need(X509_sign(one, issuer_key != nullptr ? issuer_key : key, EVP_sha256()) > 0, "sign");
  return made;
}

CertWish authority_wish(const std::string& common_name) {
  CertWish wish;
  wish.common_name = common_name;
  return wish;
}

}  // namespace

CertWish server_wish() {
  CertWish wish;
  wish.common_name = "server";
  wish.dns = {"localhost"};
  wish.ips = {"127.0.0.1", "::1"};
  wish.use = CertWish::Use::kServer;
  return wish;
}

CertWish client_wish(const std::string& uri) {
  CertWish wish;
  wish.common_name = "client";
  wish.uris = {uri};
  wish.use = CertWish::Use::kClient;
  return wish;
}

CertWish expired(CertWish wish) {
  wish.not_before = std::chrono::hours(-2);
  wish.not_after = std::chrono::hours(-1);
  return wish;
}

CertWish not_yet_valid(CertWish wish) {
  wish.not_before = std::chrono::hours(1);
  wish.not_after = std::chrono::hours(2);
  return wish;
}

struct TestCa::State {
  KeyPtr key = new_key();
  X509Ptr certificate;
  std::string pem;
  std::string sent_along;  // an intermediate's own certificate, and those above it but the root
};

TestCa::TestCa(std::shared_ptr<const State> state) : state_(std::move(state)) {}

TestCa::TestCa(const std::string& common_name) {
  auto state = std::make_shared<State>();
  state->certificate = make_certificate(authority_wish(common_name), state->key.get(), true, nullptr, nullptr);
  state->pem = to_pem(state->certificate.get());
  state_ = std::move(state);
}

const std::string& TestCa::certificate_pem() const { return state_->pem; }

CertPair TestCa::issue(const CertWish& wish) const {
  const KeyPtr key = new_key();
  const X509Ptr made = make_certificate(wish, key.get(), false, state_->certificate.get(), state_->key.get());
  return {to_pem(made.get()) + state_->sent_along, to_pem(key.get())};
}

TestCa TestCa::intermediate(const std::string& common_name) const {
  auto state = std::make_shared<State>();
  state->certificate = make_certificate(authority_wish(common_name), state->key.get(), true, state_->certificate.get(),
                                        state_->key.get());
  state->pem = to_pem(state->certificate.get());
  state->sent_along = state->pem + state_->sent_along;
  return TestCa(std::move(state));
}

CertPair self_signed(const CertWish& wish) {
  const KeyPtr key = new_key();
  return {to_pem(make_certificate(wish, key.get(), false, nullptr, nullptr).get()), to_pem(key.get())};
}

std::string encrypted_key(std::string_view key_pem, const std::string& password) {
  const KeyPtr key(PEM_read_bio_PrivateKey(reader(key_pem).get(), nullptr, nullptr, nullptr));
  need(key != nullptr, "read key");
  const BioPtr bio(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_PrivateKey(bio.get(), key.get(), EVP_aes_256_cbc(),
                                reinterpret_cast<const unsigned char*>(password.data()),
                                static_cast<int>(password.size()), nullptr, nullptr) == 1,
       "write encrypted key");
  return text_of(bio);
}

std::string sha256_of(std::string_view certificate_pem) {
  const std::string der = to_der(certificate_pem);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  need(EVP_Digest(der.data(), der.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1, "digest");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

std::string to_der(std::string_view certificate_pem) {
  const X509Ptr one = first_certificate(certificate_pem);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(one.get(), &bytes);
  need(size > 0, "DER");
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace ficus::e2e
