#include "facade/serve.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include "facade/base/log.h"
#include "facade/cli/cli.h"
#include "facade/control/admin_http.h"
#include "facade/control/policy_metrics.h"
#include "facade/control/policy_store.h"
#include "facade/metrics/families.h"
#include "facade/metrics/fixed_series.h"
#include "facade/metrics/metrics.h"
#include "facade/net/file_limit.h"
#include "facade/net/inherited_sockets.h"
#include "facade/net/listener.h"
#include "facade/net/takeover_server.h"
#include "facade/rpc/rpc_server.h"
#include "facade/rpc/upstream_tls.h"
#include "facade/serve_control.h"
#include "facade/serve_succession.h"
#include "facade/serve_tls.h"
#include "facade/trace/jsonl_sink.h"
#include "routing/policy_parse.h"

namespace ficus {
namespace {

// One core: the loop, the calls on it, and the thread that runs them.
struct Lane {
  Lane(unsigned index, Metrics& metrics, const H2Limits& limits, const ClientManners& manners, OnceGate& once,
       CompareQueue& compare, RpcServerOptions options, std::uint64_t seed)
      : worker(index, metrics.add_shard(), limits, manners, once), rpc(worker, compare, options, seed) {
    worker.set_stream_maker([this](H2Stream& stream) { return rpc.new_call(stream); });
  }
  Worker worker;
  RpcServer rpc;
  std::thread thread;
};

// Runs `work` on the lane's worker and waits for its answer.
template <class F>
auto on_worker(Lane& lane, F work) {
  auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
  auto done = task->get_future();
  lane.worker.post([task] { (*task)(); });
  return done.get();
}

int cannot_start(const std::string& why) {
  std::cerr << "ficus serve: " << why << '\n';
  return kExitUsage;
}

// Temp file, then rename: whoever waits for the file finds it whole.
bool write_port_file(const std::string& path, const std::string& listen, const std::string& tls,
                     const std::string& admin) {
  const std::string temp = path + ".tmp";
  std::FILE* file = std::fopen(temp.c_str(), "w");
  if (file == nullptr) return false;
  const std::string tls_member = tls.empty() ? "" : "\"tls_listen\":\"" + tls + "\",";
  const bool written = std::fprintf(file, "{\"listen\":\"%s\",%s\"admin\":\"%s\"}\n", listen.c_str(),
                                    tls_member.c_str(), admin.c_str()) > 0;
  return std::fclose(file) == 0 && written && std::rename(temp.c_str(), path.c_str()) == 0;
}

class Server {
 public:
  Server(const ServeOptions& options, std::vector<ListenSocket> inherited)
      : options_(options), inherited_(std::move(inherited)) {
    limits_.held_bytes = options.held_bytes / std::max(1u, options.workers);
    add_fixed_series(metrics_.add_shard());
  }
  int run();

 private:
  Result<void, std::string> find_sockets();
  Result<void, std::string> open_sinks();
  void make_lanes();
  Result<void, LoadFailure> load_policy_first();
  int fail_policy(const LoadFailure& failure);
  Result<void, std::string> use_sockets();
  void start_threads();
  void wait_warm();
  int fail_started(const std::string& why);
  bool announce_ports();
  void begin_serving();
  ProcessFacts facts() const;
  void wait_for_successor();
  void wait_for_predecessors_end();
  void begin_drain(const std::string& why, bool sockets_live_on);
  void check_drained();
  void stop();

