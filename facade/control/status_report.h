// What ficus.control.v1 says of a running facade, put together from values: the process, the policy and the counters.
// Pure but for reading the metrics. Any thread; milliseconds for a policy of 10,000 rules.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "facade/control/policy_store.h"
#include "facade/metrics/metrics.h"
#include "ficus/control/v1/control.pb.h"

namespace ficus {

// What only the wiring knows of the process.
struct ProcessFacts {
  struct Listener {
    enum class Kind : std::uint8_t { kCleartext, kTls, kAdmin } kind = Kind::kCleartext;
    std::string address;  // as bound: "127.0.0.1:8080"
  };
  std::string version;
  pid_t pid = 0;
  std::chrono::system_clock::time_point started;
  bool draining = false;
  std::vector<Listener> listeners;
  std::vector<std::uint64_t> worker_connections;  // clients' connections of each worker, by its index
};

inline constexpr std::size_t kShownReloadDiagnostics = 20;  // the first ones say what to do; `ficus check` has them all

// Precondition: a policy is in force. Nothing of it that may be a secret (values of `metadata.set`, files' contents)
// is in the answer.
control::v1::GetStatusResponse report_status(const ProcessFacts& process, const PolicyState& policy,
                                             const Metrics& metrics, std::chrono::system_clock::time_point now);

}  // namespace ficus
