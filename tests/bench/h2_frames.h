// What the bench's two hand-written ends of HTTP/2 (answer_session.h, client_session.h) share: frames and settings as
// bytes (RFC 9113 4, 6), and gRPC messages counted in DATA (PROTOCOL-HTTP2.md, "Length-Prefixed-Message").
// Pure functions and one small counter; any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ficus::bench {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::size_t kFrameHeaderBytes = 9;
inline constexpr std::size_t kMaxFrameBytes = 16384;  // the default, which neither end changes: RFC 9113 4.2
inline constexpr std::int64_t kMaxWindow = 0x7fffffff;
inline constexpr std::int64_t kDefaultWindow = 65535;
inline constexpr std::uint64_t kWindowUpdateAfter = 1 << 29;  // far below what we grant, far too rare to cost anything
inline constexpr std::size_t kMessagePrefixBytes = 5;

// RFC 9113 6: frame types, flags, settings; 7: error codes.
enum : std::uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation
};
inline constexpr std::uint8_t kEndStream = 0x1, kAck = 0x1, kEndHeaders = 0x4, kPadded = 0x8, kPriorityFlag = 0x20;
inline constexpr std::uint16_t kSettingHeaderTableSize = 1, kSettingMaxStreams = 3, kSettingInitialWindow = 4,
                               kSettingMaxFrame = 5;
inline constexpr std::uint32_t kProtocolError = 1, kFlowControlError = 3, kStreamClosed = 5, kFrameSizeError = 6,
                               kEnhanceYourCalm = 11;

inline std::uint32_t read_u32(std::string_view bytes) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

inline void put_u32(std::string& out, std::uint32_t value) {
  const char bytes[] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                        static_cast<char>(value)};
  out.append(bytes, sizeof bytes);
}

inline void put_frame_header(std::string& out, std::size_t bytes, std::uint8_t type, std::uint8_t flags,
                             std::uint32_t id) {
  const char header[] = {static_cast<char>(bytes >> 16), static_cast<char>(bytes >> 8), static_cast<char>(bytes),
                         static_cast<char>(type),        static_cast<char>(flags),      static_cast<char>(id >> 24),
                         static_cast<char>(id >> 16),    static_cast<char>(id >> 8),    static_cast<char>(id)};
  out.append(header, sizeof header);
}

inline void put_setting(std::string& out, std::uint16_t name, std::uint32_t value) {
  out.push_back(static_cast<char>(name >> 8));
  out.push_back(static_cast<char>(name));
  put_u32(out, value);
}

// Finds the messages in one direction of one gRPC stream, whose DATA may be split anywhere.
class MessageCounter {
 public:
  // Takes the next DATA payload; calls on_message(bytes of the body) for each message that it completes. False: a
  // message says that it is compressed, which nothing of the bench sends.
  template <class OnMessage>
  bool take(std::string_view data, OnMessage&& on_message) {
    while (!data.empty()) {
      if (prefix_have_ < kMessagePrefixBytes) {
        const std::size_t n = std::min(kMessagePrefixBytes - prefix_have_, data.size());
        std::copy_n(data.data(), n, prefix_ + prefix_have_);
        prefix_have_ += n;
        data.remove_prefix(n);
        if (prefix_have_ < kMessagePrefixBytes) return true;
        if (prefix_[0] != 0) return false;
        body_bytes_ = body_left_ = read_u32({prefix_ + 1, 4});
      } else {
        const std::size_t n = std::min<std::size_t>(body_left_, data.size());
        body_left_ -= static_cast<std::uint32_t>(n);
        data.remove_prefix(n);
      }
      if (body_left_ == 0) {
        prefix_have_ = 0;
        on_message(std::size_t{body_bytes_});
      }
    }
    return true;
  }

  bool between_messages() const { return prefix_have_ == 0; }

 private:
  char prefix_[kMessagePrefixBytes] = {};
  std::size_t prefix_have_ = 0;
  std::uint32_t body_bytes_ = 0;
  std::uint32_t body_left_ = 0;
};

}  // namespace ficus::bench
