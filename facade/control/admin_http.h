// /metrics /readyz /livez /policy over HTTP/1.1 (Boost.Beast). GET and HEAD only; read-only.
// Thread: the control io_context's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "routing/result.h"

namespace boost::asio {
class io_context;
}

namespace ficus {

struct AdminHandlers {
  std::function<std::string()> metrics;        // Prometheus text
  std::function<std::string()> policy_json;
  std::function<bool()> ready;                 // false: /readyz says 503
  std::function<std::string()> not_ready_why;  // body of that 503
};

class AdminHttp {
 public:
  static constexpr std::size_t kMaxConnections = 64;      // limit "admin_connections": beyond, closed at once
  static constexpr std::size_t kMaxRequestBytes = 16384;  // limit "admin_request_bytes"
  static constexpr int kRequestTimeoutSeconds = 10;       // limit "admin_request_time"

  AdminHttp(boost::asio::io_context& control, AdminHandlers handlers);
  ~AdminHttp();
  // Binds and listens; gives the port bound. Error: a sentence ("127.0.0.1:9901: address already in use").
  Result<std::uint16_t, std::string> listen(const std::string& host, std::uint16_t port);
  // Stops accepting and closes what is open. On the control thread.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ficus
