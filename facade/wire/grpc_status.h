// grpc-status and grpc-message on the wire, and what other layers' failures become as one. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "routing/vocabulary.h"

namespace ficus {

// The value of "grpc-status". An absent or unknown one is kUnknown (PROTOCOL-HTTP2.md, Responses). No allocation.
GrpcCode parse_grpc_status(std::optional<std::string_view> value) noexcept;
// "0" .. "16", static text.
std::string_view grpc_status_text(GrpcCode code) noexcept;
// What a client makes of an answer without grpc-status: doc/http-grpc-status-mapping.md.
GrpcCode grpc_code_of_http(std::string_view http_status) noexcept;
// What a RST_STREAM's code means to a caller: PROTOCOL-HTTP2.md, Errors.
GrpcCode grpc_code_of_reset(std::uint32_t http2_error) noexcept;
// "CANCEL", "REFUSED_STREAM", ...; "0x2a" for a code RFC 9113 7 does not know.
std::string http2_error_name(std::uint32_t http2_error);
// Percent-encoding of "grpc-message": every byte but %x20-%x24 and %x26-%x7E. PROTOCOL-HTTP2.md, Responses.
std::string encode_grpc_message(std::string_view text);
// Lenient, as the document demands: an escape that is none stays as it is.
std::string decode_grpc_message(std::string_view encoded);

}  // namespace ficus
