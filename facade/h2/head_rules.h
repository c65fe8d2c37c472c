// Whether a header list is a head or trailers at all. Source: RFC 9113 8.2, 8.3; RFC 9110 8.6. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "facade/h2/header_block.h"

namespace ficus {

struct HeadFacts {
  bool malformed = false;            // RFC 9113 8.1.1: a stream error PROTOCOL_ERROR
  std::int64_t content_length = -1;  // -1: none given
  bool interim = false;              // a response's :status is 1xx
};

// A request's: each of :method, :scheme and :path exactly once (CONNECT: :method and :authority alone), pseudo-header
// fields first, none of a response's, a scheme that is not empty, a path that begins with a slash and has no blank, no
// field that RFC 9113 8.2.2 forbids, names and values of legal characters.
HeadFacts check_request_head(const HeaderBlock& block) noexcept;
// A response's: :status of three digits exactly once, and not 101.
HeadFacts check_response_head(const HeaderBlock& block) noexcept;
// Trailers hold no pseudo-header field.
bool malformed_trailers(const HeaderBlock& block) noexcept;

}  // namespace ficus
