// The interop test server in C++: grpc.testing.TestService as the descriptions have it, and a record of each call.
// Prints {"port":N} when it listens, a record a line as calls end, and goes when its standard input closes.
// The callback API is used since its OnDone() comes when the call's end is settled: only then is "cancelled" a fact.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "grpc/testing/test_service.grpc.pb.h"
#include "tests/interop/record.h"
#include "tests/interop/tls_files.h"

namespace ficus::interop {
namespace {

namespace pb = grpc::testing;

// What all calls share: the record, the echoes, the compression of answers.
class ServedCall {
 public:
  ServedCall(grpc::CallbackServerContext* context, const std::string& method)
      : context_(context), record_("server", "/grpc.testing.TestService/" + method) {
    record_.add_metadata("metadata", context->client_metadata());
    const auto deadline = context->deadline();
    if (deadline != std::chrono::system_clock::time_point::max()) {
      const auto left = deadline - std::chrono::system_clock::now();
      record_.set("deadline_ms", static_cast<long long>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    }
    echo(kEchoInitial, [this](const std::string& value) { context_->AddInitialMetadata(kEchoInitial, value); });
    echo(kEchoTrailing, [this](const std::string& value) { context_->AddTrailingMetadata(kEchoTrailing, value); });
  }

  // Takes a request up. INVALID_ARGUMENT if it asks for the compression that it did not come with, or for none.
  template <typename Request>
  grpc::Status on_request(const Request& request) {
    const bool compressed = last_message_was_compressed(context_->c_call());
    record_.add_message(request, compressed);
    if constexpr (requires { request.expect_compressed(); }) {
      if (request.has_expect_compressed() && request.expect_compressed().value() != compressed) {
        return {grpc::StatusCode::INVALID_ARGUMENT, compressed ? "compressed" : "not compressed"};
      }
    }
    return grpc::Status::OK;
  }

  // The algorithm travels in the head, so this comes before the first answer.
  void compress_answers() { context_->set_compression_algorithm(GRPC_COMPRESS_GZIP); }

  void on_end_of_requests() { requests_ended_ = true; }

  void on_done() {
    const bool cancelled = context_->IsCancelled();
    record_.set("cancelled", cancelled);
    record_.set("half_closed", requests_ended_ && !cancelled);  // a cancelled call's reads end too
    record_.write();
  }

 private:
  template <typename Add>
  void echo(const char* key, Add&& add) {
    const auto found = context_->client_metadata().find(key);
    if (found != context_->client_metadata().end()) add(std::string(found->second.data(), found->second.size()));
  }

  grpc::CallbackServerContext* const context_;
  Record record_;
  bool requests_ended_ = false;
};

std::string zeros(int size) { return std::string(static_cast<std::size_t>(size), '\0'); }

grpc::Status status_of(const pb::EchoStatus& wanted) {
  return {static_cast<grpc::StatusCode>(wanted.code()), wanted.message()};
}

// A unary call is answered where it is accepted; this only waits for its end.
class UnaryReactor : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(grpc::CallbackServerContext* context, const std::string& method) : call_(context, method) {}
  ServedCall& call() { return call_; }
  void OnDone() override {
    call_.on_done();
    delete this;
  }

 private:
  ServedCall call_;
};

// The replies that one request asks for, one write after the other.
class Replies {
 public:
  void add(const pb::StreamingOutputCallRequest& request) {
    for (const auto& wanted : request.response_parameters()) wanted_.push_back(wanted);
  }
  bool first_is_compressed() const { return !wanted_.empty() && wanted_.front().compressed().value(); }
  // False when nothing is left.
  template <typename Reactor>
  bool write_next(Reactor* reactor) {
    if (next_ == wanted_.size()) return false;
    const pb::ResponseParameters& wanted = wanted_[next_++];
    reply_.mutable_payload()->set_body(zeros(wanted.size()));
    grpc::WriteOptions options;
    if (!wanted.compressed().value()) options.set_no_compression();
    reactor->StartWrite(&reply_, options);
    return true;
  }

 private:
  std::vector<pb::ResponseParameters> wanted_;
  std::size_t next_ = 0;
  pb::StreamingOutputCallResponse reply_;
};

class OutputReactor : public grpc::ServerWriteReactor<pb::StreamingOutputCallResponse> {
 public:
  OutputReactor(grpc::CallbackServerContext* context, const pb::StreamingOutputCallRequest& request)
      : call_(context, "StreamingOutputCall") {
    call_.on_request(request);
    call_.on_end_of_requests();
    if (request.has_response_status()) {
      Finish(status_of(request.response_status()));
      return;
    }
    replies_.add(request);
    if (replies_.first_is_compressed()) call_.compress_answers();
    go_on();
  }
  void OnWriteDone(bool ok) override { ok ? go_on() : Finish(grpc::Status::OK); }
  void OnDone() override {
    call_.on_done();
    delete this;
  }

