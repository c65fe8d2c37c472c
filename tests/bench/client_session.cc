#include "tests/bench/client_session.h"

#include <cstdlib>

namespace ficus::bench {
namespace {

constexpr std::size_t kHeaderTableBytes = 4096;

std::uint8_t* octets(const std::string& text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // nghttp2_nv is not const-correct
}

}  // namespace

ClientSession::ClientSession(const ClientOptions& options, Listener& listener)
    : options_(options), listener_(listener) {
  nghttp2_hd_deflater* deflater = nullptr;
  nghttp2_hd_inflater* inflater = nullptr;
  if (nghttp2_hd_deflate_new(&deflater, kHeaderTableBytes) != 0 || nghttp2_hd_inflate_new(&inflater) != 0) std::abort();
  deflater_.reset(deflater);
  inflater_.reset(inflater);
  for (const auto& [name, value] : options_.head) {
    head_.push_back({octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  output_ = kPreface;
  put_frame_header(output_, 6, kSettings, 0, 0);
  put_setting(output_, kSettingInitialWindow, kMaxWindow);
  put_frame_header(output_, 4, kWindowUpdate, 0, 0);
  put_u32(output_, kMaxWindow - kDefaultWindow);
}

void ClientSession::consume_output(std::size_t bytes) {
  output_sent_ += bytes;
  if (output_sent_ == output_.size()) {
    output_.clear();
    output_sent_ = 0;
  }
}

std::uint32_t ClientSession::open() {
  const std::uint32_t id = next_id_;
  next_id_ += 2;
  std::uint8_t block[4096];
  const ssize_t n = nghttp2_hd_deflate_hd(deflater_.get(), block, sizeof block, head_.data(), head_.size());
  if (n < 0) std::abort();  // the heads of the bench are far smaller
  put_frame_header(output_, static_cast<std::size_t>(n), kHeaders, kEndHeaders, id);
  output_.append(reinterpret_cast<const char*>(block), static_cast<std::size_t>(n));
  streams_[id].send_window = peer_initial_window_;
  return id;
}

void ClientSession::send(std::uint32_t id, std::string_view data, bool end) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.unsent.append(data);
  stream.ends = end;
  flush(id, stream);
}

void ClientSession::flush(std::uint32_t id, Stream& stream) {
  std::string_view rest = stream.unsent;
  while (!stream.end_sent) {
    const std::int64_t window = std::min(send_window_, stream.send_window);
    if (rest.empty() ? !stream.ends : window <= 0) break;
    const std::size_t n =
        std::min({rest.size(), kMaxFrameBytes, static_cast<std::size_t>(std::max<std::int64_t>(window, 0))});
    const bool last = stream.ends && n == rest.size();
    put_frame_header(output_, n, kData, last ? kEndStream : 0, id);
    output_.append(rest.substr(0, n));
    rest.remove_prefix(n);
    send_window_ -= static_cast<std::int64_t>(n);
    stream.send_window -= static_cast<std::int64_t>(n);
    stream.end_sent = last;
  }
  stream.unsent.erase(0, stream.unsent.size() - rest.size());
}

void ClientSession::flush_all() {
  for (auto& [id, stream] : streams_) {
    if (!stream.unsent.empty()) flush(id, stream);
  }
}

void ClientSession::ping() {
  put_frame_header(output_, 8, kPing, 0, 0);
  output_.append("ficus\0\0\0", 8);
  ++pings_open_;
}

bool ClientSession::on_bytes(std::string_view bytes) {
  if (!error_.empty()) return false;
  std::string_view rest = bytes;
  if (!input_.empty()) {
    input_.append(bytes);
    rest = input_;
  }
  while (rest.size() >= kFrameHeaderBytes) {
    const std::uint32_t head = read_u32(rest);
    const std::size_t length = head >> 8;
    if (length > kMaxFrameBytes) return fail("a frame larger than SETTINGS_MAX_FRAME_SIZE");
    if (rest.size() < kFrameHeaderBytes + length) break;
    const std::uint32_t id = read_u32(rest.substr(5)) & 0x7fffffff;
    if (!on_frame(static_cast<std::uint8_t>(head), static_cast<std::uint8_t>(rest[4]), id,
                  rest.substr(kFrameHeaderBytes, length))) {
      return false;
    }
    rest.remove_prefix(kFrameHeaderBytes + length);
  }
  if (input_.empty()) {  // `rest` may lie in input_
    input_.assign(rest);
  } else {
    input_.erase(0, input_.size() - rest.size());
  }
  return true;
}

bool ClientSession::on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  if (block_id_ != 0 && (type != kContinuation || id != block_id_)) return fail("a header block was left open");
  switch (type) {
    case kData:
      return on_data(flags, id, payload);
    case kHeaders: {
      const std::size_t fixed = ((flags & kPadded) != 0 ? 1 : 0) + ((flags & kPriorityFlag) != 0 ? 5 : 0);
      const std::size_t padding =
          (flags & kPadded) != 0 && !payload.empty() ? static_cast<unsigned char>(payload[0]) : 0;
      if (payload.size() < fixed + padding) return fail("HEADERS shorter than its padding");
      block_ = payload.substr(fixed, payload.size() - fixed - padding);
      block_ends_ = (flags & kEndStream) != 0;
      if ((flags & kEndHeaders) != 0) return on_header_block(id, block_ends_);
      block_id_ = id;
      return true;
    }
    case kContinuation:
      if (block_id_ == 0) return fail("CONTINUATION without HEADERS");
      block_.append(payload);
      if ((flags & kEndHeaders) == 0) return true;
      block_id_ = 0;
      return on_header_block(id, block_ends_);
    case kSettings:
      return on_settings(flags, payload);
    case kWindowUpdate:
      return on_window_update(id, payload);
    case kPing:
      if (payload.size() != 8) return fail("a malformed PING");
      if ((flags & kAck) == 0) {
        put_frame_header(output_, payload.size(), kPing, kAck, 0);
        output_.append(payload);
      } else if (pings_open_ > 0) {
        --pings_open_;
      }
      return true;
    case kRstStream:
      return fail("call on stream " + std::to_string(id) + " was reset with error " +
                  (payload.size() == 4 ? std::to_string(read_u32(payload)) : "?"));
    case kGoaway:
      return fail("GOAWAY with error " + (payload.size() >= 8 ? std::to_string(read_u32(payload.substr(4))) : "?"));
    case kPushPromise:
      return fail("PUSH_PROMISE");
    default:
      return true;  // PRIORITY and unknown types: RFC 9113 5.5
  }
}

bool ClientSession::on_data(std::uint8_t flags, std::uint32_t id, std::string_view payload) {
  std::string_view data = payload;
  if ((flags & kPadded) != 0) {
    const std::size_t padding = payload.empty() ? 0 : 1 + static_cast<unsigned char>(payload[0]);
    if (padding == 0 || padding > payload.size()) return fail("more padding than frame");
    data = payload.substr(1, payload.size() - padding);
  }
  unacknowledged_bytes_ += payload.size();
  if (unacknowledged_bytes_ >= kWindowUpdateAfter) {
    put_frame_header(output_, 4, kWindowUpdate, 0, 0);
    put_u32(output_, static_cast<std::uint32_t>(unacknowledged_bytes_));
    unacknowledged_bytes_ = 0;
  }
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.head_seen) return fail("DATA outside of an answer");
  if ((flags & kEndStream) != 0) return fail("an answer without trailers");
  // Counted first, told afterwards: the listener may open calls, which moves the map's entries.
  std::size_t whole = 0;
  bool right = true;
  const bool plain = found->second.messages.take(data, [&](std::size_t bytes) {
    ++whole;
    right = right && bytes == options_.answer_bytes;
  });
  if (!plain) return fail("a compressed message");
  if (!right) return fail("an answer message of another size than " + std::to_string(options_.answer_bytes));
  for (; whole > 0; --whole) listener_.on_message(*this, id);
  return true;
}

bool ClientSession::on_header_block(std::uint32_t id, bool ends) {
  const auto* in = reinterpret_cast<const std::uint8_t*>(block_.data());
  std::size_t left = block_.size();
  std::string status, grpc_status;
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t n = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags, in, left, 1);
    if (n < 0) return fail(std::string("a header block: ") + nghttp2_strerror(static_cast<int>(n)));
    in += n;
    left -= static_cast<std::size_t>(n);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
      const std::string_view value(reinterpret_cast<const char*>(field.value), field.valuelen);
      if (name == ":status") status = value;
      if (name == "grpc-status") grpc_status = value;
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    if (n == 0 && left == 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_.get());

