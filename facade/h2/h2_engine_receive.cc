// H2Engine, receiving: from bytes to frames to events.
#include <algorithm>

#include "facade/h2/h2_engine.h"

namespace ficus {
namespace {

constexpr std::size_t kPriorityBytes = 5;

std::string_view text(const std::uint8_t* bytes, std::size_t length) noexcept {
  return {reinterpret_cast<const char*>(bytes), length};
}

}  // namespace

bool H2Engine::receive(std::string_view bytes, TimePoint now) {
  now_ = now;
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto* const end = at + bytes.size();
  while (at != end && !over_) {
    // Between frames nobody is in the middle of a stream's events: who is over makes room at once, so that a peer that
    // opens and resets in one breath holds no more than one that takes its time.
    if (!gone_.empty()) reap();
    if (!check_output()) return false;
    const auto have = static_cast<std::size_t>(end - at);
    if (state_ == State::kData) {
      const std::size_t n = std::min<std::size_t>(have, data_left_);
      if (!data_bytes(at, n)) return false;
      at += n;
      continue;
    }
    if (state_ == State::kPreface) {
      const std::size_t n = std::min(kClientPreface.size() - partial_.size(), have);
      if (text(at, n) != kClientPreface.substr(partial_.size(), n)) {
        return connection_error(H2Error::kProtocolError, "no HTTP/2 preface");
      }
      partial_.append(text(at, n));
      at += n;
      if (partial_.size() == kClientPreface.size()) {
        partial_.clear();
        state_ = State::kFrames;
      }
      continue;
    }
    if (!partial_.empty()) {
      // A frame that came in pieces: its header first, then (DATA apart) the whole of it.
      std::size_t wants = kFrameHeaderBytes;
      if (partial_.size() >= kFrameHeaderBytes) {
        wants += read_u24(reinterpret_cast<const std::uint8_t*>(partial_.data()));
      }
      const std::size_t n = std::min(wants - partial_.size(), have);
      partial_.append(text(at, n));
      at += n;
      if (partial_.size() < wants) continue;
      const auto* frame_at = reinterpret_cast<const std::uint8_t*>(partial_.data());
      const FrameHeader frame = read_frame_header(frame_at);
      if (wants == kFrameHeaderBytes) {
        if (!check_frame_header(frame)) return false;
        if (frame.is(FrameType::kData)) {
          partial_.clear();
          if (!begin_data(frame)) return false;
          continue;
        }
        if (frame.length != 0) {
          if (frame.is(FrameType::kHeaders)) head_began();
          continue;
        }
      }
      // Moved out: the frame's own events may lead back here.
      const std::string whole = std::move(partial_);
      partial_.clear();
      partial_head_ = false;
      if (!on_frame(frame, reinterpret_cast<const std::uint8_t*>(whole.data()) + kFrameHeaderBytes)) return false;
      if (frame.length == 0 && frame.is(FrameType::kHeaders) && continuing_) head_began();
      continue;
    }
    if (have < kFrameHeaderBytes) {
      partial_.assign(text(at, have));
      return true;
    }
    const FrameHeader frame = read_frame_header(at);
    if (!check_frame_header(frame)) return false;
    if (frame.is(FrameType::kData)) {
      at += kFrameHeaderBytes;
      if (!begin_data(frame)) return false;
      continue;
    }
    if (have < kFrameHeaderBytes + frame.length) {
      partial_.reserve(kFrameHeaderBytes + frame.length);
      partial_.assign(text(at, have));
      if (frame.is(FrameType::kHeaders)) head_began();
      return true;
    }
    const std::uint8_t* payload = at + kFrameHeaderBytes;
    at = payload + frame.length;
    if (!on_frame(frame, payload)) return false;
    if (frame.is(FrameType::kHeaders) && continuing_) head_began();
  }
  if (partial_.empty() && partial_.capacity() > 64) std::string().swap(partial_);
  return !over_ && check_output();
}

void H2Engine::count_control(std::size_t bytes) noexcept { control_bytes_ += bytes; }

bool H2Engine::check_output() {
  // Towards an upstream most of what waits is the heads of other callers' requests, which are bounded elsewhere.
  const std::size_t waits = role_ == Role::kClient ? control_bytes_ : out_.size();
  if (waits <= limits_.control_output_bytes) return true;
  owner_.on_limit("control_output_bytes");
  return connection_error(H2Error::kEnhanceYourCalm, "control_output_bytes");
}

bool H2Engine::check_frame_header(const FrameHeader& frame) {
  if (frame.length > kDefaultMaxFrameBytes) {
    owner_.on_limit("frame_bytes");
    return connection_error(H2Error::kFrameSizeError, "frame too large");
  }
  if (continuing_ && (!frame.is(FrameType::kContinuation) || frame.stream_id != head_id_)) {
    return connection_error(H2Error::kProtocolError, "a header list was interrupted");
  }
  if (!settings_received_ && !(frame.is(FrameType::kSettings) && !frame.has(frame_flag::kAck))) {
    return connection_error(H2Error::kProtocolError, "the first frame is not SETTINGS");  // RFC 9113 3.4
  }
  return true;
}

void H2Engine::head_began() {
  partial_head_ = !partial_.empty();
  head_since_ = now_;
  owner_.on_partial_head();
}

bool H2Engine::flood(FloodGauge& gauge, const FloodLimit& limit, std::string_view name) {
  // An upstream is one of ours: what it sends is not rationed.
  if (role_ == Role::kClient || gauge.take(limit, now_)) return true;
  owner_.on_limit(name);
  return connection_error(H2Error::kEnhanceYourCalm, name);
}

bool H2Engine::idle(std::uint32_t id) const noexcept { return local_id(id) ? id >= next_id_ : id > last_peer_id_; }

bool H2Engine::on_frame(const FrameHeader& frame, const std::uint8_t* payload) {
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::kHeaders:
      return on_headers(frame, payload);
    case FrameType::kContinuation:
      return on_continuation(frame, payload);
    case FrameType::kWindowUpdate:
      return on_window_update(frame, payload);
    case FrameType::kRstStream:
      return on_rst_stream(frame, payload);
    case FrameType::kSettings:
      return flood(controls_, limits_.control_frames, "control_frames") && on_settings(frame, payload);
    case FrameType::kPing:
      if (!flood(controls_, limits_.control_frames, "control_frames")) return false;
      if (frame.stream_id != 0) return connection_error(H2Error::kProtocolError, "PING on a stream");
      if (frame.length != 8) return connection_error(H2Error::kFrameSizeError, "PING of another size");
      if (frame.has(frame_flag::kAck)) {
        owner_.on_ping_ack(std::uint64_t{read_u32(payload)} << 32 | read_u32(payload + 4));
      } else {
        owner_.on_ping();
        if (!over_) {
          count_control(kFrameHeaderBytes + frame.length);
          emit(FrameType::kPing, frame_flag::kAck, 0, text(payload, frame.length));
        }
      }
      return !over_;
    case FrameType::kGoaway:
      return flood(controls_, limits_.control_frames, "control_frames") && on_goaway(frame, payload);
    case FrameType::kPriority:
      // Priorities are ignored (RFC 9113 5.3.2), but for their form.
      if (!flood(controls_, limits_.control_frames, "control_frames")) return false;
      if (frame.stream_id == 0) return connection_error(H2Error::kProtocolError, "PRIORITY without a stream");
      if (frame.length != kPriorityBytes) {
        return stream_error(frame.stream_id, streams_.find(frame.stream_id), H2Error::kFrameSizeError);
      }
      if ((read_u32(payload) & kLargestStreamId) == frame.stream_id) {
        return stream_error(frame.stream_id, streams_.find(frame.stream_id), H2Error::kProtocolError);
      }
      return true;
    case FrameType::kPushPromise:
      // A client may not push (8.4), and we told upstreams that we want none (6.6).
      return connection_error(H2Error::kProtocolError, "PUSH_PROMISE");
    case FrameType::kData:
      break;
  }
  return flood(controls_, limits_.control_frames, "control_frames");  // of unknown type: ignored (5.5)
}

