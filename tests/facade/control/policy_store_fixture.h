// A PolicyStore over files of the test's own, with one worker. For the tests of policy_store.h.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "facade/control/policy_store.h"
#include "tests/facade/control/control_test_support.h"
#include "tests/facade/control/sample_policy.h"
#include "tests/facade/metrics/exposition.h"

namespace ficus::testing {

// A store over one directory, with one worker that remembers every table it was given.
class Store {
 public:
  explicit Store(std::string path, std::shared_ptr<const Policy> predecessor = nullptr,
                 bool clients_show_certificates = true)
      : publisher({[this](std::shared_ptr<const RouteTable> table, std::function<void()> done) {
          tables.push_back(std::move(table));
          if (hold_acknowledgements) {
            held.push_back(std::move(done));
          } else {
            done();
          }
        }}),
        store(io, options(std::move(path), std::move(predecessor), clients_show_certificates), publisher, metrics) {}

  static PolicyStoreOptions options(std::string path, std::shared_ptr<const Policy> predecessor,
                                    bool clients_show_certificates) {
    PolicyStoreOptions options;
    options.clients_show_certificates = clients_show_certificates;
    options.path = std::move(path);
    options.load = sample_load_options();
    options.settle = std::chrono::milliseconds(10);
    options.poll = std::chrono::hours(1);
    options.predecessor = std::move(predecessor);
    return options;
  }
  double reloads(const std::string& outcome) {
    return exposed().value("ficus_policy_reloads_total", {{"outcome", outcome}});
  }
  double all_reloads() { return exposed().sum("ficus_policy_reloads_total"); }
  Exposition exposed() { return parse_exposition(metrics.expose()); }
  // Reads again at once, as on SIGHUP, and gives what became of it.
  std::string reload() {
    const Exposition before = exposed();
    store.reload();
    io.restart();
    io.poll();  // runs the reload here and now, and the acknowledgement that it posts
    const Exposition after = exposed();
    for (const char* outcome : {"applied", "unchanged", "refused"}) {
      const Labels labels{{"outcome", outcome}};
      if (after.value("ficus_policy_reloads_total", labels) > before.value("ficus_policy_reloads_total", labels))
        return outcome;
    }
    return "nothing";
  }
  bool until(const std::function<bool()>& done) { return run_until(io, done); }
  const RouteTable& in_force() const { return *publisher.in_force(); }

  asio::io_context io{1};
  Metrics metrics;
  std::vector<std::shared_ptr<const RouteTable>> tables;
  bool hold_acknowledgements = false;
  std::vector<std::function<void()>> held;
  Publisher publisher;
  PolicyStore store;
};

}  // namespace ficus::testing
