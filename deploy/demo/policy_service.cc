// demo-policy-service: one side of the insurer's migration. `--side legacy` is the system that is being replaced,
// `--side new` its replacement, with the mistakes of its migration (book.h). Two ports: PolicyService for everybody,
// ReplicationService for the replicator alone.
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iostream>

#include "deploy/demo/policy_store.h"
#include "deploy/demo/process.h"
#include "insurance/policy/v1/policy_service.grpc.pb.h"
#include "insurance/replication/v1/replication_service.grpc.pb.h"

namespace insurer {
namespace {

namespace replication = insurance::replication::v1;

grpc::Status no_such_policy(const std::string& number) {
  if (number.empty()) return {grpc::StatusCode::INVALID_ARGUMENT, "policy_number is missing"};
  return {grpc::StatusCode::NOT_FOUND, "no policy " + number};
}

// Sends the events of one history and deletes itself when the call is over.
class HistoryWriter : public grpc::ServerWriteReactor<pb::StreamHistoryResponse> {
 public:
  HistoryWriter(std::vector<pb::StreamHistoryResponse> events, const std::string& number) : events_(std::move(events)) {
    if (events_.empty()) {
      Finish(no_such_policy(number));
    } else {
      write_next();
    }
  }

 private:
  void write_next() {
    if (next_ + 1 == events_.size()) {
      StartWriteAndFinish(&events_[next_++], {}, grpc::Status::OK);
    } else {
      StartWrite(&events_[next_++]);
    }
  }
  void OnWriteDone(bool ok) override {
    if (next_ == events_.size()) return;
    if (ok) {
      write_next();
    } else {
      Finish({grpc::StatusCode::CANCELLED, "the client went away"});
    }
  }
  void OnDone() override { delete this; }

  std::vector<pb::StreamHistoryResponse> events_;
  std::size_t next_ = 0;
};

// Callbacks on gRPC's threads; nothing here waits.
class PolicyServer final : public pb::PolicyService::CallbackService {
 public:
  explicit PolicyServer(PolicyStore& store) : store_(store) {}

  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const pb::GetPolicyRequest* request,
                                      pb::GetPolicyResponse* response) override {
    auto policy = store_.get(request->policy_number());
    if (policy) *response->mutable_policy() = *std::move(policy);
    return finish(context, response->has_policy() ? grpc::Status::OK : no_such_policy(request->policy_number()));
  }

  grpc::ServerUnaryReactor* ListPolicies(grpc::CallbackServerContext* context, const pb::ListPoliciesRequest* request,
                                         pb::ListPoliciesResponse* response) override {
    if (request->page_size() < 0 || request->page_size() > kMostPerPage) {
      return finish(context, {grpc::StatusCode::INVALID_ARGUMENT, "page_size is not in 0 to 500"});
    }
    std::size_t first = 0;
    const std::string& token = request->page_token();
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), first);
    if (!token.empty() && (error != std::errc() || end != token.data() + token.size())) {
      return finish(context, {grpc::StatusCode::INVALID_ARGUMENT, "page_token is not one of ours"});
    }
    const auto count = static_cast<std::size_t>(request->page_size() == 0 ? kUsualPerPage : request->page_size());
    for (pb::Policy& policy : store_.page(first, count)) *response->add_policies() = std::move(policy);
    if (first + count < store_.size()) response->set_next_page_token(std::to_string(first + count));
    return finish(context, grpc::Status::OK);
  }

  grpc::ServerWriteReactor<pb::StreamHistoryResponse>* StreamHistory(grpc::CallbackServerContext*,
                                                                    const pb::StreamHistoryRequest* request) override {
    return new HistoryWriter(store_.history(request->policy_number()), request->policy_number());
  }

  grpc::ServerUnaryReactor* EndorseAddress(grpc::CallbackServerContext* context, const pb::EndorseAddressRequest* request,
                                           pb::EndorseAddressResponse* response) override {
    if (request->endorsement_id().empty() || !request->has_address()) {
      return finish(context, {grpc::StatusCode::INVALID_ARGUMENT, "endorsement_id and address are required"});
    }
    auto policy = store_.endorse_address(*request);
    if (policy) *response->mutable_policy() = *std::move(policy);
    return finish(context, response->has_policy() ? grpc::Status::OK : no_such_policy(request->policy_number()));
  }

 private:
  static constexpr int kUsualPerPage = 50;
  static constexpr int kMostPerPage = 500;

  static grpc::ServerUnaryReactor* finish(grpc::CallbackServerContext* context, const grpc::Status& status) {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(status);
    return reactor;
  }

  PolicyStore& store_;
};

