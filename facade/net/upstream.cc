#include "facade/net/upstream.h"

#include <algorithm>
#include <utility>

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/upstream_pool.h"

namespace ficus {
namespace {

constexpr std::string_view kHostNotFound = "host not found";

}  // namespace

Upstream::Upstream(UpstreamPool& owner, Worker& worker, std::string name, const char* role)
    : owner_(&owner),
      worker_(worker),
      name_(std::move(name)),
      role_(role),
      addresses_timer_(worker.io()),
      release_timer_(worker.io()) {}

Upstream::Upstream(Worker& worker, std::string name, const char* role, std::shared_ptr<EndpointPool> only)
    : owner_(nullptr),
      worker_(worker),
      name_(std::move(name)),
      role_(role),
      addresses_timer_(worker.io()),
      release_timer_(worker.io()) {
  const Balancer::EndpointId id = only->id();
  members_.push_back({std::move(only), {}, nullptr});
  balancer_.set_endpoints({&id, 1}, {});
}

Upstream::~Upstream() { show_endpoints({}); }

// ---------------------------------------------------------------- from the policy

void Upstream::configure(const UpstreamTarget& target, bool warm) {
  const bool other_checks = !(target.health_check == target_.health_check && target.authority == target_.authority);
  target_ = target;
  warm_ = warm;
  balancer_.configure(target.balance);
  watch_names();
  set_members();
  set_probes(other_checks);
}

void Upstream::let_go() {
  owner_ = nullptr;
  names_.clear();
  addresses_timer_.cancel();
  release_timer_.cancel();
  end_waiting(kHostNotFound);
  for (Member& member : members_) {
    member.probe.reset();
    member.pool->retire();
  }
  show_endpoints({});
}

void Upstream::close_all() {
  closed_ = true;
  names_.clear();
  addresses_timer_.cancel();
  release_timer_.cancel();
  for (Member& member : members_) member.probe.reset();
  end_waiting(kFacadeStopped);
}

void Upstream::watch_names() {
  std::map<std::string, std::unique_ptr<DnsWatch>> names;
  for (const HostPort& endpoint : target_.endpoints) {
    error_code not_numeric;
    asio::ip::make_address(endpoint.host, not_numeric);
    if (!not_numeric || names.contains(endpoint.host)) continue;
    auto known = names_.find(endpoint.host);
    // The watch is ours and ends with us.
    names[endpoint.host] = known != names_.end() ? std::move(known->second)
                                                 : owner_->dns().watch(endpoint.host, [this] { on_names_changed(); });
  }
  names_ = std::move(names);
}

bool Upstream::asking() const noexcept {
  return std::any_of(names_.begin(), names_.end(),
                     [](const auto& name) { return name.second->answer().state == DnsAnswer::State::kAsking; });
}

void Upstream::on_names_changed() {
  const auto keep = shared_from_this();
  set_members();
  set_probes(false);
  if (members_.empty() && !asking()) {
    worker_.metrics().counter(families::kConnectFailures, {name_, kHostNotFound}).add();
    end_waiting(kHostNotFound);
  }
}

void Upstream::set_members() {
  struct Wanted {
    tcp::endpoint address;
    std::string written;
    std::string server_name;  // whom a certificate must be for
  };
  std::vector<Wanted> wanted;
  const auto add = [&](const asio::ip::address& address, const HostPort& written) {
    const tcp::endpoint endpoint(address, written.port);
    const bool known =
        std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& w) { return w.address == endpoint; });
    if (known) return;
    wanted.push_back({endpoint, to_string(written), target_.server_name.empty() ? written.host : target_.server_name});
  };
  for (const HostPort& endpoint : target_.endpoints) {
    const auto name = names_.find(endpoint.host);
    if (name == names_.end()) {
      error_code checked;
      add(asio::ip::make_address(endpoint.host, checked), endpoint);
    } else {
      for (const asio::ip::address& address : name->second->answer().addresses) add(address, endpoint);
    }
  }

  std::vector<Member> members, left;
  std::vector<Balancer::EndpointId> ids;
  for (Wanted& one : wanted) {
    EndpointKey key{name_, one.address, target_.security};
    if (!key.security.empty()) key.security += ' ' + one.server_name;
    const auto known = std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
      return member.pool != nullptr && member.pool->key() == key;
    });
    if (known != members_.end()) {
      members.push_back(std::move(*known));
      members.back().written = std::move(one.written);
      known->pool = nullptr;
    } else {
      members.push_back({owner_->make_endpoint(key), std::move(one.written), nullptr});
      if (!key.security.empty()) members.back().pool->expect(one.server_name);
    }
    ids.push_back(members.back().pool->id());
  }
  for (Member& member : members_) {
    if (member.pool != nullptr) left.push_back(std::move(member));
  }
  members_ = std::move(members);
  const auto when = std::chrono::steady_clock::now();
  std::vector<Balancer::EndpointId> fresh;
  for (const Balancer::EndpointId id : ids) {
    if (!balancer_.index_of(id)) fresh.push_back(id);
  }
  balancer_.set_endpoints(ids, when);
  for (const Member& member : members_) {
    member.pool->configure(weak_from_this(), target_);
    const bool is_fresh = std::find(fresh.begin(), fresh.end(), member.pool->id()) != fresh.end();
    if (is_fresh)
      balancer_.set_health(member.pool->id(), owner_->known_health(name_, member.pool->key().address), when);
  }
  show_endpoints(balancer_.counts());
  // From here on calls may end, and with them whatever they hold.
  const auto keep = shared_from_this();
  for (Member& member : left) {
    member.probe.reset();
    member.pool->retire();
  }
  if (warm_) {
    const auto pools = members_.size();
    for (std::size_t i = 0; i < pools && i < members_.size(); ++i) members_[i].pool->warm();
  }
  if (!members_.empty()) {
    addresses_timer_.cancel();
    boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> placed;
    placed.swap(waiting_);
    while (!placed.empty()) {
      UpstreamStream& stream = placed.front();
      placed.pop_front();
      place(stream);
    }
  }
}

