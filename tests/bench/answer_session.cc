#include "tests/bench/answer_session.h"

#include <algorithm>

#include "tests/bench/h2_frames.h"

namespace ficus::bench {
namespace {

constexpr std::uint64_t kMaxRequestBytes = 64 << 20;  // an echoed answer is built in memory

// RFC 7541 6.2: what the first answer on a connection says, adding one entry each to the peer's table ...
constexpr std::string_view kHeadAdding =
    "\x88\x5f\x10"
    "application/grpc";  // 0x88 is :status 200; 0x5f adds, name 31
constexpr std::string_view kTrailersAdding =
    "\x40\x0b"
    "grpc-status"
    "\x01"
    "0";
// ... what all later ones say: grpc-status came last, so it is entry 62 and content-type 63 ...
constexpr std::string_view kHeadIndexed = "\x88\xbf";
constexpr std::string_view kTrailersIndexed = "\xbe";
// ... and what a peer hears that keeps no table: literals without indexing.
constexpr std::string_view kHeadLiteral =
    "\x88\x0f\x10\x10"
    "application/grpc";
constexpr std::string_view kTrailersLiteral{
    "\x00\x0b"
    "grpc-status"
    "\x01"
    "0",
    15};
constexpr std::uint32_t kDefaultHeaderTableBytes = 4096;

}  // namespace

AnswerSession::AnswerSession(const AnswerOptions& options) : options_(options), slots_(64) {
  put_frame_header(output_, 12, kSettings, 0, 0);
  put_setting(output_, kSettingMaxStreams, options_.max_concurrent_streams);
  put_setting(output_, kSettingInitialWindow, kMaxWindow);
  put_frame_header(output_, 4, kWindowUpdate, 0, 0);
  put_u32(output_, kMaxWindow - 65535);
}

void AnswerSession::consume_output(std::size_t bytes) {
  output_sent_ += bytes;
  if (output_sent_ == output_.size()) {
    output_.clear();
    output_sent_ = 0;
  }
}

bool AnswerSession::on_bytes(std::string_view bytes) {
  if (!error_.empty()) return false;
  std::string_view rest = bytes;
  if (!input_.empty()) {
    input_.append(bytes);
    rest = input_;
  }
  if (!preface_seen_) {
    const std::size_t n = std::min(rest.size(), kPreface.size());
    if (rest.substr(0, n) != kPreface.substr(0, n)) return fail(kProtocolError, "not the HTTP/2 preface");
    if (n == kPreface.size()) {
      preface_seen_ = true;
      rest.remove_prefix(n);
    }
  }
  while (preface_seen_ && rest.size() >= kFrameHeaderBytes) {
    const std::uint32_t head = read_u32(rest);
    const std::size_t length = head >> 8;
    if (length > kMaxFrameBytes) return fail(kFrameSizeError, "a frame larger than SETTINGS_MAX_FRAME_SIZE");
    if (rest.size() < kFrameHeaderBytes + length) break;
    const auto type = static_cast<std::uint8_t>(head);
    const auto flags = static_cast<std::uint8_t>(rest[4]);
    const std::uint32_t id = read_u32(rest.substr(5)) & 0x7fffffff;
    if (!on_frame(type, flags, id, rest.substr(kFrameHeaderBytes, length))) return false;
    rest.remove_prefix(kFrameHeaderBytes + length);
  }
  // `rest` may lie in input_: move what is left to its front instead of assigning it to itself.
  if (input_.empty()) {
    input_.assign(rest);
  } else {
    input_.erase(0, input_.size() - rest.size());
  }
  return true;
}

bool AnswerSession::on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  if (!settings_seen_ && (type != kSettings || (flags & kAck) != 0)) {
    return fail(kProtocolError, "the first frame is not SETTINGS");
  }
  if (continued_id_ != 0 && (type != kContinuation || id != continued_id_)) {
    return fail(kProtocolError, "a header block was left open");
  }
  switch (type) {
    case kData:
      return on_data(flags, id, payload);
    case kHeaders:
      return on_headers(flags, id, payload);
    case kSettings:
      return on_settings(flags, id, payload);
    case kWindowUpdate:
      return on_window_update(id, payload);
    case kContinuation:
      if (continued_id_ == 0) return fail(kProtocolError, "CONTINUATION without HEADERS");
      if ((flags & kEndHeaders) != 0) {
        continued_id_ = 0;
        if (Stream* stream = find(id)) on_head(*stream, continued_ends_stream_);
      }
      return true;
    case kPing:
      if (id != 0 || payload.size() != 8) return fail(kFrameSizeError, "a malformed PING");
      if ((flags & kAck) == 0) {
        put_frame_header(output_, payload.size(), kPing, kAck, 0);
        output_.append(payload);
      }
      return true;
    case kRstStream:
      if (payload.size() != 4) return fail(kFrameSizeError, "a malformed RST_STREAM");
      if (id == 0 || id > last_id_) return fail(kProtocolError, "RST_STREAM of a stream that was never opened");
      if (Stream* stream = find(id)) close(*stream);
      return true;
    case kPushPromise:
      return fail(kProtocolError, "PUSH_PROMISE from a client");
    default:
      return true;  // PRIORITY, GOAWAY, and unknown types: RFC 9113 5.5
  }
}

