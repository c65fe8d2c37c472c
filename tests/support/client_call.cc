#include "tests/support/client_call.h"

#include <grpcpp/generic/generic_stub.h>

#include <condition_variable>
#include <mutex>

namespace ficus::e2e {

namespace {

// gRPC 1.51 gives the callback API one completion queue, made with its first user and torn down after the last by
// several threads at once, which AddressSanitizer catches freeing a pollset twice. A user that never goes away (a call
// to nobody on a channel that is never freed) keeps it alive.
void keep_callback_queue() {
  struct Forever {
    std::shared_ptr<grpc::Channel> channel =
        grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials());
    grpc::GenericStub stub{channel};
    grpc::ClientContext context;
    grpc::ByteBuffer request = to_buffer(""), response;
  };
  static Forever* const forever = [] {
    auto* one = new Forever;
    one->stub.UnaryCall(&one->context, "/nobody/Answers", {}, &one->request, &one->response,
                        [](const grpc::Status&) {});
    return one;
  }();
  static_cast<void>(forever);
}

enum class Retries { kNone, kDefault };

std::shared_ptr<grpc::Channel> make_channel(const std::string& address,
                                            const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                            grpc::ChannelArguments arguments, Retries retries = Retries::kNone) {
  keep_callback_queue();
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (retries == Retries::kNone) arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  const bool named = address.rfind("unix:", 0) == 0;
  return grpc::CreateCustomChannel(named ? address : "ipv4:" + address, credentials, arguments);
}

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, grpc::ChannelArguments arguments) {
  return make_channel(address, grpc::InsecureChannelCredentials(), std::move(arguments));
}

std::shared_ptr<grpc::Channel> make_retrying_channel(const std::string& address) {
  return make_channel(address, grpc::InsecureChannelCredentials(), {}, Retries::kDefault);
}

std::shared_ptr<grpc::Channel> make_tls_channel(const std::string& address, const ClientTls& tls,
                                                grpc::ChannelArguments arguments) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = tls.ca_pem;
  options.pem_private_key = tls.own.key_pem;
  options.pem_cert_chain = tls.own.certificate_pem;
  arguments.SetSslTargetNameOverride(tls.name);
  return make_channel(address, grpc::SslCredentials(options), std::move(arguments));
}

grpc::ByteBuffer to_buffer(std::string_view bytes) {
  grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// Owned by the ClientCall and, until OnDone, by itself: gRPC may still be unwinding when the test is gone.
class ClientCall::Reactor final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reactor(const std::shared_ptr<grpc::Channel>& channel, CallOptions options) : stub(channel) {
    for (const auto& [name, value] : options.metadata) context.AddMetadata(name, value);
    if (options.deadline) context.set_deadline(std::chrono::system_clock::now() + *options.deadline);
    if (!options.authority.empty()) context.set_authority(options.authority);
    if (options.gzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  }

  void OnReadInitialMetadataDone(bool ok) override {
    set([&] { metadata_came = ok ? Tri::kYes : Tri::kNo; });
  }
  void OnReadDone(bool ok) override {
    set([&] {
      reading = false;
      read_ok = ok;
    });
  }
  void OnWriteDone(bool ok) override {
    set([&] {
      writing = false;
      write_ok = ok;
    });
  }
  void OnWritesDoneDone(bool ok) override {
    set([&] {
      writing = false;
      write_ok = ok;
    });
  }
  void OnDone(const grpc::Status& s) override {
    std::shared_ptr<Reactor> last;
    {
      std::lock_guard lock(mutex);
      status = s;
      done = true;
      last = std::move(self);
      changed.notify_all();
    }
  }

  template <class F>
  bool wait(F condition, std::chrono::milliseconds limit = kPatience) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, limit, condition);
  }

  enum class Tri { kUnknown, kYes, kNo };
  grpc::GenericStub stub;
  grpc::ClientContext context;
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<Reactor> self;
  Tri metadata_came = Tri::kUnknown;
  bool reading = false, read_ok = true, read_late = false;
  bool writing = false, write_ok = true;
  bool done = false, held = true;
  grpc::Status status;
  grpc::ByteBuffer in, out;

 private:
  template <class F>
  void set(F change) {
    std::lock_guard lock(mutex);
    change();
    changed.notify_all();
  }
};

