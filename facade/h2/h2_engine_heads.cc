// H2Engine, receiving: header lists, which open streams, answer and end them.
#include <algorithm>

#include "facade/h2/h2_engine.h"

namespace ficus {

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
  return header_fragment(as_text(payload, length), frame.has(frame_flag::kEndHeaders));
}

bool H2Engine::on_continuation(const FrameHeader& frame, const std::uint8_t* payload) {
  if (!continuing_) return connection_error(H2Error::kProtocolError, "CONTINUATION without HEADERS");
  if (++head_frames_ > limits_.continuation_frames && role_ == Role::kServer) {
    owner_.on_limit("continuation_frames");
    return connection_error(H2Error::kEnhanceYourCalm, "continuation_frames");
  }
  const bool last = frame.has(frame_flag::kEndHeaders);
  if (frame.length == 0 && !last && !flood(empties_, limits_.empty_frames, "empty_frames")) return false;
  return header_fragment(as_text(payload, frame.length), last);
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
  if (facts.interim) return carried_nothing(head_id_);
  stream.nothings_ = 0;
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

}  // namespace ficus
