#include "tests/support/raw_h2.h"

#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

namespace ficus::e2e {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

void put32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>((value >> shift) & 0xff);
}

std::uint32_t get32(std::string_view from) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4 && i < from.size(); ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

std::string settings_payload(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings) {
  std::string payload;
  for (const auto& [id, value] : settings) {
    payload += static_cast<char>(id >> 8);
    payload += static_cast<char>(id & 0xff);
    put32(payload, value);
  }
  return payload;
}

}  // namespace

std::optional<std::string> find_header(const HeaderList& headers, const std::string& name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string> find_all(const HeaderList& headers, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : headers) {
    if (key == name) values.push_back(value);
  }
  return values;
}

HeaderList grpc_request(const std::string& path, HeaderList extra) {
  HeaderList head = {{":method", "POST"}, {":scheme", "http"},
                     {":path", path},     {":authority", "inventory.test"},
                     {"te", "trailers"},  {"content-type", "application/grpc"}};
  head.insert(head.end(), extra.begin(), extra.end());
  return head;
}

HeaderList grpc_response(HeaderList extra) {
  HeaderList head = {{":status", "200"}, {"content-type", "application/grpc"}};
  head.insert(head.end(), extra.begin(), extra.end());
  return head;
}

HeaderList grpc_trailers(int status, HeaderList extra) {
  HeaderList trailers = {{"grpc-status", std::to_string(status)}};
  trailers.insert(trailers.end(), extra.begin(), extra.end());
  return trailers;
}

std::string grpc_frame(std::string_view message, std::uint8_t flag) {
  std::string frame(1, static_cast<char>(flag));
  put32(frame, static_cast<std::uint32_t>(message.size()));
  frame += message;
  return frame;
}

std::vector<GrpcFrame> grpc_frames(std::string_view data) {
  std::vector<GrpcFrame> frames;
  while (data.size() >= 5) {
    const std::size_t size = get32(data.substr(1));
    if (data.size() < 5 + size) break;
    frames.push_back({static_cast<std::uint8_t>(data[0]), std::string(data.substr(5, size))});
    data.remove_prefix(5 + size);
  }
  return frames;
}

std::string h2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::string frame;
  put32(frame, static_cast<std::uint32_t>(payload.size()));
  frame.erase(0, 1);  // the length has three bytes
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  put32(frame, stream);
  frame += payload;
  return frame;
}

std::shared_ptr<RawH2> RawH2::connect(const std::string& address, Options options) {
  Socket socket = connect_loopback(address);
  if (!socket) return nullptr;
  return std::make_shared<RawH2>(std::move(socket), Role::kClient, std::move(options));
}

RawH2::RawH2(Socket socket, Role role, Options options)
    : socket_(std::move(socket)), role_(role), options_(std::move(options)) {
  if (nghttp2_hd_deflate_new(&deflater_, 4096) != 0 || nghttp2_hd_inflate_new(&inflater_) != 0) {
    throw std::bad_alloc();
  }
  if (options_.preface) {
    if (role_ == Role::kClient) send_bytes(kPreface);
    send_settings(options_.settings);
    if (options_.connection_window > 65535) send_window_update(0, options_.connection_window - 65535);
  }
  reader_ = std::thread([this] { read_loop(); });
}

RawH2::~RawH2() {
  ::shutdown(socket_.fd(), SHUT_RDWR);
  reader_.join();
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

// ---- sending

bool RawH2::send_bytes(std::string_view bytes) {
  std::lock_guard lock(send_mutex_);
  return send_all(socket_, bytes);
}

bool RawH2::send_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  return send_bytes(h2_frame(type, flags, stream, payload));
}

