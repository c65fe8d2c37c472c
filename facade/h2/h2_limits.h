// What one HTTP/2 connection may ask of us. Each limit has a counter ficus_limit_hits_total{limit="NAME"}, NAME being
// the member's unless another stands beside it. Not ours to choose, and so no member: a frame beyond the 16384 bytes
// that we never offered to raise is "frame_bytes" there (FRAME_SIZE_ERROR).
#pragma once

#include <cstddef>
#include <cstdint>

#include "facade/h2/flood_gauge.h"

namespace ficus {

// One for the stream and one for the connection, by a client that takes a frame of ours in several parts.
inline constexpr std::uint32_t kWindowUpdatesPerData = 10;

struct H2Limits {
  // What one stream may have in flight towards us, and so what one call can make us hold a direction: HTTP/2's own
  // default doubled twice, enough for 2 GB/s at 100 us round trip. Kept by flow control: never hit.
  std::uint32_t stream_window_bytes = 256 * 1024;
  // The connection's window is given back at once (the streams' are what is end to end), so it only has to cover a
  // round trip. Kept by flow control: never hit.
  std::uint32_t connection_window_bytes = 4 * 1024 * 1024;
  // Offered to clients, so that one of them cannot take a whole upstream's limit. Beyond: REFUSED_STREAM.
  std::uint32_t max_concurrent_streams = 256;
  // A head or trailers, counted as RFC 9113 6.5.2 does. Beyond: RESOURCE_EXHAUSTED for that call.
  std::uint32_t header_list_bytes = 64 * 1024;
  // Of one header list on the wire, kept or skipped: what an over-long one may cost before its sender is cut off. An
  // upstream's 1 MB list costs its call only.
  std::size_t header_block_bytes = 4 * 1024 * 1024;
  // CONTINUATION frames of one header list: 64 KiB take four of the default size; the rest is for peers that cut
  // finely.
  std::uint32_t continuation_frames = 256;
  // Serialized and not yet taken by the socket: beyond, no more DATA is written (it waits in its stream, and its sender
  // waits for credit). Never hit as an error.
  std::size_t output_bytes = 128 * 1024;
  // The same for what must be answered at once (acknowledgements, resets): a peer that makes us write and does not read
  // is cut off. Of an upstream's connection only acknowledgements and resets count: what else waits there is the heads
  // of other callers' requests.
  std::size_t control_output_bytes = 1024 * 1024;
  // Of calls' bytes that a worker holds since one end sends and the other does not take them. Beyond: the client whose
  // connection holds the most is told ENHANCE_YOUR_CALM and closed. The default (512 MiB of the whole facade, of which
  // each worker has its part) is two thousand streams that stand still with all that their window allows.
  std::size_t held_bytes = 512u << 20;
  // Resets by a client (CVE-2023-44487): as many at once as ten connections' worth of streams, then so many a second.
  // A busy caller that hedges its calls resets hundreds a second in good faith.
  FloodLimit stream_resets{10'000, 1'000};
  // PING, SETTINGS, PRIORITY, GOAWAY and frames of unknown type: gRPC clients probe the bandwidth with a PING a round
  // trip.
  FloodLimit control_frames{2'000, 500};
  // Frames that carry nothing: DATA without bytes (or of padding only) and without END_STREAM, CONTINUATION without
  // bytes.
  FloodLimit empty_frames{500, 50};
  // The same of an upstream: in a row, of one call, interim responses (1xx) too. gRPC servers send none, and web
  // servers a handful of 103s. Beyond: that call ends RESOURCE_EXHAUSTED (ENHANCE_YOUR_CALM).
  std::uint32_t empty_frames_of_call = 100;
  // WINDOW_UPDATE frames that nothing waits for, beyond those that our DATA pays for: each frame of it for
  // kWindowUpdatesPerData. The rest is for what gRPC clients give unasked, when they find the round trip worth larger
  // windows.
  FloodLimit window_updates{10'000, 1'000};
  // Errors that ended a stream only, and frames for streams that are no more.
  FloodLimit stream_errors{5'000, 500};
};

}  // namespace ficus
