#include "facade/rpc/rpc_server.h"

#include "facade/metrics/families.h"
#include "facade/rpc/health_checker.h"
#include "facade/rpc/rpc_call.h"

namespace ficus {
RpcServer::RpcServer(Worker& worker, CompareQueue& compare, RpcServerOptions options, std::uint64_t random_seed)
    : worker_(worker),
      options_(std::move(options)),
      dns_(worker.io(), worker.metrics(), worker.once(), options_.dns),
      primary_pool_(worker, dns_, "primary"),
      shadow_pool_(worker, dns_, "shadow"),
      lane_{worker, shadow_pool_, compare, {}, ShadowPressure(worker, options_.shadow_max_lag), 0},
      streams_(worker.metrics().gauge(families::kStreams, {"primary"})),
      own_request_seconds_(worker.metrics().histogram(families::kOwnSeconds, {"request"})),
      own_answer_seconds_(worker.metrics().histogram(families::kOwnSeconds, {"answer"})),
      key_waits_(worker, patience_with_keys(worker)),
      random_state_(random_seed) {
  lane_.budget.limit = share_of(options_.shadow_bytes);
  primary_pool_.set_probe_maker([](ProbeSetup setup) { return std::make_unique<HealthChecker>(std::move(setup)); });
  // A shadow's endpoints are the primary's: what the checks find holds for both.
  shadow_pool_.follow(primary_pool_);
  worker_.set_malformed_head_counter([this] {
    if (routes_ != nullptr) routes_->metrics.count_refused(kNoIndex, "malformed_head");
  });
}

RpcServer::~RpcServer() = default;

std::uint64_t RpcServer::random() noexcept {
  // Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
  std::uint64_t z = random_state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void RpcServer::use(std::shared_ptr<const RouteTable> table, std::shared_ptr<const DescriptorStore> descriptors) {
  std::vector<UpstreamTarget> targets;
  TlsContexts tls;
  for (const UpstreamInfo& info : table->upstreams()) {
    targets.push_back(target_of(info, options_.workers));
    secure_target(targets.back(), info, tls_contexts_, tls);
  }
  tls_contexts_ = std::move(tls);
  primary_pool_.configure(targets, true);
  shadow_pool_.configure(targets, false);

  auto routes = std::make_shared<WorkerRoutes>(std::move(table), std::move(descriptors), worker_.metrics());
  std::map<std::string, std::shared_ptr<RetryBudget>> budgets;
  std::map<std::string, std::shared_ptr<UpstreamWaits>> waits;
  for (const UpstreamTarget& target : targets) {
    auto& known = retry_budgets_[target.name];
    if (known == nullptr) known = std::make_shared<RetryBudget>();
    routes->retry_budgets.push_back(known);
    budgets.emplace(target.name, known);
    auto& known_waits = waits_[target.name];
    if (known_waits == nullptr) known_waits = std::make_shared<UpstreamWaits>(worker_);
    routes->waits.push_back(known_waits);
    waits.emplace(target.name, known_waits);
    routes->primary.push_back(primary_pool_.find(target.name));
    routes->shadow.push_back(shadow_pool_.find(target.name));
  }
  retry_budgets_ = std::move(budgets);
  waits_ = std::move(waits);
  std::map<std::string, std::shared_ptr<std::size_t>> in_flight;
  for (const RuleInfo& rule : routes->table->rules()) {
    auto& known = rule_in_flight_[rule.name];
    if (known == nullptr) known = std::make_shared<std::size_t>(0);
    routes->rule_in_flight.push_back(known);
    in_flight.emplace(rule.name, known);
  }
  rule_in_flight_ = std::move(in_flight);
  routes_ = std::move(routes);
}

void RpcServer::shutdown() {
  primary_pool_.close_all();
  shadow_pool_.close_all();
}

std::unique_ptr<StreamEvents> RpcServer::new_call(H2Stream& stream) { return std::make_unique<RpcCall>(*this, stream); }

}  // namespace ficus
