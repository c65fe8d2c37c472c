#include "facade/net/upstream_pool.h"

#include <algorithm>
#include <utility>

#include "facade/metrics/families.h"
#include "facade/net/client_places.h"

namespace ficus {

UpstreamPool::UpstreamPool(Worker& worker, DnsResolver& dns, const char* role)
    : worker_(worker), dns_(dns), role_(role) {}

UpstreamPool::~UpstreamPool() {
  for (const auto& [name, upstream] : upstreams_) upstream->let_go();
  for (EndpointPool* pool : pools_) pool->owner_ = nullptr;
  if (leader_ != nullptr) leader_->follower_ = nullptr;
}

void UpstreamPool::follow(UpstreamPool& leader) {
  leader_ = &leader;
  leader.follower_ = this;
}

void UpstreamPool::configure(const std::vector<UpstreamTarget>& targets, bool warm) {
  std::map<std::string, std::shared_ptr<Upstream>> named;
  for (const UpstreamTarget& target : targets) {
    const auto found = upstreams_.find(target.name);
    auto upstream =
        found != upstreams_.end() ? found->second : std::make_shared<Upstream>(*this, worker_, target.name, role_);
    named.emplace(target.name, upstream);
  }
  upstreams_.swap(named);
  for (const UpstreamTarget& target : targets) upstreams_.at(target.name)->configure(target, warm);
  for (const auto& [name, upstream] : named) {
    if (!upstreams_.contains(name)) upstream->let_go();
  }
}

void UpstreamPool::close_all() {
  for (const auto& [name, upstream] : upstreams_) upstream->close_all();
  std::vector<std::shared_ptr<EndpointPool>> pools;
  for (EndpointPool* pool : pools_) pools.push_back(pool->shared_from_this());
  for (const auto& pool : pools) pool->close_all();
}

std::shared_ptr<Upstream> UpstreamPool::find(const std::string& name) const {
  const auto found = upstreams_.find(name);
  return found == upstreams_.end() ? nullptr : found->second;
}

const char* UpstreamPool::limit_reached(const Upstream& upstream, const ClientPlaces& client) const noexcept {
  const std::size_t most = upstream.target_.max_concurrent_requests;
  if (upstream.in_flight_ >= most) return kMaxConcurrentRequests;
  const std::size_t reserve = most / 8;
  if (upstream.in_flight_ < most - reserve) return nullptr;
  const std::size_t has = client.at(upstream), clients = upstream.clients_ + (has == 0 ? 1 : 0);
  return clients > 1 && has + 1 > std::max<std::size_t>(reserve / clients, 1) ? kConnectionShare : nullptr;
}

void UpstreamPool::count_limit(const Upstream& upstream, const char* limit) {
  worker_.metrics().counter(families::kUpstreamLimits, {upstream.name(), role_, limit}).add();
}

UpstreamStream* UpstreamPool::open(const std::shared_ptr<Upstream>& upstream, StreamEvents& events,
                                   ClientPlaces* client) {
  if (upstream->in_flight_ >= upstream->target_.max_concurrent_requests) {
    count_limit(*upstream, kMaxConcurrentRequests);
    return nullptr;
  }
  return new UpstreamStream(upstream, &events, client, worker_.chunks());
}

std::shared_ptr<EndpointPool> UpstreamPool::make_endpoint(const EndpointKey& key) {
  return std::make_shared<EndpointPool>(*this, worker_, key, ++last_endpoint_, role_);
}

Balancer::Health UpstreamPool::known_health(const std::string& upstream, const tcp::endpoint& address) const {
  const auto found = leader_ == nullptr ? nullptr : leader_->find(upstream);
  if (found == nullptr) return Balancer::Health::kUnknown;
  for (const auto& member : found->members_) {
    if (member.pool->key().address == address) return found->balancer_.health(member.pool->id());
  }
  return Balancer::Health::kUnknown;
}

void UpstreamPool::tell_follower(const std::string& upstream, const tcp::endpoint& address, Balancer::Health health) {
  if (follower_ == nullptr) return;
  if (const auto found = follower_->find(upstream)) found->adopt_health(address, health);
}

}  // namespace ficus
