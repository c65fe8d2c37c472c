// demo-traffic: the insurer's clients. Plays the fixed set of calls of traffic_plan.h through Ficus, checks that what
// was written is read back, and prints what clients saw (insurance.demo.v1.TrafficReport as JSON) on stdout, progress
// on stderr. What Ficus did with the calls it leaves to Ficus to tell.
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

#include "deploy/demo/book.h"
#include "deploy/demo/process.h"
#include "deploy/demo/traffic_plan.h"
#include "insurance/demo/v1/traffic_report.pb.h"
#include "insurance/policy/v1/policy_service.grpc.pb.h"

namespace insurer {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Stub = pb::PolicyService::Stub;

// How much longer than the timeout it states a client waits. With a deadline of the library's own, the library would
// answer DEADLINE_EXCEEDED a moment before Ficus does, and nobody would learn which side was late.
constexpr milliseconds kGrace{2000};
constexpr milliseconds kReplicationLimit{10'000};

// Cancels calls that are not answered long after their timeout, so that no fault of anybody can hang the traffic.
class Watchdog {
 public:
  Watchdog() : thread_([this] { run(); }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void watch(grpc::ClientContext* call, Clock::time_point until) {
    const std::lock_guard lock(mutex_);
    calls_[call] = until;
  }
  void forget(grpc::ClientContext* call) {
    const std::lock_guard lock(mutex_);
    calls_.erase(call);
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, milliseconds(100), [this] { return stopping_; })) {
      const auto now = Clock::now();
      for (const auto& [call, until] : calls_) {
        if (until < now) call->TryCancel();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<grpc::ClientContext*, Clock::time_point> calls_;
  bool stopping_ = false;
  std::thread thread_;
};

// What was written where, to compare with what is read later. Filled before the reads begin, then only read.
struct Written {
  std::string street;
  std::uint64_t version = 0;
};

// What clients saw. Any thread.
class Ledger {
 public:
  void count(std::string_view tenant, Method method, const grpc::Status& status, const std::string& policy) {
    const std::lock_guard lock(mutex_);
    auto& calls = calls_[{std::string(tenant), std::string(to_string(method))}];
    ++calls.first;
    if (status.ok()) {
      ++calls.second;
      return;
    }
    auto& error = errors_[{std::string(tenant), std::string(to_string(method)), code_name(status.error_code()), status.error_message()}];
    if (error.first++ == 0) error.second = policy;
  }
  void count_wrong_answer() { ++wrong_answers_; }
  void count_read_back(bool right) { ++(right ? right_ : wrong_); }

  void fill(insurance::demo::v1::TrafficReport& report) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, counts] : calls_) {
      auto& calls = *report.add_calls();
      std::tie(*calls.mutable_tenant(), *calls.mutable_method()) = key;
      calls.set_sent(counts.first);
      calls.set_ok(counts.second);
    }
    for (const auto& [key, seen] : errors_) {
      auto& error = *report.add_errors();
      std::tie(*error.mutable_tenant(), *error.mutable_method(), *error.mutable_code(), *error.mutable_message()) = key;
      error.set_count(seen.first);
      error.set_example_policy(seen.second);
    }
    report.set_wrong_answers(wrong_answers_);
    report.mutable_writes()->set_read_back(right_ + wrong_);
    report.mutable_writes()->set_read_back_wrong(wrong_);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::pair<std::uint32_t, std::uint32_t>> calls_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::pair<std::uint32_t, std::string>> errors_;
  std::atomic<std::uint32_t> wrong_answers_{0};
  std::atomic<std::uint32_t> right_{0};
  std::atomic<std::uint32_t> wrong_{0};
};

// A line on stderr at every twentieth of the work. Any thread.
class Progress {
 public:
  Progress(std::string what, std::size_t of) : what_(std::move(what)), of_(of) {}
  void step() {
    const std::size_t done = ++done_;
    if (done == of_ || done * 20 / of_ != (done - 1) * 20 / of_) {
      const std::string line = "demo-traffic: " + what_ + " " + std::to_string(done) + " of " + std::to_string(of_) + "\n";
      std::cerr << line << std::flush;
    }
  }

 private:
  const std::string what_;
  const std::size_t of_;
  std::atomic<std::size_t> done_{0};
};

// Calls in the name of one tenant, on a connection of its own. Any thread.
class Client {
 public:
  // `tenant` empty: no tenant is named and nothing is counted, for calls past Ficus.
  Client(const std::string& address, std::string_view tenant, milliseconds timeout, Watchdog& watchdog, Ledger& ledger)
      : stub_(pb::PolicyService::NewStub(open_channel(address))), tenant_(tenant), timeout_(timeout), watchdog_(watchdog), ledger_(ledger) {}

  // Time from sending to the status. `written` says what the policy must show; null: nothing is known of it.
  Clock::duration get(std::size_t index, const Written* written, pb::Policy* policy = nullptr) {
    pb::GetPolicyRequest request;
    pb::GetPolicyResponse response;
    request.set_policy_number(policy_number(index));
    const auto begin = Clock::now();
    const bool ok = call(Method::kGetPolicy, request.policy_number(),
                         [&](grpc::ClientContext* context) { return stub_->GetPolicy(context, request, &response); });
    const auto taken = Clock::now() - begin;
    if (ok && response.policy().policy_number() != request.policy_number()) ledger_.count_wrong_answer();
    if (ok && written != nullptr) ledger_.count_read_back(shows(response.policy(), *written));
    if (policy != nullptr) *policy = std::move(*response.mutable_policy());
    return taken;
  }

  void list(std::size_t first) {
    pb::ListPoliciesRequest request;
    pb::ListPoliciesResponse response;
    request.set_page_size(static_cast<int>(kPageSize));
    request.set_page_token(std::to_string(first));
    const bool ok = call(Method::kListPolicies, policy_number(first),
                         [&](grpc::ClientContext* context) { return stub_->ListPolicies(context, request, &response); });
    if (ok && (response.policies_size() != static_cast<int>(kPageSize) || response.policies(0).policy_number() != policy_number(first))) {
      ledger_.count_wrong_answer();
    }
  }

  void stream_history(std::size_t index) {
    pb::StreamHistoryRequest request;
    request.set_policy_number(policy_number(index));
    std::size_t events = 0;
    bool right = true;
    const bool ok = call(Method::kStreamHistory, request.policy_number(), [&](grpc::ClientContext* context) {
      const auto reader = stub_->StreamHistory(context, request);
      pb::StreamHistoryResponse response;
      for (; reader->Read(&response); ++events) right = right && response.policy().policy_number() == request.policy_number();
      return reader->Finish();
    });
    if (ok && (events == 0 || !right)) ledger_.count_wrong_answer();
  }

  // Empty if the call failed.
  std::optional<Written> endorse(std::size_t index, std::size_t house) {
    pb::EndorseAddressRequest request;
    pb::EndorseAddressResponse response;
    request.set_policy_number(policy_number(index));
    request.set_endorsement_id("move-" + request.policy_number());
    request.set_effective_on("2026-01-01");
    request.mutable_address()->set_street("Neuer Weg " + std::to_string(house));
    request.mutable_address()->set_city("Bremen");
    request.mutable_address()->set_postal_code("28195");
    request.mutable_address()->set_country("DE");
    const bool ok = call(Method::kEndorseAddress, request.policy_number(),
                         [&](grpc::ClientContext* context) { return stub_->EndorseAddress(context, request, &response); });
    if (!ok) return std::nullopt;
    return Written{request.address().street(), response.policy().version()};
  }

  static bool shows(const pb::Policy& policy, const Written& written) {
    return policy.version() >= written.version && policy.holder().address().street() == written.street;
  }

 private:
  template <class Send>
  bool call(Method method, const std::string& policy, const Send& send) {
    grpc::ClientContext context;
    if (!tenant_.empty()) context.AddMetadata("x-tenant-id", tenant_);
    context.AddMetadata("grpc-timeout", std::to_string(timeout_.count()) + "m");
    watchdog_.watch(&context, Clock::now() + timeout_ + kGrace);
    const grpc::Status status = send(&context);
    watchdog_.forget(&context);
    if (!tenant_.empty()) ledger_.count(tenant_, method, status, policy);
    return status.ok();
  }

  const std::unique_ptr<Stub> stub_;
  const std::string tenant_;
  const milliseconds timeout_;
  Watchdog& watchdog_;
  Ledger& ledger_;
};

struct Options {
  std::string ficus, legacy, modern;
  std::size_t policies = 10'000;
  unsigned threads = 4;
  unsigned timeout_ms = 1000;
  unsigned rate = 4000;
  bool reads_only = false;
};

class Traffic {
 public:
  explicit Traffic(const Options& options)
      : options_(options), plan_(make_plan(options.policies)), timeout_(options.timeout_ms),
        legacy_(options.legacy, "", timeout_, watchdog_, ledger_), new_(options.modern, "", timeout_, watchdog_, ledger_) {
    for (const Tenant& tenant : kTenants) {
      clients_.push_back(std::make_unique<Client>(options.ficus, tenant.name, timeout_, watchdog_, ledger_));
    }
  }

  insurance::demo::v1::TrafficReport play() {
    const auto begin = Clock::now();
    report_.set_policies(static_cast<std::uint32_t>(options_.policies));
    if (!options_.reads_only) {
      write();
      await_replication();
      measure_latency();
    }
    read();
    ledger_.fill(report_);
    report_.set_seconds(std::chrono::duration<double>(Clock::now() - begin).count());
    return std::move(report_);
  }

 private:
  void write() {
    std::size_t total = 0;
    for (const auto& writes : plan_.writes) total += writes.size();
    Progress progress("writes", total);
    for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
      for (const std::size_t index : plan_.writes[tenant]) {
        if (const auto written = clients_[tenant]->endorse(index, index % 97 + 1)) written_[index] = *written;
        progress.step();
      }
    }
    report_.mutable_writes()->set_written(static_cast<std::uint32_t>(written_.size()));
  }

  // Until both sides show all that was written: what comes after is compared, and being behind is not a mistake.
  void await_replication() {
    const auto begin = Clock::now();
    std::uint32_t replicated = 0;
    for (const auto& [index, written] : written_) {
      bool seen = false;
      do {
        pb::Policy at_legacy;
        pb::Policy at_new;
        legacy_.get(index, nullptr, &at_legacy);
        new_.get(index, nullptr, &at_new);
        seen = Client::shows(at_legacy, written) && Client::shows(at_new, written);
        if (!seen) std::this_thread::sleep_for(milliseconds(5));
      } while (!seen && Clock::now() - begin < kReplicationLimit);
      replicated += seen ? 1 : 0;
    }
    report_.mutable_writes()->set_replicated(replicated);
    report_.mutable_writes()->set_replication_wait_ms(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }

  // One call at a time, the three ways in turn and in every order, with a pause after each, so that what one leaves
  // behind (a shadow, its comparison) falls on the others alike or on nobody.
  void measure_latency() {
    static constexpr std::size_t kOrders[6][3] = {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 2, 1}, {2, 1, 0}, {1, 0, 2}};
    static constexpr const char* kPaths[3] = {"direct", "shadows_off", "shadows_on"};
    Client* const ways[3] = {&legacy_, clients_[kNorthwind].get(), clients_[kInitech].get()};
    // The first call on a connection waits for it; that is not what is measured.
    legacy_.get(plan_.latency.front(), nullptr);
    std::vector<double> taken_us[3];
    Progress progress("latency", plan_.latency.size());
    for (std::size_t i = 0; i < plan_.latency.size(); ++i) {
      const std::size_t index = plan_.latency[i];
      for (const std::size_t way : kOrders[i % 6]) {
        const auto taken = ways[way]->get(index, way == 0 ? nullptr : written_at(index));
        taken_us[way].push_back(std::chrono::duration<double, std::micro>(taken).count());
        std::this_thread::sleep_for(microseconds(300));
      }
      progress.step();
    }
    for (std::size_t way = 0; way < 3; ++way) {
      auto& values = taken_us[way];
      std::sort(values.begin(), values.end());
      auto& latency = *report_.add_latencies();
      latency.set_path(kPaths[way]);
      latency.set_calls(static_cast<std::uint32_t>(values.size()));
      latency.set_p50_us(values[values.size() / 2]);
      latency.set_p99_us(values[values.size() * 99 / 100]);
    }
  }

  // All tenants at once, each with threads of its own: one that waits delays no other. At a rate, not as fast as it
  // goes: shadows push back on nobody, so traffic without a pace would only find out which limit they reach first.
  void read() {
    std::size_t total = 0;
    for (const auto& calls : plan_.reads) total += calls.size();
    Progress progress("reads", total);
    std::array<std::atomic<std::size_t>, kTenants.size()> next{};
    std::atomic<unsigned> sent{0};
    const auto begin = Clock::now();
    const auto pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / options_.rate;
    std::vector<std::thread> threads;
    for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
      for (unsigned i = 0; i < options_.threads; ++i) {
        threads.emplace_back([this, tenant, begin, pause, &next, &sent, &progress] {
          const auto& calls = plan_.reads[tenant];
          for (std::size_t at = next[tenant]++; at < calls.size(); at = next[tenant]++) {
            std::this_thread::sleep_until(begin + sent++ * pause);
            send(*clients_[tenant], calls[at]);
            progress.step();
          }
        });
      }
    }
    for (std::thread& thread : threads) thread.join();
  }

