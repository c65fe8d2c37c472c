// TLS on a connected, non-blocking stream socket that somebody else owns, polls and closes. Nothing here blocks, throws
// or waits; each call does what can be done now and says what the descriptor must be polled for.
// Thread: the worker's that owns the connection. Pinned in place, since OpenSSL keeps its address.
//
// Polling. One read(2) may take more from the socket than the caller has room for, the first bytes after the handshake
// among them, so the descriptor may stay silent while bytes wait here: after handshake() is done, and after read() gave
// bytes, read again before waiting (until kWantRead), or ask pending().
// A read that wants to write (and the other way round) is allowed by the protocol: when read() says kWantWrite, call
// read() again once the descriptor is writable. With TLS 1.3, and 1.2 without renegotiation, it does not happen after
// the handshake, but a caller that loops on the wrong event would hang where one did.
//
// Signals. OpenSSL writes with write(2): the process must ignore SIGPIPE.
// Closing. After kFailed OpenSSL has sent its alert already, if one was due. A close(2) with unread bytes in the socket
// resets the connection, and the alert may be lost with it: shutdown(2) the writing half first where that matters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "facade/net/tls_context.h"
#include "facade/net/tls_error.h"
#include "facade/net/tls_peer.h"

struct ssl_st;

namespace ficus {

enum class TlsResult : std::uint8_t {
  kDone,       // all that was asked for, or at least one byte read
  kWantRead,   // call again once the descriptor is readable
  kWantWrite,  // call again once the descriptor is writable
  kClosed,     // no more bytes will come: the peer closed, see closed_orderly()
  kFailed,     // the connection is of no more use: error_class() says why. Every later call says so too
};

struct TlsOutcome {
  TlsResult result = TlsResult::kFailed;
  std::size_t bytes = 0;  // read, or taken for writing, in this call; may be above 0 with kWantRead and kWantWrite
};

class TlsStream {
 public:
  // Records in a row without a byte for the application (key updates, session tickets, refused renegotiations) before a
  // peer is held to be hostile: each costs us cryptography and the peer next to nothing. Honest peers send one to four.
  static constexpr unsigned kIdleRecords = 32;

  // `descriptor` stays the caller's and must outlive this. The context need not. Allocates.
  TlsStream(const TlsServerContext& context, int descriptor) noexcept;
  // `name`: whom the peer's certificate must be for.
  TlsStream(const TlsClientContext& context, int descriptor, const TlsPeerName& name) noexcept;
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Goes on with the handshake; kDone once it is over, h2 is agreed and the peer is verified (as far as the context
  // asks). How long a peer may take is the caller's to limit. A TLS 1.3 server refuses a client's certificate only
  // after the client's handshake is over: the client hears of it in its first read().
  TlsOutcome handshake() noexcept;
  // Decrypts into `buffer`: kDone with 1 to `size` bytes, whatever comes first of a full buffer and no more to be had
  // without waiting. kClosed after the last byte. After the handshake; no allocation but OpenSSL's record buffer.
  TlsOutcome read(void* buffer, std::size_t size) noexcept;
  // Encrypts and sends. kDone: all of it. kWantWrite (or kWantRead): `bytes` of it were taken, and the bytes behind
  // them may be in a record that is half sent, so the next write must begin with them unchanged (at any address), and
  // offer no fewer. After the handshake.
  TlsOutcome write(const void* data, std::size_t size) noexcept;
  // Says that we send no more; reading goes on. Once, when all writing is done. kDone also when there is nobody to
  // tell.
  TlsOutcome close_notify() noexcept;

  // Bytes that read() can deliver, or has to look at, without the descriptor becoming readable.
  bool pending() const noexcept;
  // After kClosed: by a close_notify. HTTP/2 marks the end of every stream and connection itself, and many peers just
  // close, so the other way is no failure; what it cut short fails by what is missing.
  bool closed_orderly() const noexcept { return closed_orderly_; }

  // Why it failed: a static sentence of a bounded set (tls_class), "" before. For logs and a metric's label.
  std::string_view error_class() const noexcept { return error_class_; }
  // OpenSSL's own word for it, static, maybe empty: for logs.
  std::string_view error_detail() const noexcept { return error_detail_; }

  // As server, after the handshake: the client that showed a certificate, verified; null without one.
  const std::shared_ptr<const TlsPeer>& peer() const noexcept { return peer_; }
  // "TLSv1.3", and "TLS_AES_128_GCM_SHA256": static texts, after the handshake.
  std::string_view version() const noexcept;
  std::string_view cipher() const noexcept;
  bool resumed() const noexcept;  // by a ticket

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  TlsOutcome finish_handshake() noexcept;
  // What a call of OpenSSL's that gave `status` <= 0 means.
  TlsOutcome judge(int status, std::size_t bytes) noexcept;
  TlsOutcome fail_with(std::string_view error_class, std::size_t bytes = 0) noexcept;
  void prefer_alert() noexcept;
  TlsPhase phase() const noexcept;
  bool unheard() const noexcept;  // a client to which its server said nothing since the handshake

  std::unique_ptr<ssl_st, Free> ssl_;
  std::shared_ptr<const TlsPeer> peer_;
  std::string_view error_class_, error_detail_;
  unsigned idle_records_ = 0;
  TlsRole role_;
  bool handshake_done_ = false;
  bool bytes_seen_ = false;
  bool drained_ = false;  // the last read() found nothing more to decrypt: what is buffered is part of a record
  bool closed_ = false, closed_orderly_ = false;
};

}  // namespace ficus
