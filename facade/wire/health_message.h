// The two messages of grpc.health.v1.Health/Check, written and read by hand: each has one field.
// Source: grpc/health/v1/health.proto; protobuf's encoding. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ficus {

inline constexpr std::string_view kHealthCheckPath = "/grpc.health.v1.Health/Check";

// HealthCheckResponse.ServingStatus; others than these are kept as they came.
enum class ServingStatus : std::uint32_t { kUnknown = 0, kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

// HealthCheckRequest {service}; an empty name is the server as a whole and encodes to nothing.
std::string encode_health_request(std::string_view service);

// The status of a HealthCheckResponse; of several the last, none is kUnknown (proto3). Unknown fields are passed over.
// Nothing: the bytes are no message.
std::optional<ServingStatus> parse_health_response(std::string_view message);

}  // namespace ficus
