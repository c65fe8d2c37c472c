// The interop test client in C++: plays the cases of the public descriptions, each as its procedure says, and prints a
// record of every call. It judges nothing: what a case must show stands in expectations.py, once for all clients.
// One thread; every call is awaited here, so that a call that never ends shows as this program not ending.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grpc/testing/test_service.grpc.pb.h"
#include "tests/interop/record.h"
#include "tests/interop/tls_files.h"

namespace ficus::interop {
namespace {

namespace pb = grpc::testing;
constexpr int kLargeRequest = 271828, kLargeReply = 314159;

std::string zeros(int size) { return std::string(static_cast<std::size_t>(size), '\0'); }

pb::SimpleRequest large_request() {
  pb::SimpleRequest request;
  request.set_response_size(kLargeReply);
  request.mutable_payload()->set_body(zeros(kLargeRequest));
  return request;
}

pb::StreamingInputCallRequest input(int size) {
  pb::StreamingInputCallRequest request;
  request.mutable_payload()->set_body(zeros(size));
  return request;
}

pb::StreamingOutputCallRequest ask(int reply, int body) {
  pb::StreamingOutputCallRequest request;
  request.add_response_parameters()->set_size(reply);
  request.mutable_payload()->set_body(zeros(body));
  return request;
}

// One call from its making to its record.
class ClientCall {
 public:
  ClientCall(const std::string& tag, const std::string& path) : record_("client", path) {
    record_.set("call", tag);
    context_.AddMetadata(kCallKey, tag);
    context_.set_wait_for_ready(true);
  }
  grpc::ClientContext& context() { return context_; }
  grpc::ClientContext* operator&() { return &context_; }

  template <typename Message>
  void on_reply(const Message& message) {
    record_.add_message(message, last_message_was_compressed(context_.c_call()));
  }

  // Writes the record. Of a unary answer only a successful call's message was received.
  void on_end(const grpc::Status& status) {
    record_.set_status(status);
    record_.add_metadata("initial", context_.GetServerInitialMetadata());
    record_.add_metadata("trailing", context_.GetServerTrailingMetadata());
    record_.write();
  }

 private:
  grpc::ClientContext context_;
  Record record_;
};

class Cases {
 public:
  Cases(std::shared_ptr<grpc::Channel> channel, std::string run)
      : stub_(pb::TestService::NewStub(channel)),
        nowhere_(pb::UnimplementedService::NewStub(channel)),
        run_(std::move(run)) {}

  using Play = void (Cases::*)();
  static const std::vector<std::pair<std::string, Play>>& all() {
    static const std::vector<std::pair<std::string, Play>> cases = {
        {"empty_unary", &Cases::empty_unary},
        {"large_unary", &Cases::large_unary},
        {"client_compressed_unary", &Cases::client_compressed_unary},
        {"server_compressed_unary", &Cases::server_compressed_unary},
        {"client_streaming", &Cases::client_streaming},
        {"client_compressed_streaming", &Cases::client_compressed_streaming},
        {"server_streaming", &Cases::server_streaming},
        {"server_compressed_streaming", &Cases::server_compressed_streaming},
        {"ping_pong", &Cases::ping_pong},
        {"empty_stream", &Cases::empty_stream},
        {"custom_metadata", &Cases::custom_metadata},
        {"status_code_and_message", &Cases::status_code_and_message},
        {"special_status_message", &Cases::special_status_message},
        {"unimplemented_method", &Cases::unimplemented_method},
        {"unimplemented_service", &Cases::unimplemented_service},
        {"cancel_after_begin", &Cases::cancel_after_begin},
        {"cancel_after_first_response", &Cases::cancel_after_first_response},
        {"timeout_on_sleeping_server", &Cases::timeout_on_sleeping_server},
        {"timeout_seen_by_server", &Cases::timeout_seen_by_server},
    };
    return cases;
  }

  void play(const std::string& name, Play how) {
    case_ = name;
    calls_ = 0;
    (this->*how)();
  }

 private:
  std::string next_tag() { return run_ + " " + case_ + " " + std::to_string(++calls_); }

  ClientCall make_call(const std::string& method) { return {next_tag(), "/grpc.testing.TestService/" + method}; }

  void empty_unary() {
    ClientCall call = make_call("EmptyCall");
    pb::Empty reply;
    const grpc::Status status = stub_->EmptyCall(&call, {}, &reply);
    if (status.ok()) call.on_reply(reply);
    call.on_end(status);
  }