ClientCall::ClientCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, CallOptions options)
    : reactor_(std::make_shared<Reactor>(channel, std::move(options))) {
  reactor_->self = reactor_;
  reactor_->stub.PrepareBidiStreamingCall(&reactor_->context, path, {}, reactor_.get());
  reactor_->AddHold();
  reactor_->StartCall();
}

ClientCall::~ClientCall() {
  if (reactor_->held) {
    reactor_->context.TryCancel();
    reactor_->RemoveHold();
  }
  reactor_->wait([this] { return reactor_->done; });
}

bool ClientCall::write(std::string_view message, std::chrono::milliseconds limit) {
  Reactor& r = *reactor_;
  if (!r.wait([&] { return !r.writing; }, limit)) return false;
  if (!r.write_ok) return false;
  r.out = to_buffer(message);
  r.writing = true;
  r.StartWrite(&r.out);
  return r.wait([&] { return !r.writing; }, limit) && r.write_ok;
}

bool ClientCall::writes_done() {
  Reactor& r = *reactor_;
  if (!r.wait([&] { return !r.writing; }) || !r.write_ok) return false;
  r.writing = true;
  r.StartWritesDone();
  return r.wait([&] { return !r.writing; }) && r.write_ok;
}

std::optional<std::string> ClientCall::read(std::chrono::milliseconds limit) {
  Reactor& r = *reactor_;
  if (!r.read_late) {
    if (!r.read_ok) return std::nullopt;
    r.in.Clear();
    r.reading = true;
    r.StartRead(&r.in);
  }
  r.read_late = !r.wait([&] { return !r.reading; }, limit);
  if (r.read_late || !r.read_ok) return std::nullopt;
  return to_string(r.in);
}

bool ClientCall::read_timed_out() const { return reactor_->read_late; }

bool ClientCall::wait_initial_metadata(std::chrono::milliseconds limit) {
  Reactor& r = *reactor_;
  r.wait([&] { return r.metadata_came != Reactor::Tri::kUnknown; }, limit);
  std::lock_guard lock(r.mutex);
  return r.metadata_came == Reactor::Tri::kYes;
}

grpc::Status ClientCall::finish() {
  Reactor& r = *reactor_;
  while (read()) {
  }
  const bool gave_up = r.read_late;
  if (gave_up) r.context.TryCancel();
  if (r.held) {
    r.held = false;
    r.RemoveHold();
  }
  if (!r.wait([&] { return r.done; }) || gave_up) {
    r.context.TryCancel();
    return {grpc::StatusCode::DEADLINE_EXCEEDED, "the test gave up: no end of the call"};
  }
  return r.status;
}

void ClientCall::cancel() { reactor_->context.TryCancel(); }

namespace {
Metadata copy(const std::multimap<grpc::string_ref, grpc::string_ref>& from) {
  Metadata to;
  for (const auto& [name, value] : from) {
    to.emplace_back(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  return to;
}
}  // namespace

Metadata ClientCall::initial_metadata() const { return copy(reactor_->context.GetServerInitialMetadata()); }
Metadata ClientCall::trailers() const { return copy(reactor_->context.GetServerTrailingMetadata()); }

UnaryReply call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path, std::string_view request,
                CallOptions options) {
  ClientCall one(channel, path, std::move(options));
  UnaryReply reply;
  one.write(request);
  one.writes_done();
  while (auto message = one.read()) reply.messages.push_back(std::move(*message));
  reply.status = one.finish();
  if (one.wait_initial_metadata(std::chrono::milliseconds(0))) reply.initial_metadata = one.initial_metadata();
  reply.trailers = one.trailers();
  return reply;
}

std::vector<std::string> values_of(const Metadata& metadata, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : metadata) {
    if (key == name) values.push_back(value);
  }
  return values;
}

}  // namespace ficus::e2e
