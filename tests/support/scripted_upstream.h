// A gRPC service under the test's control: any method, opaque messages, behaviour given by a script that runs in a
// thread of its own for each call, in blocking style. Built on gRPC C++'s generic callback service.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/client_call.h"
#include "tests/support/test_certs.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

// A door that a script waits at until the test opens it. Any thread.
class Gate {
 public:
  void open() { open_ = true; }
  void close() { open_ = false; }
  bool is_open() const { return open_; }

 private:
  std::atomic<bool> open_{false};
};

// A call as its script sees it. Used by the script's thread only.
class UpstreamCall {
 public:
  virtual ~UpstreamCall() = default;
  virtual const std::string& path() const = 0;
  virtual const std::string& authority() const = 0;
  virtual const Metadata& metadata() const = 0;
  // Time left by the deadline the call arrived with; nullopt: it had none.
  virtual std::optional<std::chrono::milliseconds> time_left() const = 0;
  // The next request message; nullopt at half-close or when the call was cancelled.
  virtual std::optional<std::string> read() = 0;
  virtual bool write(std::string_view message) = 0;
  virtual void add_initial_metadata(const std::string& name, const std::string& value) = 0;
  virtual void send_initial_metadata() = 0;
  virtual void add_trailer(const std::string& name, const std::string& value) = 0;
  // Answers compressed, where the caller takes it. Before the first write.
  virtual void compress() = 0;
  virtual bool cancelled() const = 0;
  // True once the call was cancelled (by the peer, a deadline or a lost connection).
  virtual bool wait_cancelled(std::chrono::milliseconds limit = kPatience) = 0;
  // True when the gate opened; false when the call was cancelled first.
  virtual bool wait_for(const Gate& gate, std::chrono::milliseconds limit = kPatience) = 0;
};
using Script = std::function<grpc::Status(UpstreamCall&)>;

// Sends back each message as it comes.
Script echo();
// Reads the request, then answers these messages.
Script answer(std::vector<std::string> messages);
// Reads the request to its end, then ends with the status.
Script fail(grpc::Status status);

// How an upstream speaks TLS.
struct ServerTls {
  CertPair pair;
  std::string client_ca_pem;    // whom to trust if clients show certificates; empty: they are not asked
  bool client_required = true;  // with client_ca_pem: a client without one is refused
};

class ScriptedUpstream {
 public:
  struct Options {
    int max_concurrent_streams = 0;  // 0: gRPC's default
    bool fixed_window = false;       // 64 KiB a stream, not what gRPC's probes make of it (many MB on loopback)
    std::string address = "127.0.0.1:0";
    std::optional<ServerTls> tls;  // absent: cleartext
  };
  // What arrived, in order of arrival. `messages` hold at most 1 MiB a call.
  struct Record {
    std::string path, authority;
    std::string peer_subject;             // over TLS: the common name in the client's certificate
    std::vector<std::string> peer_names;  // and its alternative names of all kinds
    Metadata metadata;
    std::vector<std::string> messages;
    std::optional<std::chrono::milliseconds> time_left;
    bool half_closed = false, cancelled = false, ended = false;
  };

  explicit ScriptedUpstream(Script script = echo());
  ScriptedUpstream(Script script, Options options);
  // Cancels what is open and waits for the scripts.
  ~ScriptedUpstream();
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  const std::string& address() const { return address_; }
  void set_script(Script script);
  std::size_t calls() const;    // begun
  std::size_t running() const;  // scripts that have not ended
  std::vector<Record> records() const;
  // Waits for call number `index` (from 0) to arrive, or to end, and gives what is known of it.
  std::optional<Record> wait_call(std::size_t index, std::chrono::milliseconds limit = kPatience) const;
  std::optional<Record> wait_ended(std::size_t index, std::chrono::milliseconds limit = kPatience) const;
  // Closes the port and cancels what is open.
  void stop();

 private:
  class Service;
  std::shared_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace ficus::e2e