  void unary(const pb::SimpleRequest& request, const std::function<void(grpc::ClientContext&)>& prepare = {}) {
    ClientCall call = make_call("UnaryCall");
    if (prepare) prepare(call.context());
    pb::SimpleResponse reply;
    const grpc::Status status = stub_->UnaryCall(&call, request, &reply);
    if (status.ok()) call.on_reply(reply);
    call.on_end(status);
  }

  static void gzip(grpc::ClientContext& context) { context.set_compression_algorithm(GRPC_COMPRESS_GZIP); }

  void large_unary() { unary(large_request()); }

  void client_compressed_unary() {
    pb::SimpleRequest request = large_request();
    request.mutable_expect_compressed()->set_value(true);
    unary(request);  // the probe: announces what it does not do
    unary(request, gzip);
    request.mutable_expect_compressed()->set_value(false);
    unary(request);
  }

  void server_compressed_unary() {
    pb::SimpleRequest request = large_request();
    for (const bool compressed : {true, false}) {
      request.mutable_response_compressed()->set_value(compressed);
      unary(request);
    }
  }

  void client_streaming() {
    ClientCall call = make_call("StreamingInputCall");
    pb::StreamingInputCallResponse reply;
    const auto writer = stub_->StreamingInputCall(&call, &reply);
    for (const int size : {27182, 8, 1828, 45904}) writer->Write(input(size));
    writer->WritesDone();
    end_of_input(call, *writer, reply);
  }

  static void end_of_input(ClientCall& call, grpc::ClientWriter<pb::StreamingInputCallRequest>& writer,
                           const pb::StreamingInputCallResponse& reply) {
    const grpc::Status status = writer.Finish();
    if (status.ok()) call.on_reply(reply);
    call.on_end(status);
  }

  void client_compressed_streaming() {
    pb::StreamingInputCallRequest first = input(27182), second = input(45904);
    first.mutable_expect_compressed()->set_value(true);
    second.mutable_expect_compressed()->set_value(false);
    {
      ClientCall probe = make_call("StreamingInputCall");
      pb::StreamingInputCallResponse reply;
      const auto writer = stub_->StreamingInputCall(&probe, &reply);
      writer->Write(first);
      end_of_input(probe, *writer, reply);
    }
    ClientCall call = make_call("StreamingInputCall");
    gzip(call.context());
    pb::StreamingInputCallResponse reply;
    const auto writer = stub_->StreamingInputCall(&call, &reply);
    writer->Write(first);
    writer->Write(second, grpc::WriteOptions().set_no_compression());
    writer->WritesDone();
    end_of_input(call, *writer, reply);
  }

  void output(const pb::StreamingOutputCallRequest& request) {
    ClientCall call = make_call("StreamingOutputCall");
    const auto reader = stub_->StreamingOutputCall(&call, request);
    pb::StreamingOutputCallResponse reply;
    while (reader->Read(&reply)) call.on_reply(reply);
    call.on_end(reader->Finish());
  }

  void server_streaming() {
    pb::StreamingOutputCallRequest request;
    for (const int size : {31415, 9, 2653, 58979}) request.add_response_parameters()->set_size(size);
    output(request);
  }

  void server_compressed_streaming() {
    pb::StreamingOutputCallRequest request;
    for (const auto& [size, compressed] : {std::pair{31415, true}, {92653, false}}) {
      pb::ResponseParameters& wanted = *request.add_response_parameters();
      wanted.set_size(size);
      wanted.mutable_compressed()->set_value(compressed);
    }
    output(request);
  }

  // Each request is written once its predecessor is answered; then half-closes.
  void duplex(const std::vector<pb::StreamingOutputCallRequest>& requests,
              const std::function<void(grpc::ClientContext&)>& prepare = {}) {
    ClientCall call = make_call("FullDuplexCall");
    if (prepare) prepare(call.context());
    const auto stream = stub_->FullDuplexCall(&call);
    pb::StreamingOutputCallResponse reply;
    for (const auto& request : requests) {
      if (!stream->Write(request) || !stream->Read(&reply)) break;
      call.on_reply(reply);
    }
    stream->WritesDone();
    while (stream->Read(&reply)) call.on_reply(reply);
    call.on_end(stream->Finish());
  }

  void ping_pong() { duplex({ask(31415, 27182), ask(9, 8), ask(2653, 1828), ask(58979, 45904)}); }

  void empty_stream() { duplex({}); }

