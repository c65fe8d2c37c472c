// H2Engine, receiving: frames that steer streams and the connection.
#include <algorithm>

#include "facade/h2/h2_engine.h"

namespace ficus {

bool H2Engine::on_rst_stream(const FrameHeader& frame, const std::uint8_t* payload) {
  if (frame.stream_id == 0) return connection_error(H2Error::kProtocolError, "RST_STREAM without a stream");
  if (frame.length != 4) return connection_error(H2Error::kFrameSizeError, "RST_STREAM of another size");
  if (idle(frame.stream_id)) return connection_error(H2Error::kProtocolError, "RST_STREAM on an idle stream");
  if (!flood(resets_, limits_.stream_resets, "stream_resets")) return false;
  H2StreamBase* stream = streams_.find(frame.stream_id);
  if (stream == nullptr) return true;
  const std::uint32_t code = read_u32(payload);
  StreamEnd end = StreamEnd::kReset;
  if (code == static_cast<std::uint32_t>(H2Error::kRefusedStream)) end = StreamEnd::kNeverProcessed;
  if (stream->peer_ended_ && code == static_cast<std::uint32_t>(H2Error::kNoError)) end = StreamEnd::kFinished;
  close_stream(*stream, end, code, ClosedWhy::kPeerReset);
  return true;
}

bool H2Engine::on_settings(const FrameHeader& frame, const std::uint8_t* payload) {
  constexpr std::size_t kSettingBytes = 6;
  if (frame.stream_id != 0) return connection_error(H2Error::kProtocolError, "SETTINGS on a stream");
  if (frame.has(frame_flag::kAck)) {
    if (frame.length != 0) return connection_error(H2Error::kFrameSizeError, "SETTINGS acknowledged with a payload");
    if (!settings_acknowledged_ && limits_.stream_window_bytes < kDefaultWindowBytes) {
      const std::int64_t less = std::int64_t{kDefaultWindowBytes} - limits_.stream_window_bytes;
      streams_.for_each([&](H2StreamBase& stream) { stream.receive_window_ -= less; });
    }
    settings_acknowledged_ = true;
    return true;
  }
  if (frame.length % kSettingBytes != 0) return connection_error(H2Error::kFrameSizeError, "SETTINGS of another size");
  std::int64_t initial_window = peer_initial_window_, highest_window = peer_initial_window_;
  for (std::size_t i = 0; i < frame.length; i += kSettingBytes) {
    const std::uint32_t value = read_u32(payload + i + 2);
    switch (static_cast<SettingId>(read_u16(payload + i))) {
      case SettingId::kHeaderTableSize:
        encoder_.set_peer_table_limit(value);
        break;
      case SettingId::kEnablePush:
        // 6.5.2: 0 or 1, and a server may not say 1.
        if (value > 1 || (role_ == Role::kClient && value != 0)) {
          return connection_error(H2Error::kProtocolError, "ENABLE_PUSH of another value");
        }
        break;
      case SettingId::kMaxConcurrentStreams:
        peer_max_streams_ = value;
        break;
      case SettingId::kInitialWindowSize:
        if (value > kLargestWindowBytes)
          return connection_error(H2Error::kFlowControlError, "INITIAL_WINDOW_SIZE too large");
        initial_window = value;
        highest_window = std::max(highest_window, initial_window);
        break;
      case SettingId::kMaxFrameSize:
        if (value < kDefaultMaxFrameBytes || value > kLargestMaxFrameBytes) {
          return connection_error(H2Error::kProtocolError, "MAX_FRAME_SIZE out of range");
        }
        // Larger ones are allowed, not owed: the default keeps turns between streams short.
        break;
      case SettingId::kMaxHeaderListSize:
        peer_header_list_bytes_ = value;  // advisory: whoever opens a stream may ask
        break;
    }
  }
  // Entries hold in their order (6.5.3): a window that overflows between two of them has overflowed.
  if (!set_peer_initial_window(highest_window) || !set_peer_initial_window(initial_window)) return false;
  settings_received_ = true;
  count_control(kFrameHeaderBytes);
  emit(FrameType::kSettings, frame_flag::kAck, 0, {});
  owner_.on_settings();
  return !over_;
}

// Twice a frame at most and not once an entry: a frame has room for thousands, and each would move every open stream.
bool H2Engine::set_peer_initial_window(std::int64_t bytes) {
  // 6.9.2: the windows of open streams move by the difference, below zero if need be.
  const std::int64_t difference = bytes - peer_initial_window_;
  if (difference == 0) return true;
  peer_initial_window_ = bytes;
  bool overflow = false;
  streams_.for_each([&](H2StreamBase& stream) {
    stream.send_window_ += difference;
    overflow = overflow || stream.send_window_ > kLargestWindowBytes;
    if (!stream.out_.empty()) make_ready(stream);
  });
  return !overflow || connection_error(H2Error::kFlowControlError, "a window beyond 2^31-1");
}

bool H2Engine::on_window_update(const FrameHeader& frame, const std::uint8_t* payload) {
  if (frame.length != 4) return connection_error(H2Error::kFrameSizeError, "WINDOW_UPDATE of another size");
  const std::int64_t increment = read_u32(payload) & kLargestStreamId;
  H2StreamBase* stream = streams_.find(frame.stream_id);
  // However small: what is waited for is no flood.
  const bool waited_for =
      frame.stream_id == 0 ? !ready_.empty() : stream != nullptr && !stream->out_.empty();
  if (!waited_for && !flood(window_updates_, limits_.window_updates, "window_updates")) return false;
  if (frame.stream_id == 0) {
    if (increment == 0) return connection_error(H2Error::kProtocolError, "WINDOW_UPDATE of nothing");
    connection_send_window_ += increment;
    if (connection_send_window_ > kLargestWindowBytes) {
      return connection_error(H2Error::kFlowControlError, "a window beyond 2^31-1");
    }
    if (!ready_.empty()) announce();
    return true;
  }
  if (idle(frame.stream_id)) return connection_error(H2Error::kProtocolError, "WINDOW_UPDATE on an idle stream");
  if (increment == 0) {
    if (stream == nullptr) return flood(errors_, limits_.stream_errors, "stream_errors");
    return stream_error(frame.stream_id, stream, H2Error::kProtocolError);
  }
  if (stream == nullptr) return true;  // 5.1: may come for a while after a stream's end
  stream->send_window_ += increment;
  if (stream->send_window_ > kLargestWindowBytes) {
    return stream_error(frame.stream_id, stream, H2Error::kFlowControlError);
  }
  if (!stream->out_.empty()) make_ready(*stream);
  return true;
}

bool H2Engine::on_goaway(const FrameHeader& frame, const std::uint8_t* payload) {
  if (frame.stream_id != 0) return connection_error(H2Error::kProtocolError, "GOAWAY on a stream");
  if (frame.length < 8) return connection_error(H2Error::kFrameSizeError, "GOAWAY too short");
  goaway_received_ = true;
  const std::uint32_t last_id = read_u32(payload) & kLargestStreamId;
  const std::uint32_t code = read_u32(payload + 4);
  if (role_ == Role::kClient) {
    // Streams beyond its last id were never looked at (6.8): collected first, since closing changes the map.
    std::vector<H2StreamBase*> beyond;
    streams_.for_each([&](H2StreamBase& stream) {
      if (stream.id_ > last_id) beyond.push_back(&stream);
    });
    std::sort(beyond.begin(), beyond.end(), [](const auto* a, const auto* b) { return a->id_ < b->id_; });
    for (H2StreamBase* stream : beyond) {
      close_stream(*stream, StreamEnd::kNeverProcessed, static_cast<std::uint32_t>(H2Error::kRefusedStream),
                   ClosedWhy::kEnded);
    }
  }
  owner_.on_goaway(code, as_text(payload + 8, frame.length - 8));
  return !over_;
}

}  // namespace ficus
