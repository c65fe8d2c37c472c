#include "facade/net/tls_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace ficus {
namespace {

// Reasons of OpenSSL's TLS code that say something to an operator; the rest is "handshake failed".
std::string_view reason_class(int reason, TlsRole role, TlsPhase phase) {
  switch (reason) {
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return tls_class::kNoH2;
    case SSL_R_CALLBACK_FAILED:
      // The only callback of ours that fails so is the one that wants ALPN in a ClientHello.
      return role == TlsRole::kServer ? tls_class::kNoAlpn : tls_class::kHandshakeFailed;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return tls_class::kNoClientCertificate;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
      return phase == TlsPhase::kHandshake ? tls_class::kNotTls : tls_class::kProtocolError;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return tls_class::kVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return tls_class::kNothingShared;
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
      return tls_class::kNotAuthentic;
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK:
      return tls_class::kWeak;
    default:
      return phase == TlsPhase::kHandshake ? tls_class::kHandshakeFailed : tls_class::kProtocolError;
  }
}

}  // namespace

std::string_view certificate_error_class(long verify_result) {
  switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return tls_class::kExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return tls_class::kNotYetValid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_EMAIL_MISMATCH:
      return tls_class::kOtherHost;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return tls_class::kSelfSigned;
    // Also a chain that ends in a root of its own: its issuer is what we do not trust.
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // an issuer of the right name with another key
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
      return tls_class::kUntrusted;
    case X509_V_ERR_INVALID_PURPOSE:
      return tls_class::kPurpose;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return tls_class::kWeak;
    case X509_V_ERR_APPLICATION_VERIFICATION:
      return tls_class::kUnusableName;
    case X509_V_ERR_OUT_OF_MEM:
      return tls_class::kNoMemory;
    default:
      return tls_class::kBadCertificate;
  }
}

std::string_view alert_class(int alert) {
  switch (alert) {
    case SSL_AD_UNEXPECTED_MESSAGE:
      return "handshake refused: unexpected message";
    case SSL_AD_BAD_RECORD_MAC:
      return "handshake refused: bad record mac";
    case SSL_AD_RECORD_OVERFLOW:
      return "handshake refused: record overflow";
    case SSL_AD_HANDSHAKE_FAILURE:
      return "handshake refused: handshake failure";
    case SSL_AD_BAD_CERTIFICATE:
      return "handshake refused: bad certificate";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return "handshake refused: unsupported certificate";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "handshake refused: certificate revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "handshake refused: certificate expired";
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return "handshake refused: certificate unknown";
    case SSL_AD_ILLEGAL_PARAMETER:
      return "handshake refused: illegal parameter";
    case SSL_AD_UNKNOWN_CA:
      return "handshake refused: unknown ca";
    case SSL_AD_ACCESS_DENIED:
      return "handshake refused: access denied";
    case SSL_AD_DECODE_ERROR:
      return "handshake refused: decode error";
    case SSL_AD_DECRYPT_ERROR:
      return "handshake refused: decrypt error";
    case SSL_AD_PROTOCOL_VERSION:
      return "handshake refused: protocol version";
    case SSL_AD_INSUFFICIENT_SECURITY:
      return "handshake refused: insufficient security";
    case SSL_AD_INTERNAL_ERROR:
      return "handshake refused: internal error";
    case SSL_AD_INAPPROPRIATE_FALLBACK:
      return "handshake refused: inappropriate fallback";
    case SSL_AD_USER_CANCELLED:
      return "handshake refused: user canceled";
    case SSL_AD_MISSING_EXTENSION:
      return "handshake refused: missing extension";
    case SSL_AD_UNSUPPORTED_EXTENSION:
      return "handshake refused: unsupported extension";
    case SSL_AD_UNRECOGNIZED_NAME:
      return "handshake refused: unrecognized name";
    case SSL_AD_UNKNOWN_PSK_IDENTITY:
      return "handshake refused: unknown psk identity";
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "handshake refused: certificate required";
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return tls_class::kNoH2;
    default:
      return "handshake refused: another alert";
  }
}

std::string_view take_tls_error(const ssl_st* ssl, TlsRole role, TlsPhase phase, std::string_view* detail) {
  // What lies deeper (a signature, a decoder) is queued first; the TLS layer's word for it says more.
  unsigned long chosen = 0;
  for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
    const bool better = ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_LIB(chosen) != ERR_LIB_SSL;
    if (chosen == 0 || better) chosen = error;
  }
  if (detail != nullptr) {
    const char* text = chosen == 0 ? nullptr : ERR_reason_error_string(chosen);
    *detail = text == nullptr ? std::string_view() : std::string_view(text);
  }
  const int reason = ERR_GET_REASON(chosen);
  if (reason == ERR_R_MALLOC_FAILURE) return tls_class::kNoMemory;
  if (ERR_GET_LIB(chosen) != ERR_LIB_SSL) {
    return phase == TlsPhase::kHandshake ? tls_class::kHandshakeFailed : tls_class::kProtocolError;
  }
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return certificate_error_class(SSL_get_verify_result(ssl));
  if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
    return phase == TlsPhase::kBytes ? tls_class::kEndedByAlert : alert_class(reason - SSL_AD_REASON_OFFSET);
  }
  return reason_class(reason, role, phase);
}

}  // namespace ficus