 private:
  void go_on() {
    if (!replies_.write_next(this)) Finish(grpc::Status::OK);
  }

  ServedCall call_;
  Replies replies_;
};

class InputReactor : public grpc::ServerReadReactor<pb::StreamingInputCallRequest> {
 public:
  InputReactor(grpc::CallbackServerContext* context, pb::StreamingInputCallResponse* response)
      : call_(context, "StreamingInputCall"), response_(response) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      call_.on_end_of_requests();
      response_->set_aggregated_payload_size(sum_);
      Finish(grpc::Status::OK);
      return;
    }
    if (const grpc::Status status = call_.on_request(request_); !status.ok()) {
      Finish(status);
      return;
    }
    sum_ += static_cast<int>(request_.payload().body().size());
    StartRead(&request_);
  }
  void OnDone() override {
    call_.on_done();
    delete this;
  }

 private:
  ServedCall call_;
  pb::StreamingInputCallRequest request_;
  pb::StreamingInputCallResponse* const response_;
  int sum_ = 0;
};

// Reads a request, answers it, reads the next.
class DuplexReactor : public grpc::ServerBidiReactor<pb::StreamingOutputCallRequest, pb::StreamingOutputCallResponse> {
 public:
  explicit DuplexReactor(grpc::CallbackServerContext* context) : call_(context, "FullDuplexCall") {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      call_.on_end_of_requests();
      Finish(grpc::Status::OK);
      return;
    }
    call_.on_request(request_);
    if (request_.has_response_status()) {
      Finish(status_of(request_.response_status()));
      return;
    }
    replies_.add(request_);
    go_on();
  }
  void OnWriteDone(bool ok) override { ok ? go_on() : Finish(grpc::Status::OK); }
  void OnDone() override {
    call_.on_done();
    delete this;
  }

 private:
  void go_on() {
    if (!replies_.write_next(this)) StartRead(&request_);
  }

  ServedCall call_;
  pb::StreamingOutputCallRequest request_;
  Replies replies_;
};

class TestServer final : public pb::TestService::CallbackService {
  grpc::ServerUnaryReactor* EmptyCall(grpc::CallbackServerContext* context, const pb::Empty* request,
                                      pb::Empty*) override {
    auto* reactor = new UnaryReactor(context, "EmptyCall");
    reactor->call().on_request(*request);
    reactor->call().on_end_of_requests();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* UnaryCall(grpc::CallbackServerContext* context, const pb::SimpleRequest* request,
                                      pb::SimpleResponse* response) override {
    auto* reactor = new UnaryReactor(context, "UnaryCall");
    const grpc::Status status = reactor->call().on_request(*request);
    reactor->call().on_end_of_requests();
    if (!status.ok()) {
      reactor->Finish(status);
    } else if (request->has_response_status()) {
      reactor->Finish(status_of(request->response_status()));
    } else {
      if (request->response_compressed().value()) reactor->call().compress_answers();
      response->mutable_payload()->set_body(zeros(request->response_size()));
      reactor->Finish(grpc::Status::OK);
    }
    return reactor;
  }

  grpc::ServerWriteReactor<pb::StreamingOutputCallResponse>* StreamingOutputCall(
      grpc::CallbackServerContext* context, const pb::StreamingOutputCallRequest* request) override {
    return new OutputReactor(context, *request);
  }

  grpc::ServerReadReactor<pb::StreamingInputCallRequest>* StreamingInputCall(
      grpc::CallbackServerContext* context, pb::StreamingInputCallResponse* response) override {
    return new InputReactor(context, response);
  }

  grpc::ServerBidiReactor<pb::StreamingOutputCallRequest, pb::StreamingOutputCallResponse>* FullDuplexCall(
      grpc::CallbackServerContext* context) override {
    return new DuplexReactor(context);
  }
};

int serve(const std::string& listen, const TlsFiles& tls) {
  TestServer service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, server_credentials(tls), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::fprintf(stderr, "cannot listen on %s\n", listen.c_str());
    return 1;
  }
  std::printf("{\"port\":%d}\n", port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  server->Wait();
  return 0;
}

}  // namespace
}  // namespace ficus::interop

int main(int argc, char** argv) {
  CLI::App app{"The interop test server in C++"};
  std::string listen = "127.0.0.1:0";
  ficus::interop::TlsFiles tls;
  app.add_option("--listen", listen, "HOST:PORT");
  app.add_option("--tls-cert", tls.cert, "Certificate chain (PEM); with --tls-key: TLS");
  app.add_option("--tls-key", tls.key, "Private key (PEM)");
  CLI11_PARSE(app, argc, argv);
  return ficus::interop::serve(listen, tls);
}
