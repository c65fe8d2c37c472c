// The counters of one worker for one route table, found once and then reached by index: a call costs a few additions
// and no look-up by name. Thread: the worker's.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "facade/metrics/metrics.h"
#include "routing/route_table.h"

namespace ficus {

class CallMetrics {
 public:
  CallMetrics(const RouteTable& table, MetricsShard& shard);

  // A call ended. `method` and `capability` may be kNoIndex (in no capability); `side` absent: none served it.
  void count_call(std::uint16_t method, std::uint16_t capability, std::optional<Side> side, bool shadow,
                  GrpcCode status, std::chrono::nanoseconds latency);
  // A call of a capability was decided.
  void count_routed(const Plan& plan, const RouteDecision& decision);
  void count_share(std::uint32_t rule, bool shadow_share, bool in_share);
  void count_refused(std::uint16_t capability, std::string_view reason);
  void count_unkeyed(std::uint16_t capability, std::string_view reason);
  void count_override(std::uint16_t capability, std::string_view outcome);
  void count_not_shadowed(std::uint16_t capability, std::string_view reason);
  // A read was sent again ("sent"), or why not.
  void count_retry(std::uint32_t rule, std::string_view outcome);
  // Legacy answered for the new side ("ok", "failed"), or why it was not asked.
  void count_fallback(std::uint16_t capability, std::string_view outcome);
  Counter& shadow_begun(std::uint16_t capability);
  Counter& shadow_equal(std::uint16_t capability);  // verdict "match"

 private:
  static constexpr std::size_t kSides = 3;  // legacy, new, none
  static constexpr std::size_t kCodes = 17;
  static constexpr std::size_t kStages = 7;
  struct MethodCounters {
    std::array<Counter*, kSides * 2 * kCodes> calls{};
  };
  struct CapabilityCounters {
    std::array<Histogram*, kSides * 2> seconds{};
    std::vector<Counter*> tenants;  // (tenant label, stage, kind, side)
    Counter* begun = nullptr;
    Counter* equal = nullptr;
  };
  struct RuleCounters {
    std::array<Counter*, 2> sides{};
    std::array<Counter*, 2> eligible{}, in{};  // canary, shadow
  };
  std::string_view capability_name(std::uint16_t capability) const;

  const RouteTable& table_;
  MetricsShard& shard_;
  std::vector<MethodCounters> methods_;  // one more than the table's: "other"
  std::vector<std::string> method_names_;
  std::vector<CapabilityCounters> capabilities_;  // likewise: none
  std::vector<RuleCounters> rules_;               // by rule, then one a capability for "none"
};

}  // namespace ficus
