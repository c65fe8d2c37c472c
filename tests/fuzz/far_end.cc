#include "tests/fuzz/far_end.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "tests/fuzz/fuzz_check.h"

namespace ficus::fuzz {
namespace {

// RFC 7541 5.1, the prefix of seven bits that string lengths have.
void put_string(std::string& to, std::string_view text) {
  std::size_t length = text.size();
  if (length < 127) {
    to += static_cast<char>(length);
  } else {
    to += '\x7f';
    for (length -= 127; length >= 128; length /= 128) to += static_cast<char>(length % 128 + 128);
    to += static_cast<char>(length);
  }
  to += text;
}

}  // namespace

std::string_view find_field(const Fields& fields, std::string_view name) {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return {};
}

std::string h2_frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  std::array<std::uint8_t, kFrameHeaderBytes> head;
  write_frame_header(head.data(), static_cast<std::uint32_t>(payload.size()), type, flags, stream);
  return std::string(reinterpret_cast<const char*>(head.data()), head.size()).append(payload);
}

std::string literals(const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';
    put_string(block, name);
    put_string(block, value);
  }
  return block;
}

std::string u32(std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes;
  write_u32(bytes.data(), value);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string grpc_message(std::string_view bytes, bool compressed) {
  return std::string(1, compressed ? '\1' : '\0').append(u32(static_cast<std::uint32_t>(bytes.size()))).append(bytes);
}

FarEnd::FarEnd(UniqueFd socket, Is is, bool polite)
    : socket_(std::move(socket)), polite_(polite), preface_seen_(is == Is::kClient) {
  FUZZ_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
  if (!polite) return;
  if (is == Is::kClient) send(kClientPreface);
  send(h2_frame(FrameType::kSettings, 0, 0, {}));
}

FarEnd::~FarEnd() {
  abort();
  nghttp2_hd_inflate_del(inflater_);
}

void FarEnd::send(std::string_view bytes) {
  while (socket_ && !bytes.empty()) {
    const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void FarEnd::finish() {
  if (socket_) ::shutdown(socket_.get(), SHUT_WR);
}

void FarEnd::abort() {
  if (!socket_) return;
  // A reset leaves nothing behind: in TIME_WAIT the sockets of a minute's inputs would use the ports up.
  const linger now{1, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  socket_.reset();
}

void FarEnd::take() {
  std::array<char, 16 * 1024> buffer;
  while (readable_from() >= 0) {
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      over_ = true;
      return;
    }
    unread_.append(buffer.data(), static_cast<std::size_t>(n));
    judge_frames();
    if (static_cast<std::size_t>(n) < buffer.size()) return;
  }
}

void FarEnd::judge_frames() {
  std::string_view bytes = unread_;
  if (!preface_seen_) {
    if (bytes.size() < kClientPreface.size()) return;
    FUZZ_CHECK(bytes.starts_with(kClientPreface));
    bytes.remove_prefix(kClientPreface.size());
    preface_seen_ = true;
  }
  while (bytes.size() >= kFrameHeaderBytes) {
    const FrameHeader frame = read_frame_header(reinterpret_cast<const std::uint8_t*>(bytes.data()));
    FUZZ_CHECK(frame.length <= kDefaultMaxFrameBytes);
    if (bytes.size() < kFrameHeaderBytes + frame.length) break;
    judge_frame(frame, bytes.substr(kFrameHeaderBytes, frame.length));
    bytes.remove_prefix(kFrameHeaderBytes + frame.length);
  }
  unread_.erase(0, unread_.size() - bytes.size());
}

void FarEnd::judge_frame(const FrameHeader& frame, std::string_view payload) {
  // 4.3: nothing comes between the frames of one header block.
  FUZZ_CHECK((block_stream_ != 0) == frame.is(FrameType::kContinuation));
  if (frame.is(FrameType::kHeaders) || frame.is(FrameType::kContinuation)) {
    if (frame.is(FrameType::kHeaders)) {
      block_ends_ = frame.has(frame_flag::kEndStream);
      block_.clear();
    } else {
      FUZZ_CHECK(frame.stream_id == block_stream_);
    }
    block_ += payload;
    block_stream_ = frame.stream_id;
    if (!frame.has(frame_flag::kEndHeaders)) return;
    block_stream_ = 0;
    judge_block(frame.stream_id, block_ends_);
    return;
  }
  if (frame.is(FrameType::kData)) {
    const auto stream = streams_.find(frame.stream_id);
    FUZZ_CHECK(stream != streams_.end() && !stream->second.ended && !stream->second.reset);
    stream->second.data_bytes += frame.length;
    stream->second.ended = frame.has(frame_flag::kEndStream);
    return;
  }
  if (frame.is(FrameType::kRstStream)) {
    FUZZ_CHECK(frame.stream_id != 0 && frame.length == 4);
    if (const auto stream = streams_.find(frame.stream_id); stream != streams_.end()) stream->second.reset = true;
    return;
  }
  FUZZ_CHECK(frame.is(FrameType::kSettings) || frame.is(FrameType::kPing) || frame.is(FrameType::kGoaway) ||
             frame.is(FrameType::kWindowUpdate));
  const bool answered = frame.is(FrameType::kSettings) || frame.is(FrameType::kPing);
  if (polite_ && answered && !frame.has(frame_flag::kAck)) {
    const bool ping = frame.is(FrameType::kPing);
    send(h2_frame(ping ? FrameType::kPing : FrameType::kSettings, frame_flag::kAck, 0, ping ? payload : ""));
  }
}

void FarEnd::judge_block(std::uint32_t id, bool ends) {
  FUZZ_CHECK(id % 2 == 1);
  Fields fields;
  const auto* at = reinterpret_cast<const std::uint8_t*>(block_.data());
  std::size_t left = block_.size();
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t n = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, left, 1);
    FUZZ_CHECK(n >= 0);
    at += n;
    left -= static_cast<std::size_t>(n);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      fields.emplace_back(std::string(reinterpret_cast<const char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<const char*>(field.value), field.valuelen));
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  FUZZ_CHECK(left == 0);
  nghttp2_hd_inflate_end_headers(inflater_);

  const auto [stream, fresh] = streams_.try_emplace(id);
  if (fresh) {
    order_.push_back(id);
    stream->second.id = id;
  }
  FUZZ_CHECK(!stream->second.ended && !stream->second.reset);
  stream->second.blocks.push_back(std::move(fields));
  stream->second.ended = ends;
}

// ---------------------------------------------------------------- the door

Door::Door() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  FUZZ_CHECK(::bind(socket_.get(), generic, sizeof address) == 0 && ::listen(socket_.get(), 64) == 0);
  socklen_t length = sizeof address;
  FUZZ_CHECK(::getsockname(socket_.get(), generic, &length) == 0);
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

UniqueFd Door::next() const {
  UniqueFd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  // What is sent is there at once, and does not wait for an acknowledgement of what was sent before.
  const int on = 1;
  if (socket) ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

}  // namespace ficus::fuzz