bool RawH2::send_headers(std::uint32_t stream, const HeaderList& headers, bool end_stream) {
  std::vector<nghttp2_nv> pairs;
  for (const auto& [name, value] : headers) {
    pairs.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                     NGHTTP2_NV_FLAG_NONE});
  }
  std::lock_guard lock(send_mutex_);  // encoding and sending in one order: HPACK has state
  std::string block(nghttp2_hd_deflate_bound(deflater_, pairs.data(), pairs.size()), '\0');
  const ssize_t size = nghttp2_hd_deflate_hd(deflater_, reinterpret_cast<std::uint8_t*>(block.data()), block.size(),
                                             pairs.data(), pairs.size());
  if (size < 0) return false;
  block.resize(static_cast<std::size_t>(size));
  std::string frames;
  std::uint8_t type = kHeaders;
  std::string_view left = block;
  do {
    const std::string_view piece = left.substr(0, 16384);
    left.remove_prefix(piece.size());
    std::uint8_t flags = left.empty() ? kEndHeaders : kNoFlags;
    if (type == kHeaders && end_stream) flags |= kEndStream;
    frames += h2_frame(type, flags, stream, piece);
    type = kContinuation;
  } while (!left.empty());
  return send_all(socket_, frames);
}

std::size_t RawH2::send_data(std::uint32_t stream, std::string_view bytes, bool end_stream,
                             std::chrono::milliseconds limit, std::size_t max_frame) {
  std::size_t sent = 0;
  if (bytes.empty()) {
    if (end_stream) send_frame(kData, kEndStream, stream, {});
    return 0;
  }
  while (sent < bytes.size()) {
    std::size_t size = 0;
    {
      std::unique_lock lock(mutex_);
      const auto may_send = [&] {
        const Stream& s = stream_locked(stream);
        return state_.closed || s.reset || (send_window_ > 0 && s.send_window > 0);
      };
      if (!changed_.wait_for(lock, limit, may_send)) return sent;
      Stream& s = stream_locked(stream);
      if (state_.closed || s.reset) return sent;
      const auto window = static_cast<std::size_t>(std::min(send_window_, s.send_window));
      size = std::min({bytes.size() - sent, max_frame, window});
      send_window_ -= static_cast<std::int64_t>(size);
      s.send_window -= static_cast<std::int64_t>(size);
    }
    const bool last = end_stream && sent + size == bytes.size();
    if (!send_frame(kData, last ? kEndStream : kNoFlags, stream, bytes.substr(sent, size))) return sent;
    sent += size;
  }
  return sent;
}

bool RawH2::send_reset(std::uint32_t stream, std::uint32_t code) {
  std::string payload;
  put32(payload, code);
  return send_frame(kRstStream, kNoFlags, stream, payload);
}

bool RawH2::send_goaway(std::uint32_t last_stream, std::uint32_t code, std::string_view debug) {
  std::string payload;
  put32(payload, last_stream);
  put32(payload, code);
  payload += debug;
  return send_frame(kGoaway, kNoFlags, 0, payload);
}

bool RawH2::send_window_update(std::uint32_t stream, std::uint32_t bytes) {
  std::string payload;
  put32(payload, bytes);
  return send_frame(kWindowUpdate, kNoFlags, stream, payload);
}

bool RawH2::send_settings(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings) {
  return send_frame(kSettings, kNoFlags, 0, settings_payload(settings));
}

bool RawH2::send_ping() { return send_frame(kPing, kNoFlags, 0, "12345678"); }

std::uint32_t RawH2::open(const HeaderList& headers, bool end_stream) {
  std::uint32_t id = 0;
  {
    std::lock_guard lock(mutex_);
    id = next_stream_;
    next_stream_ += 2;
    stream_locked(id);
  }
  send_headers(id, headers, end_stream);
  return id;
}

void RawH2::close() { ::shutdown(socket_.fd(), SHUT_RDWR); }

void RawH2::abort() {
  // RST instead of FIN. The descriptor stays ours (the reader uses it) until shutdown woke the reader.
  const linger hard{1, 0};
  ::setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  const sockaddr nowhere{AF_UNSPEC, {}};
  ::connect(socket_.fd(), &nowhere, sizeof nowhere);  // Linux: disconnects with RST
}

// ---- what came

RawH2::State RawH2::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

