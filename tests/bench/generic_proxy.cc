// A peer for the bench: what one gets from gRPC C++ itself. It relays any method, unary or streaming, through
// AsyncGenericService and GenericStub, messages as ByteBuffers that nobody parses, metadata, deadline, cancellation and
// status as they came. One thread, one completion queue for both sides, one channel to the upstream.
// Cheapest where there is a choice: a call's head leaves with its first message (or its end), and so does the answer's;
// a client that waits for the other side to speak first would wait for ever. Ends on SIGTERM, at once.
#include <absl/synchronization/mutex.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tests/bench/sockets.h"

namespace ficus::bench {
namespace {

constexpr int kMaxStreams = 1024;      // as the other peers
constexpr int kCallsAwaited = 64;      // accepted without a turn through the queue in between
constexpr int kWindowBytes = 1 << 20;  // as the other peers

struct Proxy {
  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::unique_ptr<grpc::GenericStub> upstream;
};

// What gRPC writes itself, or has taken out of the metadata's hands.
bool is_own(std::string_view name) {
  return name == "user-agent" || name == "content-type" || name == "te" || name.starts_with(":") ||
         name.starts_with("grpc-");
}

std::string text(grpc::string_ref ref) { return {ref.data(), ref.size()}; }

// One relayed call, from its acceptance to its end; deletes itself when its last operation has come back.
class Call {
 public:
  explicit Call(Proxy& proxy) : proxy_(proxy), client_(&context_) {
    begin();
    proxy_.service.RequestCall(&context_, &client_, proxy_.queue.get(), proxy_.queue.get(), &accepted_);
  }

  struct Tag {
    Call* call;
    void (Call::*on_done)(bool ok);
  };

  void run(const Tag& tag, bool ok) {
    --pending_;
    (this->*tag.on_done)(ok);
    if (pending_ == 0) delete this;
  }

 private:
  void begin() { ++pending_; }

  void on_accepted(bool ok) {
    if (!ok) return;  // the server is shutting down
    new Call(proxy_);
    upstream_context_ = grpc::ClientContext::FromServerContext(context_);
    upstream_context_->set_initial_metadata_corked(true);
    for (const auto& [name, value] : context_.client_metadata()) {
      if (!is_own({name.data(), name.size()})) upstream_context_->AddMetadata(text(name), text(value));
    }
    upstream_ = proxy_.upstream->PrepareCall(upstream_context_.get(), context_.method(), proxy_.queue.get());
    upstream_->StartCall(nullptr);  // corked: no event of its own
    read_client();
  }

  void read_client() {
    begin();
    client_.Read(&request_, &client_read_);
  }
  void on_client_read(bool ok) {
    begin();
    if (ok) {
      upstream_->Write(request_, &upstream_written_);
    } else {
      upstream_->WritesDone(&upstream_closed_);
    }
    if (!upstream_begun_) {
      upstream_begun_ = true;
      read_upstream();
    }
  }
  void on_upstream_written(bool ok) {
    if (ok) read_client();
  }
  void on_upstream_closed(bool) {}

  void read_upstream() {
    begin();
    upstream_->Read(&answer_, &upstream_read_);
  }
  void on_upstream_read(bool ok) {
    begin();
    if (ok) {
      pass_head();
      client_.Write(answer_, &client_written_);
    } else {
      upstream_->Finish(&status_, &upstream_ended_);
    }
  }
  void on_client_written(bool ok) {
    if (!ok) upstream_context_->TryCancel();
    read_upstream();
  }
  void on_upstream_ended(bool) {
    pass_head();
    for (const auto& [name, value] : upstream_context_->GetServerTrailingMetadata()) {
      if (!is_own({name.data(), name.size()})) context_.AddTrailingMetadata(text(name), text(value));
    }
    begin();
    client_.Finish(status_, &client_ended_);
  }
  void on_client_ended(bool) {}

  void pass_head() {
    if (head_passed_) return;
    head_passed_ = true;
    for (const auto& [name, value] : upstream_context_->GetServerInitialMetadata()) {
      if (!is_own({name.data(), name.size()})) context_.AddInitialMetadata(text(name), text(value));
    }
  }

  Proxy& proxy_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter client_;
  std::unique_ptr<grpc::ClientContext> upstream_context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> upstream_;
  grpc::ByteBuffer request_, answer_;
  grpc::Status status_;
  int pending_ = 0;  // operations the queue has yet to return
  bool upstream_begun_ = false, head_passed_ = false;

  Tag accepted_{this, &Call::on_accepted};
  Tag client_read_{this, &Call::on_client_read};
  Tag client_written_{this, &Call::on_client_written};
  Tag client_ended_{this, &Call::on_client_ended};
  Tag upstream_written_{this, &Call::on_upstream_written};
  Tag upstream_closed_{this, &Call::on_upstream_closed};
  Tag upstream_read_{this, &Call::on_upstream_read};
  Tag upstream_ended_{this, &Call::on_upstream_ended};
};

}  // namespace
}  // namespace ficus::bench

int main(int argc, char** argv) {
  using namespace ficus::bench;
  CLI::App app{
      "Relays every gRPC call to one upstream with gRPC C++'s generic API. For benchmarks, on 127.0.0.1 only."};
  std::string port_file;
  std::uint16_t upstream = 0;
  app.add_option("--upstream", upstream, "its port on 127.0.0.1")->required();
  app.add_option("--port-file", port_file, "where to write {\"listen\":\"127.0.0.1:PORT\"} once it listens")
      ->required();
  CLI11_PARSE(app, argc, argv);

  // Debian's absl looks for deadlocks at every lock; a peer need not pay for that (about 4 % here).
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);

  Proxy proxy;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // a relay does not keep requests to send them again
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  proxy.upstream = std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
      "127.0.0.1:" + std::to_string(upstream), grpc::InsecureChannelCredentials(), arguments));

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterAsyncGenericService(&proxy.service);
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  proxy.queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) die("the server did not start");
  for (int i = 0; i < kCallsAwaited; ++i) new Call(proxy);
  write_port_file(port_file, static_cast<std::uint16_t>(port));

  void* tag = nullptr;
  bool ok = false;
  while (proxy.queue->Next(&tag, &ok)) {
    const auto* event = static_cast<Call::Tag*>(tag);
    event->call->run(*event, ok);
  }
  return 0;
}
