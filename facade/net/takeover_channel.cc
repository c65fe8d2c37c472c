#include "facade/net/takeover_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

namespace ficus {
namespace {

constexpr std::string_view kMagic = "ficus-takeover ";
constexpr std::array<std::string_view, 6> kWords = {"hello", "offer", "ready", "yielded", "serving", "refused"};
constexpr std::string_view kPolicyName = "policy";
constexpr std::size_t kMaxPolicyBytes = 256u << 20;  // four times what a policy's text may be
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

struct FirstLine {
  unsigned version;
  std::string_view word;
  std::string_view rest;
};

std::optional<FirstLine> first_line(std::string_view text) {
  if (text.substr(0, kMagic.size()) != kMagic) return std::nullopt;
  text.remove_prefix(kMagic.size());
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  FirstLine first{0, {}, text.substr(end + 1)};
  const auto [after, ec] = std::from_chars(line.data(), line.data() + line.size(), first.version);
  if (ec != std::errc() || after == line.data() + line.size() || *after != ' ') return std::nullopt;
  first.word = line.substr(static_cast<std::size_t>(after - line.data()) + 1);
  return first;
}

// Words between single spaces.
std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t space = line.find(' ');
    parts.push_back(line.substr(0, space));
    if (space == std::string_view::npos) return parts;
    line.remove_prefix(space + 1);
  }
}

Result<UniqueFd, std::string> sealed_file(std::string_view text) {
  UniqueFd file(::memfd_create("ficus-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return fail(std::string("cannot make a memory file: ") + std::strerror(errno));
  while (!text.empty()) {
    const ssize_t n = ::write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(std::string("cannot write a memory file: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail(std::string("cannot seal a memory file: ") + std::strerror(errno));
  }
  return file;
}

Result<std::string, std::string> read_sealed_file(int fd) {
  struct stat info {};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(fd, &info) != 0) {
    return fail(std::string("the policy it sent is no sealed memory file"));
  }
  if (info.st_size < 0 || static_cast<std::uint64_t>(info.st_size) > kMaxPolicyBytes) {
    return fail(std::string("the policy it sent is too large"));
  }
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(std::string("the policy it sent cannot be read"));
    done += static_cast<std::size_t>(n);
  }
  return text;
}

}  // namespace

bool send_takeover(int connection, TakeoverWord word, std::string_view body, const std::vector<int>& fds) {
  std::string text(kMagic);
  text += std::to_string(kTakeoverVersion);
  text += ' ';
  text += kWords[static_cast<std::size_t>(word)];
  text += '\n';
  text += body;
  if (text.size() > kMaxTakeoverMessageBytes || fds.size() > kMaxTakeoverSockets + 1) {
    errno = EMSGSIZE;
    return false;
  }
  iovec part{text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control;
  if (!fds.empty()) {
    const std::size_t bytes = fds.size() * sizeof(int);
    control.resize(CMSG_SPACE(bytes));
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(head), fds.data(), bytes);
  }
  for (;;) {
    if (::sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

TakeoverMessage receive_takeover(int connection) {
  std::string text(kMaxTakeoverMessageBytes, '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE((kMaxTakeoverSockets + 1) * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  TakeoverMessage result;
  ssize_t n = 0;
  // A peer that closed with something of ours unread leaves ECONNRESET in front of what it said last.
  do n = ::recvmsg(connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (n < 0) {
    result.what = errno == EAGAIN ? TakeoverMessage::What::kNotYet : TakeoverMessage::What::kGone;
    return result;
  }
  // Descriptors first: whatever else is wrong, they must not leak.
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
      result.fds.emplace_back(fd);
    }
  }
  if (n == 0) return result;  // the end: no message of ours is empty
  text.resize(static_cast<std::size_t>(n));
  result.what = TakeoverMessage::What::kGarbage;
  const auto first = first_line(text);
  if (!first || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return result;
  result.version = first->version;
  result.body = first->rest;
  if (first->version != kTakeoverVersion && first->word != kWords[static_cast<std::size_t>(TakeoverWord::kRefused)]) {
    result.what = TakeoverMessage::What::kOtherVersion;
    return result;
  }
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (first->word != kWords[i]) continue;
    result.word = static_cast<TakeoverWord>(i);
    result.what = TakeoverMessage::What::kWord;
  }
  return result;
}

TakeoverMessage receive_takeover(int connection, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    TakeoverMessage message = receive_takeover(connection);
    if (message.what != TakeoverMessage::What::kNotYet) return message;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return message;
    pollfd wait{connection, POLLIN, 0};
    ::poll(&wait, 1, static_cast<int>(left.count()));
  }
}

Result<void, std::string> send_offer(int connection, const std::vector<const ListenSocket*>& sockets,
                                     std::string_view policy) {
  if (sockets.size() > kMaxTakeoverSockets) {
    return fail("there are " + std::to_string(sockets.size()) + " listening sockets; at most " +
                std::to_string(kMaxTakeoverSockets) + " can be handed over");
  }
  auto file = sealed_file(policy);
  if (!file) return fail(file.error());
  std::string body;
  std::vector<int> fds;
  for (const ListenSocket* socket : sockets) {
    body.append(to_string(socket->kind)).append(" ");
    body.append(to_string(socket->wanted)).append(" ").append(to_string(socket->bound)).append("\n");
    fds.push_back(socket->fd.get());
  }
  body.append(kPolicyName).append("\n");
  fds.push_back(file->get());
  if (!send_takeover(connection, TakeoverWord::kOffer, body, fds)) {
    return fail(std::string("the sockets cannot be sent: ") + std::strerror(errno));
  }
  return {};
}

Result<TakeoverOffer, std::string> read_offer(TakeoverMessage message) {
  TakeoverOffer offer;
  std::string_view rest = message.body;
  std::size_t line_count = 0;
  bool has_policy = false;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return fail(std::string("its offer ends in half a line"));
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line_count == message.fds.size()) {
      return fail("its offer names more sockets than the " + std::to_string(message.fds.size()) + " it carries");
    }
    UniqueFd fd = std::move(message.fds[line_count++]);
    if (line == kPolicyName && !has_policy) {
      auto text = read_sealed_file(fd.get());
      if (!text) return fail(text.error());
      offer.policy = *std::move(text);
      has_policy = true;
      continue;
    }
    const auto parts = split(line);
    const auto kind = parse_listen_kind(parts[0]);
    const auto wanted = parts.size() == 3 ? parse_host_port(parts[1]) : fail(std::string());
    const auto bound = parts.size() == 3 ? parse_host_port(parts[2]) : fail(std::string());
    if (!kind || !wanted || !bound) return fail(std::string("its offer has a line that cannot be read"));
    auto socket = adopt_listen_socket(*kind, std::move(fd));
    if (!socket) return fail("what it sent as " + to_string(*bound) + " " + socket.error());
    socket->wanted = *wanted;
    socket->bound = *bound;
    offer.sockets.push_back(*std::move(socket));
  }
  if (line_count != message.fds.size()) return fail(std::string("its offer carries descriptors that it does not name"));
  if (!has_policy) return fail(std::string("its offer carries no policy"));
  return offer;
}

}  // namespace ficus
