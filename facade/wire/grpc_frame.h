// gRPC's length-prefixed messages, found in a stream of DATA bytes without holding them.
// Source: PROTOCOL-HTTP2.md, "Length-Prefixed-Message": one byte compressed-flag, four bytes big-endian length.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ficus {

inline constexpr std::size_t kGrpcPrefixBytes = 5;

// What stands before a message of that many bytes.
inline std::array<char, kGrpcPrefixBytes> grpc_prefix(bool compressed, std::uint32_t length) noexcept {
  const auto byte = [&](int shift) { return static_cast<char>(length >> shift & 0xff); };
  return {static_cast<char>(compressed), byte(24), byte(16), byte(8), byte(0)};
}

// Follows message boundaries over bytes that arrive in any pieces. Constant memory. One thread; no allocation.
class GrpcFrameReader {
 public:
  struct Sink {
    virtual ~Sink() = default;
    // A message's prefix is complete.
    virtual void on_message_begin(bool compressed, std::uint32_t length) = 0;
    // A piece of the message; never empty.
    virtual void on_message_bytes(std::string_view piece) = 0;
    virtual void on_message_end() = 0;
  };

  // False once the bytes are no gRPC frames (a flag other than 0 or 1); it stays false and says nothing more.
  bool feed(std::string_view bytes, Sink& sink);
  // The same for who wants at_boundary() only.
  bool skip(std::string_view bytes) { return is_one_message(bytes) || skip_slowly(bytes); }
  // Whether the bytes so far end between two messages.
  bool at_boundary() const noexcept { return prefix_have_ == 0 && left_ == 0 && !broken_; }

 private:
  bool skip_slowly(std::string_view bytes);
  // Most often: from one boundary to the next.
  bool is_one_message(std::string_view bytes) const noexcept {
    if (bytes.size() < kGrpcPrefixBytes || !at_boundary()) return false;
    const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
    return byte(0) <= 1 && (byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4)) == bytes.size() - kGrpcPrefixBytes;
  }
  template <class S>
  bool run(std::string_view bytes, S& sink);

  unsigned char prefix_[kGrpcPrefixBytes] = {};
  std::size_t prefix_have_ = 0;
  std::uint32_t left_ = 0;
  bool broken_ = false;
};

}  // namespace ficus
