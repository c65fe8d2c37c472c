#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/bench/bench_loads.h"
#include "tests/bench/client_loop.h"

namespace ficus::bench {
namespace {

constexpr std::size_t kConnectAtOnce = 64;  // far below any listener's backlog

class Held : public ClientSession::Listener {
 public:
  void on_head(ClientSession&, std::uint32_t) override { ++heads_; }
  void on_message(ClientSession&, std::uint32_t) override { ++messages_; }
  void on_end(ClientSession&, std::uint32_t) override { ++ended_; }
  std::size_t heads() const { return heads_; }
  std::size_t messages() const { return messages_; }
  std::size_t ended() const { return ended_; }

 private:
  std::size_t heads_ = 0, messages_ = 0, ended_ = 0;
};

// Says what stands, and waits for whoever measures.
void stand_still(const char* what) {
  std::printf("%s\n", what);
  std::fflush(stdout);
  std::string line;
  if (!std::getline(std::cin, line)) std::exit(1);
}

}  // namespace

void hold_load(const LoadOptions& options) {
  raise_file_limit();
  Held held;
  const std::string message = grpc_message(options.message_bytes);
  ClientLoop loop(options.port, options.client, held);
  while (loop.size() < options.connections) {
    for (std::size_t i = 0; i < kConnectAtOnce && loop.size() < options.connections; ++i) {
      loop.connect(1 + static_cast<unsigned>(loop.size() % options.sources)).ping();
    }
    loop.run_until_settled();
  }
  stand_still("connected");

  const std::size_t calls = options.connections * options.calls;
  if (calls > 0) {
    for (std::size_t i = 0; i < loop.size(); ++i) {
      for (std::size_t n = 0; n < options.calls; ++n) loop.session(i).send(loop.session(i).open(), message, true);
    }
    loop.run_until([&] { return held.heads() == calls; });
    stand_still("held");
    loop.run_until([&] { return held.ended() == calls; });
  }
  for (std::size_t i = 0; i < loop.size(); ++i) loop.session(i).ping();
  loop.run_until_settled();
  std::printf("{\"connections\":%zu,\"calls\":%zu,\"messages\":%zu}\n", loop.size(), held.ended(), held.messages());
}

}  // namespace ficus::bench
