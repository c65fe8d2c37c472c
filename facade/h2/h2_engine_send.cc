// H2Engine, sending: frames into the output, DATA as windows allow.
#include <algorithm>

#include "facade/h2/h2_engine.h"

namespace ficus {

void H2Engine::announce() {
  if (output_announced_) return;
  output_announced_ = true;
  owner_.on_output();
}

void H2Engine::emit(FrameType type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  std::uint8_t* at = out_.extend(kFrameHeaderBytes + payload.size());
  write_frame_header(at, static_cast<std::uint32_t>(payload.size()), type, flags, id);
  std::copy_n(reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(), at + kFrameHeaderBytes);
  announce();
}

void H2Engine::emit_u32(FrameType type, std::uint32_t id, std::uint32_t value) {
  std::uint8_t* at = out_.extend(kFrameHeaderBytes + 4);
  write_frame_header(at, 4, type, 0, id);
  write_u32(at + kFrameHeaderBytes, value);
  announce();
}

void H2Engine::emit_head(std::uint32_t id, const HeaderBlock& block, bool end_stream) {
  ++content_frames_;
  const std::uint64_t head_at = out_.end_offset();
  out_.extend(kFrameHeaderBytes);
  encoder_.encode(block, out_);
  const std::size_t bytes = static_cast<std::size_t>(out_.end_offset() - head_at) - kFrameHeaderBytes;
  const std::uint8_t end_flag = end_stream ? frame_flag::kEndStream : 0;
  if (bytes <= peer_max_frame_) {
    write_frame_header(out_.at(head_at), static_cast<std::uint32_t>(bytes), FrameType::kHeaders,
                       static_cast<std::uint8_t>(frame_flag::kEndHeaders | end_flag), id);
    announce();
    return;
  }
  // Rare: more than one frame. The first stays where it is, the rest moves behind headers of its own.
  const std::uint8_t* first = out_.at(head_at) + kFrameHeaderBytes;
  const std::string rest(reinterpret_cast<const char*>(first) + peer_max_frame_, bytes - peer_max_frame_);
  out_.shrink(rest.size());
  write_frame_header(out_.at(head_at), peer_max_frame_, FrameType::kHeaders, end_flag, id);
  for (std::size_t done = 0; done < rest.size();) {
    const std::size_t n = std::min<std::size_t>(rest.size() - done, peer_max_frame_);
    const bool last = done + n == rest.size();
    emit(FrameType::kContinuation, last ? frame_flag::kEndHeaders : 0, id, std::string_view(rest).substr(done, n));
    done += n;
  }
}

bool H2Engine::open_stream(H2StreamBase& stream, const HeaderBlock& head, bool end_stream) {
  if (over_ || goaway_received_ || ids_used_up()) return false;
  attach(stream, next_id_);
  next_id_ += 2;
  stream.head_at_ = out_.end_offset();
  emit_head(stream.id_, head, end_stream);
  if (end_stream) {
    stream.end_queued_ = true;
    end_local(stream);
  } else if (!stream.out_.empty() || stream.end_queued_) {
    pump_one(stream);
  }
  return true;
}

void H2Engine::send_head(H2StreamBase& stream, const HeaderBlock& head, bool end_stream) {
  // Reset by the peer, a stream is off the connection before its owner is told.
  if (stream.engine_ != this || stream.reset_sent_ || stream.end_queued_) return;
  stream.head_at_ = out_.end_offset();
  emit_head(stream.id_, head, end_stream);
  if (end_stream) {
    stream.end_queued_ = true;
    end_local(stream);
  }
}

std::size_t H2Engine::sendable(const H2StreamBase& stream) const noexcept {
  const std::int64_t window = std::min(connection_send_window_, stream.send_window_);
  if (window <= 0 || out_.size() >= limits_.output_bytes) return 0;
  return std::min(static_cast<std::size_t>(window), limits_.output_bytes - out_.size());
}

void H2Engine::credit(H2StreamBase& stream, std::size_t bytes) {
  stream.sent_ += bytes;
  // Sent again after a repeat, bytes that were credited once are not credited again.
  if (stream.sent_ <= stream.credited_) return;
  const std::size_t fresh = stream.sent_ - stream.credited_;
  stream.credited_ = stream.sent_;
  if (stream.events_ != nullptr) stream.events_->on_sent(fresh);
}

void H2Engine::emit_data(H2StreamBase& stream, std::string_view piece) {
  ++content_frames_;
  window_updates_.forgive(kWindowUpdatesPerData);
  const auto bytes = static_cast<std::uint32_t>(piece.size());
  connection_send_window_ -= bytes;
  stream.send_window_ -= bytes;
  // Behind a DATA frame of the same stream that nobody has taken yet, the frame grows instead.
  if (stream.has_data_ && stream.last_data_at_ >= out_.frozen_offset() &&
      stream.last_data_at_ + kFrameHeaderBytes + stream.last_data_bytes_ == out_.end_offset() &&
      stream.last_data_bytes_ + bytes <= peer_max_frame_) {
    out_.append(piece);
    stream.last_data_bytes_ += bytes;
    write_u24(out_.at(stream.last_data_at_), stream.last_data_bytes_);
    announce();
    return;
  }
  stream.has_data_ = true;
  stream.last_data_at_ = out_.end_offset();
  stream.last_data_bytes_ = bytes;
  emit(FrameType::kData, 0, stream.id_, piece);
}

void H2Engine::write_data(H2StreamBase& stream, std::string_view bytes) {
  // What must be kept for a repeat, or waits behind others, goes through the queue.
  if (stream.out_.keeping() || !stream.out_.empty() || !ready_.empty()) {
    stream.out_.append(bytes);
    if (ready_.empty()) {
      while (stream.engine_ == this && !stream.out_.empty() && sendable(stream) != 0) pump_one(stream);
    }
    if (stream.engine_ == this && !stream.out_.empty()) make_ready(stream);
    return;
  }
  while (!bytes.empty()) {
    const std::size_t n = std::min({sendable(stream), bytes.size(), static_cast<std::size_t>(peer_max_frame_)});
    if (n == 0) break;
    emit_data(stream, bytes.substr(0, n));
    bytes.remove_prefix(n);
    credit(stream, n);
    if (stream.engine_ != this) return;
  }
  if (bytes.empty()) return;
  stream.out_.append(bytes);
  make_ready(stream);
}

void H2Engine::write_end(H2StreamBase& stream) {
  if (!stream.out_.empty()) return;  // pump_one() ends it behind the last byte
  if (stream.has_trailers_) {
    emit_head(stream.id_, stream.out_trailers_, true);
  } else if (stream.has_data_ && stream.last_data_at_ >= out_.frozen_offset()) {
    *(out_.at(stream.last_data_at_) + 4) |= frame_flag::kEndStream;
    announce();
  } else {
    emit(FrameType::kData, frame_flag::kEndStream, stream.id_, {});
  }
  end_local(stream);
}

void H2Engine::end_local(H2StreamBase& stream) {
  stream.end_sent_ = true;
  if (stream.peer_ended_) {
    close_stream(stream, StreamEnd::kFinished, 0, ClosedWhy::kEnded);
  } else if (role_ == Role::kServer) {
    // RFC 9113 8.1: a complete response may be followed by RST_STREAM(NO_ERROR), "stop sending the request".
    stream.reset_sent_ = true;
    emit_u32(FrameType::kRstStream, stream.id_, static_cast<std::uint32_t>(H2Error::kNoError));
    close_stream(stream, StreamEnd::kLocal, 0, ClosedWhy::kWeReset);
  }
}

void H2Engine::pump_one(H2StreamBase& stream) {
  const std::size_t may = std::min(sendable(stream), static_cast<std::size_t>(peer_max_frame_));
  const std::string_view piece = stream.out_.front(may);
  if (!piece.empty()) {
    emit_data(stream, piece);
    stream.out_.pop(piece.size());
    credit(stream, piece.size());
    if (stream.engine_ != this) return;
  }
  if (stream.out_.empty()) {
    if (stream.end_queued_ && !stream.end_sent_) write_end(stream);
  } else if (!stream.ready_listed_) {
    make_ready(stream);
  }
}

void H2Engine::make_ready(H2StreamBase& stream) {
  // Without window of its own it comes back with a WINDOW_UPDATE.
  if (stream.ready_listed_ || stream.send_window_ <= 0) return;
  stream.ready_listed_ = true;
  ready_.push_back(stream);
  announce();
}

void H2Engine::pump() {
  // Here and not where they are counted: by then the turn's heads may stand in the output already, turn after turn.
  if (out_.empty()) control_bytes_ = 0;
  while (!ready_.empty() && connection_send_window_ > 0 && out_.size() < limits_.output_bytes) {
    H2StreamBase& stream = ready_.front();
    ready_.pop_front();
    stream.ready_listed_ = false;
    pump_one(stream);
  }
}

void H2Engine::reset_stream(H2StreamBase& stream, H2Error error) {
  emit_u32(FrameType::kRstStream, stream.id_, static_cast<std::uint32_t>(error));
  const bool over = stream.peer_ended_ && stream.end_queued_;
  close_stream(stream, over ? StreamEnd::kFinished : StreamEnd::kLocal, static_cast<std::uint32_t>(error),
               ClosedWhy::kWeReset);
}

void H2Engine::consume_stream(H2StreamBase& stream, std::size_t bytes) {
  // A peer that has ended its half needs no more credit on this stream.
  if (stream.peer_ended_) return;
  stream.consumed_ += static_cast<std::uint32_t>(bytes);
  // Given back in halves of the window: few frames, and the peer never stands still for want of one.
  if (stream.consumed_ < limits_.stream_window_bytes / 2) return;
  emit_u32(FrameType::kWindowUpdate, stream.id_, stream.consumed_);
  stream.receive_window_ += stream.consumed_;
  stream.consumed_ = 0;
}

}  // namespace ficus