  const ServeOptions& options_;
  RpcServerOptions rpc_options_;
  std::vector<ListenSocket> inherited_;  // until find_sockets()
  H2Limits limits_;  // of each worker; as they are from the start on
  OnceGate once_;
  Metrics metrics_;
  std::unique_ptr<Redactor> redactor_;
  std::unique_ptr<MismatchSink> sink_;
  std::unique_ptr<CompareQueue> compare_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<Publisher> publisher_;
  asio::io_context control_{1};
  ServeTls tls_{control_, metrics_};
  ServeControl control_api_{control_, metrics_};
  std::unique_ptr<PolicyStore> policies_;
  SocketPlan plan_;
  Succession succession_;
  std::unique_ptr<Listener> listener_;
  ListenSocket admin_socket_;
  std::unique_ptr<AdminHttp> admin_;
  std::unique_ptr<TakeoverServer> takeover_;
  asio::posix::stream_descriptor predecessor_{control_};  // open while the one we took over from drains
  std::string listen_at_, tls_listen_at_, admin_at_;
  std::string listeners_;                          // every client address with its kind, for the log
  std::vector<ProcessFacts::Listener> listening_;  // the same and the admin address, for the control API
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  bool clients_show_certificates_ = false;
  std::atomic<bool> ready_{false};
  std::atomic<bool> draining_{false};  // written on the control thread; gRPC's read it
  bool drain_now_ = false;
  std::chrono::steady_clock::time_point drain_began_{};
  asio::steady_timer drain_timer_{control_};
  std::size_t calls_cut_ = 0;
};

// Which sockets, and where from: the service manager, a facade that runs already, or to be bound.
Result<void, std::string> Server::find_sockets() {
  auto plan = plan_sockets(options_.sockets, std::move(inherited_));
  if (!plan) return fail(plan.error());
  plan_ = *std::move(plan);
  const bool tls = std::any_of(plan_.sockets.begin(), plan_.sockets.end(),
                               [](const ListenSocket& socket) { return socket.kind == ListenKind::kTls; });
  clients_show_certificates_ = tls && options_.tls.client != TlsClientMode::kNone;
  if (tls) {
    // Flags say so of --tls-listen; a service manager's socket comes without one.
    if (options_.tls.cert.empty() || options_.tls.key.empty()) {
      return fail(std::string("a TLS listener needs --tls-cert and --tls-key"));
    }
    const auto client = options_.tls.client == TlsClientMode::kRequired   ? ClientCertificates::kRequired
                        : options_.tls.client == TlsClientMode::kOptional ? ClientCertificates::kOptional
                                                                          : ClientCertificates::kNone;
    if (auto opened = tls_.open({options_.tls.cert, options_.tls.key, options_.tls.client_ca, client}); !opened) {
      return fail(opened.error());
    }
  } else if (const std::string flag = options_.tls.first_given(); !flag.empty()) {
    // Whoever gives it believes that clients are met over TLS, perhaps that they show certificates.
    return fail(flag + " does nothing without a TLS listener: give --tls-listen, or leave it out");
  }
  auto succession = Succession::begin(options_.takeover, plan_);
  if (!succession) return fail(succession.error());
  succession_ = *std::move(succession);
  auto claimed = control_api_.claim(options_.control, succession_.predecessor_pid());
  if (!claimed) succession_.give_up(claimed.error());
  return claimed;
}

Result<void, std::string> Server::open_sinks() {
  if (options_.redact_key.empty()) {
    redactor_ = std::make_unique<Redactor>(Redactor::ephemeral());
    if (!options_.mismatch_log.empty()) {
      log_event(LogLevel::kWarn, "redact_key_ephemeral",
                "hashed values cannot be joined across restarts; give --redact-key FILE to keep one key");
    }
  } else {
    auto opened = Redactor::open_key_file(options_.redact_key);
    if (!opened) return fail(opened.error());
    redactor_ = std::make_unique<Redactor>(*opened);
  }
  if (!options_.mismatch_log.empty()) {
    JsonlSinkOptions log;
    log.path = options_.mismatch_log;
    auto sink = JsonlSink::open(std::move(log), metrics_);
    if (!sink) return fail(sink.error());
    sink_ = std::move(*sink);
  }
  CompareQueueOptions queue;
  queue.threads = options_.compare_threads;
  compare_ = std::make_unique<CompareQueue>(queue, metrics_, *redactor_, sink_.get());
  return {};
}

void Server::make_lanes() {
  std::random_device entropy;
  for (unsigned i = 0; i < options_.workers; ++i) {
    const std::uint64_t seed = std::uint64_t{entropy()} << 32 | entropy();
    lanes_.push_back(
        std::make_unique<Lane>(i, metrics_, limits_, options_.manners, once_, *compare_, rpc_options_, seed));
  }
  std::vector<PublishToWorker> to_workers;
  for (const auto& lane : lanes_) {
    to_workers.push_back([&lane = *lane](std::shared_ptr<const RouteTable> table, std::function<void()> done) {
      lane.worker.post([&lane, table = std::move(table), done = std::move(done)] {
        lane.rpc.use(table, std::dynamic_pointer_cast<const DescriptorStore>(table->catalog()));
        done();
      });
    });
  }
  publisher_ = std::make_unique<Publisher>(std::move(to_workers));
}

Result<void, LoadFailure> Server::load_policy_first() {
  PolicyStoreOptions store;
  store.path = options_.policy;
  store.load.make_catalog = descriptor_catalog_maker();
  store.load.judge_tls = judge_upstream_tls;
  store.load.today = utc_today();
  store.today = utc_today;
  store.predecessor = succession_.policy();
  store.clients_show_certificates = clients_show_certificates_;
  policies_ = std::make_unique<PolicyStore>(control_, std::move(store), *publisher_, metrics_);
  return policies_->load_first();
}

// The diagnostics say what is wrong, where, and what to do; the exit code is the one `ficus check` has for it.
int Server::fail_policy(const LoadFailure& failure) {
  for (const Diagnostic& diagnostic : failure.diagnostics) std::cerr << to_string(diagnostic) << '\n';
  const std::string what = failure.unreadable ? "policy could not be read" : "policy was refused";
  succession_.give_up("its " + what);
  const std::string then = succession_.succeeds() ? "the running facade goes on"
                                                  : "`ficus check " + options_.policy + "` says the same";
  std::cerr << "ficus serve: the " << what << "; " << then << '\n';
  return failure.unreadable ? kExitUsage : kExitProblems;
}

Result<void, std::string> Server::use_sockets() {
  if (const auto opened = open_plan(plan_); !opened) return fail(opened.error());
  std::vector<Worker*> workers;
  for (const auto& lane : lanes_) workers.push_back(&lane->worker);
  listener_ = std::make_unique<Listener>(std::move(workers), options_.listener);
  listen_at_ = to_string(plan_.sockets.front().bound);
  for (ListenSocket& socket : plan_.sockets) {
    listening_.push_back(listener_facts(socket));
    if (socket.kind == ListenKind::kAdmin) {
      admin_socket_ = std::move(socket);
      continue;
    }
    const ClientSocketKind kind = socket.kind == ListenKind::kTls ? tls_.slot() : nullptr;
    if (socket.kind == ListenKind::kTls && tls_listen_at_.empty()) tls_listen_at_ = to_string(socket.bound);
    listeners_ += listeners_.empty() ? "" : ", ";
    listeners_ += (socket.kind == ListenKind::kTls ? "TLS " : "cleartext ") + to_string(socket.bound);
    if (const auto added = listener_->add(std::move(socket), kind); !added) return fail(added.error());
  }

  AdminHandlers handlers;
  handlers.metrics = [this] { return metrics_.expose(); };
  handlers.policy_json = [this] { return policies_->describe_json(); };
  handlers.ready = [this] { return ready_.load(); };
  handlers.not_ready_why = [this] { return std::string(draining_ ? "draining\n" : "starting\n"); };
  handlers.limit_hit = [&shard = metrics_.add_shard()](std::string_view limit) {
    shard.counter(families::kLimits, {limit}).add();
  };
  admin_ = std::make_unique<AdminHttp>(control_, std::move(handlers));
  admin_at_ = to_string(admin_socket_.bound);
  const bool ipv6 = admin_socket_.bound.host.find(':') != std::string::npos;
  if (const auto used = admin_->use(admin_socket_.fd.get(), ipv6); !used) {
    return fail("--admin: cannot listen on " + admin_at_ + ": " + used.error());
  }
  return {};
}

int Server::run() {
  // First of all: a signal that comes while the policy is loaded waits for the loop instead of killing the process.
  asio::signal_set stop_signals(control_, SIGTERM, SIGINT);
  stop_signals.async_wait([this, &stop_signals](error_code ec, int signal) {
    if (ec) return;
    begin_drain(signal == SIGTERM ? "SIGTERM" : "SIGINT", false);
    // A second one means now.
    stop_signals.async_wait([this](error_code again, int) {
      if (!again) drain_now_ = true;
    });
  });
  asio::signal_set reload_signal(control_, SIGHUP);
  std::function<void()> wait_for_reload = [&] {
    reload_signal.async_wait([&](error_code ec, int) {
      if (ec) return;
      tls_.look();
      policies_->reload();
      wait_for_reload();
    });
  };
  wait_for_reload();

  raise_file_limit_and_log(options_.listener.max_connections);
  rpc_options_.workers = options_.workers;
  rpc_options_.shadow_max_lag = options_.shadow_max_lag;
  rpc_options_.dns.server = options_.dns_server;
  if (const auto found = find_sockets(); !found) return cannot_start(found.error());
  if (const auto opened = open_sinks(); !opened) {
    succession_.give_up(opened.error());
    return cannot_start(opened.error());
  }
  make_lanes();
  if (const auto loaded = load_policy_first(); !loaded) {
    return fail_policy(loaded.error());
  }
  metrics_.set_snapshot_gauges([this](MetricsShard& shard) {
    if (const auto table = publisher_->in_force()) collect_policy_gauges(*table, utc_today(), shard);
  });
  if (const auto used = use_sockets(); !used) {
    succession_.give_up(used.error());
    return cannot_start(used.error());
  }

  policies_->watch();
  tls_.watch();
  start_threads();
  // Only when every worker has the routes: a call must not find a facade without a policy.
  for (const auto& lane : lanes_) on_worker(*lane, [] { return true; });
  if (succession_.succeeds()) {
    wait_warm();
    // Now, since nothing may fail once the predecessor accepts no more.
    if (!announce_ports()) return fail_started("cannot write the file given by --port-file");
    if (const auto taken = succession_.take_over(); !taken) return fail_started(taken.error());
  }
  begin_serving();
  if (!succession_.succeeds() && !announce_ports()) {
    ready_ = false;
    stop();
    return kExitUsage;
  }
  control_.run();
  stop();
  return calls_cut_ == 0 ? kExitOk : kExitCallsCut;
}

// The start fails although the workers run.
int Server::fail_started(const std::string& why) {
  succession_.give_up(why);
  on_worker(*lanes_.front(), [this] {
    listener_->leave();
    return true;
  });
  stop();
  return cannot_start(why);
}

bool Server::announce_ports() {
  if (options_.port_file.empty() || write_port_file(options_.port_file, listen_at_, tls_listen_at_, admin_at_))
    return true;
  log_event(LogLevel::kError, "port_file_failed", "cannot write the file given by --port-file",
            {{"file", options_.port_file}});
  return false;
}

// A successor's first calls should not wait for connections that the predecessor had: until each upstream has one on
// each worker. An upstream that is down must not hold the takeover up.
void Server::wait_warm() {
  constexpr std::chrono::milliseconds kPatience{2000}, kLook{5};
  const auto table = publisher_->in_force();
  // Connections are counted under the name of the first upstream that has the address.
  std::vector<std::string> names;
  std::set<std::string> addresses;
  for (const UpstreamInfo& upstream : table->upstreams()) {
    bool first = false;
    for (const EndpointSpec& endpoint : upstream.endpoints) {
      first |= addresses.insert(to_string(HostPort{endpoint.host, endpoint.port})).second;
    }
    if (first) names.push_back(upstream.name);
  }
  const auto warm = [&] {
    for (const auto& lane : lanes_) {
      for (const std::string& name : names) {
        if (lane->worker.metrics().gauge(families::kConnections, {name}).value() < 1) return false;
      }
    }
    return true;
  };
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!warm() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(kLook);
}

void Server::begin_serving() {
  on_worker(*lanes_.front(), [this] {
    listener_->start();
    return true;
  });
  ready_ = true;
  admin_->accept();
  control_api_.serve({[this] { return facts(); }, [this] { return policies_->state(); }});
  log_event(LogLevel::kInfo, "serving", "ready for calls",
            {{"listen", listen_at_},
             {"admin", admin_at_},
             {"policy", options_.policy},
             {"workers", options_.workers},
             {"listeners", listeners_}});
  notify_service_manager("READY=1");
  wait_for_predecessors_end();
  wait_for_successor();
}

// On gRPC's threads: nothing here changes any more but what is atomic.
ProcessFacts Server::facts() const {
  ProcessFacts facts{FICUS_VERSION, ::getpid(), started_, draining_, listening_, {}};
  for (const auto& lane : lanes_) facts.worker_connections.push_back(lane->worker.client_connections());
  return facts;
}

void Server::wait_for_predecessors_end() {
  UniqueFd connection = succession_.take_connection();
  if (!connection) {
    policies_->predecessor_gone();  // it ended while it handed over, or there never was one
    return;
  }
  error_code ec;
  predecessor_.assign(connection.get(), ec);
  if (ec) return;  // then its policy binds ours for as long as we live
  connection.release();
  predecessor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code gone) {
    if (gone) return;
    log_event(LogLevel::kInfo, "predecessor_gone", "the facade that this one took over from has ended",
              {{"pid", succession_.predecessor_pid()}});
    predecessor_.close(gone);
    policies_->predecessor_gone();
  });
}

