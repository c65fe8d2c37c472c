// Listening sockets: bound here, inherited (systemd, a predecessor), and what each is for.
// Any thread; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "facade/base/unique_fd.h"
#include "routing/result.h"

namespace ficus {

struct HostPort {
  std::string host;  // an address, or a name that resolves to one; IPv6 without brackets
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
// How an address is written, for people.
inline constexpr std::string_view kHostPortForm = "HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080";
// "127.0.0.1:8080", "[::1]:8080", "localhost:0". Error: what is wrong with it ("it has no port"); kHostPortForm says
// what is right.
Result<HostPort, std::string> parse_host_port(std::string_view text);
std::string to_string(const HostPort& address);

// What speaks on a listening socket. The names are those of systemd's FileDescriptorName= and of the takeover message.
enum class ListenKind : std::uint8_t {
  kPlain,  // "listen": gRPC over cleartext HTTP/2
  kTls,    // "tls": gRPC over TLS
  kAdmin,  // "admin": HTTP/1.1 for operators
};
std::string_view to_string(ListenKind kind);
std::optional<ListenKind> parse_listen_kind(std::string_view name);
// The option of `ficus serve` that asks for such a socket: "--listen".
std::string_view option_of(ListenKind kind);

struct ListenSocket {
  ListenKind kind = ListenKind::kPlain;
  HostPort wanted;  // as asked for: port 0 may stand here
  HostPort bound;   // where it listens
  UniqueFd fd;      // non-blocking, close-on-exec
};

// Length of the kernel's queue of connections not yet accepted.
inline constexpr int kListenBacklog = 1024;

// Binds and listens. A name is resolved here (blocking); its first address counts. Error: a sentence ("cannot listen on
// 127.0.0.1:8080: address already in use (is another ficus, or another program, listening there?)").
Result<ListenSocket, std::string> open_listen_socket(ListenKind kind, const HostPort& wanted);

// A socket that somebody else made: is it a listening TCP socket? `wanted` becomes where it listens. Error: the part of
// a sentence after the name of the descriptor: "is no TCP socket". `fd` is owned from now on, closed on error.
Result<ListenSocket, std::string> adopt_listen_socket(ListenKind kind, UniqueFd fd);

}  // namespace ficus
