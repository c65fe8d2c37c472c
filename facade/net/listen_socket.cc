#include "facade/net/listen_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace ficus {
namespace {

std::string reason(int error) {
  std::string why = std::strerror(error);
  if (!why.empty()) why[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(why[0])));
  if (error == EADDRINUSE) why += " (is another ficus, or another program, listening there?)";
  if (error == EACCES) why += " (ports below 1024 need the right to bind them)";
  return why;
}

// Where a socket is bound. Port 0: not an IP socket.
HostPort address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  HostPort address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    address.host = ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    address.port = ntohs(v4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    address.host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    address.port = ntohs(v6.sin6_port);
  }
  return address;
}

int socket_option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

}  // namespace

Result<HostPort, std::string> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  HostPort address;
  // A name with a blank in it would be looked up, and be no such host.
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  if (std::any_of(text.begin(), text.end(), blank)) return fail(std::string("it holds a blank"));
  if (colon == std::string_view::npos) return fail(std::string("it has no port"));
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail(std::string("an IPv6 address stands in brackets"));
  }
  if (host.empty()) return fail(std::string("it has no host"));
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (ec != std::errc() || end != port.data() + port.size() || port.empty()) {
    return fail(std::string("its port is none from 0 to 65535"));
  }
  address.host = host;
  return address;
}

std::string to_string(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string_view to_string(ListenKind kind) {
  switch (kind) {
    case ListenKind::kPlain:
      return "listen";
    case ListenKind::kTls:
      return "tls";
    case ListenKind::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<ListenKind> parse_listen_kind(std::string_view name) {
  for (const ListenKind kind : {ListenKind::kPlain, ListenKind::kTls, ListenKind::kAdmin}) {
    if (name == to_string(kind)) return kind;
  }
  return std::nullopt;
}

std::string_view option_of(ListenKind kind) {
  switch (kind) {
    case ListenKind::kPlain:
      return "--listen";
    case ListenKind::kTls:
      return "--tls-listen";
    case ListenKind::kAdmin:
      return "--admin";
  }
  return "";
}

Result<ListenSocket, std::string> open_listen_socket(ListenKind kind, const HostPort& wanted) {
  const std::string what = "cannot listen on " + to_string(wanted) + ": ";
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(wanted.host.c_str(), std::to_string(wanted.port).c_str(), &hints, &found) != 0 ||
      found == nullptr) {
    return fail(what + "no such host");
  }
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // SO_REUSEADDR lets a restart take over a port whose old connections linger; on Linux it does not let two listen.
  const int on = 1;
  const bool listening = fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                         ::bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 &&
                         ::listen(fd.get(), kListenBacklog) == 0;
  const int error = errno;
  ::freeaddrinfo(found);
  if (!listening) return fail(what + reason(error));
  HostPort bound{wanted.host, address_of(fd.get()).port};
  return ListenSocket{kind, wanted, std::move(bound), std::move(fd)};
}

Result<ListenSocket, std::string> adopt_listen_socket(ListenKind kind, UniqueFd fd) {
  const int domain = socket_option(fd.get(), SO_DOMAIN);
  if ((domain != AF_INET && domain != AF_INET6) || socket_option(fd.get(), SO_TYPE) != SOCK_STREAM) {
    return fail(std::string("is no TCP socket"));
  }
  if (socket_option(fd.get(), SO_ACCEPTCONN) != 1) return fail(std::string("is a TCP socket that does not listen"));
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) {
    return fail(std::string("cannot be set up: ") + std::strerror(errno));
  }
  HostPort bound = address_of(fd.get());
  return ListenSocket{kind, bound, bound, std::move(fd)};
}

}  // namespace ficus