void Server::wait_for_successor() {
  TakeoverDoor door = succession_.take_door();
  if (!door) return;
  TakeoverHooks hooks;
  hooks.refusal = [this]() -> std::string {
    if (draining_) return "the running facade is draining; start again when it has ended";
    if (!predecessor_.is_open()) return {};
    return "the facade before it (pid " + std::to_string(succession_.predecessor_pid()) +
           ") is still draining; start again when it has ended (its --drain-timeout bounds that)";
  };
  hooks.sockets = [this] {
    auto sockets = listener_->sockets();
    sockets.push_back(&admin_socket_);
    return sockets;
  };
  hooks.policy = [this] {
    policies_->hold();
    return print_policy(publisher_->in_force()->policy());
  };
  hooks.yield = [this] {
    admin_->pause();
    on_worker(*lanes_.front(), [this] {
      listener_->pause();
      return true;
    });
  };
  hooks.resume = [this] {
    policies_->release();
    admin_->accept();
    if (!draining_)
      on_worker(*lanes_.front(), [this] {
        listener_->start();
        return true;
      });
  };
  hooks.leave = [this] {
    admin_->leave();
    admin_socket_.fd.reset();
    begin_drain("a successor serves", true);
  };
  takeover_ = std::make_unique<TakeoverServer>(control_, std::move(door), std::move(hooks), options_.takeover_timeout);
  takeover_->start();
}

