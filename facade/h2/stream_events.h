// What happens on one HTTP/2 stream, as whoever handles it is told. Thread: the connection's worker's.
#pragma once

#include <cstdint>
#include <string_view>

#include "facade/h2/header_block.h"

namespace ficus {

// Why a stream came to its end, where the peer's error code alone does not say it.
enum class StreamEnd : std::uint8_t {
  kFinished,        // both halves ended in order
  kReset,           // RST_STREAM by the peer, or by us since the peer broke HTTP/2; `error_code` says which
  kNeverProcessed,  // REFUSED_STREAM, or beyond the last id of a GOAWAY: safe to send again
  kConnectionLost,  // the connection ended under it
  kConnectFailed,   // it never had a connection
  kHeadTooLarge,    // never sent: the peer said that it takes no header list of this size
  kLocal,           // we reset it ourselves
};

// Why a call is ended by force: the limit it is counted under, and what its caller is told.
struct ForcedEnd {
  std::string_view limit;
  std::string_view message;
};
inline constexpr ForcedEnd kDrainTimeout{"drain_timeout", "shutting down"};
inline constexpr ForcedEnd kConnectionAgeGrace{"connection_age_grace", "the connection has reached its age"};

// Called on the worker, never after on_closed.
class StreamEvents {
 public:
  virtual ~StreamEvents() = default;
  // The request's or response's head; for a response without body `end_stream` is true (trailers-only). The block may
  // be moved from.
  virtual void on_headers(HeaderBlock& block, bool end_stream) = 0;
  // A piece of the body, valid during the call. Its flow-control credit is withheld until H2StreamBase::consume().
  virtual void on_data(std::string_view bytes) = 0;
  // The peer's half ended in order: with trailers, or (null) without.
  virtual void on_end(HeaderBlock* trailers) = 0;
  // `bytes` of what send_data() took have been put on the connection: as much credit can be given to the other leg.
  virtual void on_sent(std::size_t bytes) = 0;
  // The header list went over the limit and was not kept. Instead of on_headers; the stream is still open.
  virtual void on_headers_too_large() = 0;
  // The stream is gone. The last call. `detail` is a class for people ("connection refused"), never an address.
  virtual void on_closed(StreamEnd end, std::uint32_t error_code, std::string_view detail) = 0;
  // The facade waits no longer: end the call now, with an answer that says so.
  virtual void on_shutdown(const ForcedEnd& why) = 0;
};

}  // namespace ficus