// Blocking threads: one replicator calls, and its stream waits by nature.
class ReplicationServer final : public replication::ReplicationService::Service {
 public:
  explicit ReplicationServer(PolicyStore& store) : store_(store) {}

  grpc::Status StreamChanges(grpc::ServerContext* context, const replication::StreamChangesRequest* request,
                             grpc::ServerWriter<replication::Change>* writer) override {
    std::string log_id = request->log_id();
    std::uint64_t position = request->after_sequence();
    while (!context->IsCancelled()) {
      // Comes back now and then without a change, to see a cancellation.
      for (const auto& change : store_.changes_after(log_id, position, std::chrono::milliseconds(100))) {
        if (!writer->Write(change)) return grpc::Status::OK;
        log_id = change.log_id();
        position = change.sequence();
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status ApplyChange(grpc::ServerContext*, const replication::ApplyChangeRequest* request,
                           replication::ApplyChangeResponse* response) override {
    response->set_applied(store_.apply(request->change()));
    return grpc::Status::OK;
  }

 private:
  PolicyStore& store_;
};

// Starts serving `service` on `address` (port 0: any free one). Null if the address cannot be had.
std::unique_ptr<grpc::Server> start(grpc::Service* service, const std::string& address, std::string* bound) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service);
  auto server = builder.BuildAndStart();
  *bound = address.substr(0, address.rfind(':') + 1) + std::to_string(port);
  return port == 0 ? nullptr : std::move(server);
}

int run(int argc, char** argv) {
  CLI::App app("One side of the demo insurer's migration: PolicyService over a book of policies made from a seed.",
               "demo-policy-service");
  std::string side_text;
  std::size_t policies = 10'000;
  std::uint64_t seed = kDemoSeed;
  std::string listen = "127.0.0.1:0";
  std::string internal_listen = "127.0.0.1:0";
  std::string port_file;
  app.add_option("--side", side_text, "legacy or new")->required()->check(CLI::IsMember({"legacy", "new"}));
  app.add_option("--policies", policies, "Policies in the book")->capture_default_str();
  app.add_option("--seed", seed, "What the book is made from; both sides need the same")->capture_default_str();
  app.add_option("--listen", listen, "PolicyService, HOST:PORT; port 0: any free one")->capture_default_str();
  app.add_option("--internal-listen", internal_listen, "ReplicationService, HOST:PORT")->capture_default_str();
  app.add_option("--port-file", port_file, "Where to write both addresses, as JSON, once they serve");
  CLI11_PARSE(app, argc, argv);

  const StopSignal stop;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  PolicyStore store(*parse_side(side_text), seed, policies);
  PolicyServer policy_server(store);
  ReplicationServer replication_server(store);
  std::string address;
  std::string internal_address;
  const auto server = start(&policy_server, listen, &address);
  const auto internal_server = start(&replication_server, internal_listen, &internal_address);
  if (server == nullptr || internal_server == nullptr) {
    std::cerr << "demo-policy-service: cannot listen on " << (server == nullptr ? listen : internal_listen)
              << "; is the port taken?\n";
    return 1;
  }
  if (!port_file.empty() && !write_port_file(port_file, {{"listen", address}, {"internal", internal_address}})) {
    std::cerr << "demo-policy-service: cannot write " << port_file << ": " << std::strerror(errno) << '\n';
    return 1;
  }
  std::cerr << "demo-policy-service: " << side_text << " serves " << store.size() << " policies on " << address << '\n';
  stop.wait();
  const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(500);
  server->Shutdown(deadline);
  internal_server->Shutdown(deadline);
  return 0;
}

}  // namespace
}  // namespace insurer

int main(int argc, char** argv) { return insurer::run(argc, argv); }