void Upstream::set_probes(bool again) {
  for (Member& member : members_) {
    if (again) {
      member.probe.reset();
      // Unchecked endpoints are healthy, whatever an earlier policy's checks found.
      if (!target_.health_check) set_health(member, Balancer::Health::kUnknown);
    }
    if (!target_.health_check || member.probe != nullptr || !owner_->probe_maker()) continue;
    const auto through = std::make_shared<Upstream>(worker_, name_, role_, member.pool);
    ProbeSetup setup{worker_,
                     *target_.health_check,
                     name_,
                     member.pool->address_text(),
                     target_.authority.empty() ? member.written : target_.authority,
                     target_.security.empty() ? "http" : "https",
                     [pool = owner_, through](StreamEvents& events) { return pool->open(through, events); },
                     [this, id = member.pool->id()](bool healthy) { on_health(id, healthy); }};
    member.probe = owner_->probe_maker()(std::move(setup));
  }
  show_endpoints(balancer_.counts());
}

// ---------------------------------------------------------------- calls

Balancer::Time Upstream::now() const noexcept {
  return balancer_.needs_time() ? std::chrono::steady_clock::now() : Balancer::Time{};
}

std::size_t Upstream::member_of(Balancer::EndpointId endpoint) const noexcept {
  return balancer_.index_of(endpoint).value_or(members_.size());
}

void Upstream::give(UpstreamStream& stream, std::size_t member) {
  const std::shared_ptr<EndpointPool> pool = members_[member].pool;
  stream.set_endpoint(pool->id());
  pool->take(stream);
}

void Upstream::place(UpstreamStream& stream) {
  if (closed_) return stream.finish(StreamEnd::kConnectFailed, kConnectError, kFacadeStopped);
  auto chosen = balancer_.pick(now(), stream.tried());
  if (!chosen) chosen = balancer_.pick(now());  // all were tried: a new connection to one of them may do
  if (chosen) return give(stream, *chosen);
  if (members_.empty() && asking()) return wait_for_addresses(stream);
  stream.finish(StreamEnd::kConnectFailed, kConnectError, kHostNotFound);
}

void Upstream::place_elsewhere(UpstreamStream& stream, std::string_view detail) {
  stream.add_tried();
  const auto chosen = closed_ ? std::nullopt : balancer_.pick(now(), stream.tried());
  if (!chosen) return stream.finish(StreamEnd::kConnectFailed, kConnectError, detail);
  worker_.metrics().counter(families::kRetried, {name_}).add();
  give(stream, *chosen);
}

