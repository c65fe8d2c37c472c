#include <chrono>
#include <cstdio>
#include <unordered_map>

#include "tests/bench/bench_loads.h"
#include "tests/bench/client_loop.h"

namespace ficus::bench {
namespace {

class Streams : public ClientSession::Listener {
 public:
  explicit Streams(const LoadOptions& options)
      : options_(options),
        message_(grpc_message(options.message_bytes)),
        state_(options.connections * options.streams) {}

  // Streams of a connection have the odd identifiers from 1 on, so that a state is found without a search.
  void begin(ClientSession& session, std::size_t connection) {
    index_of_[&session] = connection;
    for (std::size_t i = 0; i < options_.streams; ++i) {
      const std::uint32_t id = session.open();
      for (std::size_t n = 0; n < std::min(options_.in_flight, options_.messages); ++n) send_one(session, id);
    }
  }
  void on_message(ClientSession& session, std::uint32_t id) override {
    ++messages_;
    ++state(session, id).received;
    if (state(session, id).sent < options_.messages) send_one(session, id);
  }
  void on_end(ClientSession& session, std::uint32_t id) override {
    if (state(session, id).received == options_.messages) ++whole_;
    ++ended_;
  }

  std::size_t messages() const { return messages_; }
  std::size_t whole() const { return whole_; }  // streams that ended with all their answers
  bool done() const { return ended_ == state_.size(); }

 private:
  struct State {
    std::size_t sent = 0, received = 0;
  };
  State& state(ClientSession& session, std::uint32_t id) {
    if (&session != last_) {
      last_ = &session;
      last_index_ = index_of_.at(&session);
    }
    return state_[last_index_ * options_.streams + id / 2];
  }
  void send_one(ClientSession& session, std::uint32_t id) {
    State& stream = state(session, id);
    ++stream.sent;
    session.send(id, message_, stream.sent == options_.messages);
  }

  const LoadOptions& options_;
  const std::string message_;
  std::vector<State> state_;
  std::unordered_map<ClientSession*, std::size_t> index_of_;
  ClientSession* last_ = nullptr;
  std::size_t last_index_ = 0, messages_ = 0, whole_ = 0, ended_ = 0;
};

}  // namespace

void stream_load(const LoadOptions& options) {
  Streams streams(options);
  ClientLoop loop(options.port, options.client, streams);
  for (std::size_t i = 0; i < options.connections; ++i) loop.connect();
  loop.run_until_settled();
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < options.connections; ++i) streams.begin(loop.session(i), i);
  loop.run_until([&] { return streams.done(); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"calls\":%zu,\"messages\":%zu,\"seconds\":%.6f}\n", streams.whole(), streams.messages(), took.count());
}

}  // namespace ficus::bench