RawH2::Stream RawH2::stream(std::uint32_t id) const {
  std::lock_guard lock(mutex_);
  const auto found = state_.streams.find(id);
  return found == state_.streams.end() ? Stream() : found->second;
}

bool RawH2::wait_closed(std::chrono::milliseconds limit) {
  return wait([](const State& s) { return s.closed; }, limit);
}

bool RawH2::wait_blocks(std::uint32_t stream, std::size_t count, std::chrono::milliseconds limit) {
  return wait(
      [&](const State& s) {
        const auto found = s.streams.find(stream);
        return found != s.streams.end() && found->second.blocks.size() >= count;
      },
      limit);
}

bool RawH2::wait_data(std::uint32_t stream, std::uint64_t bytes, std::chrono::milliseconds limit) {
  return wait(
      [&](const State& s) {
        const auto found = s.streams.find(stream);
        return found != s.streams.end() && found->second.data_bytes >= bytes;
      },
      limit);
}

bool RawH2::wait_over(std::uint32_t stream, std::chrono::milliseconds limit) {
  return wait(
      [&](const State& s) {
        const auto found = s.streams.find(stream);
        return s.closed || (found != s.streams.end() && found->second.over());
      },
      limit);
}

std::uint32_t RawH2::wait_request(std::size_t index, std::chrono::milliseconds limit) {
  if (!wait([&](const State& s) { return s.opened.size() > index; }, limit)) return 0;
  std::lock_guard lock(mutex_);
  return state_.opened[index];
}

RawH2::Stream& RawH2::stream_locked(std::uint32_t id) {
  const auto [found, made] = state_.streams.try_emplace(id);
  if (made) found->second.send_window = initial_send_window_;
  return found->second;
}

bool RawH2::read_exactly(char* to, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::recv(socket_.fd(), to, bytes, 0);
    if (n <= 0) return false;
    to += n;
    bytes -= static_cast<std::size_t>(n);
  }
  return true;
}

void RawH2::read_loop() {
  char head[9];
  std::string preface(kPreface.size(), '\0');
  bool going = role_ == Role::kClient || (read_exactly(preface.data(), preface.size()) && preface == kPreface);
  while (going && read_exactly(head, sizeof head)) {
    const std::uint32_t size = get32(std::string(1, '\0') + std::string(head, 3));
    std::string payload(size, '\0');
    going = read_exactly(payload.data(), size);
    if (going) {
      on_frame(static_cast<std::uint8_t>(head[3]), static_cast<std::uint8_t>(head[4]),
               get32(std::string_view(head + 5, 4)) & 0x7fffffffu, std::move(payload));
    }
  }
  std::lock_guard lock(mutex_);
  state_.closed = true;
  changed_.notify_all();
}

void RawH2::on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string payload) {
  const auto whole = static_cast<std::uint32_t>(payload.size());
  if ((type == kData || type == kHeaders) && (flags & kPadded) != 0 && !payload.empty()) {
    const auto padding = static_cast<unsigned char>(payload[0]);
    payload = payload.substr(1, payload.size() - 1 - std::min<std::size_t>(padding, payload.size() - 1));
  }
  if (type == kHeaders || type == kContinuation) {
    if (type == kHeaders) {
      block_.clear();
      block_stream_ = id;
      block_ends_stream_ = (flags & kEndStream) != 0;
      if ((flags & 0x20) != 0) payload.erase(0, 5);  // priority
    }
    block_ += payload;
    if ((flags & kEndHeaders) != 0) on_header_block(block_stream_, block_ends_stream_);
    return;
  }
  bool ack_settings = false, ack_ping = false;
  {
    std::lock_guard lock(mutex_);
    ++state_.frames;
    switch (type) {
      case kData: {
        Stream& stream = stream_locked(id);
        stream.data_bytes += payload.size();
        state_.data_bytes += payload.size();
        if (options_.keep_data) stream.data += payload;
        if ((flags & kEndStream) != 0) stream.ended = true;
        break;
      }
      case kRstStream:
        stream_locked(id).reset = get32(payload);
        break;
      case kSettings:
        if ((flags & kAck) != 0) {
          ++state_.settings_acks;
        } else {
          on_settings(payload);
          ack_settings = true;
        }
        break;
      case kPing:
        ack_ping = (flags & kAck) == 0;
        ++(ack_ping ? state_.pings : state_.ping_acks);
        if (ack_ping) state_.last_ping = payload;
        break;
      case kGoaway:
        state_.goaways.push_back({get32(payload) & 0x7fffffffu, get32(std::string_view(payload).substr(4)),
                                  payload.size() > 8 ? payload.substr(8) : std::string()});
        break;
      case kWindowUpdate:
        (id == 0 ? send_window_ : stream_locked(id).send_window) += get32(payload) & 0x7fffffffu;
        break;
      default:
        break;
    }
    changed_.notify_all();
  }
  if (ack_settings && options_.answer) send_frame(kSettings, kAck, 0, {});
  if (ack_ping && options_.answer) send_frame(kPing, kAck, 0, payload);
  if (type == kData && options_.give_window && whole > 0) {
    send_window_update(0, whole);
    if ((flags & kEndStream) == 0) send_window_update(id, whole);
  }
}

