// Why a call ended without an upstream's answer.
#pragma once

#include <string>

#include "facade/h2/stream_events.h"
#include "routing/vocabulary.h"

namespace ficus {

enum class ErrorOrigin : std::uint8_t { kClient, kLegacy, kNew, kFacade };

struct CallError {
  GrpcCode grpc_code = GrpcCode::kInternal;
  ErrorOrigin origin = ErrorOrigin::kFacade;
  std::string detail;  // for the client and for metrics: a class, never an address or errno
};

// What the end of an upstream's stream, before its answer was complete, means to the caller.
// Source: PROTOCOL-HTTP2.md, "Errors" (reset codes); everything else that broke is UNAVAILABLE.
CallError error_of_stream_end(StreamEnd end, std::uint32_t error_code, std::string_view detail, ErrorOrigin origin);

}  // namespace ficus