bool AnswerSession::on_data(std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  if (id == 0 || id > last_id_) return fail(kProtocolError, "DATA on a stream that was never opened");
  std::size_t bytes = payload.size();
  if ((flags & kPadded) != 0) {
    if (payload.empty()) return fail(kProtocolError, "padding without its length");
    const std::size_t padding = 1 + static_cast<unsigned char>(payload[0]);
    if (padding > bytes) return fail(kProtocolError, "more padding than frame");
    bytes -= padding;
  }
  unacknowledged_bytes_ += payload.size();  // padding counts: RFC 9113 6.9.1
  if (unacknowledged_bytes_ >= kWindowUpdateAfter) {
    put_frame_header(output_, 4, kWindowUpdate, 0, 0);
    put_u32(output_, static_cast<std::uint32_t>(unacknowledged_bytes_));
    unacknowledged_bytes_ = 0;
  }
  Stream* stream = find(id);
  if (stream == nullptr) return true;  // was reset; its last frames were under way
  if (stream->ended) return fail(kStreamClosed, "DATA after END_STREAM");
  const bool ends = (flags & kEndStream) != 0;
  if (options_.when == AnswerWhen::kEachMessage) {
    const std::size_t skipped = (flags & kPadded) != 0 ? 1 : 0;
    return on_stream_data(*stream, payload.substr(skipped, bytes), ends);
  }
  stream->request_bytes += bytes;
  if (stream->request_bytes > kMaxRequestBytes) return fail(kEnhanceYourCalm, "a request larger than 64 MiB");
  if (ends) on_end(*stream);
  return true;
}

// A complete header block: a request's head, or its trailers.
void AnswerSession::on_head(Stream& stream, bool ends) {
  if (options_.when != AnswerWhen::kAtEnd && !stream.head_sent) put_head(stream);
  if (ends) on_end(stream);
}

// DATA of a call whose every message is answered when it is complete.
bool AnswerSession::on_stream_data(Stream& stream, std::string_view data, bool ends) {
  bool alike = true;
  const bool plain = stream.messages.take(data, [&](std::size_t body_bytes) {
    const std::size_t answer =
        (options_.message_bytes < 0 ? body_bytes : static_cast<std::size_t>(options_.message_bytes)) +
        kMessagePrefixBytes;
    if (stream.answer_bytes == 0) {
      stream.answer_bytes = stream.answer_sent = answer;
    }
    alike = alike && stream.answer_bytes == answer;
    ++stream.messages_due;
    ++messages_;
  });
  if (!plain) return fail(kProtocolError, "a compressed message");
  if (!alike) return fail(kProtocolError, "messages of different sizes on one stream");
  if (ends) {
    if (!stream.messages.between_messages()) return fail(kProtocolError, "END_STREAM inside a message");
    stream.ended = true;
  }
  go_on_or_wait(stream);
  return true;
}

bool AnswerSession::on_headers(std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  if (id % 2 == 0) return fail(kProtocolError, "HEADERS on a stream that no client may open");
  const std::size_t fixed = ((flags & kPadded) != 0 ? 1 : 0) + ((flags & kPriorityFlag) != 0 ? 5 : 0);
  if (payload.size() < fixed) return fail(kFrameSizeError, "HEADERS too short for its flags");
  if ((flags & kPadded) != 0 && static_cast<unsigned char>(payload[0]) > payload.size() - fixed) {
    return fail(kProtocolError, "more padding than frame");
  }
  Stream* stream = nullptr;
  if (id > last_id_) {
    last_id_ = id;
    stream = open(id);
    if (stream == nullptr) return fail(kEnhanceYourCalm, "more streams than SETTINGS_MAX_CONCURRENT_STREAMS");
  } else {  // trailers of a request
    stream = find(id);
    if (stream != nullptr && stream->ended) return fail(kStreamClosed, "HEADERS after END_STREAM");
    if (stream != nullptr && (flags & kEndStream) == 0) return fail(kProtocolError, "trailers without END_STREAM");
  }
  const bool ends = (flags & kEndStream) != 0;
  if ((flags & kEndHeaders) == 0) {
    continued_id_ = id;
    continued_ends_stream_ = ends;
  } else if (stream != nullptr) {
    on_head(*stream, ends);
  }
  return true;
}

