// The sockets of bench_client: connections with a ClientSession each, driven by one epoll loop until something is done.
// Whatever goes wrong (an error of a session, a connection that ends, nothing for half a minute) prints why and ends
// the program with 1: a load counts only if all of it was answered. Thread: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tests/bench/client_session.h"
#include "tests/bench/sockets.h"

namespace ficus::bench {

class ClientLoop {
 public:
  // `options` and `listener` outlive the loop.
  ClientLoop(std::uint16_t port, const ClientOptions& options, ClientSession::Listener& listener);

  // Opens a connection from 127.0.0.SOURCE and queues its preface. The session lives as long as the loop.
  ClientSession& connect(unsigned source = 1);
  std::size_t size() const { return connections_.size(); }
  ClientSession& session(std::size_t index) { return connections_[index]->session; }

  // Calls `tick` every `period` while run_until() runs. Once.
  void every(std::chrono::microseconds period, std::function<void()> tick);

  // Sends what is queued (each session's in one write, if the socket takes it) and serves what comes until done().
  void run_until(const std::function<bool()>& done);
  // Until every connection has exchanged SETTINGS and had its pings answered.
  void run_until_settled();

 private:
  struct Connection {
    Connection(int descriptor, const ClientOptions& options, ClientSession::Listener& listener)
        : fd(descriptor), session(options, listener) {}
    Fd fd;
    ClientSession session;
    bool wants_write = false;
  };
  void serve(std::size_t index);
  void flush(std::size_t index);

  const std::uint16_t port_;
  const ClientOptions& options_;
  ClientSession::Listener& listener_;
  Fd epoll_, timer_;
  std::function<void()> tick_;
  std::vector<char> buffer_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace ficus::bench
