// The policy in force and how it changes: first load, reload on SIGHUP and when a file changes. POLICY 8: the epoch
// rule holds from the first load on; a reload that moves an owner, by name or by the servers behind it, is refused
// until hand-over exists, and so is a first load that moves one away from what a process serves by that this one takes
// over from.
// A bad file: every diagnostic is logged and counted, and the policy in force stays. The same bytes: counted
// `unchanged`. Thread: its own control thread (an io_context with one thread), which `main` runs. Loading blocks that
// thread: about 0.2 s for a policy with 100,000 tenants.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "facade/control/policy_loader.h"
#include "facade/control/publisher.h"
#include "facade/metrics/metrics.h"

namespace boost::asio {
class io_context;
}

namespace ficus {

struct PolicyStoreOptions {
  std::string path;
  LoadOptions load;
  std::function<Date()> today;            // asked at each load; empty: load.today
  std::chrono::milliseconds settle{200};  // a changed file must stand still this long before it is read
  std::chrono::milliseconds poll{5000};   // how often to look without an event; see file_watcher.h
  bool use_inotify = true;
  // Whether a listener of this process asks clients for certificates. If not, a policy that knows tenants or consumers
  // by those alone is taken, with a warning (W202; in the log `tenants_unknowable`, `consumers_unknowable`): none is
  // ever known, and rules for them take no call.
  bool clients_show_certificates = true;
  // The policy in force in a process that serves beside this one until it has drained (the one we take over from): a
  // policy that gives a write another owner than this one does is refused, at first and at each reload, until
  // predecessor_gone(). Null: there is none.
  std::shared_ptr<const Policy> predecessor;
};

// The policy in force.
struct PolicyInForce {
  std::shared_ptr<const RouteTable> table;  // null before load_first()
  std::vector<Diagnostic> warnings;
  std::vector<std::string> files;  // it was read from; names only
  std::chrono::system_clock::time_point since;
  bool by_all_workers = false;  // else some worker's calls may still be born with the one before
};
// What became of a reload.
struct PolicyReload {
  std::string outcome;  // "applied", "unchanged" or "refused", as in the metric
  std::string trigger;  // "signal", "file_changed", "predecessor_gone"
  std::chrono::system_clock::time_point at;
  std::vector<Diagnostic> diagnostics;
};
struct PolicyState {
  PolicyInForce in_force;
  std::optional<PolicyReload> last_reload;  // absent: none since load_first()
};

class PolicyStore {
 public:
  PolicyStore(boost::asio::io_context& control, PolicyStoreOptions options, Publisher& publisher, Metrics& metrics);
  ~PolicyStore();

  // Loads and publishes the first policy; on failure gives every diagnostic and logs none. Blocks on the files, not on
  // the workers: they find the table in their queues when they start. Before the control thread runs.
  Result<void, LoadFailure> load_first();
  // Begins to watch the files (inotify on their directories: close-after-write, renames, Kubernetes' ..data). After
  // load_first(), before the control thread runs or on it. What changed since load_first() read it is seen too.
  void watch();
  // Reads again now (SIGHUP), without waiting for anything to stand still. After load_first(). Any thread.
  void reload();
  // The predecessor serves no more. On the control thread.
  void predecessor_gone();
  // From hold() to release() the policy in force does not change: a successor is checking its own against it. A reload
  // asked for meanwhile happens at release(). On the control thread.
  void hold();
  void release();
  // For /policy: name, hash, generation, since when, files (names only), warnings, the last reload with its
  // diagnostics, and the policy as canonical YAML without values that may be secrets. Any thread.
  std::string describe_json() const;
  // The same as values, with the table as it is: whoever shows it leaves out what may be secret. Any thread.
  PolicyState state() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace ficus
