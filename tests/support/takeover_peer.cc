#include "tests/support/takeover_peer.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

namespace ficus::e2e {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

}  // namespace

TakeoverPeer TakeoverPeer::to(const std::string& path) {
  Socket socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) socket.close();
  return TakeoverPeer(std::move(socket));
}

bool TakeoverPeer::say(std::string_view text, const std::vector<int>& fds) const {
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, 256> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
  }
  return ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL) >= 0;
}

TakeoverPeer::Heard TakeoverPeer::hear(std::chrono::milliseconds limit) const {
  Heard heard;
  pollfd wait{socket_.fd(), POLLIN, 0};
  heard.closed = true;
  if (::poll(&wait, 1, static_cast<int>(limit.count())) <= 0) return heard;
  std::string text(65536, '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, 1024> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = ::recvmsg(socket_.fd(), &message, MSG_CMSG_CLOEXEC);
  if (n < 0 && errno == ECONNRESET) n = ::recvmsg(socket_.fd(), &message, MSG_CMSG_CLOEXEC);
  if (n <= 0) return heard;
  heard.closed = false;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    for (std::size_t i = 0; i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
      heard.fds.emplace_back(fd);
    }
  }
  text.resize(static_cast<std::size_t>(n));
  const std::size_t line = text.find('\n');
  heard.head = text.substr(0, line);
  if (line != std::string::npos) heard.body = text.substr(line + 1);
  return heard;
}

Socket listen_at_path(const std::string& path, int type) {
  Socket socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.fd(), 8) != 0) {
    socket.close();
  }
  return socket;
}

TakeoverPeer accept_at_path(const Socket& door) {
  pollfd wait{door.fd(), POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(kPatience.count())) <= 0) return TakeoverPeer(Socket());
  return TakeoverPeer(Socket(::accept4(door.fd(), nullptr, nullptr, SOCK_CLOEXEC)));
}

}  // namespace ficus::e2e
