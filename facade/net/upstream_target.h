// An upstream as the pool needs it: plain values, made from the policy by rpc/, which splits the facade's limits over
// the workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facade/net/balancer.h"
#include "facade/net/listener.h"
#include "facade/net/tls_context.h"

namespace ficus {

// Asks each endpoint by grpc.health.v1.Health/Check whether it serves.
struct ProbeSettings {
  std::string service;                        // what to ask for; empty: the server as a whole
  std::chrono::milliseconds interval{5'000};  // from one answer to the next question
  std::chrono::milliseconds timeout{1'000};   // for connecting and answering together
  unsigned unhealthy_threshold =
      3;  // failures in a row after which an endpoint counts as unhealthy; the first check ever needs one
  unsigned healthy_threshold = 2;  // successes in a row after which it counts as healthy again
  bool operator==(const ProbeSettings&) const = default;
};

// Manners of our connections to an upstream. Zero: not used.
struct UpstreamConnectionSettings {
  std::chrono::milliseconds keepalive_interval{0};      // a PING after so long without a frame from the upstream
  std::chrono::milliseconds keepalive_timeout{20'000};  // the connection is lost if nothing came so long after it
  bool keepalive_without_calls = false;                 // PINGs also while no call is in flight
  std::chrono::milliseconds idle_timeout{0};            // closed after so long without a call
};

struct UpstreamTarget {
  std::string name;
  std::vector<HostPort> endpoints;  // addresses, or names; each address of a name is balanced like an endpoint
  std::chrono::milliseconds connect_timeout{2000};  // for resolving and connecting until the upstream's SETTINGS
  // ---- limits, this worker's share of each; primary and shadow count apart ----
  // Calls at once; those beyond are refused.
  std::size_t max_concurrent_requests = 1024;
  // Of these, calls that wait for a connection; those beyond are refused at once. Limit "max_pending".
  std::size_t max_pending = 1024;
  // Connections to one endpoint. A call that would need one more waits for a stream of those there are. Each carries as
  // many calls as the upstream allows (usually 100 or more). Limit "max_connections".
  std::size_t max_connections = 32;

  BalanceSettings balance;
  std::optional<ProbeSettings> health_check;
  UpstreamConnectionSettings connection;
  // The identity of the TLS settings; empty: cleartext. Another one means other connections.
  std::string security;
  std::shared_ptr<const TlsClientContext> tls;  // with `security`; null then: they cannot be used, no call goes out
  std::string server_name;                      // whom the certificate must be for; empty: the endpoint's host
  std::string authority;  // of health checks; empty: the endpoint as it is written in the policy
};

}  // namespace ficus
