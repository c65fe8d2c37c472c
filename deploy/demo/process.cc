#include "deploy/demo/process.h"

#include <google/protobuf/util/time_util.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace insurer {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void StopSignal::wait() const {
  const sigset_t set = stop_signals();
  int signal = 0;
  sigwait(&set, &signal);
}

bool write_port_file(const std::string& file, const std::vector<std::pair<std::string, std::string>>& addresses) {
  const std::string fresh = file + ".tmp";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << '{';
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      out << (i == 0 ? "" : ",") << '"' << addresses[i].first << "\":\"" << addresses[i].second << '"';
    }
    out << "}\n";
    if (!out.flush()) return false;
  }
  return std::rename(fresh.c_str(), file.c_str()) == 0;
}

std::shared_ptr<grpc::Channel> open_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

google::protobuf::Timestamp timestamp_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count());
}

std::string code_name(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
                                           "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                           "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  const int number = static_cast<int>(code);
  return number >= 0 && number < static_cast<int>(std::size(kNames)) ? kNames[number] : "CODE_" + std::to_string(number);
}

}  // namespace insurer