  void send(Client& client, const PlannedCall& call) const {
    switch (call.method) {
      case Method::kGetPolicy: client.get(call.index, written_at(call.index)); break;
      case Method::kListPolicies: client.list(call.index); break;
      case Method::kStreamHistory: client.stream_history(call.index); break;
      case Method::kEndorseAddress: break;  // writes have a pass of their own
    }
  }

  const Written* written_at(std::size_t index) const {
    const auto found = written_.find(index);
    return found == written_.end() ? nullptr : &found->second;
  }

  const Options options_;
  const TrafficPlan plan_;
  const milliseconds timeout_;
  Watchdog watchdog_;
  Ledger ledger_;
  Client legacy_, new_;
  std::vector<std::unique_ptr<Client>> clients_;  // by tenant
  std::map<std::size_t, Written> written_;
  insurance::demo::v1::TrafficReport report_;
};

int run(int argc, char** argv) {
  CLI::App app("The demo insurer's clients: a fixed set of calls through Ficus; prints what they saw as JSON.", "demo-traffic");
  Options options;
  app.add_option("--ficus", options.ficus, "Where Ficus listens, HOST:PORT")->required();
  app.add_option("--legacy", options.legacy, "The legacy service, for latency without Ficus and to await replication")->required();
  app.add_option("--new", options.modern, "The new service, to await replication")->required();
  app.add_option("--policies", options.policies, "Policies in the book: a multiple of 1000")
      ->capture_default_str()
      ->check([](const std::string& text) {
        return !text.empty() && text.size() > 3 && text.substr(text.size() - 3) == "000" ? "" : "must be a multiple of 1000";
      });
  app.add_option("--threads", options.threads, "Calls at a time, by tenant")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option("--timeout-ms", options.timeout_ms, "Of each call, stated as grpc-timeout")->capture_default_str();
  app.add_option("--rate", options.rate, "Reads a second, of all tenants together")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  app.add_flag("--reads-only", options.reads_only, "Only the reads of all tenants at once: no writes, no latency");
  CLI11_PARSE(app, argc, argv);

  std::string json;
  google::protobuf::util::JsonPrintOptions print;
  print.always_print_primitive_fields = true;
  print.preserve_proto_field_names = true;
  print.add_whitespace = true;
  const auto status = google::protobuf::util::MessageToJsonString(Traffic(options).play(), &json, print);
  if (!status.ok()) {
    std::cerr << "demo-traffic: " << status.ToString() << '\n';
    return 1;
  }
  std::cout << json << std::flush;
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace insurer

int main(int argc, char** argv) { return insurer::run(argc, argv); }
