#include "tests/support/scripted_upstream.h"

#include <grpcpp/generic/async_generic_service.h>

#include <condition_variable>
#include <stdexcept>
#include <thread>

namespace ficus::e2e {
namespace {

constexpr std::size_t kKeptBytes = 1 << 20;

std::string text_of(grpc::string_ref text) { return {text.data(), text.size()}; }

std::shared_ptr<grpc::ServerCredentials> credentials_of(const std::optional<ServerTls>& tls) {
  if (!tls) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(tls->client_ca_pem.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                            : tls->client_required
                                                ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = tls->client_ca_pem;
  options.pem_key_cert_pairs.push_back({tls->pair.key_pem, tls->pair.certificate_pem});
  return grpc::SslServerCredentials(options);
}

// What the service and its calls share: the script and what arrived. Outlives the server while calls unwind.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  Script script;
  std::vector<ScriptedUpstream::Record> records;
  std::size_t running = 0;   // scripts
  std::size_t reactors = 0;  // not yet given up by gRPC
};

// One call: gRPC's reactor and the script's view of it. Lives until both the script ended and OnDone came.
class Call final : public grpc::ServerGenericBidiReactor, public UpstreamCall {
 public:
  Call(grpc::GenericCallbackServerContext* context, std::shared_ptr<Shared> shared)
      : context_(context), shared_(std::move(shared)), path_(context->method()), authority_(context->host()) {
    for (const auto& [name, value] : context->client_metadata()) {
      metadata_.emplace_back(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
    }
    const auto deadline = context->deadline();
    // gRPC says "no deadline" with a time point centuries away.
    if (deadline - std::chrono::system_clock::now() < std::chrono::hours(24 * 3650)) deadline_ = deadline;
    std::lock_guard lock(shared_->mutex);
    index_ = shared_->records.size();
    ScriptedUpstream::Record record;
    record.path = path_;
    record.authority = authority_;
    record.metadata = metadata_;
    if (const auto peer = context->auth_context(); peer && peer->IsPeerAuthenticated()) {
      for (const auto& name : peer->FindPropertyValues("x509_common_name")) record.peer_subject = text_of(name);
      for (const auto& name : peer->FindPropertyValues("x509_subject_alternative_name")) {
        record.peer_names.push_back(text_of(name));
      }
    }
    record.time_left = time_left();
    shared_->records.push_back(std::move(record));
    ++shared_->running;
    ++shared_->reactors;
    shared_->changed.notify_all();
  }

  void begin(std::shared_ptr<Call> self) {
    self_ = self;
    std::thread([self = std::move(self)] { self->run(); }).detach();
  }

  // ---- gRPC's side
  void OnReadDone(bool ok) override { finish_step(&reading_, &read_ok_, ok); }
  void OnWriteDone(bool ok) override { finish_step(&writing_, &write_ok_, ok); }
  void OnSendInitialMetadataDone(bool ok) override { finish_step(&writing_, &write_ok_, ok); }
  void OnCancel() override {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
  }
  void OnDone() override {
    const std::shared_ptr<Call> last = std::move(self_);
    std::lock_guard lock(shared_->mutex);
    --shared_->reactors;
    shared_->changed.notify_all();
  }

  // ---- the script's side
  const std::string& path() const override { return path_; }
  const std::string& authority() const override { return authority_; }
  const Metadata& metadata() const override { return metadata_; }
  std::optional<std::chrono::milliseconds> time_left() const override {
    if (!deadline_) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(*deadline_ - std::chrono::system_clock::now());
  }
  std::optional<std::string> read() override {
    in_.Clear();
    reading_ = true;
    StartRead(&in_);
    std::optional<std::string> message;
    {
      // As long as it takes: a request may stay open until the test ends or cancels it.
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !reading_; });
      if (read_ok_) message = to_string(in_);
    }
    note([&](ScriptedUpstream::Record& record) {
      if (!message) {
        record.half_closed = !cancelled();
      } else if (kept_ + message->size() <= kKeptBytes) {
        kept_ += message->size();
        record.messages.push_back(*message);
      }
    });
    return message;
  }
  bool write(std::string_view message) override {
    out_ = to_buffer(message);
    writing_ = true;
    StartWrite(&out_);
    // As long as it takes: flow control may hold a write until the client reads on or the call is cancelled.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writing_; });
    return write_ok_;
  }
  void add_initial_metadata(const std::string& name, const std::string& value) override {
    context_->AddInitialMetadata(name, value);
  }
  void send_initial_metadata() override {
    writing_ = true;
    StartSendInitialMetadata();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writing_; });
  }
  void add_trailer(const std::string& name, const std::string& value) override {
    context_->AddTrailingMetadata(name, value);
  }
  void compress() override { context_->set_compression_algorithm(GRPC_COMPRESS_GZIP); }
  bool cancelled() const override {
    std::lock_guard lock(mutex_);
    return cancelled_;
  }
  bool wait_cancelled(std::chrono::milliseconds limit) override {
    return wait([this] { return cancelled_; }, limit);
  }
  bool wait_for(const Gate& gate, std::chrono::milliseconds limit) override {
    wait_until([&] { return gate.is_open() || cancelled(); }, limit);
    return gate.is_open();
  }

 private:
  void run() {
    Script script;
    {
      std::lock_guard lock(shared_->mutex);
      script = shared_->script;
    }
    const grpc::Status status = script(*this);
    const bool was_cancelled = cancelled();
    note([&](ScriptedUpstream::Record& record) {
      record.cancelled = was_cancelled;
      record.ended = true;
    });
    Finish(status);
    std::lock_guard lock(shared_->mutex);
    --shared_->running;
    shared_->changed.notify_all();
  }
  template <class F>
  bool wait(F condition, std::chrono::milliseconds limit = kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, condition);
  }
  template <class F>
  void note(F change) {
    std::lock_guard lock(shared_->mutex);
    change(shared_->records[index_]);
    shared_->changed.notify_all();
  }
  void finish_step(bool* pending, bool* result, bool ok) {
    std::lock_guard lock(mutex_);
    *pending = false;
    *result = ok;
    changed_.notify_all();
  }

  grpc::GenericCallbackServerContext* context_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Call> self_;
  std::size_t index_ = 0, kept_ = 0;
  std::string path_, authority_;
  Metadata metadata_;
  std::optional<std::chrono::system_clock::time_point> deadline_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool reading_ = false, read_ok_ = false, writing_ = false, write_ok_ = false, cancelled_ = false;
  grpc::ByteBuffer in_, out_;
};

}  // namespace