  const auto found = streams_.find(id);
  if (found == streams_.end()) return fail("HEADERS on a stream without a call");
  Stream& stream = found->second;
  if (!stream.head_seen) {
    if (status != "200") return fail(":status " + status);
    if (ends) return fail("an answer without a message, grpc-status " + grpc_status);
    stream.head_seen = true;
    listener_.on_head(*this, id);
    return true;
  }
  if (!ends) return fail("trailers without END_STREAM");
  if (grpc_status != "0") return fail("grpc-status " + (grpc_status.empty() ? "missing" : grpc_status));
  if (!stream.messages.between_messages()) return fail("an answer cut off in a message");
  if (!stream.end_sent) return fail("an answer that ended before its request");
  streams_.erase(found);
  listener_.on_end(*this, id);
  return true;
}

bool ClientSession::on_settings(std::uint8_t flags, std::string_view payload) {
  if ((flags & kAck) != 0) {
    settings_acked_ = true;
    return true;
  }
  if (payload.size() % 6 != 0) return fail("a malformed SETTINGS");
  settings_seen_ = true;
  for (; !payload.empty(); payload.remove_prefix(6)) {
    const auto name = static_cast<std::uint16_t>(read_u32(payload) >> 16);
    const std::uint32_t value = read_u32(payload.substr(2));
    if (name == kSettingHeaderTableSize) {
      nghttp2_hd_deflate_change_table_size(deflater_.get(), std::min<std::size_t>(value, kHeaderTableBytes));
    } else if (name == kSettingMaxStreams) {
      peer_max_streams_ = value;
    } else if (name == kSettingInitialWindow) {
      if (value > static_cast<std::uint32_t>(kMaxWindow)) return fail("SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1");
      const std::int64_t change = static_cast<std::int64_t>(value) - peer_initial_window_;
      peer_initial_window_ = value;
      for (auto& [id, stream] : streams_) stream.send_window += change;
    }
  }
  put_frame_header(output_, 0, kSettings, kAck, 0);
  flush_all();
  return true;
}

bool ClientSession::on_window_update(std::uint32_t id, std::string_view payload) {
  if (payload.size() != 4) return fail("a malformed WINDOW_UPDATE");
  const std::int64_t increment = read_u32(payload) & 0x7fffffff;
  if (id == 0) {
    send_window_ += increment;
    flush_all();
  } else if (const auto found = streams_.find(id); found != streams_.end()) {
    found->second.send_window += increment;
    flush(id, found->second);
  }
  return true;
}

bool ClientSession::fail(std::string why) {
  error_ = std::move(why);
  return false;
}

std::string grpc_message(std::size_t bytes) {
  std::string out(1, '\0');
  put_u32(out, static_cast<std::uint32_t>(bytes));
  return out.append(bytes, 'q');
}

}  // namespace ficus::bench