// ---------------------------------------------------------------- errors

bool H2Engine::stream_error(std::uint32_t id, H2StreamBase* stream, H2Error error) {
  if (!flood(errors_, limits_.stream_errors, "stream_errors")) return false;
  // An idle stream cannot be reset (5.1).
  if (stream == nullptr && idle(id)) return connection_error(error, "error on an idle stream");
  count_control(kFrameHeaderBytes + 4);
  emit_u32(FrameType::kRstStream, id, static_cast<std::uint32_t>(error));
  owner_.on_stream_error(error);
  if (stream != nullptr) {
    stream->reset_sent_ = true;
    close_stream(*stream, StreamEnd::kReset, static_cast<std::uint32_t>(error), ClosedWhy::kWeReset);
  } else if (closed_why(id) != ClosedWhy::kWeReset) {
    remember_closed(id, ClosedWhy::kWeReset);
  }
  return !over_;
}

bool H2Engine::on_closed_stream(std::uint32_t id, bool header_list) {
  // Beyond what our GOAWAY said: not taken, and the peer knows (6.8).
  if (role_ == Role::kServer && id > goaway_last_id_) return true;
  // An upstream that says more than the end (gRPC's own servers do, where a deadline and an answer meet), or a stream
  // of ours so old that it is forgotten: nothing is gained by ending everyone else's calls.
  if (role_ == Role::kClient && local_id(id)) return true;
  // 5.1, "closed".
  switch (closed_why(id)) {
    case ClosedWhy::kWeReset:
      return flood(errors_, limits_.stream_errors, "stream_errors");  // was on its way: ignored
    case ClosedWhy::kPeerReset:
      return stream_error(id, nullptr, H2Error::kStreamClosed);
    case ClosedWhy::kEnded:
      return connection_error(H2Error::kStreamClosed, "frame on a stream that ended");
    case ClosedWhy::kUnknown:
      break;
  }
  if (header_list)
    return connection_error(H2Error::kProtocolError, "a stream identifier smaller than one already seen");
  return connection_error(H2Error::kStreamClosed, "frame on a closed stream");
}