bool AnswerSession::on_settings(std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  if (id != 0) return fail(kProtocolError, "SETTINGS on a stream");
  if ((flags & kAck) != 0) return payload.empty() || fail(kFrameSizeError, "SETTINGS ACK with a payload");
  if (payload.size() % 6 != 0) return fail(kFrameSizeError, "a malformed SETTINGS");
  settings_seen_ = true;
  std::uint32_t table_bytes = kDefaultHeaderTableBytes;
  for (; !payload.empty(); payload.remove_prefix(6)) {
    const auto name = static_cast<std::uint16_t>(read_u32(payload) >> 16);
    const std::uint32_t value = read_u32(payload.substr(2));
    if (name == kSettingHeaderTableSize) {
      table_bytes = value;
    } else if (name == kSettingInitialWindow) {
      if (value > static_cast<std::uint32_t>(kMaxWindow))
        return fail(kFlowControlError, "SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1");
      const std::int64_t change = static_cast<std::int64_t>(value) - peer_initial_window_;
      peer_initial_window_ = value;
      for (Stream& stream : slots_) {
        if (stream.id != 0) stream.send_window += change;
      }
    } else if (name == kSettingMaxFrame) {
      if (value < 16384 || value > 16777215) return fail(kProtocolError, "SETTINGS_MAX_FRAME_SIZE out of range");
      peer_max_frame_bytes_ = value;
    }
  }
  // RFC 7541 4.2: a table smaller than the default must be acknowledged by a size update in the next header block.
  if (table_bytes < kDefaultHeaderTableBytes && header_mode_ != HeaderMode::kLiteral) {
    header_mode_ = HeaderMode::kLiteral;
    table_size_update_due_ = true;
  }
  put_frame_header(output_, 0, kSettings, kAck, 0);
  answer_those_waiting();
  return true;
}

bool AnswerSession::on_window_update(std::uint32_t id, std::string_view payload) {
  if (payload.size() != 4) return fail(kFrameSizeError, "a malformed WINDOW_UPDATE");
  const std::int64_t increment = read_u32(payload) & 0x7fffffff;
  if (increment == 0) return fail(kProtocolError, "a WINDOW_UPDATE of 0");
  if (id > last_id_) return fail(kProtocolError, "WINDOW_UPDATE of a stream that was never opened");
  if (id == 0) {
    send_window_ += increment;
    if (send_window_ > kMaxWindow) return fail(kFlowControlError, "the connection's window over 2^31-1");
    answer_those_waiting();
    return true;
  }
  Stream* stream = find(id);
  if (stream == nullptr) return true;
  stream->send_window += increment;
  if (stream->send_window > kMaxWindow) return fail(kFlowControlError, "a stream's window over 2^31-1");
  if (stream->waiting) answer_those_waiting();
  return true;
}

bool AnswerSession::fail(std::uint32_t h2_error, std::string_view why) {
  put_frame_header(output_, 8, kGoaway, 0, 0);
  put_u32(output_, last_id_);
  put_u32(output_, h2_error);
  error_ = why;
  return false;
}

AnswerSession::Stream* AnswerSession::find(std::uint32_t id) {
  Stream& slot = slots_[(id >> 1) & (slots_.size() - 1)];
  return slot.id == id && id != 0 ? &slot : nullptr;
}

AnswerSession::Stream* AnswerSession::open(std::uint32_t id) {
  if (open_streams_ >= options_.max_concurrent_streams) return nullptr;
  // Two open streams in one slot: double until they lie apart. The bound keeps a peer that leaves one stream open and
  // races on from buying memory; it is 64 K streams behind its youngest by then.
  constexpr std::size_t kMaxSlots = 1 << 16;
  while (slots_[(id >> 1) & (slots_.size() - 1)].id != 0) {
    if (slots_.size() >= kMaxSlots) return nullptr;
    std::vector<Stream> larger(slots_.size() * 2);
    for (const Stream& stream : slots_) {
      if (stream.id != 0) larger[(stream.id >> 1) & (larger.size() - 1)] = stream;
    }
    slots_ = std::move(larger);
  }
  Stream& stream = slots_[(id >> 1) & (slots_.size() - 1)];
  stream = Stream{};
  stream.id = id;
  stream.send_window = peer_initial_window_;
  ++open_streams_;
  return &stream;
}

void AnswerSession::close(Stream& stream) {
  stream.id = 0;
  --open_streams_;
}

void AnswerSession::put_head(Stream& stream) {
  stream.head_sent = true;
  put_header_block(stream.id, kHeadIndexed, kHeadLiteral, false);
}

void AnswerSession::on_end(Stream& stream) {
  stream.ended = true;
  if (options_.when == AnswerWhen::kWhenReleased) return;
  if (options_.when != AnswerWhen::kEachMessage) begin_answer(stream);
  go_on_or_wait(stream);
}

