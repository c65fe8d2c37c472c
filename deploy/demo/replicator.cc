// demo-replicator: keeps the two policy services alike while both are written to, as somebody's CDC does in a real
// migration (`reverse_replication: external`). A program of its own because that is what it is there: it knows
// neither Ficus nor which side owns a write, it only carries what each side decided to the other, a little behind.
// One thread a direction. At least once: after any failure it goes on from the last change it delivered, and applying
// one twice does nothing.
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <thread>

#include "deploy/demo/process.h"
#include "insurance/replication/v1/replication_service.grpc.pb.h"

namespace insurer {
namespace {

namespace replication = insurance::replication::v1;
using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;

constexpr milliseconds kApplyTimeout{2000};
constexpr milliseconds kRetryPause{100};

// One direction. The thread runs from construction to stop().
class Carrier {
 public:
  Carrier(std::string name, const std::string& from, const std::string& to, milliseconds behind)
      : name_(std::move(name)),
        from_(replication::ReplicationService::NewStub(open_channel(from))),
        to_(replication::ReplicationService::NewStub(open_channel(to))),
        behind_(behind),
        thread_([this] { run(); }) {}

  ~Carrier() { stop(); }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (streaming_ != nullptr) streaming_->TryCancel();
    }
    stopped_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  std::uint64_t delivered() const { return delivered_; }

 private:
  void run() {
    while (!pause(milliseconds(0))) {
      follow();
      pause(kRetryPause);
    }
  }

  // Carries changes until the stream breaks or stop() is called.
  void follow() {
    grpc::ClientContext context;
    replication::StreamChangesRequest request;
    request.set_log_id(log_id_);
    request.set_after_sequence(position_);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      streaming_ = &context;
    }
    const auto stream = from_->StreamChanges(&context, request);
    replication::Change change;
    while (stream->Read(&change) && deliver(change)) {
      log_id_ = change.log_id();
      position_ = change.sequence();
      ++delivered_;
    }
    context.TryCancel();
    const grpc::Status status = stream->Finish();
    const std::lock_guard lock(mutex_);
    streaming_ = nullptr;
    if (!stopping_) {
      std::cerr << "demo-replicator: " << name_ << ": " << code_name(status.error_code()) << ' ' << status.error_message()
                << "; following again after change " << position_ << '\n';
    }
  }

  // Waits until the change is old enough, then applies it, however often that takes. False when stopping.
  bool deliver(const replication::Change& change) {
    const auto age = milliseconds(TimeUtil::DurationToMilliseconds(timestamp_now() - change.committed_at()));
    if (pause(std::max(milliseconds(0), behind_ - age))) return false;
    replication::ApplyChangeRequest request;
    *request.mutable_change() = change;
    while (true) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + kApplyTimeout);
      replication::ApplyChangeResponse response;
      if (to_->ApplyChange(&context, request, &response).ok()) return true;
      if (pause(kRetryPause)) return false;
    }
  }

  // True once stop() was called, waiting at most `limit` for it.
  bool pause(milliseconds limit) {
    std::unique_lock lock(mutex_);
    return stopped_.wait_for(lock, limit, [this] { return stopping_; });
  }

  const std::string name_;
  const std::unique_ptr<replication::ReplicationService::Stub> from_;
  const std::unique_ptr<replication::ReplicationService::Stub> to_;
  const milliseconds behind_;
  std::string log_id_;         // thread_ only, as position_
  std::uint64_t position_ = 0;
  std::uint64_t delivered_ = 0;  // thread_ only until it is joined
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  grpc::ClientContext* streaming_ = nullptr;
  std::thread thread_;
};

int run(int argc, char** argv) {
  CLI::App app("Carries changes between the demo's two policy services, both ways, a little behind.", "demo-replicator");
  std::string legacy;
  std::string modern;
  unsigned behind_ms = 50;
  app.add_option("--legacy", legacy, "The legacy side's internal address")->required();
  app.add_option("--new", modern, "The new side's internal address")->required();
  app.add_option("--behind-ms", behind_ms, "How old a change is when it is carried")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const StopSignal stop;
  Carrier forward("legacy to new", legacy, modern, milliseconds(behind_ms));
  Carrier back("new to legacy", modern, legacy, milliseconds(behind_ms));
  stop.wait();
  forward.stop();
  back.stop();
  std::cerr << "demo-replicator: carried " << forward.delivered() << " changes to new, " << back.delivered() << " to legacy\n";
  return 0;
}

}  // namespace
}  // namespace insurer

int main(int argc, char** argv) { return insurer::run(argc, argv); }
