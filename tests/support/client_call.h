// One gRPC call of opaque bytes, made with gRPC C++'s own client, in blocking style: what a careful application sees.
// Threads: one thread may read while another writes; everything else from one thread. Every wait ends after kPatience.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/test_certs.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

// A channel with connections of its own, no proxy from the environment, no retries, no limit on message size. `address`
// is "127.0.0.1:PORT", or "unix:PATH".
std::shared_ptr<grpc::Channel> make_channel(const std::string& address, grpc::ChannelArguments arguments = {});

// The same, but with gRPC's own retries, as a client has that sets nothing: a call that was never taken, by the server's
// word (GOAWAY, REFUSED_STREAM) or since its connection was gone, is sent again.
std::shared_ptr<grpc::Channel> make_retrying_channel(const std::string& address);

// How a client speaks TLS.
struct ClientTls {
  std::string ca_pem;              // whom to trust
  CertPair own;                    // shown if the server asks; empty: none
  std::string name = "localhost";  // whom the server's certificate must be for, and SNI and :authority
};
// The same over TLS. gRPC connects when the first call is made: a refused handshake is that call's UNAVAILABLE.
std::shared_ptr<grpc::Channel> make_tls_channel(const std::string& address, const ClientTls& tls,
                                                grpc::ChannelArguments arguments = {});

grpc::ByteBuffer to_buffer(std::string_view bytes);
std::string to_string(const grpc::ByteBuffer& buffer);

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct CallOptions {
  Metadata metadata;
  std::optional<std::chrono::milliseconds> deadline;  // absent: none on the wire
  std::string authority;                              // empty: the channel's
  bool gzip = false;
};

class ClientCall {
 public:
  // Starts the call; its headers are on their way when this returns.
  ClientCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, CallOptions options = {});
  // Cancels what is still open.
  ~ClientCall();
  ClientCall(const ClientCall&) = delete;
  ClientCall& operator=(const ClientCall&) = delete;

  // Waits until gRPC took the message (flow control). False: the call is over, or `limit` passed: the write is then
  // still under way and the next write() waits for it first.
  bool write(std::string_view message, std::chrono::milliseconds limit = kPatience);
  bool writes_done();
  // The next message; nullopt at the end of the answer or after `limit` (read_timed_out() tells).
  std::optional<std::string> read(std::chrono::milliseconds limit = kPatience);
  bool read_timed_out() const;
  // True once initial metadata has come; false if the call ended without, or after `limit`.
  bool wait_initial_metadata(std::chrono::milliseconds limit = kPatience);
  // Reads what is left, then the status. kPatience without one: a DEADLINE_EXCEEDED whose message says the test gave
  // up.
  grpc::Status finish();
  void cancel();

  // In the order gRPC C++ keeps: by name, equal names as they came. After wait_initial_metadata() / finish().
  Metadata initial_metadata() const;
  Metadata trailers() const;

 private:
  class Reactor;
  std::shared_ptr<Reactor> reactor_;
};

struct UnaryReply {
  grpc::Status status;
  std::vector<std::string> messages;
  Metadata initial_metadata, trailers;
  std::string message() const { return messages.empty() ? std::string() : messages.front(); }
};
// One request message, half-close, the whole answer.
UnaryReply call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, std::string_view request,
                CallOptions options = {});

// All values of one name, in order.
std::vector<std::string> values_of(const Metadata& metadata, const std::string& name);

}  // namespace ficus::e2e
