#include "tests/bench/client_loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace ficus::bench {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;
constexpr int kPatienceMs = 30'000;  // a proxy under callgrind is some fifty times slower than itself
constexpr std::uint64_t kTimer = ~std::uint64_t{0};

[[noreturn]] void give_up(std::size_t index, const std::string& why) {
  std::fprintf(stderr, "bench_client: connection %zu: %s\n", index, why.c_str());
  std::exit(1);
}

}  // namespace

ClientLoop::ClientLoop(std::uint16_t port, const ClientOptions& options, ClientSession::Listener& listener)
    : port_(port),
      options_(options),
      listener_(listener),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      buffer_(kReadBytes) {
  if (epoll_.get() < 0 || timer_.get() < 0) die("epoll_create1, timerfd_create");
}

ClientSession& ClientLoop::connect(unsigned source) {
  connections_.push_back(std::make_unique<Connection>(connect_to(port_, source), options_, listener_));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = connections_.size() - 1;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connections_.back()->fd.get(), &event) < 0) die("epoll_ctl");
  return connections_.back()->session;
}

void ClientLoop::every(std::chrono::microseconds period, std::function<void()> tick) {
  tick_ = std::move(tick);
  itimerspec spec{};
  spec.it_interval.tv_sec = static_cast<time_t>(period.count() / 1'000'000);
  spec.it_interval.tv_nsec = static_cast<long>(period.count() % 1'000'000 * 1000);
  spec.it_value = spec.it_interval;
  if (::timerfd_settime(timer_.get(), 0, &spec, nullptr) < 0) die("timerfd_settime");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTimer;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event) < 0) die("epoll_ctl");
}

void ClientLoop::run_until(const std::function<bool()>& done) {
  for (std::size_t i = 0; i < connections_.size(); ++i) flush(i);
  while (!done()) {
    epoll_event events[64];
    const int n = ::epoll_wait(epoll_.get(), events, 64, kPatienceMs);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    if (n == 0) give_up(0, "nothing came for 30 s");
    for (int i = 0; i < n; ++i) {
      if (events[i].data.u64 != kTimer) {
        serve(static_cast<std::size_t>(events[i].data.u64));
        continue;
      }
      std::uint64_t expired = 0;
      if (::read(timer_.get(), &expired, sizeof expired) == sizeof expired) tick_();
      for (std::size_t c = 0; c < connections_.size(); ++c) flush(c);
    }
  }
}

void ClientLoop::run_until_settled() {
  std::size_t settled = 0;  // connections settle nearly in order, so each is looked at once or twice
  run_until([&] {
    while (settled < connections_.size() && connections_[settled]->session.settled()) ++settled;
    return settled == connections_.size();
  });
}

void ClientLoop::serve(std::size_t index) {
  Connection& connection = *connections_[index];
  const ssize_t n = ::read(connection.fd.get(), buffer_.data(), buffer_.size());
  if (n == 0) give_up(index, "closed by the peer");
  if (n < 0 && errno != EAGAIN && errno != EINTR) die("read");
  if (n > 0 && !connection.session.on_bytes({buffer_.data(), static_cast<std::size_t>(n)})) {
    give_up(index, std::string(connection.session.error()));
  }
  flush(index);
}

void ClientLoop::flush(std::size_t index) {
  Connection& connection = *connections_[index];
  std::string_view out = connection.session.output();
  if (!out.empty()) {
    const ssize_t n = ::send(connection.fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) die("send");
    if (n > 0) connection.session.consume_output(static_cast<std::size_t>(n));
    out = connection.session.output();
  }
  if (connection.wants_write == !out.empty()) return;
  connection.wants_write = !out.empty();
  epoll_event event{};
  event.events = EPOLLIN | (connection.wants_write ? EPOLLOUT : 0u);
  event.data.u64 = index;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event) < 0) die("epoll_ctl");
}

}  // namespace ficus::bench