class ScriptedUpstream::Service final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    auto call = std::make_shared<Call>(context, shared);
    Call* const raw = call.get();
    raw->begin(std::move(call));
    return raw;
  }
  std::shared_ptr<Shared> shared = std::make_shared<Shared>();
};

Script echo() {
  return [](UpstreamCall& call) {
    while (auto message = call.read()) {
      if (!call.write(*message)) break;
    }
    return grpc::Status::OK;
  };
}

Script answer(std::vector<std::string> messages) {
  return [messages = std::move(messages)](UpstreamCall& call) {
    while (call.read()) {
    }
    for (const std::string& message : messages) {
      if (!call.write(message)) break;
    }
    return grpc::Status::OK;
  };
}

Script fail(grpc::Status status) {
  return [status = std::move(status)](UpstreamCall& call) {
    while (call.read()) {
    }
    return status;
  };
}

ScriptedUpstream::ScriptedUpstream(Script script) : ScriptedUpstream(std::move(script), Options{}) {}

ScriptedUpstream::ScriptedUpstream(Script script, Options options) : service_(std::make_shared<Service>()) {
  set_script(std::move(script));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.address, credentials_of(options.tls), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (options.max_concurrent_streams > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  }
  if (options.fixed_window) builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0) throw std::runtime_error("no upstream at " + options.address);
  address_ = "127.0.0.1:" + std::to_string(port);
}

void ScriptedUpstream::stop() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  Shared& shared = *service_->shared;
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait_for(lock, 2 * kPatience, [&] { return shared.running == 0 && shared.reactors == 0; });
  }
  server_->Wait();
  server_.reset();
}

ScriptedUpstream::~ScriptedUpstream() { stop(); }

void ScriptedUpstream::set_script(Script script) {
  std::lock_guard lock(service_->shared->mutex);
  service_->shared->script = std::move(script);
}

std::size_t ScriptedUpstream::calls() const {
  std::lock_guard lock(service_->shared->mutex);
  return service_->shared->records.size();
}

std::size_t ScriptedUpstream::running() const {
  std::lock_guard lock(service_->shared->mutex);
  return service_->shared->running;
}

std::vector<ScriptedUpstream::Record> ScriptedUpstream::records() const {
  std::lock_guard lock(service_->shared->mutex);
  return service_->shared->records;
}

std::optional<ScriptedUpstream::Record> ScriptedUpstream::wait_call(std::size_t index,
                                                                    std::chrono::milliseconds limit) const {
  Shared& shared = *service_->shared;
  std::unique_lock lock(shared.mutex);
  if (!shared.changed.wait_for(lock, limit, [&] { return shared.records.size() > index; })) return std::nullopt;
  return shared.records[index];
}

std::optional<ScriptedUpstream::Record> ScriptedUpstream::wait_ended(std::size_t index,
                                                                     std::chrono::milliseconds limit) const {
  Shared& shared = *service_->shared;
  std::unique_lock lock(shared.mutex);
  const auto ended = [&] { return shared.records.size() > index && shared.records[index].ended; };
  if (!shared.changed.wait_for(lock, limit, ended)) return std::nullopt;
  return shared.records[index];
}

}  // namespace ficus::e2e
