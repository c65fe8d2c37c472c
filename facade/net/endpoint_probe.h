// What watches one endpoint by asking it. The question is gRPC's, so rpc/ makes the probe; this is all that net/ knows.
// Thread: the worker's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "facade/net/upstream_target.h"
#include "facade/net/worker.h"

namespace ficus {

class UpstreamStream;

class EndpointProbe {
 public:
  virtual ~EndpointProbe() = default;
};

struct ProbeSetup {
  Worker& worker;
  ProbeSettings settings;
  std::string upstream;   // name, for metrics and logs
  std::string address;    // for logs
  std::string authority;  // of the checks
  std::string scheme;     // "http" or "https"
  // A stream to this endpoint and no other. On the endpoint's own connections, but outside the limits of calls: a busy
  // upstream must still be asked. Never null.
  std::function<UpstreamStream*(StreamEvents&)> open;
  std::function<void(bool healthy)> report;  // may end the probe
};

// The probe begins at once and ends with the object.
using MakeProbe = std::function<std::unique_ptr<EndpointProbe>(ProbeSetup)>;

}  // namespace ficus
