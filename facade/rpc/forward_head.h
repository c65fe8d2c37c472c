// The request head as it goes on: what a leg adds to, removes from and changes in what the client sent. Pure over
// header blocks.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "facade/h2/header_block.h"
#include "facade/wire/trace_context.h"
#include "routing/route_table.h"

namespace ficus {

// Prefix of our own metadata. A client's is dropped, but for the marker.
inline constexpr std::string_view kOwnPrefix = "x-ficus-";
// "x-ficus-shadow: 1" only takes rights away, so it is passed on from anyone. GUIDE 8.
inline constexpr std::string_view kShadowMarker = "x-ficus-shadow";

struct ForwardHead {
  const UpstreamInfo* upstream = nullptr;           // its authority, metadata set and remove
  std::string_view override_metadata;               // removed; may be empty
  bool marked = false;                              // the client's marker is kept
  std::string_view peer;                           // x-forwarded-client-cert to send; empty: none
  bool mark = false;                                // this leg is a shadow: the marker is added
  std::optional<std::chrono::nanoseconds> timeout;  // what is left; absent: none was given
  const TraceContext* trace = nullptr;
  std::string_view traceparent;  // this leg's
};

// Edits `head` in place. Pseudo-header fields, `te`, content-type, repeated keys and their order stay as they came, but
// for an `authority` of the upstream's (where neither it nor the client says whom, the first endpoint stands there) and
// blanks at the ends of values, which go.
void prepare_forward_head(HeaderBlock& head, const ForwardHead& how);

// The same for a client's trailers, which some servers read like the head: what would be dropped there is dropped here.
void prepare_forward_trailers(HeaderBlock& trailers, const UpstreamInfo& upstream, std::string_view override_metadata);

}  // namespace ficus
