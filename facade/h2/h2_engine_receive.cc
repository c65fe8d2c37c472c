// H2Engine, receiving: from bytes to frames, and DATA. Other frames: h2_engine_heads.cc, h2_engine_control.cc.
#include <algorithm>

#include "facade/h2/h2_engine.h"

namespace ficus {

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
      if (as_text(at, n) != kClientPreface.substr(partial_.size(), n)) {
        return connection_error(H2Error::kProtocolError, "no HTTP/2 preface");
      }
      partial_.append(as_text(at, n));
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
      partial_.append(as_text(at, n));
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
      partial_.assign(as_text(at, have));
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
      partial_.assign(as_text(at, have));
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
  // An upstream is one of ours, and its connection is everybody's: what it sends there is not rationed.
  if (role_ == Role::kClient || gauge.take(limit, now_)) return true;
  owner_.on_limit(name);
  return connection_error(H2Error::kEnhanceYourCalm, name);
}

// A client floods its connection; of an upstream's, which many calls share, only the call in question is at stake.
bool H2Engine::carried_nothing(std::uint32_t id) {
  if (role_ == Role::kServer) return flood(empties_, limits_.empty_frames, "empty_frames");
  H2StreamBase* stream = streams_.find(id);
  if (stream == nullptr || ++stream->nothings_ <= limits_.empty_frames_of_call) return true;
  owner_.on_limit("empty_frames_of_call");
  return stream_error(id, stream, H2Error::kEnhanceYourCalm);
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
          emit(FrameType::kPing, frame_flag::kAck, 0, as_text(payload, frame.length));
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
  if (frame.length == 0 && !frame.has(frame_flag::kEndStream) && !carried_nothing(frame.stream_id)) return false;
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
    if (data_pad_ + 1 == data_.length && !data_.has(frame_flag::kEndStream) && !carried_nothing(data_.stream_id)) {
      return false;
    }
  }
  // Of these bytes, those that are not padding: it stands at the end.
  const std::size_t padding = data_left_ >= data_pad_ ? 0 : std::min<std::size_t>(length, data_pad_ - data_left_);
  length -= padding;
  if (length != 0) {
    H2StreamBase* stream = streams_.find(data_.stream_id);
    if (stream != nullptr) {
      stream->nothings_ = 0;
      if (stream->events_ != nullptr) {
        stream->events_->on_data(as_text(bytes, length));
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

}  // namespace ficus