// ---------------------------------------------------------------- DATA

bool H2Engine::begin_data(const FrameHeader& frame) {
  if (frame.stream_id == 0) return connection_error(H2Error::kProtocolError, "DATA without a stream");
  if (idle(frame.stream_id)) return connection_error(H2Error::kProtocolError, "DATA on an idle stream");
  // 6.9: the whole payload counts, padding too, also for streams that are no more.
  connection_receive_window_ -= frame.length;
  if (connection_receive_window_ < 0) {
    return connection_error(H2Error::kFlowControlError, "DATA beyond the connection's window");
  }
  // The connection's window is given back at once, so that one stream that nobody reads stalls no other.
  connection_consumed_ += frame.length;
  if (connection_consumed_ >= limits_.connection_window_bytes / 2) {
    emit_u32(FrameType::kWindowUpdate, 0, connection_consumed_);
    connection_receive_window_ += connection_consumed_;
    connection_consumed_ = 0;
  }
  data_ = frame;
  data_left_ = frame.length;
  data_pad_ = 0;
  data_pad_known_ = !frame.has(frame_flag::kPadded);
  if (!data_pad_known_ && frame.length == 0)
    return connection_error(H2Error::kFrameSizeError, "padding without a length");

  H2StreamBase* stream = streams_.find(frame.stream_id);
  if (stream == nullptr) {
    if (!on_closed_stream(frame.stream_id, false)) return false;
  } else if (stream->peer_ended_) {
    if (!stream_error(frame.stream_id, stream, H2Error::kStreamClosed)) return false;  // half-closed (remote)
  } else if (!stream->in_head_done_) {
    if (!stream_error(frame.stream_id, stream, H2Error::kProtocolError)) return false;  // DATA before the head
  } else {
    stream->receive_window_ -= frame.length;
    if (stream->receive_window_ < 0) {
      if (!stream_error(frame.stream_id, stream, H2Error::kFlowControlError)) return false;
    } else if (data_pad_known_ && !take_content(*stream, frame.length)) {
      return false;
    }
  }
  if (frame.length == 0 && !frame.has(frame_flag::kEndStream) &&
      !flood(empties_, limits_.empty_frames, "empty_frames")) {
    return false;
  }
  state_ = State::kData;
  if (data_left_ == 0) return end_data();
  return true;
}

// A frame with more than content-length left is refused as a whole, however it came cut up (8.1.1).
bool H2Engine::take_content(H2StreamBase& stream, std::uint32_t bytes) {
  if (stream.content_left_ < 0) return true;
  if (stream.content_left_ < bytes) return stream_error(stream.id_, &stream, H2Error::kProtocolError);
  stream.content_left_ -= bytes;
  return true;
}

bool H2Engine::data_bytes(const std::uint8_t* bytes, std::size_t length) {
  data_left_ -= static_cast<std::uint32_t>(length);
  if (!data_pad_known_) {
    data_pad_known_ = true;
    data_pad_ = bytes[0];
    if (data_pad_ >= data_.length) return connection_error(H2Error::kProtocolError, "padding longer than its frame");
    ++bytes;
    --length;
    if (H2StreamBase* stream = streams_.find(data_.stream_id)) {
      consume_stream(*stream, 1 + data_pad_);
      if (!take_content(*stream, data_.length - 1 - data_pad_)) return false;
    }
    if (data_pad_ + 1 == data_.length && !data_.has(frame_flag::kEndStream) &&
        !flood(empties_, limits_.empty_frames, "empty_frames")) {
      return false;
    }
  }
  // Of these bytes, those that are not padding: it stands at the end.
  const std::size_t padding = data_left_ >= data_pad_ ? 0 : std::min<std::size_t>(length, data_pad_ - data_left_);
  length -= padding;
  if (length != 0) {
    H2StreamBase* stream = streams_.find(data_.stream_id);
    if (stream != nullptr) {
      if (stream->events_ != nullptr) {
        stream->events_->on_data(text(bytes, length));
      } else {
        consume_stream(*stream, length);
      }
      if (over_) return false;
    }
  }
  return data_left_ != 0 || end_data();
}