void Upstream::place_again(UpstreamStream& stream) {
  worker_.metrics().counter(families::kRetried, {name_}).add();
  stream.add_tried();
  place(stream);
}

void Upstream::on_status(Balancer::EndpointId endpoint, unsigned grpc_status) {
  if (target_.balance.outlier) on_result(endpoint, balancer_.is_failure(grpc_status));
}

void Upstream::wait_for_addresses(UpstreamStream& stream) {
  if (!stream.begin_waiting(worker_)) return;
  if (waiting_.empty()) {
    addresses_timer_.expires_after(target_.connect_timeout);
    addresses_timer_.async_wait([weak = weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (!ec && self != nullptr) self->end_waiting(kHostNotFound);
    });
  }
  waiting_.push_back(stream);
}

void Upstream::end_waiting(std::string_view detail) {
  const auto keep = shared_from_this();
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> ended;
  ended.swap(waiting_);
  while (!ended.empty()) {
    UpstreamStream& stream = ended.front();
    ended.pop_front();
    stream.finish(StreamEnd::kConnectFailed, kConnectError, detail);
  }
}

// ---------------------------------------------------------------- endpoints

void Upstream::on_result(Balancer::EndpointId endpoint, bool failed) {
  if (!target_.balance.outlier) return;
  const auto verdict =
      balancer_.on_result(endpoint, failed, failed ? std::chrono::steady_clock::now() : Balancer::Time{});
  if (verdict == Balancer::Verdict::kNone) return;
  if (verdict == Balancer::Verdict::kSpared) {
    worker_.metrics().counter(families::kUpstreamLimits, {name_, role_, "outlier_max_percent"}).add();
    return;
  }
  worker_.metrics().counter(families::kEjections, {name_, role_}).add();
  const std::size_t member = member_of(endpoint);
  members_[member].pool->log_trouble("upstream_endpoint_ejected",
                                     "too many failures in a row; gets no calls for a while", "ejected", "");
  show_endpoints(balancer_.counts());
  release_later();
}

void Upstream::release_later() {
  const auto next = balancer_.release(std::chrono::steady_clock::now());
  show_endpoints(balancer_.counts());
  if (!next || owner_ == nullptr) return;
  release_timer_.expires_at(*next);
  release_timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = weak.lock();
    if (!ec && self != nullptr) self->release_later();
  });
}

void Upstream::on_reachable(Balancer::EndpointId endpoint, bool reachable) {
  balancer_.set_reachable(endpoint, reachable, std::chrono::steady_clock::now());
}

void Upstream::on_health(Balancer::EndpointId endpoint, bool healthy) {
  const auto health = healthy ? Balancer::Health::kHealthy : Balancer::Health::kUnhealthy;
  const std::size_t member = member_of(endpoint);
  if (member == members_.size()) return;
  set_health(members_[member], health);
  show_endpoints(balancer_.counts());
}

void Upstream::set_health(const Member& member, Balancer::Health health) {
  if (!balancer_.set_health(member.pool->id(), health, std::chrono::steady_clock::now())) return;
  if (owner_ != nullptr) owner_->tell_follower(name_, member.pool->key().address, health);
}

void Upstream::adopt_health(const tcp::endpoint& address, Balancer::Health health) {
  for (const Member& member : members_) {
    if (member.pool->key().address != address) continue;
    balancer_.set_health(member.pool->id(), health, std::chrono::steady_clock::now());
  }
  show_endpoints(balancer_.counts());
}

void Upstream::show_endpoints(Balancer::Counts counts) {
  if (owner_ == nullptr && shown_ == Balancer::Counts{}) return;
  if (owner_ == nullptr) counts = {};
  if (counts == shown_) return;
  const auto show = [&](std::string_view state, std::size_t was, std::size_t is) {
    if (was == is) return;
    worker_.metrics()
        .gauge(families::kEndpoints, {name_, role_, state})
        .add(static_cast<std::int64_t>(is) - static_cast<std::int64_t>(was));
  };
  show("healthy", shown_.healthy, counts.healthy);
  show("unhealthy", shown_.unhealthy, counts.unhealthy);
  show("ejected", shown_.ejected, counts.ejected);
  shown_ = counts;
}

}  // namespace ficus
