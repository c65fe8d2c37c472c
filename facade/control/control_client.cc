#include "facade/control/control_client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "facade/base/unique_fd.h"
#include "facade/base/unix_door.h"
#include "facade/control/control_server.h"
#include "ficus/control/v1/control.grpc.pb.h"

namespace ficus {
namespace {

// By hand, so that what is wrong is told by what the kernel says, and at once; gRPC would try again until the limit.
Result<UniqueFd, ControlFailure> connect_to(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(ControlFailure{std::string("no socket can be made: ") + std::strerror(errno), ""});
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  const std::string why = std::strerror(errno);
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return fail(ControlFailure{"nothing listens at " + path, "start the facade with `ficus serve --control " + path +
                                                                   "`, or say with --control where it listens"});
    case EACCES:
    case EPERM:
      return fail(ControlFailure{path + ": " + why, "ask as the user that runs the facade, or as root"});
    case ENOTSOCK:
    case EPROTOTYPE:
      return fail(ControlFailure{path + " is not a control socket", "say with --control where the facade listens"});
    case EAGAIN:
      return fail(ControlFailure{path + " is busy: too many wait there", "ask again; if it lasts, the facade hangs"});
    default:
      return fail(ControlFailure{path + ": " + why, ""});
  }
}

ControlFailure failure_of(const grpc::Status& status, const std::string& path, std::chrono::milliseconds limit) {
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return {"no answer from " + path + " within " + std::to_string(limit.count()) + " ms",
              "the facade is busy or hangs, or no facade listens there; --timeout gives it longer"};
    case grpc::StatusCode::UNIMPLEMENTED:
      return {"whoever listens at " + path + " does not know the question", "is it a ficus, and one of this version?"};
    case grpc::StatusCode::UNAVAILABLE:
      return {"the connection to " + path + " ended: " + status.error_message(),
              "too many may be connected, the facade may be ending, or it refuses your user; its log says which"};
    default:
      return {path + ": " + status.error_message(), ""};
  }
}

}  // namespace

Result<std::string, std::string> parse_control_path(std::string_view text) {
  constexpr std::string_view kScheme = "unix:";
  if (text.starts_with(kScheme)) {
    text.remove_prefix(kScheme.size());
    if (text.starts_with("//")) {
      text.remove_prefix(2);
      if (!text.starts_with('/')) return fail(std::string("behind unix:// the path begins with a slash"));
    }
  } else if (text.starts_with("unix-abstract:")) {
    return fail(std::string("an abstract name has no mode that could keep others out"));
  }
  if (text.empty()) return fail(std::string("there is no path"));
  if (text.find('\0') != std::string_view::npos) return fail(std::string("there is a zero byte in it"));
  if (text.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail("it is too long for a Unix socket (" + std::to_string(text.size()) + " bytes)");
  }
  return std::string(text);
}

Result<control::v1::GetStatusResponse, ControlFailure> ask_status(const std::string& path,
                                                                  std::chrono::milliseconds limit) {
  const auto end = std::chrono::system_clock::now() + limit;
  auto connection = connect_to(path);
  if (!connection) return fail(connection.error());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(ControlServer::kMaxAnswerBytes);
  const auto channel = grpc::CreateCustomInsecureChannelFromFd("ficus-control", connection->release(), arguments);
  const auto stub = control::v1::Control::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(end);
  control::v1::GetStatusResponse response;
  const grpc::Status status = stub->GetStatus(&context, {}, &response);
  if (!status.ok()) return fail(failure_of(status, path, limit));
  return response;
}

}  // namespace ficus
