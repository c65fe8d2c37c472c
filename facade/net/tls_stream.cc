#include "facade/net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>

namespace ficus {
namespace {

// Counts records that come in, from the handshake's end on. A read goes on by itself over records without data, as long
// as the peer sends them faster than they are worked off, so at the limit it is told to stop after the next one.
void on_message(int is_write, int, int content_type, const void*, std::size_t, SSL* ssl, void* count) {
  if (is_write != 0 || content_type != SSL3_RT_HEADER) return;
  if (++*static_cast<unsigned*>(count) > TlsStream::kIdleRecords) SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
}

}  // namespace

void TlsStream::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

TlsStream::TlsStream(const TlsServerContext& context, int descriptor) noexcept
    : ssl_(SSL_new(context.native())), role_(TlsRole::kServer) {
  if (ssl_ && SSL_set_fd(ssl_.get(), descriptor) != 1) ssl_.reset();
  if (ssl_) SSL_set_accept_state(ssl_.get());
}

TlsStream::TlsStream(const TlsClientContext& context, int descriptor, const TlsPeerName& name) noexcept
    : ssl_(SSL_new(context.native())), role_(TlsRole::kClient) {
  if (!ssl_) return;
  X509_VERIFY_PARAM* const check = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const bool ok =
      SSL_set_fd(ssl_.get(), descriptor) == 1 &&
      (name.is_address() ? X509_VERIFY_PARAM_set1_ip_asc(check, name.text().c_str()) == 1
                         : X509_VERIFY_PARAM_set1_host(check, name.text().data(), name.text().size()) == 1 &&
                               SSL_set_tlsext_host_name(ssl_.get(), name.text().c_str()) == 1);
  if (!ok) {
    ssl_.reset();
    return;
  }
  SSL_set_connect_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

TlsPhase TlsStream::phase() const noexcept {
  if (!handshake_done_) return TlsPhase::kHandshake;
  return bytes_seen_ ? TlsPhase::kBytes : TlsPhase::kBeforeBytes;
}

bool TlsStream::unheard() const noexcept { return role_ == TlsRole::kClient && phase() == TlsPhase::kBeforeBytes; }

TlsOutcome TlsStream::fail_with(std::string_view error_class, std::size_t bytes) noexcept {
  if (error_class_.empty()) error_class_ = error_class;
  ERR_clear_error();
  return {TlsResult::kFailed, bytes};
}

TlsOutcome TlsStream::judge(int status, std::size_t bytes) noexcept {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), status)) {
    case SSL_ERROR_WANT_READ:
      return {TlsResult::kWantRead, bytes};
    case SSL_ERROR_WANT_WRITE:
      return {TlsResult::kWantWrite, bytes};
    case SSL_ERROR_ZERO_RETURN:
      closed_orderly_ = true;
      break;
    case SSL_ERROR_SYSCALL:
      // 0: an end of file where a record could end.
      if (system_error == 0) break;
      if (system_error != ECONNRESET && system_error != EPIPE) return fail_with(tls_class::kTransport, bytes);
      return fail_with(unheard() ? tls_class::kResetUnheard : tls_class::kReset, bytes);
    default:
      if (ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
          ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        break;
      }
      const std::string_view why = take_tls_error(ssl_.get(), role_, phase(), &error_detail_);
      return fail_with(why, bytes);
  }
  ERR_clear_error();
  if (!handshake_done_) return fail_with(tls_class::kClosedInHandshake, bytes);
  closed_ = true;
  return {TlsResult::kClosed, bytes};
}

TlsOutcome TlsStream::handshake() noexcept {
  if (!error_class_.empty()) return {TlsResult::kFailed, 0};
  if (!ssl_) return fail_with(tls_class::kNoMemory);
  if (handshake_done_) return {TlsResult::kDone, 0};
  ERR_clear_error();
  errno = 0;
  const int status = SSL_do_handshake(ssl_.get());
  return status == 1 ? finish_handshake() : judge(status, 0);
}

