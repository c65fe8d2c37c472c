// The listening socket: accepts on worker 0's loop and hands each descriptor to the worker with the fewest clients.
// One socket an address, without SO_REUSEPORT: a second process on the port must fail, not take half the calls.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "facade/net/asio.h"
#include "facade/net/worker.h"
#include "routing/result.h"

namespace ficus {

struct HostPort {
  std::string host;  // an address, or a name that resolves to one; IPv6 without brackets
  std::uint16_t port = 0;
};
// "127.0.0.1:8080", "[::1]:8080", "localhost:0". Error: a sentence.
Result<HostPort, std::string> parse_host_port(std::string_view text);
std::string to_string(const HostPort& address);

class Listener {
 public:
  // `workers` outlive the listener; the first one's loop accepts.
  explicit Listener(std::vector<Worker*> workers);
  // Binds and listens. Error: a sentence ("cannot listen on 127.0.0.1:8080: address already in use (is another ficus
  // running?)"). Gives the port bound. Before the workers run.
  Result<std::uint16_t, std::string> listen(const HostPort& address);
  // Begins to accept. Before the workers run, or on worker 0.
  void start();
  // Closes the socket; what is queued in the kernel's backlog is accepted first. On worker 0.
  void stop();

 private:
  void accept_more();

  static constexpr int kBacklog = 1024;
  // Out of descriptors: wait this long before trying again, rather than spin. Limit "file_descriptors".
  static constexpr std::chrono::milliseconds kAcceptPause{100};
  std::vector<Worker*> workers_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
};

}  // namespace ficus
