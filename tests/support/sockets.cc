#include "tests/support/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace ficus::e2e {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

void set_patience(int fd) {
  const timeval limit{kPatience.count() / 1000, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Socket& Socket::operator=(Socket&& that) noexcept {
  if (this != &that) {
    close();
    fd_ = that.release();
  }
  return *this;
}

int Socket::release() { return std::exchange(fd_, -1); }

void Socket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Socket::abort() {
  if (fd_ < 0) return;
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

Socket connect_loopback(const std::string& address) {
  const auto colon = address.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in name = loopback(port);
  if (!socket || ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) return Socket();
  set_patience(socket.fd());
  return socket;
}

Socket begin_connect_loopback(const std::string& address) {
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in name = loopback(port);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 && errno != EINPROGRESS)
    return Socket();
  return socket;
}

bool send_all(const Socket& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string read_to_end(const Socket& socket, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  std::string all;
  char chunk[65536];
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    pollfd wait{socket.fd(), POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) return all;
    const ssize_t n = ::recv(socket.fd(), chunk, sizeof chunk, 0);
    if (n <= 0) return all;
    all.append(chunk, static_cast<std::size_t>(n));
  }
}

Listener::Listener(int backlog) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in name = loopback(0);
  socklen_t size = sizeof name;
  if (!socket_ || ::bind(socket_.fd(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(socket_.fd(), backlog) != 0 ||
      ::getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(name.sin_port);
  address_ = "127.0.0.1:" + std::to_string(port_);
}

Socket Listener::accept(std::chrono::milliseconds limit) {
  pollfd wait{socket_.fd(), POLLIN, 0};
  if (!socket_ || ::poll(&wait, 1, static_cast<int>(limit.count())) <= 0) return Socket();
  Socket got(::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  if (got) set_patience(got.fd());
  return got;
}

std::string refusing_address() {
  Listener once;
  return once.address();
}

}  // namespace ficus::e2e
