// The loads that h2load cannot make, one a subcommand: bench_loads.h says what each does. Every call must be answered
// as it should be, or the program ends with 1. On 127.0.0.1 only, cleartext HTTP/2 with prior knowledge.
#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "tests/bench/bench_loads.h"

int main(int argc, char** argv) {
  using namespace ficus::bench;
  CLI::App app{"Makes gRPC calls to a proxy in the ways that a measurement needs."};
  app.require_subcommand(1);
  LoadOptions options;
  std::string path;
  std::vector<std::string> headers;
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--port", options.port, "where the proxy listens on 127.0.0.1")->required();
    command->add_option("--path", path, "the method, as /service/method")->required();
    command->add_option("--header", headers, "NAME: VALUE, of every call; may be repeated");
    command->add_option("--message-bytes", options.message_bytes, "of each message, without its prefix, both ways")
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
    return command;
  };
  const auto at_least_one = CLI::Range(std::size_t{1}, std::size_t{1} << 31);
  CLI::App* streams = add("streams", "long streams both ways");
  streams->add_option("--connections", options.connections)->check(at_least_one)->capture_default_str();
  streams->add_option("--streams", options.streams, "per connection")->check(at_least_one)->capture_default_str();
  streams->add_option("--in-flight", options.in_flight, "messages per stream")
      ->check(at_least_one)
      ->capture_default_str();
  streams->add_option("--messages", options.messages, "per stream")->check(at_least_one)->required();
  CLI::App* paced = add("paced", "calls at a fixed rate");
  paced->add_option("--connections", options.connections)->check(at_least_one)->capture_default_str();
  paced->add_option("--rate", options.rate, "calls per second in all")->check(CLI::Range(1.0, 1e7))->required();
  paced->add_option("--calls", options.calls, "in all")->check(at_least_one)->required();
  CLI::App* lockstep = add("lockstep", "one connection: calls in one write, then all their answers, and so on");
  lockstep->add_option("--in-flight", options.in_flight, "calls a write")->check(at_least_one)->capture_default_str();
  lockstep->add_option("--calls", options.calls, "in all")->check(at_least_one)->required();
  CLI::App* hold = add("hold", "connections, and calls on them, that stay until a line comes at stdin");
  hold->add_option("--connections", options.connections)->check(at_least_one)->capture_default_str();
  hold->add_option("--calls", options.calls, "per connection")->capture_default_str();
  hold->add_option("--sources", options.sources, "addresses 127.0.0.1 and up that connections come from")
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  options.client.answer_bytes = options.message_bytes;
  options.client.head = {{":method", "POST"},
                         {":scheme", "http"},
                         {":path", path},
                         {":authority", "127.0.0.1:" + std::to_string(options.port)}};
  for (const std::string& header : headers) {
    const std::size_t colon = header.find(": ");
    if (colon == 0 || colon == std::string::npos) {
      std::fprintf(stderr, "bench_client: --header %s: not NAME: VALUE\n", header.c_str());
      return 2;
    }
    options.client.head.emplace_back(header.substr(0, colon), header.substr(colon + 2));
  }
  if (streams->parsed()) stream_load(options);
  if (paced->parsed()) paced_load(options);
  if (lockstep->parsed()) lockstep_load(options);
  if (hold->parsed()) hold_load(options);
  return 0;
}
