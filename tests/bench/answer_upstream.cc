// The bench's upstream: answers every gRPC call on an h2c port with one message and grpc-status 0, at the least cost we
// know of: one thread, epoll, one read and one write a wake-up, no request header ever decoded (answer_session.h).
// SIGUSR1 releases the calls that --when released holds. Ends on SIGTERM or SIGINT and prints what it did as one line
// of JSON.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/bench/answer_session.h"
#include "tests/bench/sockets.h"

namespace ficus::bench {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr std::size_t kMaxBacklogBytes = 1 << 20;  // unsent bytes of one connection; above it we stop reading from it

struct Connection {
  Connection(int descriptor, const AnswerOptions& options) : fd(descriptor), session(options) {}
  Fd fd;
  AnswerSession session;
  std::uint32_t interest = EPOLLIN;
};

struct Totals {
  std::uint64_t calls = 0, messages = 0, connections = 0,
                refused = 0;  // refused: connections ended because of what they sent
};

class Server {
 public:
  Server(int listener, int signals, const AnswerOptions& options)
      : listener_(listener),
        signals_(signals),
        options_(options),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        buffer_(kReadBytes) {
    if (epoll_.get() < 0) die("epoll_create1");
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    watch(EPOLL_CTL_ADD, signals_, EPOLLIN);
  }

  Totals run() {
    for (;;) {
      epoll_event events[64];
      const int n = ::epoll_wait(epoll_.get(), events, 64, -1);
      if (n < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < n; ++i) {
        const int fd = events[i].data.fd;
        if (fd == signals_) {
          signalfd_siginfo signal{};
          if (::read(signals_, &signal, sizeof signal) == sizeof signal && signal.ssi_signo != SIGUSR1) return finish();
          release_all();
          continue;
        }
        if (fd == listener_) {
          accept_all();
        } else if (const auto found = connections_.find(fd); found != connections_.end()) {
          if (!serve(*found->second)) drop(fd);
        }
      }
    }
  }

 private:
  void watch(int operation, int fd, std::uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), operation, fd, &event) < 0) die("epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;  // nothing left, or that client is gone already
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_.emplace(fd, std::make_unique<Connection>(fd, options_));
      watch(EPOLL_CTL_ADD, fd, EPOLLIN);
      ++totals_.connections;
    }
  }

  // One read, all its answers, one write. False: the connection is over.
  bool serve(Connection& connection) {
    bool open = true;
    if (connection.session.output().size() <= kMaxBacklogBytes) {
      const ssize_t n = ::read(connection.fd.get(), buffer_.data(), buffer_.size());
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
      if (n > 0) open = connection.session.on_bytes({buffer_.data(), static_cast<std::size_t>(n)});
    }
    if (!send_output(connection)) return false;
    if (!open) {
      ++totals_.refused;
      std::fprintf(stderr, "answer_upstream: closed a connection: %s\n",
                   std::string(connection.session.error()).c_str());
      return false;
    }
    update_interest(connection);
    return true;
  }

  static bool send_output(Connection& connection) {
    const std::string_view out = connection.session.output();
    if (out.empty()) return true;
    const ssize_t n = ::send(connection.fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n > 0) connection.session.consume_output(static_cast<std::size_t>(n));
    return true;
  }

  void update_interest(Connection& connection) {
    const std::size_t backlog = connection.session.output().size();
    const std::uint32_t interest = (backlog > kMaxBacklogBytes ? 0u : EPOLLIN) | (backlog > 0 ? EPOLLOUT : 0u);
    if (interest == connection.interest) return;
    connection.interest = interest;
    watch(EPOLL_CTL_MOD, connection.fd.get(), interest);
  }

  void release_all() {
    for (const auto& [fd, connection] : connections_) {
      connection->session.release();
      send_output(*connection);  // an error shows again at the next read
      update_interest(*connection);
    }
  }

  void drop(int fd) {
    const auto found = connections_.find(fd);
    count(*found->second);
    connections_.erase(found);
  }

  void count(const Connection& connection) {
    totals_.calls += connection.session.calls();
    totals_.messages += connection.session.messages();
  }

  Totals finish() {
    for (const auto& [fd, connection] : connections_) count(*connection);
    connections_.clear();
    return totals_;
  }

  const int listener_, signals_;
  const AnswerOptions options_;
  Fd epoll_;
  std::vector<char> buffer_;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  Totals totals_;
};

}  // namespace
}  // namespace ficus::bench

int main(int argc, char** argv) {
  using namespace ficus::bench;
  CLI::App app{
      "Answers every gRPC call over h2c with one message and grpc-status 0. For benchmarks, on 127.0.0.1 only."};
  std::uint16_t port = 0;
  std::string port_file;
  AnswerOptions options;
  app.add_option("--port", port, "port to listen on; 0 takes a free one")->capture_default_str();
  app.add_option("--port-file", port_file, "where to write {\"listen\":\"127.0.0.1:PORT\"} once it listens");
  app.add_option("--message-bytes", options.message_bytes,
                 "bytes of each answer's message; -1: as many as the request's had")
      ->check(CLI::Range(-1, 64 << 20))
      ->capture_default_str();
  app.add_option("--max-streams", options.max_concurrent_streams, "SETTINGS_MAX_CONCURRENT_STREAMS of each connection")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  const std::map<std::string, AnswerWhen> moments{
      {"end", AnswerWhen::kAtEnd}, {"message", AnswerWhen::kEachMessage}, {"released", AnswerWhen::kWhenReleased}};
  app.add_option("--when", options.when,
                 "when to answer: at the request's end, each message as it comes, or once SIGUSR1 has come")
      ->transform(CLI::CheckedTransformer(moments, CLI::ignore_case));
  CLI11_PARSE(app, argc, argv);

  raise_file_limit();
  Fd signals(signal_descriptor(SIGUSR1));
  Fd listener(listen_on(port));
  if (!port_file.empty()) write_port_file(port_file, port_of(listener.get()));

  const Totals totals = Server(listener.get(), signals.get(), options).run();
  std::printf("{\"calls\":%llu,\"messages\":%llu,\"connections\":%llu,\"refused\":%llu}\n",
              static_cast<unsigned long long>(totals.calls), static_cast<unsigned long long>(totals.messages),
              static_cast<unsigned long long>(totals.connections), static_cast<unsigned long long>(totals.refused));
  return 0;
}
