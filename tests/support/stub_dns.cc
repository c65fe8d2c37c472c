#include "tests/support/stub_dns.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace ficus::e2e {
namespace {

constexpr std::uint16_t kA = 1, kAaaa = 28;

void put16(std::string& to, unsigned value) {
  to += static_cast<char>(value >> 8);
  to += static_cast<char>(value);
}

void put32(std::string& to, std::uint32_t value) {
  put16(to, value >> 16);
  put16(to, value & 0xffff);
}

struct Question {
  std::string name;  // lower case, dotted
  std::uint16_t type = 0;
  std::size_t end = 0;  // of the question section
};

Question question_of(const std::string& message) {
  Question question;
  std::size_t at = 12;
  while (at < message.size() && message[at] != 0) {
    const auto size = static_cast<unsigned char>(message[at]);
    if (!question.name.empty()) question.name += '.';
    question.name += message.substr(at + 1, size);
    at += 1u + size;
  }
  for (char& c : question.name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (at + 5 > message.size()) return {};
  question.type = static_cast<std::uint16_t>(static_cast<unsigned char>(message[at + 1]) << 8 |
                                             static_cast<unsigned char>(message[at + 2]));
  question.end = at + 5;
  return question;
}

// RFC 1035 4.1. `flags` beyond QR, RD and RA.
std::string message_of(const std::string& asked, const Question& question, unsigned flags,
                       const std::vector<std::string>& addresses, std::uint32_t ttl) {
  std::string records;
  unsigned count = 0;
  for (const std::string& address : addresses) {
    unsigned char bytes[16];
    const bool six = address.find(':') != std::string::npos;
    if (six != (question.type == kAaaa) || (question.type != kA && question.type != kAaaa)) continue;
    if (::inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) std::abort();
    put16(records, 0xc00c);  // the question's name
    put16(records, question.type);
    put16(records, 1);
    put32(records, ttl);
    put16(records, six ? 16 : 4);
    records.append(reinterpret_cast<const char*>(bytes), six ? 16 : 4);
    ++count;
  }
  std::string message = asked.substr(0, 2);
  put16(message, 0x8180 | flags);
  put16(message, 1);
  put16(message, count);
  put32(message, 0);
  message += asked.substr(12, question.end - 12);
  return message + records;
}

Socket bound(int type, std::uint16_t port) {
  Socket made(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  if (::bind(made.fd(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return Socket();
  return made;
}

std::uint16_t port_of(const Socket& socket) {
  sockaddr_in at{};
  socklen_t size = sizeof at;
  ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&at), &size);
  return ntohs(at.sin_port);
}

}  // namespace

StubDns::StubDns() {
  // One port number for both: the TCP one is free most likely.
  for (int tries = 0; tries < 50 && !tcp_; ++tries) {
    udp_ = bound(SOCK_DGRAM, 0);
    tcp_ = bound(SOCK_STREAM, port_of(udp_));
  }
  if (!tcp_ || ::listen(tcp_.fd(), 16) != 0) {
    std::perror("stub DNS server");
    std::abort();
  }
  address_ = "127.0.0.1:" + std::to_string(port_of(udp_));
  thread_ = std::thread([this] { serve(); });
}

StubDns::~StubDns() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  thread_.join();
}

void StubDns::set(const std::string& name, DnsReply reply) {
  const std::lock_guard lock(mutex_);
  replies_[name] = std::move(reply);
}

std::size_t StubDns::asked(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(name);
  return found == asked_.end() ? 0 : found->second;
}

std::size_t StubDns::by_tcp() const {
  const std::lock_guard lock(mutex_);
  return by_tcp_;
}

std::vector<std::string> StubDns::answers(const std::string& asked, bool tcp) {
  const Question question = question_of(asked);
  const std::lock_guard lock(mutex_);
  if (question.type == kA) ++asked_[question.name];
  if (tcp) ++by_tcp_;
  const auto found = replies_.find(question.name);
  const DnsReply reply = found == replies_.end() ? DnsReply{DnsReply::How::kNotFound, {}, 0} : found->second;
  const std::string whole = message_of(asked, question, 0, reply.addresses, reply.ttl);
  switch (reply.how) {
    case DnsReply::How::kAnswer:
      return {whole};
    case DnsReply::How::kNotFound:
      return {message_of(asked, question, 3, {}, 0)};
    case DnsReply::How::kServerFails:
      return {message_of(asked, question, 2, {}, 0)};
    case DnsReply::How::kSilence:
      return {};
    case DnsReply::How::kTruncated:
      return {tcp ? whole : message_of(asked, question, 0x200, {}, 0)};
    case DnsReply::How::kGarbage:
      return {asked.substr(0, 2) + "\x81\x80" + std::string(40, '\xff')};
    case DnsReply::How::kForged: {
      std::string forged = message_of(asked, question, 0, {"192.0.2.1"}, reply.ttl);
      forged[0] = static_cast<char>(forged[0] ^ 0x55);
      return {forged, whole};
    }
  }
  return {};
}

void StubDns::serve() {
  std::vector<char> buffer(65536);
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
    }
    pollfd fds[] = {{udp_.fd(), POLLIN, 0}, {tcp_.fd(), POLLIN, 0}};
    if (::poll(fds, 2, 20) <= 0) continue;
    if ((fds[0].revents & POLLIN) != 0) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(udp_.fd(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got >= 12) {
        for (const std::string& message : answers(std::string(buffer.data(), static_cast<std::size_t>(got)), false)) {
          ::sendto(udp_.fd(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&from), size);
        }
      }
    }
    if ((fds[1].revents & POLLIN) != 0) {
      const Socket peer(::accept4(tcp_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      const timeval patience{5, 0};
      ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      // c-ares may put both questions on one connection; it closes when it has its answers.
      for (;;) {
        unsigned char prefix[2];
        if (::recv(peer.fd(), prefix, 2, MSG_WAITALL) != 2) break;
        std::string asked(static_cast<std::size_t>(prefix[0]) << 8 | prefix[1], '\0');
        if (::recv(peer.fd(), asked.data(), asked.size(), MSG_WAITALL) != static_cast<ssize_t>(asked.size())) break;
        for (const std::string& message : answers(asked, true)) {
          std::string framed;
          put16(framed, static_cast<unsigned>(message.size()));
          send_all(peer, framed + message);
        }
      }
    }
  }
}

}  // namespace ficus::e2e