void Server::start_threads() {
  for (const auto& lane : lanes_) {
    lane->thread = std::thread([&worker = lane->worker] { worker.run(); });
    // For `top -H` and profilers; no longer than the 15 characters that Linux keeps.
    ::pthread_setname_np(lane->thread.native_handle(), ("worker-" + std::to_string(lane->worker.index())).c_str());
  }
}

// `sockets_live_on`: a successor holds them and accepts what is queued there.
void Server::begin_drain(const std::string& why, bool sockets_live_on) {
  if (draining_) return;
  draining_ = true;
  ready_ = false;
  drain_began_ = std::chrono::steady_clock::now();
  notify_service_manager("STOPPING=1");
  log_event(LogLevel::kInfo, "draining", "no new connections; calls in flight go on until the drain timeout",
            {{"because", why}, {"drain_timeout_ms", static_cast<std::int64_t>(options_.drain_timeout.count())}});
  if (takeover_ != nullptr) takeover_->stop();
  control_api_.drain();
  on_worker(*lanes_.front(), [this, sockets_live_on] {
    if (sockets_live_on) {
      listener_->leave();
    } else {
      listener_->stop();
    }
    return true;
  });
  for (const auto& lane : lanes_) lane->worker.post([&worker = lane->worker] { worker.begin_drain(); });
  check_drained();
}

