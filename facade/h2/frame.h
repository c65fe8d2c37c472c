// HTTP/2 frames as bytes. Source: RFC 9113 4.1, 6. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ficus {

enum class FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};

namespace frame_flag {
inline constexpr std::uint8_t kEndStream = 0x1;
inline constexpr std::uint8_t kAck = 0x1;
inline constexpr std::uint8_t kEndHeaders = 0x4;
inline constexpr std::uint8_t kPadded = 0x8;
inline constexpr std::uint8_t kPriority = 0x20;
}  // namespace frame_flag

// RFC 9113 6.5.2.
enum class SettingId : std::uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
};

inline constexpr std::size_t kFrameHeaderBytes = 9;
inline constexpr std::size_t kPriorityBytes = 5;  // 6.3, and in HEADERS with the PRIORITY flag
inline constexpr std::uint32_t kDefaultMaxFrameBytes = 16'384;  // 6.5.2; what we announce, by saying nothing
inline constexpr std::uint32_t kLargestMaxFrameBytes = 16'777'215;
inline constexpr std::uint32_t kDefaultWindowBytes = 65'535;  // 6.9.2
inline constexpr std::int64_t kLargestWindowBytes = 0x7fff'ffff;
inline constexpr std::uint32_t kLargestStreamId = 0x7fff'ffff;
inline constexpr std::string_view kClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // 3.4

inline std::uint32_t read_u16(const std::uint8_t* at) noexcept { return std::uint32_t{at[0]} << 8 | at[1]; }
inline std::uint32_t read_u24(const std::uint8_t* at) noexcept {
  return std::uint32_t{at[0]} << 16 | std::uint32_t{at[1]} << 8 | at[2];
}
inline std::uint32_t read_u32(const std::uint8_t* at) noexcept {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}
inline void write_u16(std::uint8_t* at, std::uint32_t value) noexcept {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void write_u24(std::uint8_t* at, std::uint32_t value) noexcept {
  at[0] = static_cast<std::uint8_t>(value >> 16);
  write_u16(at + 1, value);
}
inline void write_u32(std::uint8_t* at, std::uint32_t value) noexcept {
  write_u16(at, value >> 16);
  write_u16(at + 2, value);
}

inline std::string_view as_text(const std::uint8_t* bytes, std::size_t length) noexcept {
  return {reinterpret_cast<const char*>(bytes), length};
}

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint8_t type = 0;  // a FrameType, or one we do not know
  std::uint8_t flags = 0;
  std::uint32_t stream_id = 0;  // without the reserved bit

  bool is(FrameType t) const noexcept { return type == static_cast<std::uint8_t>(t); }
  bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
};

inline FrameHeader read_frame_header(const std::uint8_t* at) noexcept {
  return {read_u24(at), at[3], at[4], read_u32(at + 5) & kLargestStreamId};
}
inline void write_frame_header(std::uint8_t* at, std::uint32_t length, FrameType type, std::uint8_t flags,
                               std::uint32_t stream_id) noexcept {
  write_u24(at, length);
  at[3] = static_cast<std::uint8_t>(type);
  at[4] = flags;
  write_u32(at + 5, stream_id);
}

}  // namespace ficus