bool H2Engine::end_data() {
  state_ = State::kFrames;
  if (!data_.has(frame_flag::kEndStream)) return true;
  H2StreamBase* stream = streams_.find(data_.stream_id);
  if (stream == nullptr) return true;
  if (stream->content_left_ > 0) return stream_error(data_.stream_id, stream, H2Error::kProtocolError);
  stream->peer_ended_ = true;
  if (stream->events_ != nullptr) stream->events_->on_end(nullptr);
  if (over_) return false;
  peer_ended(*stream);
  return true;
}

// Both halves are over: so is the stream. Precondition: it is still on this connection, or in gone_.
void H2Engine::peer_ended(H2StreamBase& stream) {
  if (stream.engine_ == this && stream.end_sent_) close_stream(stream, StreamEnd::kFinished, 0, ClosedWhy::kEnded);
}

// ---------------------------------------------------------------- header lists

bool H2Engine::on_headers(const FrameHeader& frame, const std::uint8_t* payload) {
  if (frame.stream_id == 0) return connection_error(H2Error::kProtocolError, "HEADERS without a stream");
  std::size_t length = frame.length;
  std::size_t padding = 0;
  if (frame.has(frame_flag::kPadded)) {
    if (length == 0) return connection_error(H2Error::kFrameSizeError, "padding without a length");
    padding = payload[0];
    ++payload;
    --length;
  }
  head_error_ = H2Error::kNoError;
  if (frame.has(frame_flag::kPriority)) {
    if (length < kPriorityBytes)
      return connection_error(H2Error::kFrameSizeError, "HEADERS too short for its priority");
    if ((read_u32(payload) & kLargestStreamId) == frame.stream_id) head_error_ = H2Error::kProtocolError;
    payload += kPriorityBytes;
    length -= kPriorityBytes;
  }
  if (padding > length) return connection_error(H2Error::kProtocolError, "padding longer than its frame");
  length -= padding;

  head_id_ = frame.stream_id;
  head_end_stream_ = frame.has(frame_flag::kEndStream);
  head_ignored_ = false;
  head_opens_ = false;
  head_frames_ = 0;
  head_bytes_ = 0;
  H2StreamBase* stream = streams_.find(head_id_);
  if (stream == nullptr) {
    if (role_ == Role::kServer) {
      if ((head_id_ & 1) == 0) return connection_error(H2Error::kProtocolError, "an even stream identifier");
      if (head_id_ <= last_peer_id_) {
        if (!on_closed_stream(head_id_, true)) return false;
        head_ignored_ = true;
      } else {
        last_peer_id_ = head_id_;
        // Beyond what our GOAWAY said: the client knows that it was not taken (6.8).
        head_ignored_ = head_id_ > goaway_last_id_;
        head_opens_ = !head_ignored_;
      }
    } else {
      if (idle(head_id_)) return connection_error(H2Error::kProtocolError, "HEADERS on an idle stream");
      if (!on_closed_stream(head_id_, true)) return false;
      head_ignored_ = true;
    }
  } else if (stream->peer_ended_) {
    if (!stream_error(head_id_, stream, H2Error::kStreamClosed)) return false;  // half-closed (remote)
    head_ignored_ = true;
  }
  block_.clear();
  return header_fragment(text(payload, length), frame.has(frame_flag::kEndHeaders));
}

bool H2Engine::on_continuation(const FrameHeader& frame, const std::uint8_t* payload) {
  if (!continuing_) return connection_error(H2Error::kProtocolError, "CONTINUATION without HEADERS");
  if (++head_frames_ > limits_.continuation_frames && role_ == Role::kServer) {
    owner_.on_limit("continuation_frames");
    return connection_error(H2Error::kEnhanceYourCalm, "continuation_frames");
  }
  const bool last = frame.has(frame_flag::kEndHeaders);
  if (frame.length == 0 && !last && !flood(empties_, limits_.empty_frames, "empty_frames")) return false;
  return header_fragment(text(payload, frame.length), last);
}