void Server::check_drained() {
  constexpr std::chrono::milliseconds kLook{10};
  const auto spent = std::chrono::steady_clock::now() - drain_began_;
  std::size_t connections = 0, streams = 0;
  for (const auto& lane : lanes_) {
    connections += lane->worker.client_connections();
    streams += on_worker(*lane, [&lane] { return lane->worker.open_streams(); });
  }
  if (connections == 0) {
    control_.stop();
    return;
  }
  if (spent >= options_.drain_timeout || drain_now_) {
    for (const auto& lane : lanes_) {
      calls_cut_ += on_worker(*lane, [&lane] { return lane->worker.abort_streams(); });
    }
    if (streams != 0) {
      log_event(LogLevel::kWarn, "drain_timeout", "calls still open were ended with UNAVAILABLE",
                {{"calls", static_cast<std::uint64_t>(calls_cut_)}});
    }
    control_.stop();
    return;
  }
  drain_timer_.expires_after(kLook);
  drain_timer_.async_wait([this](error_code ec) {
    if (!ec) check_drained();
  });
}

void Server::stop() {
  // The answers that ended the last calls go out before the sockets close; then the upstreams' connections end, which
  // gives every shadow its verdict; then the queue of comparisons is emptied.
  constexpr std::chrono::milliseconds kComparePatience{5000};
  control_api_.stop();
  if (listener_ != nullptr)
    on_worker(*lanes_.front(), [this] {
      listener_->stop();
      return true;
    });
  for (const auto& lane : lanes_) {
    on_worker(*lane, [&lane] {
      lane->worker.flush_now();
      lane->worker.close_sessions();
      lane->rpc.shutdown();
      lane->worker.stop_loop();
      return true;
    });
    lane->thread.join();
  }
  compare_->stop(kComparePatience);
  log_event(LogLevel::kInfo, "stopped", calls_cut_ == 0 ? "every call ended by itself" : "some calls were cut off",
            {{"calls_cut", static_cast<std::uint64_t>(calls_cut_)}});
  // A SIGTERM from now on finds nobody who handles it: it must not make an orderly end look like a death by signal.
  sigset_t late;
  ::sigemptyset(&late);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&late, signal);
  ::pthread_sigmask(SIG_BLOCK, &late, nullptr);
}

}  // namespace

int serve(const ServeOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes costs traces, not the process
  // Before any descriptor of ours is opened: one that was promised and not passed must not turn out to be ours.
  auto inherited = take_inherited_sockets();
  if (!inherited) return cannot_start(inherited.error());
  return Server(options, *std::move(inherited)).run();
}

}  // namespace ficus