  void custom_metadata() {
    const auto custom = [](grpc::ClientContext& context) {
      context.AddMetadata(kEchoInitial, "test_initial_metadata_value");
      context.AddMetadata(kEchoTrailing, "\xab\xab\xab");
      // Beyond the description: what a relay likes to spoil.
      context.AddMetadata("x-interop-twice", "first, with a comma");
      context.AddMetadata("x-interop-twice", "second");
      context.AddMetadata("x-interop-empty", "");
      context.AddMetadata("x-interop-bytes-bin", std::string("\0\xff,\x01", 4));
      context.AddMetadata("x-interop-bytes-bin", std::string("\xfe", 1));
    };
    unary(large_request(), custom);
    duplex({ask(kLargeReply, kLargeRequest)}, custom);
  }

  static void want_status(pb::EchoStatus* status, const std::string& message) {
    status->set_code(2);
    status->set_message(message);
  }

  void status_code_and_message() {
    pb::SimpleRequest request;
    want_status(request.mutable_response_status(), "test status message");
    unary(request);
    pb::StreamingOutputCallRequest streamed;
    want_status(streamed.mutable_response_status(), "test status message");
    duplex({streamed});
  }

  void special_status_message() {
    pb::SimpleRequest request;
    want_status(request.mutable_response_status(),
                "\t\ntest with whitespace\r\nand Unicode BMP \u263A and non-BMP \U0001F608\t\n");
    unary(request);
  }

  void unimplemented_method() {
    ClientCall call = make_call("UnimplementedCall");
    pb::Empty reply;
    call.on_end(stub_->UnimplementedCall(&call, {}, &reply));
  }

  void unimplemented_service() {
    ClientCall call(next_tag(), "/grpc.testing.UnimplementedService/UnimplementedCall");
    pb::Empty reply;
    call.on_end(nowhere_->UnimplementedCall(&call, {}, &reply));
  }

  void cancel_after_begin() {
    ClientCall call = make_call("StreamingInputCall");
    pb::StreamingInputCallResponse reply;
    const auto writer = stub_->StreamingInputCall(&call, &reply);
    call.context().TryCancel();
    end_of_input(call, *writer, reply);
  }

  // Ends with the server's silence, and so with cancellation or the deadline.
  void duplex_until_ended(ClientCall& call, const pb::StreamingOutputCallRequest& request, bool cancel) {
    const auto stream = stub_->FullDuplexCall(&call);
    pb::StreamingOutputCallResponse reply;
    stream->Write(request);
    if (cancel && stream->Read(&reply)) {
      call.on_reply(reply);
      call.context().TryCancel();
    }
    while (stream->Read(&reply)) call.on_reply(reply);
    call.on_end(stream->Finish());
  }

  void cancel_after_first_response() {
    ClientCall call = make_call("FullDuplexCall");
    duplex_until_ended(call, ask(31415, 27182), true);
  }

  void time_out(std::chrono::milliseconds timeout) {
    ClientCall call = make_call("FullDuplexCall");
    call.context().set_deadline(std::chrono::system_clock::now() + timeout);
    pb::StreamingOutputCallRequest request;
    request.mutable_payload()->set_body(zeros(27182));
    duplex_until_ended(call, request, false);
  }

  void timeout_on_sleeping_server() { time_out(std::chrono::milliseconds(1)); }

  // Beyond the description: long enough to be seen by the server, whose side of it is the point.
  void timeout_seen_by_server() { time_out(std::chrono::milliseconds(2000)); }

  std::unique_ptr<pb::TestService::Stub> stub_;
  std::unique_ptr<pb::UnimplementedService::Stub> nowhere_;
  std::string run_, case_;
  int calls_ = 0;
};

}  // namespace
}  // namespace ficus::interop

int main(int argc, char** argv) {
  CLI::App app{"The interop test client in C++"};
  std::string target, run = "run", tls_name;
  std::vector<std::string> wanted;
  ficus::interop::TlsFiles tls;
  app.add_option("--target", target, "HOST:PORT")->required();
  app.add_option("--run", run, "A word that every call carries, so that the server's records can be told apart");
  app.add_option("--case", wanted, "Only these cases");
  app.add_option("--tls-ca", tls.ca, "Trusted certificates (PEM); makes the channel TLS");
  app.add_option("--tls-name", tls_name, "The name to expect in the certificate, and :authority");
  CLI11_PARSE(app, argc, argv);

  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.enable_http_proxy", 0);
  arguments.SetInt("grpc.enable_retries", 0);
  if (!tls_name.empty()) arguments.SetSslTargetNameOverride(tls_name);
  ficus::interop::Cases cases(grpc::CreateCustomChannel(target, channel_credentials(tls), arguments), run);
  for (const auto& [name, play] : ficus::interop::Cases::all()) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end()) cases.play(name, play);
  }
  return 0;
}
