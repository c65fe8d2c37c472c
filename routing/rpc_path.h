// ":path" of a gRPC call, split. Pure.
#pragma once

#include <string_view>

#include "routing/result.h"

namespace ficus {

struct RpcPath {
  std::string_view service;  // "insurance.policy.v1.PolicyService"
  std::string_view method;   // "GetPolicy"
  bool operator==(const RpcPath&) const = default;
};

enum class PathError { kMalformedPath };

// Splits ":path" into service and method, borrowing from `path` (keep it alive).
// Error: kMalformedPath unless exactly "/service/method", both parts non-empty. A third slash is refused,
// not guessed: implementations disagree on which part it joins (grpc-go splits at the last one), and a
// router must never read a path differently from the server behind it. A '?', '#', '%' or any byte that is not
// visible ASCII is refused for the same reason.
// Source: gRPC PROTOCOL-HTTP2.md, Requests, "Path". Any thread; no allocation.
Result<RpcPath, PathError> parse_rpc_path(std::string_view path) noexcept;

}  // namespace ficus
