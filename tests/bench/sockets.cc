#include "tests/bench/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ficus::bench {
namespace {

sockaddr_in loopback(std::uint16_t port, unsigned host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00u) | host);
  return address;
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what.c_str(), std::strerror(errno));
  std::exit(1);
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port, 1);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    die("bind 127.0.0.1:" + std::to_string(port));
  if (::listen(fd, 1024) < 0) die("listen");
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) < 0) die("getsockname");
  return ntohs(address.sin_port);
}

int connect_to(std::uint16_t port, unsigned source) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (source != 1) {
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const sockaddr_in from = loopback(0, source);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0) die("bind to a source address");
  }
  const sockaddr_in to = loopback(port, 1);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
    die("connect to 127.0.0.1:" + std::to_string(port));
  if (::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) die("fcntl");
  return fd;
}

int signal_descriptor(int also) {
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, SIGTERM);
  sigaddset(&taken, SIGINT);
  if (also != 0) sigaddset(&taken, also);
  sigprocmask(SIG_BLOCK, &taken, nullptr);
  const int fd = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) die("signalfd");
  return fd;
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) die("setrlimit");
}

void write_port_file(const std::string& file, std::uint16_t port) {
  const std::string unfinished = file + ".new";
  std::FILE* out = std::fopen(unfinished.c_str(), "w");
  if (out == nullptr) die("cannot write " + unfinished);
  std::fprintf(out, "{\"listen\":\"127.0.0.1:%u\"}\n", unsigned{port});
  if (std::fclose(out) != 0 || std::rename(unfinished.c_str(), file.c_str()) != 0) die("cannot write " + file);
}

}  // namespace ficus::bench
