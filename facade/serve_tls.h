// The TLS listeners' certificates in a running facade: opened at the start, looked at every second, swapped when they
// changed. Thread: the control loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "facade/control/asio.h"
#include "facade/metrics/metrics.h"
#include "facade/net/client_socket.h"
#include "facade/net/tls_server_source.h"
#include "routing/result.h"

namespace ficus {

class ServeTls {
 public:
  // Certificates are renewed days before they end: a second more or less does not matter.
  static constexpr std::chrono::milliseconds kLook{1000};

  ServeTls(asio::io_context& control, Metrics& metrics) : timer_(control), shard_(metrics.add_shard()) {}
  // Error: a sentence for a start that failed.
  Result<void, std::string> open(TlsServerFiles files);
  // Null before open().
  const std::shared_ptr<TlsServerSlot>& slot() const noexcept { return slot_; }
  // Begins to look for changes; stops with the loop.
  void watch();
  // Looks now (SIGHUP).
  void look();

 private:
  std::optional<TlsServerSource> source_;
  std::shared_ptr<TlsServerSlot> slot_;
  asio::steady_timer timer_;
  MetricsShard& shard_;
};

}  // namespace ficus
