// /metrics /readyz /livez /policy, and / that lists them, over HTTP/1.1 (Boost.Beast). GET and HEAD only; read-only, so
// that whoever can reach the port can look and no more. A client that is slow to send or to read is dropped and delays
// nobody. Thread: the control io_context's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "routing/result.h"

namespace boost::asio {
class io_context;
}

namespace ficus {

struct AdminHandlers {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<std::string()> policy_json;
  std::function<bool()> ready;                            // false: /readyz says 503
  std::function<std::string()> not_ready_why;             // body of that 503
  std::function<void(std::string_view limit)> limit_hit;  // counts one of the limits below, by name; may be empty
};

class AdminHttp {
 public:
  // Limit "admin_connections": beyond, the connection that has waited longest for (the rest of) its request gives way,
  // so that nobody who opens connections and says nothing keeps probes out; where none waits, the new one is closed.
  static constexpr std::size_t kMaxConnections = 64;
  static constexpr std::size_t kMaxRequestBytes = 16384;  // limit "admin_request_bytes": of a request's head; 431
  // Limit "admin_request_time": for a request's head to arrive, and for its answer to be taken; then the connection is
  // closed. Between requests a connection may idle for kIdleTimeoutSeconds.
  static constexpr int kRequestTimeoutSeconds = 10;
  static constexpr int kIdleTimeoutSeconds = 90;  // longer than any usual scrape interval

  struct Timeouts {
    std::chrono::milliseconds request = std::chrono::seconds(kRequestTimeoutSeconds);
    std::chrono::milliseconds idle = std::chrono::seconds(kIdleTimeoutSeconds);
  };
  AdminHttp(boost::asio::io_context& control, AdminHandlers handlers);
  AdminHttp(boost::asio::io_context& control, AdminHandlers handlers, Timeouts timeouts);
  ~AdminHttp();
  // Binds and listens; gives the port bound (of port 0: one that is free). `host` is an address, with or without
  // brackets, or a name (resolved here, blocking). Error: a sentence ("127.0.0.1:9901: Address already in use").
  Result<std::uint16_t, std::string> listen(const std::string& host, std::uint16_t port);
  // Uses a listening, non-blocking TCP socket instead, borrowed: its owner keeps it open until after close() or leave(),
  // and may share it with a successor. Does not begin to accept. Error: a sentence.
  Result<void, std::string> use(int descriptor, bool ipv6);
  // Begins to accept, also after pause(). On the control thread, or before it runs.
  void accept();
  // Accepts no more; what is open goes on. On the control thread.
  void pause();
  // Accepts no more; answers what is being asked and then closes each connection, idle ones now: the next request goes
  // to the successor. On the control thread.
  void leave();
  // Stops accepting and closes what is open. On the control thread.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ficus
