// Certificates made while a test runs, so that nobody commits a key and none expires in the repository. Keys are
// P-256. Any thread. A failure of OpenSSL throws: a test without its certificates has nothing to say.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ficus::e2e {

// As PEM, as a server or client takes it: the certificate (and behind it the issuers to send along) and its key.
struct CertPair {
  std::string certificate_pem, key_pem;
};

// What a certificate should say. Names are taken as they are, also those that no authority would sign: "a\0b" is a name
// of three bytes here.
struct CertWish {
  std::string common_name = "ficus test";
  std::vector<std::string> dns, uris, emails;
  std::vector<std::string> ips;                                  // "127.0.0.1", "::1"
  std::vector<std::string> raw_ips;                              // bytes, of any length
  std::chrono::seconds not_before{-3600}, not_after{24 * 3600};  // from now
  enum class Use { kAny, kServer, kClient } use = Use::kAny;     // extended key usage; kAny: none said
  bool names_twice = false;  // the extension with the alternative names stands there a second time
};

// Wishes that most tests have.
CertWish server_wish();  // for localhost, 127.0.0.1 and ::1
CertWish client_wish(const std::string& uri = "spiffe://corp/tenant/globex");
CertWish expired(CertWish wish);        // since an hour
CertWish not_yet_valid(CertWish wish);  // in an hour

// An authority. Copies share its key.
class TestCa {
 public:
  explicit TestCa(const std::string& common_name = "Ficus test CA");
  // The authority's own certificate: what a peer trusts (ca_file).
  const std::string& certificate_pem() const;
  // A certificate of this authority, with a key of its own.
  CertPair issue(const CertWish& wish) const;
  // An authority below this one; what it issues brings its certificate along.
  TestCa intermediate(const std::string& common_name = "Ficus test intermediate CA") const;

 private:
  struct State;
  explicit TestCa(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

CertPair self_signed(const CertWish& wish);
// The same key, encrypted by a password.
std::string encrypted_key(std::string_view key_pem, const std::string& password);
// The first certificate's SHA-256 by its DER, lower-case hexadecimal.
std::string sha256_of(std::string_view certificate_pem);
// The first certificate as DER.
std::string to_der(std::string_view certificate_pem);

}  // namespace ficus::e2e
