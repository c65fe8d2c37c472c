// Which of an upstream's endpoints takes a call: round robin or least request, around those that are unhealthy, ejected
// or cannot be reached, with slow start. Pure: no socket, no clock (`now` is an argument), no randomness.
// Thread: any one at a time. Cost: pick() looks at every endpoint, about 2 ns each; no allocation.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ficus {

// Passive health: an endpoint that fails so many calls in a row is left out for a while.
struct EjectionSettings {
  unsigned consecutive_failures = 5;                // 0: never eject
  std::uint32_t failure_statuses = 1u << 14;        // bit i: grpc-status i is a failure. Default: UNAVAILABLE
  std::chrono::milliseconds base_ejection{30'000};  // the first; each further one is longer by this
  std::chrono::milliseconds max_ejection{300'000};
  // Never more of the upstream's endpoints at once. Limit "outlier_max_percent".
  unsigned max_ejected_percent = 50;
};

struct BalanceSettings {
  enum class Kind : std::uint8_t { kRoundRobin, kLeastRequest } kind = Kind::kLeastRequest;
  std::optional<EjectionSettings> outlier;
  // An endpoint that is new or came back gets less: a tenth of its share at first, all of it after so long. Zero: off.
  std::chrono::milliseconds slow_start{0};
};

class Balancer {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using EndpointId = std::uint64_t;  // the owner's; never used twice

  // Unhealthy and ejected endpoints are used like the others while more than so many of a hundred are: an upstream that
  // seems to be down altogether is better tried than not, and few endpoints must not drown in what many took. Envoy's
  // healthy_panic_threshold has the same default.
  static constexpr unsigned kPanicPercent = 50;
  // What slow start begins with: Envoy's min_weight_percent.
  static constexpr double kFirstWeight = 0.1;

  enum class Health : std::uint8_t { kUnknown, kHealthy, kUnhealthy };  // unknown counts as healthy
  struct Counts {
    std::size_t healthy = 0, unhealthy = 0, ejected = 0;  // an ejected one is counted as nothing else
    bool operator==(const Counts&) const = default;
  };
  enum class Verdict : std::uint8_t {
    kNone,
    kEjected,
    kSpared,  // it would be ejected, but for max_ejected_percent
  };

  void configure(const BalanceSettings& settings) { settings_ = settings; }

  // The endpoints from now on, in order; index i below means ids[i]. What is known of those that remain is kept; new
  // ones start slowly, unless all are new.
  void set_endpoints(std::span<const EndpointId> ids, Time now);
  std::size_t size() const noexcept { return slots_.size(); }
  std::optional<std::size_t> index_of(EndpointId id) const noexcept;
  EndpointId id_at(std::size_t index) const noexcept { return slots_[index].id; }

  // Whether pick() looks at `now` at all: else any time will do, and a clock need not be read.
  bool needs_time() const noexcept { return ejected_ != 0 || settings_.slow_start.count() != 0; }
  // The endpoint for the next call, none of `tried`: of those in use, of which it prefers the reachable ones; then any
  // reachable one; then any at all. None: all were tried, or there are none.
  std::optional<std::size_t> pick(Time now, std::span<const EndpointId> tried = {});
  // Calls in flight, for least request. An id that has gone is ignored.
  void begin(EndpointId id) noexcept;
  void end(EndpointId id) noexcept;

  // A call's end, a connection's failure: counts in a row, and may eject. An id that has gone is ignored.
  Verdict on_result(EndpointId id, bool failed, Time now);
  // Whether the status counts as a failure.
  bool is_failure(unsigned grpc_status) const noexcept {
    return settings_.outlier && grpc_status < 32 && (settings_.outlier->failure_statuses >> grpc_status & 1) != 0;
  }
  // By active checks. True if it changed.
  bool set_health(EndpointId id, Health health, Time now);
  Health health(EndpointId id) const noexcept;
  // By the transport: whether the last attempt to connect failed. No part of panic: what cannot be reached cannot help.
  // What can be reached again was restarted, most likely: it starts slowly.
  void set_reachable(EndpointId id, bool reachable, Time now) noexcept;

  // Lets those whose time is over in again; gives when the next one is due.
  std::optional<Time> release(Time now);
  Counts counts() const noexcept;

 private:
  struct Slot {
    EndpointId id = 0;
    Health health = Health::kUnknown;
    bool reachable = true;
    bool ejected = false;
    unsigned failures = 0;   // in a row
    unsigned ejections = 0;  // how often, less one for every base_ejection without
    std::size_t in_flight = 0;
    Time until{};        // of the ejection, or when the last one ended
    Time since{};        // in use since then, for slow start
    bool slow = false;   // within slow start
    double current = 0;  // smooth weighted round robin: what it is owed
  };
  Slot* find(EndpointId id) noexcept;
  bool in_use(const Slot& slot) const noexcept { return !slot.ejected && slot.health != Health::kUnhealthy; }
  double weight(Slot& slot, Time now) const noexcept;
  template <class Eligible>
  std::optional<std::size_t> best(Time now, Eligible eligible);
  void come_back(Slot& slot, Time now) noexcept;

  BalanceSettings settings_;
  std::vector<Slot> slots_;
  std::size_t ejected_ = 0;
  std::size_t turn_ = 0;  // least request: where ties begin
};

}  // namespace ficus
