#include "facade/net/tls_peer.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>

namespace ficus {
namespace {

using GeneralNames = std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)>;

// Printable ASCII: an IA5String may hold any of 128 characters, and OpenSSL's decoder lets the other 128 pass too.
bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string_view bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// Empty: not an address.
std::string address_text(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == 4 ? AF_INET : bytes.size() == 16 ? AF_INET6 : -1;
  if (family < 0 || inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) return {};
  return text.data();
}

std::string subject_text(const X509& certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  // RFC 2253's flags escape controls and everything beyond ASCII.
  if (!out || X509_NAME_print_ex(out.get(), X509_get_subject_name(&certificate), 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string fingerprint(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * size);
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

void append_quoted(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void append_value(std::string& out, std::string_view key, std::string_view value) {
  out += ';';
  out += key;
  out += '=';
  if (value.find_first_of(" ,;=\"\\") == std::string_view::npos) {
    out += value;
  } else {
    append_quoted(out, value);
  }
}

}  // namespace

Result<TlsPeer, std::string_view> TlsPeer::read(const x509_st& certificate, const TlsPeerLimits& limits) {
  TlsPeer peer;
  std::size_t all_names = 0, all_bytes = 0;
  const auto fits = [&](std::string_view name) {
    all_bytes += name.size();
    return name.size() <= limits.name_bytes && all_bytes <= limits.all_bytes;
  };

  peer.subject_ = subject_text(certificate);
  if (!fits(peer.subject_) || !is_printable(peer.subject_)) {
    return fail(std::string_view("the subject is too long or cannot be written down"));
  }
  peer.sha256_ = fingerprint(certificate);
  if (peer.sha256_.empty()) return fail(std::string_view("the certificate has no fingerprint"));

  int critical = -1;
  const GeneralNames names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, &critical, nullptr)),
      GENERAL_NAMES_free);
  // -1 is "no such extension"; anything else without names is one twice, or one that cannot be decoded.
  if (!names && critical != -1) {
    ERR_clear_error();
    return fail(std::string_view("the alternative names cannot be decoded"));
  }
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    int kind = -1;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
    std::vector<std::string>* list = nullptr;
    switch (kind) {
      case GEN_URI:
        list = &peer.uris_;
        break;
      case GEN_DNS:
        list = &peer.dns_names_;
        break;
      case GEN_EMAIL:
        list = &peer.emails_;
        break;
      case GEN_IPADD:
        list = &peer.ip_addresses_;
        break;
      default:
        continue;
    }
    const std::string_view bytes = bytes_of(static_cast<const ASN1_STRING*>(value));
    if (++all_names > limits.names || !fits(bytes))
      return fail(std::string_view("there are too many alternative names"));
    std::string name = kind == GEN_IPADD ? address_text(bytes) : std::string(bytes);
    if (name.empty() || !is_printable(name)) return fail(std::string_view("an alternative name is not a name"));
    list->push_back(std::move(name));
  }

  std::string& out = peer.forwarded_client_cert_;
  out = "Hash=" + peer.sha256_ + ";Subject=";
  append_quoted(out, peer.subject_);
  for (const std::string& uri : peer.uris_) append_value(out, "URI", uri);
  for (const std::string& name : peer.dns_names_) append_value(out, "DNS", name);
  return peer;
}

}  // namespace ficus
