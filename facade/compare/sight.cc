#include "facade/compare/sight.h"

#include "facade/compare/metadata_diff.h"

namespace ficus {

bool equal_at_sight(const Observation& primary, const Observation& shadow, const LatencyRule* latency) {
  using End = Observation::End;
  if (primary.end != End::kAnswered || shadow.end != End::kAnswered) return false;
  if (primary.grpc_status != shadow.grpc_status) return false;
  switch (shadow.grpc_status) {  // a shadow that ended so says nothing of what it would have answered: abandoned
    case GrpcCode::kUnavailable:
    case GrpcCode::kResourceExhausted:
    case GrpcCode::kDeadlineExceeded:
      return false;
    default:
      break;
  }
  if (primary.metadata != shadow.metadata) return false;
  const bool legacy_first = primary.side == Side::kLegacy;
  if (too_slow((legacy_first ? primary : shadow).latency, (legacy_first ? shadow : primary).latency, latency))
    return false;
  const auto& a = primary.messages;
  const auto& b = shadow.messages;
  if (a.size() != b.size() || a.size() > kSightMessages || primary.message_bytes > kSightBytes) return false;
  const bool same_encoding = primary.grpc_encoding == shadow.grpc_encoding;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].compressed != b[i].compressed || (a[i].compressed && !same_encoding)) return false;
    if (a[i].bytes != b[i].bytes) return false;
  }
  return true;
}

}  // namespace ficus
