// What the demo's programs share: stopping on a signal, telling their ports, channels to loopback.
#pragma once

#include <google/protobuf/timestamp.pb.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace insurer {

// Keeps SIGTERM and SIGINT from every thread made after it, for wait() to take. Make it first in main().
class StopSignal {
 public:
  StopSignal();
  // Blocks until one of the two arrives.
  void wait() const;
};

// Writes {"NAME":"ADDRESS",...} to `file` by a rename, so that a reader sees all of it or no file.
// False if it could not be written; errno says why.
bool write_port_file(const std::string& file, const std::vector<std::pair<std::string, std::string>>& addresses);

// A cleartext channel with connections of its own that no proxy variable of the environment reaches.
std::shared_ptr<grpc::Channel> open_channel(const std::string& address);

// The wall clock in nanoseconds; protobuf's own TimeUtil::GetCurrentTime knows whole seconds only.
google::protobuf::Timestamp timestamp_now();

// "UNAVAILABLE"
std::string code_name(grpc::StatusCode code);

}  // namespace insurer
