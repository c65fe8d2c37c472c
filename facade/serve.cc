#include "facade/serve.h"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <thread>
#include <unistd.h>

#include "facade/base/log.h"
#include "facade/cli/cli.h"
#include "facade/control/admin_http.h"
#include "facade/control/policy_metrics.h"
#include "facade/control/policy_store.h"
#include "facade/metrics/families.h"
#include "facade/metrics/metrics.h"
#include "facade/net/listener.h"
#include "facade/rpc/rpc_server.h"
#include "facade/trace/jsonl_sink.h"

namespace ficus {
namespace {

// One core: the loop, the calls on it, and the thread that runs them.
struct Lane {
  Lane(unsigned index, Metrics& metrics, const H2Limits& limits, OnceGate& once, CompareQueue& compare,
       RpcServerOptions options, std::uint64_t seed)
      : worker(index, metrics.add_shard(), limits, once), rpc(worker, compare, options, seed) {
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

// 9901 is Envoy's admin port too.
constexpr const char* kElsewhere = " (give another --admin HOST:PORT; port 0 picks a free one)";

int cannot_start(const std::string& why) {
  std::cerr << "ficus serve: " << why << '\n';
  return kExitUsage;
}

// Temp file, then rename: whoever waits for the file finds it whole.
bool write_port_file(const std::string& path, const std::string& listen, const std::string& admin) {
  const std::string temp = path + ".tmp";
  std::FILE* file = std::fopen(temp.c_str(), "w");
  if (file == nullptr) return false;
  const bool written = std::fprintf(file, "{\"listen\":\"%s\",\"admin\":\"%s\"}\n", listen.c_str(), admin.c_str()) > 0;
  return std::fclose(file) == 0 && written && std::rename(temp.c_str(), path.c_str()) == 0;
}

class Server {
 public:
  explicit Server(const ServeOptions& options) : options_(options) {}
  int run();

 private:
  Result<void, std::string> open_sinks();
  Result<void, std::string> open_sockets();
  void start_threads();
  void begin_drain(int signal);
  void check_drained();
  void stop();

  const ServeOptions& options_;
  const H2Limits limits_;
  OnceGate once_;
  Metrics metrics_;
  std::unique_ptr<Redactor> redactor_;
  std::unique_ptr<MismatchSink> sink_;
  std::unique_ptr<CompareQueue> compare_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<Publisher> publisher_;
  asio::io_context control_{1};
  std::unique_ptr<PolicyStore> policies_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<AdminHttp> admin_;
  std::string listen_at_, admin_at_;
  std::atomic<bool> ready_{false};
  bool draining_ = false;
  bool drain_now_ = false;
  std::chrono::steady_clock::time_point drain_began_{};
  asio::steady_timer drain_timer_{control_};
  std::size_t calls_cut_ = 0;
};

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

Result<void, std::string> Server::open_sockets() {
  const auto listen = parse_host_port(options_.listen);
  if (!listen) return fail("--listen: " + listen.error());
  const auto admin = parse_host_port(options_.admin);
  if (!admin) return fail("--admin: " + admin.error());

  std::vector<Worker*> workers;
  for (const auto& lane : lanes_) workers.push_back(&lane->worker);
  listener_ = std::make_unique<Listener>(std::move(workers));
  const auto port = listener_->listen(*listen);
  if (!port) return fail(port.error());
  listen_at_ = to_string(HostPort{listen->host, *port});

  AdminHandlers handlers;
  handlers.metrics = [this] { return metrics_.expose(); };
  handlers.policy_json = [this] { return policies_->describe_json(); };
  handlers.ready = [this] { return ready_.load(); };
  handlers.not_ready_why = [this] { return std::string(draining_ ? "draining\n" : "starting\n"); };
  handlers.limit_hit = [&shard = metrics_.add_shard()](std::string_view limit) {
    shard.counter(families::kLimits, {limit}).add();
  };
  admin_ = std::make_unique<AdminHttp>(control_, std::move(handlers));
  const auto admin_port = admin_->listen(admin->host, admin->port);
  if (!admin_port) return fail("--admin: cannot listen on " + admin_port.error() + kElsewhere);
  admin_at_ = to_string(HostPort{admin->host, *admin_port});
  return {};
}

int Server::run() {
  // First of all: a signal that comes while the policy is loaded waits for the loop instead of killing the process.
  asio::signal_set stop_signals(control_, SIGTERM, SIGINT);
  stop_signals.async_wait([this, &stop_signals](error_code ec, int signal) {
    if (ec) return;
    begin_drain(signal);
    // A second one means now.
    stop_signals.async_wait([this](error_code again, int) {
      if (!again) drain_now_ = true;
    });
  });
  asio::signal_set reload_signal(control_, SIGHUP);
  std::function<void()> wait_for_reload = [&] {
    reload_signal.async_wait([&](error_code ec, int) {
      if (ec) return;
      policies_->reload();
      wait_for_reload();
    });
  };
  wait_for_reload();

  if (const auto opened = open_sinks(); !opened) return cannot_start(opened.error());
  std::random_device entropy;
  for (unsigned i = 0; i < options_.workers; ++i) {
    const std::uint64_t seed = std::uint64_t{entropy()} << 32 | entropy();
    lanes_.push_back(std::make_unique<Lane>(i, metrics_, limits_, once_, *compare_, RpcServerOptions{options_.workers}, seed));
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

  PolicyStoreOptions store;
  store.path = options_.policy;
  store.load.make_catalog = descriptor_catalog_maker();
  store.load.today = utc_today();
  store.today = utc_today;
  policies_ = std::make_unique<PolicyStore>(control_, std::move(store), *publisher_, metrics_);
  if (const auto loaded = policies_->load_first(); !loaded) {
    for (const Diagnostic& diagnostic : loaded.error().diagnostics) std::cerr << to_string(diagnostic) << '\n';
    std::cerr << "ficus serve: the policy was refused; `ficus check " << options_.policy << "` says the same\n";
    return kExitProblems;
  }
  metrics_.set_snapshot_gauges([this](MetricsShard& shard) {
    if (const auto table = publisher_->in_force()) collect_policy_gauges(*table, utc_today(), shard);
  });
  if (const auto opened = open_sockets(); !opened) return cannot_start(opened.error());

  policies_->watch();
  listener_->start();
  start_threads();
  // Only when every worker has the routes: a call must not find a facade without a policy.
  for (const auto& lane : lanes_) on_worker(*lane, [] { return true; });
  ready_ = true;
  log_event(LogLevel::kInfo, "serving", "ready for calls",
            {{"listen", listen_at_}, {"admin", admin_at_}, {"policy", options_.policy}, {"workers", options_.workers}});
  if (!options_.port_file.empty() && !write_port_file(options_.port_file, listen_at_, admin_at_)) {
    log_event(LogLevel::kError, "port_file_failed", "cannot write the file given by --port-file", {{"file", options_.port_file}});
    ready_ = false;
    stop();
    return kExitUsage;
  }
  control_.run();
  stop();
  return calls_cut_ == 0 ? kExitOk : kExitCallsCut;
}

void Server::start_threads() {
  for (const auto& lane : lanes_) {
    lane->thread = std::thread([&worker = lane->worker] { worker.run(); });
  }
}

void Server::begin_drain(int signal) {
  draining_ = true;
  ready_ = false;
  drain_began_ = std::chrono::steady_clock::now();
  log_event(LogLevel::kInfo, "draining", "no new connections; calls in flight go on until the drain timeout",
            {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"},
             {"drain_timeout_ms", static_cast<std::int64_t>(options_.drain_timeout.count())}});
  on_worker(*lanes_.front(), [this] {
    listener_->stop();
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
  if (listener_ != nullptr) on_worker(*lanes_.front(), [this] { listener_->stop(); return true; });
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
}

}  // namespace

int serve(const ServeOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes costs traces, not the process
  return Server(options).run();
}

}  // namespace ficus
