#include "facade/control/control_server.h"

#include <fcntl.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "facade/base/check.h"
#include "facade/base/log.h"
#include "facade/control/asio.h"
#include "facade/metrics/families.h"
#include "ficus/control/v1/control.grpc.pb.h"

namespace ficus {
namespace {

namespace v1 = control::v1;

class ControlService final : public v1::Control::CallbackService {
 public:
  ControlService(ControlSources sources, const Metrics& metrics) : sources_(std::move(sources)), metrics_(metrics) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context, const v1::GetStatusRequest*,
                                      v1::GetStatusResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(get_status(*response));
    return reactor;
  }

 private:
  grpc::Status get_status(v1::GetStatusResponse& response) {
    const std::lock_guard one_at_a_time(mutex_);
    const PolicyState policy = sources_.policy();
    if (policy.in_force.table == nullptr) return {grpc::StatusCode::UNAVAILABLE, "no policy is in force yet"};
    response = report_status(sources_.process(), policy, metrics_, std::chrono::system_clock::now());
    if (response.ByteSizeLong() > static_cast<std::size_t>(ControlServer::kMaxAnswerBytes)) {
      response.Clear();
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the status would be longer than " +
                                                        std::to_string(ControlServer::kMaxAnswerBytes) +
                                                        " bytes; /metrics has its numbers"};
    }
    return grpc::Status::OK;
  }

  const ControlSources sources_;
  const Metrics& metrics_;
  std::mutex mutex_;
};

// What gRPC itself complains of, as lines of our log.
void log_for_grpc(gpr_log_func_args* said) {
  log_event(said->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug, "grpc", said->message);
}

}  // namespace

struct ControlServer::Impl : std::enable_shared_from_this<ControlServer::Impl> {
  // Our second descriptor of a connection that is gRPC's: it says when the connection is over.
  using Watched = asio::posix::stream_descriptor;
  static constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of descriptors
  static constexpr std::chrono::seconds kLogPause{1};            // between lines on strangers

  Impl(asio::io_context& io, ControlSources sources, Metrics& metrics)
      : control(io),
        connections_refused(metrics.add_shard().counter(families::kLimits, {"control_connections"})),
        service(std::move(sources), metrics),
        listening(io),
        pause(io) {}

  asio::io_context& control;
  Counter& connections_refused;
  ControlService service;
  std::unique_ptr<grpc::Server> server;
  UnixDoor door;
  Watched listening;  // the door's descriptor, watched; owned by the door
  asio::steady_timer pause;
  std::set<std::shared_ptr<Watched>> connections;
  std::chrono::steady_clock::time_point strangers_logged{};
  bool closed = false;

  void wait_for_visitor() {
    listening.async_wait(Watched::wait_read, [self = shared_from_this()](error_code ec) {
      if (!ec && !self->closed) self->take_all();
    });
  }

  void take_all() {
    for (;;) {
      UniqueFd fd(::accept4(door.fd().get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        take(std::move(fd));
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return wait_for_visitor();
      log_event(LogLevel::kWarn, "control_accept_failed", std::strerror(errno));
      pause.expires_after(kAcceptPause);
      pause.async_wait([self = shared_from_this()](error_code ec) {
        if (!ec && !self->closed) self->take_all();
      });
      return;
    }
  }

  void take(UniqueFd fd) {
    const PeerProcess peer = peer_process(fd.get());
    if (!peer.trusted()) return refuse_stranger(peer);
    if (connections.size() >= kMaxConnections) drop_ended();
    if (connections.size() >= kMaxConnections) {
      connections_refused.add();
      return;
    }
    UniqueFd second(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    auto watched = std::make_shared<Watched>(control);
    error_code ec;
    if (second) watched->assign(second.get(), ec);
    if (!second || ec) return;  // out of descriptors: this one is closed, and its client told so
    second.release();
    connections.insert(watched);
    watched->async_wait(Watched::wait_error, [self = shared_from_this(), watched](error_code) {
      self->connections.erase(watched);
      error_code ignored;
      watched->close(ignored);
    });
    grpc::AddInsecureChannelFromFd(server.get(), fd.release());
  }

  // Those that have ended, and the loop has not said so yet: else many who come and go are refused for their sake.
  void drop_ended() {
    std::erase_if(connections, [](const std::shared_ptr<Watched>& watched) {
      pollfd look{watched->native_handle(), 0, 0};
      if (::poll(&look, 1, 0) <= 0) return false;
      error_code ignored;
      watched->close(ignored);
      return true;
    });
  }

  // Mode 0600 keeps strangers out already; this holds where a name was given away (chmod, a container's mount).
  void refuse_stranger(const PeerProcess& peer) {
    const auto now = std::chrono::steady_clock::now();
    if (now - strangers_logged < kLogPause) return;
    strangers_logged = now;
    log_event(LogLevel::kWarn, "control_refused", "only this process's user and root may use the control socket",
              {{"uid", peer.uid}, {"pid", peer.pid}});
  }

  void stop() {
    if (closed) return;
    closed = true;
    error_code ignored;
    pause.cancel();
    if (listening.is_open()) listening.release();
    door.close();
    if (server != nullptr) server->Shutdown(std::chrono::system_clock::now() + kStopPatience);
    for (const auto& watched : connections) watched->close(ignored);
    connections.clear();
  }
};

ControlServer::ControlServer(asio::io_context& control, ControlSources sources, Metrics& metrics)
    : impl_(std::make_shared<Impl>(control, std::move(sources), metrics)) {}

ControlServer::~ControlServer() { stop(); }

Result<void, std::string> ControlServer::start() {
  gpr_set_log_function(log_for_grpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ResourceQuota quota("ficus-control");
  quota.SetMaxThreads(kMaxThreads).Resize(kMaxBufferBytes);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxAnswerBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMinutes * 60'000);
  builder.RegisterService(&impl_->service);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr) return fail(std::string("gRPC could not start a server; its reason is in the log"));
  set_serving(true);
  return {};
}

void ControlServer::accept(UnixDoor door) {
  FICUS_CHECK(impl_->server != nullptr) << "accept before start";
  impl_->door = std::move(door);
  error_code ec;
  impl_->listening.assign(impl_->door.fd().get(), ec);
  if (ec) {
    log_event(LogLevel::kError, "control_unavailable", "the control socket cannot be watched: " + ec.message());
    return;
  }
  impl_->wait_for_visitor();
}

void ControlServer::set_serving(bool serving) {
  grpc::HealthCheckServiceInterface* health = impl_->server->GetHealthCheckService();
  if (health == nullptr) return;
  health->SetServingStatus("", serving);
  health->SetServingStatus(v1::Control::service_full_name(), serving);
}

void ControlServer::stop() { impl_->stop(); }

}  // namespace ficus
