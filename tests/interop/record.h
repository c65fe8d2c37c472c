// What one side of one call saw, as a line of JSON on stdout: the interop tests compare these lines, direct against
// through Ficus. The Python peers write the same (peer.py), and README.md lists the fields.
// A record belongs to one call; write() may be called from any thread.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

struct grpc_call;

namespace ficus::interop {

// The request's metadata by which the runner finds the two records of a call: "RUN CASE NUMBER".
inline constexpr char kCallKey[] = "x-interop-call";
// Both ways; the server sends them back, the first in its head and the second in its trailers.
inline constexpr char kEchoInitial[] = "x-grpc-test-echo-initial";
inline constexpr char kEchoTrailing[] = "x-grpc-test-echo-trailing-bin";

// Whether the message that this call read last stood on the wire with the compressed flag set. gRPC's API inflates
// silently; its core keeps the flag for interop tests such as these.
bool last_message_was_compressed(grpc_call* call);

class Record {
 public:
  // `kind`: "client" or "server"; `path`: ":path" of the call.
  Record(std::string kind, std::string path) : kind_(std::move(kind)), path_(std::move(path)) {}

  // A message as it was received: its length, the SHA-256 of its bytes and the flag it came with.
  void add_message(const google::protobuf::MessageLite& message, bool compressed);
  // `where`: "metadata", "initial" or "trailing". Values of one name keep their order; those of a -bin name are
  // written in hex.
  void add_metadata(const std::string& where, const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);
  void set(const std::string& name, bool value) { fields_[name] = value ? "true" : "false"; }
  void set(const std::string& name, long long value) { fields_[name] = std::to_string(value); }
  void set(const std::string& name, std::string_view text);
  void set_status(const grpc::Status& status);

  std::string json() const;
  // One line, whole, flushed.
  void write() const;

 private:
  std::string kind_, path_;
  std::map<std::string, std::string> fields_;  // name -> JSON
  std::vector<std::string> messages_;          // JSON
};

}  // namespace ficus::interop