bool H2Engine::header_fragment(std::string_view fragment, bool last) {
  head_bytes_ += fragment.size();
  if (head_bytes_ > limits_.header_block_bytes) {
    owner_.on_limit("header_block_bytes");
    return connection_error(H2Error::kEnhanceYourCalm, "header_block_bytes");
  }
  continuing_ = !last;
  if (decoder_.decode(fragment, last, limits_.header_list_bytes, block_) == HpackDecoder::Outcome::kBroken) {
    return connection_error(H2Error::kCompressionError, "malformed header block");
  }
  return !last || on_header_list();
}

bool H2Engine::on_header_list() {
  const bool too_large = decoder_.too_large();
  H2StreamBase* stream = streams_.find(head_id_);
  bool going_on = true;
  if (head_ignored_) {
    // Decoded for the table's sake.
  } else if (head_error_ != H2Error::kNoError && (stream != nullptr || head_opens_)) {
    going_on = stream_error(head_id_, stream, head_error_);
  } else if (stream == nullptr) {
    // Trailers (or a response) whose stream went between HEADERS and the last CONTINUATION open no stream again.
    if (head_opens_) going_on = on_request(too_large);
  } else if (stream->in_head_done_) {
    going_on = on_trailers(*stream, too_large);
  } else {
    going_on = on_response(*stream, too_large);
  }
  block_.clear();
  return going_on && !over_;
}

bool H2Engine::on_request(bool too_large) {
  if (streams_.size() >= limits_.max_concurrent_streams) {
    owner_.on_limit("max_concurrent_streams");
    return stream_error(head_id_, nullptr, H2Error::kRefusedStream);
  }
  HeadFacts facts;
  if (!too_large) {
    facts = check_request_head(block_);
    if (facts.malformed || (head_end_stream_ && facts.content_length > 0)) {
      owner_.on_malformed_head();
      return stream_error(head_id_, nullptr, H2Error::kProtocolError);
    }
  }
  last_taken_id_ = head_id_;
  H2StreamBase& stream = *owner_.on_new_stream();
  attach(stream, head_id_);
  stream.in_head_done_ = true;
  stream.peer_ended_ = head_end_stream_;
  stream.content_left_ = facts.content_length;
  if (too_large) {
    stream.events_->on_headers_too_large();
  } else {
    stream.events_->on_headers(block_, head_end_stream_);
  }
  return !over_;
}

bool H2Engine::on_response(H2StreamBase& stream, bool too_large) {
  if (too_large) {
    stream.in_head_done_ = true;
    stream.peer_ended_ = head_end_stream_;
    if (stream.events_ != nullptr) stream.events_->on_headers_too_large();
    if (stream.engine_ == this && stream.peer_ended_) peer_ended(stream);
    return !over_;
  }
  const HeadFacts facts = check_response_head(block_);
  if (facts.malformed || (facts.interim && head_end_stream_)) {
    return stream_error(head_id_, &stream, H2Error::kProtocolError);
  }
  // An interim response (1xx) says nothing to a gRPC client; the final one follows.
  if (facts.interim) return true;
  stream.in_head_done_ = true;
  stream.out_.drop_kept();  // taken up: it will not be sent again
  stream.content_left_ = facts.content_length;
  // gRPC's trailers-only answers have no body, whatever content-length says of it would lie.
  if (head_end_stream_ && facts.content_length > 0) return stream_error(head_id_, &stream, H2Error::kProtocolError);
  stream.peer_ended_ = head_end_stream_;
  if (stream.events_ != nullptr) stream.events_->on_headers(block_, head_end_stream_);
  if (stream.engine_ == this && stream.peer_ended_) peer_ended(stream);
  return !over_;
}

bool H2Engine::on_trailers(H2StreamBase& stream, bool too_large) {
  // 8.1: a second header list ends the message, and has no pseudo-header field.
  if (!head_end_stream_ || (!too_large && malformed_trailers(block_)) || stream.content_left_ > 0) {
    return stream_error(head_id_, &stream, H2Error::kProtocolError);
  }
  stream.peer_ended_ = true;
  if (stream.events_ != nullptr) {
    if (too_large) {
      stream.events_->on_headers_too_large();
    } else {
      stream.events_->on_end(&block_);
    }
  }
  if (stream.engine_ == this) peer_ended(stream);
  return !over_;
}

// ---------------------------------------------------------------- the rest

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
  owner_.on_goaway(code, text(payload + 8, frame.length - 8));
  return !over_;
}

}  // namespace ficus
