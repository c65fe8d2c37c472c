// What a tap asks of the call that it copies: rpc's side of facade/shadow.
// Thread: the worker's. Lives as long as its tap, which is longer than the call.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "facade/base/pool.h"
#include "facade/rpc/worker_routes.h"
#include "facade/shadow/shadow_tap.h"
#include "facade/wire/trace_context.h"

namespace ficus {

class CallOrigin final : public ShadowOrigin, public Pooled<CallOrigin> {
 public:
  // Copies what it needs of the plan, whose texts end with the call's head.
  CallOrigin(std::shared_ptr<WorkerRoutes> routes, const Plan& plan, const RouteDecision& decision, std::uint64_t draw,
             const TraceContext& trace);

  // Both copied.
  void name_call(std::string_view path, std::string_view grpc_encoding);
  // Of the primary's leg and the shadow's.
  void name_spans(const std::array<char, 16>& primary, const std::array<char, 16>& shadow);

  bool settle(std::string_view message, bool compressed) override;
  CompareJob compare_job() override;
  const std::string& primary_upstream() const override;
  void count_not_shadowed(std::string_view reason) override;
  void count_begun() override;
  void count_equal() override;
  void count_shadow(GrpcCode status, std::chrono::nanoseconds latency) override;

 private:
  const std::shared_ptr<WorkerRoutes> routes_;
  const RouteDecision decision_;
  const std::uint64_t draw_;
  const TraceContext trace_;
  const std::uint32_t rule_;
  const std::uint16_t method_, capability_;
  std::array<char, 16> primary_span_{}, shadow_span_{};
  std::string tenant_, consumer_, path_, encoding_;
  std::string key_;  // found by settle()
};

}  // namespace ficus
