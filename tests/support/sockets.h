// Loopback TCP by hand: what the raw peers and the admin client stand on. Addresses are "127.0.0.1:PORT".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/wait.h"

namespace ficus::e2e {

// An owned file descriptor; -1 is none.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() { close(); }
  Socket(Socket&& that) noexcept : fd_(that.release()) {}
  Socket& operator=(Socket&& that) noexcept;
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release();
  void close();
  // Close with RST instead of FIN.
  void abort();

 private:
  int fd_;
};

// Connects to a loopback address; an empty Socket on failure. Sends time out after kPatience.
Socket connect_loopback(const std::string& address);
// Only begins to connect, for filling a listener's queue: whether the kernel completes it, or drops the SYN because the
// queue is full already, is the same to the caller.
Socket begin_connect_loopback(const std::string& address);
// Writes everything; false when the peer is gone or kPatience has passed.
bool send_all(const Socket& socket, std::string_view bytes);
// Reads until the peer closes (or resets, or `limit` passes).
std::string read_to_end(const Socket& socket, std::chrono::milliseconds limit = kPatience);

// A listening loopback socket on a free port.
class Listener {
 public:
  explicit Listener(int backlog = 128);
  std::string address() const { return address_; }
  std::uint16_t port() const { return port_; }
  // The next connection; an empty Socket when none came within `limit`.
  Socket accept(std::chrono::milliseconds limit = kPatience);
  // From now on connections are refused.
  void close() { socket_.close(); }

 private:
  Socket socket_;
  std::string address_;
  std::uint16_t port_ = 0;
};

// An address at which nothing listens (it did, and was closed).
std::string refusing_address();

}  // namespace ficus::e2e
