#include "deploy/demo/traffic_plan.h"

#include <algorithm>

namespace insurer {
namespace {

constexpr std::size_t kListed = 100;

std::size_t tenant_of(std::size_t index) {
  const std::size_t digit = index % 10;
  if (digit < 2) return kAcme;
  return digit < 5 ? kGlobex : kInitech;
}

// Spreads the calls over the book: a fixed permutation, since 7919 is prime and divides no number of calls here.
std::vector<PlannedCall> spread(const std::vector<PlannedCall>& calls) {
  std::vector<PlannedCall> order;
  order.reserve(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) order.push_back(calls[i * 7919 % calls.size()]);
  return order;
}

}  // namespace

std::string_view to_string(Method method) {
  switch (method) {
    case Method::kGetPolicy: return "GetPolicy";
    case Method::kListPolicies: return "ListPolicies";
    case Method::kStreamHistory: return "StreamHistory";
    case Method::kEndorseAddress: return "EndorseAddress";
  }
  return "";
}

TrafficPlan make_plan(std::size_t policies) {
  std::array<std::vector<std::size_t>, kTenants.size()> book;
  for (std::size_t i = 0; i < policies; ++i) book[tenant_of(i)].push_back(i);

  TrafficPlan plan;
  const std::size_t writes = policies / 500;
  for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
    // Northwind moves policies of initech's book, other ones than initech itself.
    const auto& from = tenant == kNorthwind ? book[kInitech] : book[tenant];
    for (std::size_t i = 0; i < writes; ++i) {
      plan.writes[tenant].push_back(from[i * from.size() / writes + (tenant == kNorthwind ? 1 : 0)]);
    }
  }

  plan.latency.assign(book[kInitech].begin(), book[kInitech].begin() + static_cast<std::ptrdiff_t>(policies / 5));
  for (std::size_t tenant = 0; tenant < kTenants.size(); ++tenant) {
    std::vector<PlannedCall> calls;
    for (const std::size_t index : book[tenant]) {
      const bool measured = tenant == kInitech && std::binary_search(plan.latency.begin(), plan.latency.end(), index);
      if (!measured) calls.push_back({Method::kGetPolicy, index});
      if (index < policies / 10) calls.push_back({Method::kStreamHistory, index});
    }
    if (tenant == kNorthwind) {
      for (std::size_t i = 0; i < policies / 10; ++i) calls.push_back({Method::kGetPolicy, *(book[kInitech].rbegin() + static_cast<std::ptrdiff_t>(i))});
    }
    if (tenant == kInitech || tenant == kNorthwind) {
      for (std::size_t first = 0; first < kListed; first += kPageSize) calls.push_back({Method::kListPolicies, first});
    }
    plan.reads[tenant] = spread(calls);
  }
  return plan;
}

}  // namespace insurer