void AnswerSession::release() {
  for (Stream& stream : slots_) {
    if (stream.id == 0 || !stream.ended || stream.answer_bytes != 0) continue;
    begin_answer(stream);
    go_on_or_wait(stream);
  }
}

void AnswerSession::begin_answer(Stream& stream) {
  const bool echo = options_.message_bytes < 0;
  // An empty request is answered by an empty message: what a gRPC answer must have is the prefix.
  stream.answer_bytes = echo ? std::max<std::uint64_t>(stream.request_bytes, kMessagePrefixBytes)
                             : static_cast<std::size_t>(options_.message_bytes) + kMessagePrefixBytes;
  ++messages_;
  if (!stream.head_sent) put_head(stream);
}

void AnswerSession::go_on_or_wait(Stream& stream) {
  if (go_on_answering(stream) || stream.waiting) return;
  stream.waiting = true;
  waiting_.push_back(stream.id);
}

// Sends what both windows allow; closes the stream behind its trailers. False: it waits for window.
bool AnswerSession::go_on_answering(Stream& stream) {
  for (;;) {
    if (stream.answer_sent == stream.answer_bytes) {
      if (stream.messages_due == 0) break;
      --stream.messages_due;
      stream.answer_sent = 0;
    }
    const std::int64_t window = std::min(send_window_, stream.send_window);
    if (window <= 0) return false;
    const std::size_t bytes =
        std::min({stream.answer_bytes - stream.answer_sent, static_cast<std::size_t>(window), peer_max_frame_bytes_});
    put_frame_header(output_, bytes, kData, 0, stream.id);
    output_.append(message_of(stream.answer_bytes).substr(stream.answer_sent, bytes));
    stream.answer_sent += bytes;
    stream.send_window -= static_cast<std::int64_t>(bytes);
    send_window_ -= static_cast<std::int64_t>(bytes);
  }
  if (!stream.ended) return true;
  put_header_block(stream.id, kTrailersIndexed, kTrailersLiteral, true);
  ++calls_;
  close(stream);
  return true;
}

void AnswerSession::answer_those_waiting() {
  for (std::size_t left = waiting_.size(); left > 0; --left) {
    const std::uint32_t id = waiting_.front();
    waiting_.pop_front();
    Stream* stream = find(id);
    if (stream == nullptr || !stream->waiting) continue;  // reset meanwhile
    if (go_on_answering(*stream)) {
      stream->waiting = false;
    } else {
      waiting_.push_back(id);
    }
  }
}

void AnswerSession::put_header_block(std::uint32_t id, std::string_view indexed, std::string_view literal,
                                     bool end_stream) {
  std::string_view block = literal;
  std::string with_update;
  if (table_size_update_due_) {
    table_size_update_due_ = false;
    with_update = "\x20";  // the table is 0 bytes large from here on: RFC 7541 6.3
    with_update.append(literal);
    block = with_update;
  } else if (header_mode_ == HeaderMode::kIndexed) {
    block = indexed;
  } else if (header_mode_ == HeaderMode::kNotYet) {
    // Heads add content-type again and again until the first trailers; the newest entries are the ones that count.
    block = end_stream ? kTrailersAdding : kHeadAdding;
    if (end_stream) header_mode_ = HeaderMode::kIndexed;
  }
  put_frame_header(output_, block.size(), kHeaders, kEndHeaders | (end_stream ? kEndStream : 0), id);
  output_.append(block);
}

// Built once a size: an uncompressed gRPC message whose body is a valid protobuf message with one bytes field,
// number 1.
std::string_view AnswerSession::message_of(std::size_t bytes) {
  if (message_.size() == bytes) return message_;
  message_.clear();
  message_.push_back('\0');
  const std::size_t body = bytes - 5;
  put_u32(message_, static_cast<std::uint32_t>(body));
  if (body == 1) {
    // No message of one byte is valid protobuf; nobody who asks for one decodes it.
    message_.push_back('\0');
    return message_;
  }
  if (body >= 2) {
    // Field 1, length-delimited, its length in as many bytes as make the whole fit: a varint may be padded.
    std::size_t length_bytes = 1;
    while (length_bytes < 5 && (body - 1 - length_bytes) >> (7 * length_bytes) != 0) ++length_bytes;
    std::size_t value = body - 1 - length_bytes;
    message_.push_back('\x0a');
    for (std::size_t i = 0; i < length_bytes; ++i, value >>= 7) {
      message_.push_back(static_cast<char>((value & 0x7f) | (i + 1 < length_bytes ? 0x80 : 0)));
    }
    message_.append(bytes - message_.size(), 'x');
  }
  return message_;
}

}  // namespace ficus::bench
