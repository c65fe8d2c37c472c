// Two ends of TLS in one thread: each call of a stream does what it can, so that a test steps both in turn and needs
// neither threads nor waiting. The foreign end is OpenSSL by hand, configured as ours never is.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "facade/net/tls_context.h"
#include "facade/net/tls_stream.h"
#include "tests/support/test_certs.h"

namespace ficus {

// Steps that any exchange of these tests is done within, by far.
inline constexpr int kSteps = 20000;

// Two connected non-blocking stream sockets.
class Wire {
 public:
  Wire() {
    std::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_.data()), 0);
  }
  ~Wire() {
    close_server();
    close_client();
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  int server() const { return fds_[0]; }
  int client() const { return fds_[1]; }
  void close_server() { close_end(0); }
  void close_client() { close_end(1); }
  // So little room that a record is sent in pieces.
  void narrow() {
    const int bytes = 1;  // the kernel's minimum
    for (const int fd : fds_) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }

 private:
  void close_end(std::size_t end) {
    if (fds_[end] >= 0) ::close(std::exchange(fds_[end], -1));
  }
  std::array<int, 2> fds_{-1, -1};
};

using ServerContext = std::shared_ptr<const TlsServerContext>;
using ClientContext = std::shared_ptr<const TlsClientContext>;

inline ServerContext server_context(const e2e::CertPair& pair, ClientCertificates clients = ClientCertificates::kNone,
                                    const std::string& client_ca = {}) {
  TlsServerSettings settings;
  settings.certificate_pem = pair.certificate_pem;
  settings.key_pem = pair.key_pem;
  settings.client_ca_pem = client_ca;
  settings.client_certificates = clients;
  auto made = TlsServerContext::make(settings);
  EXPECT_TRUE(made) << made.error();
  return made.value();
}

inline ClientContext client_context(const std::string& ca, const e2e::CertPair& pair = {}) {
  TlsClientSettings settings;
  settings.ca_pem = ca;
  settings.certificate_pem = pair.certificate_pem;
  settings.key_pem = pair.key_pem;
  auto made = TlsClientContext::make(settings);
  EXPECT_TRUE(made) << made.error();
  return made.value();
}

inline TlsPeerName name_of(const std::string& text) { return TlsPeerName::parse(text).value(); }

inline bool waits(const TlsOutcome& outcome) {
  return outcome.result == TlsResult::kWantRead || outcome.result == TlsResult::kWantWrite;
}

// OpenSSL by hand. `tune` gets the context before anything is made of it.
class RawEnd {
 public:
  enum class Side { kServer, kClient };
  RawEnd(Side side, int fd, const std::function<void(SSL_CTX*)>& tune)
      : context_(SSL_CTX_new(side == Side::kServer ? TLS_server_method() : TLS_client_method()), SSL_CTX_free) {
    tune(context_.get());
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd);
    if (side == Side::kServer) {
      SSL_set_accept_state(ssl_.get());
    } else {
      SSL_set_connect_state(ssl_.get());
    }
  }
  SSL* ssl() const { return ssl_.get(); }
  // As TlsStream's, as far as the tests of both need it.
  TlsOutcome handshake() { return outcome(SSL_do_handshake(ssl()), 0); }
  TlsOutcome read(void* buffer, std::size_t size) {
    std::size_t n = 0;
    const int status = SSL_read_ex(ssl(), buffer, size, &n);
    return outcome(status, n);
  }
  TlsOutcome write(const void* data, std::size_t size) {
    std::size_t n = 0;
    const int status = SSL_write_ex(ssl(), data, size, &n);
    return outcome(status, n);
  }
  // The alert that it got, if one: "unknown ca"; else OpenSSL's reason.
  const std::string& error() const { return error_; }

 private:
  TlsOutcome outcome(int status, std::size_t bytes) {
    if (status == 1) return {TlsResult::kDone, bytes};
    const int error = SSL_get_error(ssl(), status);
    const unsigned long queued = ERR_peek_error();
    const char* text = queued == 0 ? nullptr : ERR_reason_error_string(queued);
    if (text != nullptr) error_ = text;
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ) return {TlsResult::kWantRead, 0};
    if (error == SSL_ERROR_WANT_WRITE) return {TlsResult::kWantWrite, 0};
    if (error == SSL_ERROR_ZERO_RETURN) return {TlsResult::kClosed, 0};
    return {TlsResult::kFailed, 0};
  }
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::unique_ptr<SSL, Free> ssl_;
  std::string error_;
};

inline void offer(SSL_CTX* context, const std::string& protocol) {
  std::vector<unsigned char> list = {static_cast<unsigned char>(protocol.size())};
  list.insert(list.end(), protocol.begin(), protocol.end());
  SSL_CTX_set_alpn_protos(context, list.data(), static_cast<unsigned>(list.size()));
}

inline void use_pair(SSL_CTX* context, const e2e::CertPair& pair) {
  const auto read = [](const std::string& pem) {
    return std::unique_ptr<BIO, decltype(&BIO_free)>(BIO_new_mem_buf(pem.data(), int(pem.size())), BIO_free);
  };
  X509* certificate = PEM_read_bio_X509(read(pair.certificate_pem).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(read(pair.key_pem).get(), nullptr, nullptr, nullptr);
  EXPECT_EQ(SSL_CTX_use_certificate(context, certificate), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context, key), 1);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

// Steps both until each is done or has failed. Who fails sends no more, so that the other learns of it.
template <class Server, class Client>
std::pair<TlsOutcome, TlsOutcome> shake(const Wire& wire, Server& server, Client& client) {
  TlsOutcome s{TlsResult::kWantRead, 0}, c{TlsResult::kWantRead, 0};
  for (int step = 0; step < kSteps && (waits(s) || waits(c)); ++step) {
    if (waits(c) && (c = client.handshake()).result == TlsResult::kFailed) ::shutdown(wire.client(), SHUT_WR);
    if (waits(s) && (s = server.handshake()).result == TlsResult::kFailed) ::shutdown(wire.server(), SHUT_WR);
  }
  EXPECT_FALSE(waits(s) || waits(c)) << "the handshake does not end";
  return {s, c};
}

// What became of a connection: each end's error class, "" for an end that is content. An end whose handshake is done
// still reads once, since a TLS 1.3 client hears of its refusal only so.
struct Meeting {
  std::string server, client;
  std::shared_ptr<const TlsPeer> peer;
  std::string version;
};
inline Meeting meet(const ServerContext& server_context, const ClientContext& client_context,
                    const std::string& name = "localhost") {
  Wire wire;
  TlsStream server(*server_context, wire.server());
  TlsStream client(*client_context, wire.client(), name_of(name));
  shake(wire, server, client);
  char byte;
  if (server.error_class().empty()) server.read(&byte, 1);
  if (client.error_class().empty()) client.read(&byte, 1);
  return {std::string(server.error_class()), std::string(client.error_class()), server.peer(),
          std::string(server.version())};
}

// All that `stream` gives until it would wait, closes or fails; `end` gets how it ended.
template <class Stream>
std::string read_all(Stream& stream, TlsOutcome* end = nullptr) {
  std::string all;
  std::array<char, 5000> buffer;
  for (;;) {
    const TlsOutcome outcome = stream.read(buffer.data(), buffer.size());
    if (outcome.result != TlsResult::kDone) {
      if (end != nullptr) *end = outcome;
      return all;
    }
    all.append(buffer.data(), outcome.bytes);
  }
}

}  // namespace ficus
