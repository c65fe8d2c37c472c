// Words for what went wrong in TLS: a bounded set of static sentences, fit for a log line and for a metric's label.
// None holds an address, a name or anything else that the peer sent.
#pragma once

#include <cstdint>
#include <string_view>

struct ssl_st;

namespace ficus {

enum class TlsRole : std::uint8_t { kServer, kClient };
// How far a connection had come when it failed: an alert says "refused" only to a peer that was never let in. (A
// TLS 1.3 client has finished its handshake before the server looks at its certificate.)
enum class TlsPhase : std::uint8_t { kHandshake, kBeforeBytes, kBytes };

// The class of the failure that this thread's OpenSSL error queue tells of; empties the queue. `detail`, if given, gets
// OpenSSL's own word for it (static, perhaps empty). Any thread.
std::string_view take_tls_error(const ssl_st* ssl, TlsRole role, TlsPhase phase, std::string_view* detail = nullptr);

// The class of one of X509_verify_cert()'s answers (X509_V_ERR_...). Any thread.
std::string_view certificate_error_class(long verify_result);
// "handshake refused: unknown ca" for a fatal alert (RFC 8446 6.2) that the peer sent. Any thread.
std::string_view alert_class(int alert);

namespace tls_class {
inline constexpr std::string_view kExpired = "certificate expired";
inline constexpr std::string_view kNotYetValid = "certificate not yet valid";
inline constexpr std::string_view kOtherHost = "certificate is for another host";
inline constexpr std::string_view kUntrusted = "certificate issuer is not trusted";
inline constexpr std::string_view kSelfSigned = "self-signed certificate";
inline constexpr std::string_view kPurpose = "certificate is for another purpose";
inline constexpr std::string_view kWeak = "certificate is too weak";
inline constexpr std::string_view kUnusableName = "certificate holds an unusable name";
inline constexpr std::string_view kBadCertificate = "certificate chain is not valid";
inline constexpr std::string_view kNoClientCertificate = "no client certificate";
inline constexpr std::string_view kNoH2 = "no h2 by ALPN";
inline constexpr std::string_view kNoAlpn = "no ALPN offered";  // RFC 9113 3.2: h2 over TLS is chosen by ALPN only
inline constexpr std::string_view kNotTls = "the peer is not speaking TLS";
inline constexpr std::string_view kVersion = "TLS version not supported";
inline constexpr std::string_view kNothingShared = "no common cipher, group or signature algorithm";
inline constexpr std::string_view kNotAuthentic = "a record was damaged or forged";
inline constexpr std::string_view kHandshakeFailed = "handshake failed";
inline constexpr std::string_view kProtocolError = "TLS protocol error";
inline constexpr std::string_view kEndedByAlert = "ended by the peer's TLS alert";
inline constexpr std::string_view kClosedInHandshake = "closed during the handshake";
inline constexpr std::string_view kReset = "connection reset";
// Before any byte came: a TLS 1.3 server that refuses our certificate looks like this where its alert was lost.
inline constexpr std::string_view kResetUnheard = "connection reset right after the TLS handshake";
inline constexpr std::string_view kTransport = "transport error";
inline constexpr std::string_view kIdleRecords = "too many TLS records without data";
inline constexpr std::string_view kNoMemory = "out of memory";
// Every one of them.
inline constexpr std::string_view kAll[] = {kExpired,
                                            kNotYetValid,
                                            kOtherHost,
                                            kUntrusted,
                                            kSelfSigned,
                                            kPurpose,
                                            kWeak,
                                            kUnusableName,
                                            kBadCertificate,
                                            kNoClientCertificate,
                                            kNoH2,
                                            kNoAlpn,
                                            kNotTls,
                                            kVersion,
                                            kNothingShared,
                                            kNotAuthentic,
                                            kHandshakeFailed,
                                            kProtocolError,
                                            kEndedByAlert,
                                            kClosedInHandshake,
                                            kReset,
                                            kResetUnheard,
                                            kTransport,
                                            kIdleRecords,
                                            kNoMemory};
}  // namespace tls_class

}  // namespace ficus