void RawH2::on_settings(std::string_view payload) {
  ++state_.settings;
  for (; payload.size() >= 6; payload.remove_prefix(6)) {
    const auto name = static_cast<std::uint16_t>(get32(payload) >> 16);
    const std::uint32_t value = get32(payload.substr(2));
    state_.peer_settings[name] = value;
    if (name == kInitialWindowSize) {  // RFC 9113 6.9.2: open streams change by the difference
      const std::int64_t change = static_cast<std::int64_t>(value) - initial_send_window_;
      for (auto& [id, stream] : state_.streams) stream.send_window += change;
      initial_send_window_ = value;
    }
  }
}

void RawH2::on_header_block(std::uint32_t id, bool end_stream) {
  HeaderList headers;
  auto* at = reinterpret_cast<std::uint8_t*>(block_.data());
  std::size_t left = block_.size();
  for (;;) {
    nghttp2_nv pair;
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_, &pair, &flags, at, left, 1);
    if (used < 0) {
      headers.emplace_back("x-test-broken-header-block", nghttp2_strerror(static_cast<int>(used)));
      break;
    }
    at += used;
    left -= static_cast<std::size_t>(used);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      headers.emplace_back(std::string(reinterpret_cast<char*>(pair.name), pair.namelen),
                           std::string(reinterpret_cast<char*>(pair.value), pair.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(inflater_);
      break;
    }
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && left == 0) break;
  }
  std::lock_guard lock(mutex_);
  ++state_.frames;
  Stream& stream = stream_locked(id);
  if (role_ == Role::kServer && stream.blocks.empty()) state_.opened.push_back(id);
  stream.blocks.push_back(std::move(headers));
  if (end_stream) stream.ended = true;
  changed_.notify_all();
}

std::shared_ptr<RawH2> RawUpstream::accept(std::chrono::milliseconds limit) {
  Socket socket = listener_.accept(limit);
  if (!socket) return nullptr;
  connections_.push_back(std::make_shared<RawH2>(std::move(socket), RawH2::Role::kServer, options_));
  taken_.push_back(0);
  return connections_.back();
}

std::optional<RawUpstream::Request> RawUpstream::next_request(std::chrono::milliseconds limit) {
  std::optional<Request> found;
  wait_until(
      [&] {
        while (accept(std::chrono::milliseconds(0))) {
        }
        for (std::size_t i = 0; i < connections_.size() && !found; ++i) {
          const std::uint32_t stream = connections_[i]->wait_request(taken_[i], std::chrono::milliseconds(0));
          if (stream == 0) continue;
          ++taken_[i];
          found = Request{connections_[i], stream, connections_[i]->stream(stream).blocks.front()};
        }
        return found.has_value();
      },
      limit);
  return found;
}

}  // namespace ficus::e2e
