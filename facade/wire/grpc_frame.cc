#include "facade/wire/grpc_frame.h"

#include <algorithm>

namespace ficus {

template <class S>
bool GrpcFrameReader::run(std::string_view bytes, S& sink) {
  if (broken_) return false;
  while (!bytes.empty()) {
    if (left_ == 0) {
      const std::size_t n = std::min(kGrpcPrefixBytes - prefix_have_, bytes.size());
      std::copy_n(bytes.data(), n, prefix_ + prefix_have_);
      prefix_have_ += n;
      bytes.remove_prefix(n);
      if (prefix_[0] > 1) {
        broken_ = true;
        return false;
      }
      if (prefix_have_ < kGrpcPrefixBytes) return true;
      prefix_have_ = 0;
      left_ = static_cast<std::uint32_t>(prefix_[1]) << 24 | static_cast<std::uint32_t>(prefix_[2]) << 16 |
              static_cast<std::uint32_t>(prefix_[3]) << 8 | static_cast<std::uint32_t>(prefix_[4]);
      sink.on_message_begin(prefix_[0] == 1, left_);
      if (left_ == 0) sink.on_message_end();
      continue;
    }
    const std::size_t n = std::min<std::size_t>(left_, bytes.size());
    sink.on_message_bytes(bytes.substr(0, n));
    left_ -= static_cast<std::uint32_t>(n);
    bytes.remove_prefix(n);
    if (left_ == 0) sink.on_message_end();
  }
  return true;
}

bool GrpcFrameReader::feed(std::string_view bytes, Sink& sink) { return run(bytes, sink); }

bool GrpcFrameReader::skip_slowly(std::string_view bytes) {
  struct Nobody {
    void on_message_begin(bool, std::uint32_t) {}
    void on_message_bytes(std::string_view) {}
    void on_message_end() {}
  } nobody;
  return run(bytes, nobody);
}

}  // namespace ficus
