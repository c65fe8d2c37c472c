#include <algorithm>
#include <chrono>
#include <cstdio>
#include <unordered_map>

#include "tests/bench/bench_loads.h"
#include "tests/bench/client_loop.h"

namespace ficus::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::microseconds kTick{200};

class Calls : public ClientSession::Listener {
 public:
  explicit Calls(std::size_t calls) { micros_.reserve(calls); }
  void opened(ClientSession& session, std::uint32_t id) { began_[&session][id] = Clock::now(); }
  void on_message(ClientSession&, std::uint32_t) override { ++messages_; }
  void on_end(ClientSession& session, std::uint32_t id) override {
    auto& open = began_[&session];
    const auto found = open.find(id);
    micros_.push_back(std::chrono::duration<double, std::micro>(Clock::now() - found->second).count());
    open.erase(found);
  }
  std::size_t messages() const { return messages_; }
  std::size_t ended() const { return micros_.size(); }
  double quantile(double q) {  // of the calls' times as this client saw them, in microseconds
    if (micros_.empty()) return 0;
    const auto nth = micros_.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(micros_.size() - 1));
    std::nth_element(micros_.begin(), nth, micros_.end());
    return *nth;
  }

 private:
  std::unordered_map<ClientSession*, std::unordered_map<std::uint32_t, Clock::time_point>> began_;
  std::vector<double> micros_;
  std::size_t messages_ = 0;
};

}  // namespace

void paced_load(const LoadOptions& options) {
  Calls calls(options.calls);
  const std::string message = grpc_message(options.message_bytes);
  ClientLoop loop(options.port, options.client, calls);
  for (std::size_t i = 0; i < options.connections; ++i) loop.connect();
  loop.run_until_settled();

  std::size_t begun = 0, turn = 0;
  const auto begin = Clock::now();
  loop.every(kTick, [&] {
    const double due = std::chrono::duration<double>(Clock::now() - begin).count() * options.rate;
    while (begun < options.calls && static_cast<double>(begun) < due) {
      ClientSession& session = loop.session(turn++ % options.connections);
      if (session.full()) return;  // the call waits, and the rate falls behind
      const std::uint32_t id = session.open();
      calls.opened(session, id);
      session.send(id, message, true);
      ++begun;
    }
  });
  loop.run_until([&] { return calls.ended() == options.calls; });
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("{\"calls\":%zu,\"messages\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", calls.ended(),
              calls.messages(), took.count(), calls.quantile(0.5), calls.quantile(0.99));
}

}  // namespace ficus::bench