TlsOutcome TlsStream::finish_handshake() noexcept {
  // The server's side cannot be here without h2; a server that ignored our offer can.
  const unsigned char* chosen = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
  if (std::string_view(reinterpret_cast<const char*>(chosen), size) != "h2") return fail_with(tls_class::kNoH2);
  if (role_ == TlsRole::kServer) {
    if (const X509* certificate = SSL_get0_peer_certificate(ssl_.get()); certificate != nullptr) {
      // Read once already while it was verified, but not if the session was resumed.
      auto peer = TlsPeer::read(*certificate);
      if (!peer || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return fail_with(tls_class::kUnusableName);
      peer_ = std::make_shared<const TlsPeer>(std::move(*peer));
    }
  }
  handshake_done_ = true;
  SSL_set_msg_callback(ssl_.get(), on_message);
  SSL_set_msg_callback_arg(ssl_.get(), &idle_records_);
  return {TlsResult::kDone, 0};
}

TlsOutcome TlsStream::read(void* buffer, std::size_t size) noexcept {
  if (!error_class_.empty()) return {TlsResult::kFailed, 0};
  if (!handshake_done_) return fail_with(tls_class::kProtocolError);
  if (closed_) return {TlsResult::kClosed, 0};
  std::size_t got = 0;
  // One record a call of OpenSSL's; go on only with what it has taken from the socket already.
  while (got < size) {
    if (got != 0 && SSL_has_pending(ssl_.get()) == 0) break;
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int status = SSL_read_ex(ssl_.get(), static_cast<char*>(buffer) + got, size - got, &n);
    if (status != 1) {
      const TlsOutcome end = judge(status, 0);
      drained_ = true;
      if (end.result == TlsResult::kWantRead && idle_records_ > kIdleRecords) {
        return fail_with(tls_class::kIdleRecords, got);
      }
      // What has been read is delivered first; the next call finds the state that this one left.
      return got != 0 ? TlsOutcome{TlsResult::kDone, got} : end;
    }
    got += n;
    if (idle_records_ > kIdleRecords) SSL_set_mode(ssl_.get(), SSL_MODE_AUTO_RETRY);
    idle_records_ = 0;
    bytes_seen_ = true;
    drained_ = false;
  }
  return {TlsResult::kDone, got};
}

TlsOutcome TlsStream::write(const void* data, std::size_t size) noexcept {
  if (!error_class_.empty()) return {TlsResult::kFailed, 0};
  if (!handshake_done_) return fail_with(tls_class::kProtocolError);
  std::size_t sent = 0;
  while (sent < size) {
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int status = SSL_write_ex(ssl_.get(), static_cast<const char*>(data) + sent, size - sent, &n);
    if (status != 1) {
      const TlsOutcome end = judge(status, sent);
      if (end.result == TlsResult::kFailed) prefer_alert();
      return end;
    }
    sent += n;
  }
  return {TlsResult::kDone, sent};
}

// A TLS 1.3 server that refuses our certificate does so after our handshake, then closes: a write that comes later
// fails for the closed connection, while the alert that says why lies unread.
void TlsStream::prefer_alert() noexcept {
  if (error_class_ != tls_class::kResetUnheard) return;
  char byte;
  std::size_t n = 0;
  const int status = SSL_read_ex(ssl_.get(), &byte, 1, &n);
  if (status != 1 && SSL_get_error(ssl_.get(), status) == SSL_ERROR_SSL &&
      ERR_GET_REASON(ERR_peek_error()) > SSL_AD_REASON_OFFSET) {
    error_class_ = take_tls_error(ssl_.get(), role_, phase(), &error_detail_);
  }
  ERR_clear_error();
}

TlsOutcome TlsStream::close_notify() noexcept {
  // After a failure, and before there is a connection, OpenSSL has nothing to say and must not be asked.
  if (!ssl_ || !error_class_.empty() || !handshake_done_) return {TlsResult::kDone, 0};
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0 && SSL_want(ssl_.get()) != SSL_WRITING) {
    return {TlsResult::kDone, 0};
  }
  ERR_clear_error();
  errno = 0;
  const int status = SSL_shutdown(ssl_.get());
  if (status >= 0) return {TlsResult::kDone, 0};
  const int error = SSL_get_error(ssl_.get(), status);
  ERR_clear_error();
  return {error == SSL_ERROR_WANT_WRITE ? TlsResult::kWantWrite : TlsResult::kDone, 0};
}

bool TlsStream::pending() const noexcept {
  return handshake_done_ && error_class_.empty() && !closed_ && !drained_ && SSL_has_pending(ssl_.get()) == 1;
}

std::string_view TlsStream::version() const noexcept { return ssl_ ? SSL_get_version(ssl_.get()) : ""; }
std::string_view TlsStream::cipher() const noexcept { return ssl_ ? SSL_get_cipher_name(ssl_.get()) : ""; }
bool TlsStream::resumed() const noexcept { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }

}  // namespace ficus
