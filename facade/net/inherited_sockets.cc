#include "facade/net/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace ficus {
namespace {

constexpr int kFirstFd = 3;  // SD_LISTEN_FDS_START
constexpr int kMaxFds = 128;

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::optional<int> number(const std::string& text) {
  int value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names(1);
  for (const char c : text) {
    if (c == ':') {
      names.emplace_back();
    } else {
      names.back() += c;
    }
  }
  return names;
}

}  // namespace

Result<std::vector<ListenSocket>, std::string> take_inherited_sockets() {
  const auto pid = environment("LISTEN_PID"), count_text = environment("LISTEN_FDS"),
             names_text = environment("LISTEN_FDNAMES");
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}) ::unsetenv(name);
  std::vector<ListenSocket> sockets;
  if (!pid || !count_text || number(*pid) != ::getpid()) return sockets;  // meant for another process, or none
  const auto count = number(*count_text);
  if (!count || *count < 0 || *count > kMaxFds) {
    return fail("LISTEN_FDS is \"" + *count_text + "\", not a number of descriptors up to " + std::to_string(kMaxFds));
  }
  std::vector<std::string> names(static_cast<std::size_t>(*count), "listen");
  if (names_text && *count > 0) {
    names = split_names(*names_text);
    if (names.size() != static_cast<std::size_t>(*count)) {
      return fail("LISTEN_FDNAMES names " + std::to_string(names.size()) + " sockets and LISTEN_FDS passes " +
                  std::to_string(*count));
    }
  }
  for (int i = 0; i < *count; ++i) {
    const int fd = kFirstFd + i;
    const std::string& name = names[static_cast<std::size_t>(i)];
    const std::string what = "the inherited descriptor " + std::to_string(fd) + " (" + name + ") ";
    if (::fcntl(fd, F_GETFD) < 0) return fail(what + "is not open; LISTEN_FDS says " + std::to_string(*count));
    UniqueFd owned(fd);
    const auto kind = parse_listen_kind(name);
    if (!kind) {
      return fail(what +
                  "has a name that says nothing: FileDescriptorName= of the socket unit is listen, tls or admin");
    }
    auto socket = adopt_listen_socket(*kind, std::move(owned));
    if (!socket) return fail(what + socket.error());
    sockets.push_back(*std::move(socket));
  }
  return sockets;
}

void notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract name space
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  [[maybe_unused]] const ssize_t sent = ::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                                 reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace ficus
