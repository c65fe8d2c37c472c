#include <chrono>
#include <cstdio>

#include "tests/bench/bench_loads.h"
#include "tests/bench/client_loop.h"

namespace ficus::bench {
namespace {

class Counter : public ClientSession::Listener {
 public:
  void on_message(ClientSession&, std::uint32_t) override { ++messages_; }
  void on_end(ClientSession&, std::uint32_t) override { ++ended_; }
  std::size_t messages() const { return messages_; }
  std::size_t ended() const { return ended_; }

 private:
  std::size_t messages_ = 0, ended_ = 0;
};

}  // namespace

void lockstep_load(const LoadOptions& options) {
  Counter counter;
  const std::string message = grpc_message(options.message_bytes);
  ClientLoop loop(options.port, options.client, counter);
  ClientSession& session = loop.connect();
  loop.run_until_settled();
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t begun = 0; begun < options.calls;) {
    for (std::size_t i = 0; i < options.in_flight && begun < options.calls; ++i, ++begun) {
      session.send(session.open(), message, true);
    }
    loop.run_until([&] { return counter.ended() == begun; });
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"calls\":%zu,\"messages\":%zu,\"seconds\":%.6f}\n", counter.ended(), counter.messages(), took.count());
}

}  // namespace ficus::bench
