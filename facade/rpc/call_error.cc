#include "facade/rpc/call_error.h"

#include "facade/wire/grpc_status.h"

namespace ficus {

CallError error_of_stream_end(StreamEnd end, std::uint32_t error_code, std::string_view detail, ErrorOrigin origin) {
  switch (end) {
    case StreamEnd::kReset:
      return {grpc_code_of_reset(error_code), origin, "stream reset (" + http2_error_name(error_code) + ")"};
    case StreamEnd::kNeverProcessed:
      return {GrpcCode::kUnavailable, origin, detail.empty() ? "stream refused" : std::string(detail)};
    case StreamEnd::kFinished:
      return {GrpcCode::kInternal, origin, "answer without an end"};
    case StreamEnd::kHeadTooLarge:
      return {GrpcCode::kResourceExhausted, ErrorOrigin::kFacade, std::string(detail)};
    case StreamEnd::kConnectionLost:
    case StreamEnd::kConnectFailed:
    case StreamEnd::kLocal:
      break;
  }
  return {GrpcCode::kUnavailable, origin, detail.empty() ? "connection closed" : std::string(detail)};
}

}  // namespace ficus
