// `ficus serve`: makes the parts, lets them know one another, runs them, and ends them in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "facade/base/log.h"
#include "facade/h2/h2_limits.h"
#include "facade/net/h2_manners.h"
#include "facade/net/listener.h"
#include "facade/net/socket_plan.h"
#include "facade/net/takeover_server.h"
#include "facade/shadow/shadow_pressure.h"

namespace CLI {
class App;
}

namespace ficus {

struct CommandContext;

// Whether clients of a TLS listener show a certificate.
enum class TlsClientMode { kNone, kOptional, kRequired };

struct TlsFlags {
  std::string cert, key;  // PEM files
  std::string client_ca;  // PEM file; who may vouch for clients
  TlsClientMode client = TlsClientMode::kNone;

  // The flag of the first that is given, "" if none is.
  std::string first_given() const {
    if (!cert.empty()) return "--tls-cert";
    if (!key.empty()) return "--tls-key";
    if (!client_ca.empty()) return "--tls-client-ca";
    return client == TlsClientMode::kNone ? "" : "--tls-client";
  }
};

struct ServeOptions {
  std::string policy;
  SocketFlags sockets{{}, {}, "127.0.0.1:9901", false};
  TlsFlags tls;
  ListenerOptions listener;
  ClientManners manners;
  std::uint64_t held_bytes = H2Limits{}.held_bytes;  // of the whole facade
  unsigned workers = 1;
  unsigned compare_threads = 1;
  std::chrono::milliseconds shadow_max_lag = PressureRule::kMaxLag;  // 0: not judged
  std::string mismatch_log;  // empty: mismatches are counted, not written
  std::string redact_key;    // empty: a key of this process's life
  std::string dns_server;    // empty: those of /etc/resolv.conf; else one that passed DnsResolver::check()
  std::string port_file;     // empty: none. JSON, written when ready: {"listen":"HOST:PORT","admin":"HOST:PORT"}; of
                             // several client addresses the first
  std::chrono::milliseconds drain_timeout{30'000};
  LogLevel log_level = LogLevel::kInfo;
  std::string control;  // empty: no control API; else its Unix socket's path
  std::string takeover;  // empty: no successor can take over; else a Unix socket's path
  std::chrono::milliseconds takeover_timeout = TakeoverServer::kReadyTimeout;
};

// Exit codes beside those of every command (cli/cli.h): kExitProblems is a policy that was refused, kExitUsage wrong
// arguments, a policy file that cannot be read or another start that failed. 3 is left to scripts (packages are missing).
inline constexpr int kExitCallsCut = 4;  // stopped, and the drain timeout cut calls off

// Serves until SIGTERM or SIGINT, or until a successor has taken over; SIGHUP reloads the policy. Gives the exit code.
int serve(const ServeOptions& options);

// Adds `ficus serve` to the program.
void add_serve_command(CLI::App& app, CommandContext& context);

}  // namespace ficus
