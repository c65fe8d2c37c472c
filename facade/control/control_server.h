// ficus.control.v1 on a Unix socket, with grpc.health.v1.Health and server reflection (v1alpha, as gRPC 1.51 has it).
// Read-only, for the facade's own user and root.
//
// gRPC's own listener is not used: its local credentials (LocalServerCredentials(UDS)) ask whether the peer came by a
// Unix socket, not whose process it is. So we accept, ask the kernel (SO_PEERCRED), and hand the descriptor to gRPC.
//
// Threads: gRPC's own run the calls; they read what `sources` gives and the counters, and never touch a worker. The
// rest is the control io_context's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "facade/base/unix_door.h"
#include "facade/control/policy_store.h"
#include "facade/control/status_report.h"
#include "facade/metrics/metrics.h"
#include "routing/result.h"

namespace boost::asio {
class io_context;
}

namespace ficus {

// Asked for each answer, on gRPC's threads, one at a time; alive until after stop().
struct ControlSources {
  std::function<ProcessFacts()> process;
  std::function<PolicyState()> policy;
};

class ControlServer {
 public:
  // Limit "control_connections": an operator's shells, a dashboard's agent, a few tails; beyond, a new one is closed
  // at once. What is open may idle for kIdleMinutes, so that forgotten ones give their places back.
  static constexpr std::size_t kMaxConnections = 32;
  static constexpr int kIdleMinutes = 10;
  // Calls of one connection (SETTINGS_MAX_CONCURRENT_STREAMS): beyond, its client waits. However many ask, answers are
  // put together one at a time: each costs milliseconds of a core that the workers may need.
  static constexpr int kMaxStreams = 16;
  // Requests name at most a few things; reflection's ask by a name.
  static constexpr int kMaxRequestBytes = 64 * 1024;
  static constexpr int kMaxMetadataBytes = 16 * 1024;
  // A status of some 50,000 rules; beyond, RESOURCE_EXHAUSTED rather than a process that swells. Clients must allow
  // more than gRPC's usual 4 MiB for a policy of more than some 10,000.
  static constexpr int kMaxAnswerBytes = 16 * 1024 * 1024;
  // Of gRPC's threads that serve reflection (synchronous in gRPC 1.51), and of its buffers.
  static constexpr int kMaxThreads = 16;
  static constexpr std::size_t kMaxBufferBytes = 64 * 1024 * 1024;
  // For calls under way at the end.
  static constexpr std::chrono::milliseconds kStopPatience{500};

  ControlServer(boost::asio::io_context& control, ControlSources sources, Metrics& metrics);
  ~ControlServer();
  // Makes the gRPC server; nobody can come yet. Error: a sentence.
  Result<void, std::string> start();
  // Begins to accept at a door (SOCK_STREAM); it is ours from now on. After start(), on the control thread or before
  // it runs.
  void accept(UnixDoor door);
  // What grpc.health.v1 says of "" and of the service: whether the facade takes new calls. Any thread, after start().
  void set_serving(bool serving);
  // Removes the door's name if it is still ours, ends calls (kStopPatience) and closes what is open. When the control
  // loop runs no more, or on its thread. Idempotent.
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ficus
