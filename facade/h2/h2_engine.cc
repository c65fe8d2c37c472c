#include "facade/h2/h2_engine.h"

#include <algorithm>
#include <cassert>

namespace ficus {

// ---------------------------------------------------------------- a stream's own functions

void H2StreamBase::send_data(std::string_view bytes) {
  if (bytes.empty() || reset_sent_ || end_queued_ || gone_) return;
  if (engine_ == nullptr) {
    out_.append(bytes);
    return;
  }
  engine_->write_data(*this, bytes);
}

void H2StreamBase::send_end() {
  if (end_queued_ || reset_sent_) return;
  end_queued_ = true;
  if (engine_ != nullptr) engine_->write_end(*this);
}

void H2StreamBase::send_trailers(HeaderBlock block) {
  if (end_queued_ || reset_sent_) return;
  out_trailers_ = std::move(block);
  has_trailers_ = true;
  send_end();
}

void H2StreamBase::reset(H2Error error) {
  if (engine_ == nullptr || reset_sent_) return;
  reset_sent_ = true;
  engine_->reset_stream(*this, error);
}

void H2StreamBase::consume(std::size_t bytes) {
  if (bytes != 0 && engine_ != nullptr) engine_->consume_stream(*this, bytes);
}

void H2StreamBase::rewind() {
  out_.rewind();
  engine_ = nullptr;
  id_ = 0;
  sent_ = 0;
  end_sent_ = false;
  peer_ended_ = false;
  in_head_done_ = false;
  reset_sent_ = false;
  has_data_ = false;
  consumed_ = 0;
  content_left_ = -1;
}

// ---------------------------------------------------------------- the connection

H2Engine::H2Engine(Role role, const H2Limits& limits, Owner& owner, OutBlockPool& pool)
    : role_(role),
      limits_(limits),
      owner_(owner),
      out_(pool),
      state_(role == Role::kServer ? State::kPreface : State::kFrames) {}

H2Engine::~H2Engine() { assert(streams_.size() == 0 && gone_.empty()); }

void H2Engine::start() {
  if (role_ == Role::kClient) out_.append(kClientPreface);
  constexpr std::size_t kSettingBytes = 6;
  std::uint8_t settings[4 * kSettingBytes];
  std::size_t used = 0;
  const auto add = [&](SettingId id, std::uint32_t value) {
    write_u16(settings + used, static_cast<std::uint16_t>(id));
    write_u32(settings + used + 2, value);
    used += kSettingBytes;
  };
  if (role_ == Role::kClient) {
    add(SettingId::kEnablePush, 0);
  } else {
    add(SettingId::kMaxConcurrentStreams, limits_.max_concurrent_streams);
  }
  add(SettingId::kInitialWindowSize, limits_.stream_window_bytes);
  add(SettingId::kMaxHeaderListSize, limits_.header_list_bytes);
  emit(FrameType::kSettings, 0, 0, {reinterpret_cast<const char*>(settings), used});
  if (limits_.connection_window_bytes > kDefaultWindowBytes) {
    emit_u32(FrameType::kWindowUpdate, 0, limits_.connection_window_bytes - kDefaultWindowBytes);
    connection_receive_window_ = limits_.connection_window_bytes;
  }
}

void H2Engine::send_goaway_notice() {
  if (over_) return;
  goaway_sent_ = true;
  std::uint8_t payload[8];
  write_u32(payload, kLargestStreamId);
  write_u32(payload + 4, 0);
  emit(FrameType::kGoaway, 0, 0, {reinterpret_cast<const char*>(payload), sizeof payload});
}

void H2Engine::send_goaway(H2Error error, std::string_view debug) {
  if (over_) return;
  goaway_sent_ = true;
  goaway_last_id_ = last_taken_id_;
  std::string payload(8, '\0');
  auto* bytes = reinterpret_cast<std::uint8_t*>(payload.data());
  write_u32(bytes, last_taken_id_);
  write_u32(bytes + 4, static_cast<std::uint32_t>(error));
  payload.append(debug);
  emit(FrameType::kGoaway, 0, 0, payload);
}

void H2Engine::send_ping(std::uint64_t opaque) {
  if (over_) return;
  std::uint8_t payload[8];
  write_u32(payload, static_cast<std::uint32_t>(opaque >> 32));
  write_u32(payload + 4, static_cast<std::uint32_t>(opaque));
  emit(FrameType::kPing, 0, 0, {reinterpret_cast<const char*>(payload), sizeof payload});
}

void H2Engine::fail(H2Error error, std::string_view why) { connection_error(error, why); }

bool H2Engine::connection_error(H2Error error, std::string_view why) {
  if (over_) return false;
  send_goaway(error, why);
  over_ = true;
  owner_.on_connection_error(error, why);
  return false;
}

std::size_t H2Engine::held_bytes() const {
  std::size_t held = 0;
  streams_.for_each([&](const H2StreamBase& stream) {
    held += stream.out_.chunk_bytes();
    const std::int64_t not_taken =
        std::int64_t{limits_.stream_window_bytes} - stream.receive_window_ - std::int64_t{stream.consumed_};
    if (not_taken > 0) held += static_cast<std::size_t>(not_taken);
  });
  return held;
}

void H2Engine::attach(H2StreamBase& stream, std::uint32_t id) {
  stream.engine_ = this;
  stream.id_ = id;
  stream.gone_ = false;
  stream.send_window_ = peer_initial_window_;
  // 6.5.3: until the peer says that it has our SETTINGS it may send by the default.
  stream.receive_window_ = settings_acknowledged_
                               ? std::int64_t{limits_.stream_window_bytes}
                               : std::max<std::int64_t>(limits_.stream_window_bytes, kDefaultWindowBytes);
  stream.consumed_ = 0;
  streams_.insert(id, &stream);
}

void H2Engine::detach(H2StreamBase& stream) {
  streams_.erase(stream.id_);
  if (stream.ready_listed_) {
    ready_.erase(ready_.iterator_to(stream));
    stream.ready_listed_ = false;
  }
  stream.engine_ = nullptr;
}

void H2Engine::close_stream(H2StreamBase& stream, StreamEnd end, std::uint32_t code, ClosedWhy why) {
  remember_closed(stream.id_, why);
  detach(stream);
  stream.end_ = end;
  stream.end_code_ = code;
  stream.gone_ = true;
  gone_.push_back(stream);
  announce();
}

void H2Engine::reap() {
  while (!gone_.empty()) {
    H2StreamBase& stream = gone_.front();
    gone_.pop_front();
    stream.gone_ = false;
    owner_.on_stream_gone(stream, stream.end_, stream.end_code_);
  }
}

void H2Engine::remember_closed(std::uint32_t id, ClosedWhy why) {
  if (why == ClosedWhy::kWeReset) {
    if (resets_by_us_.size() < kRememberedResets) {
      resets_by_us_.push_back(id);
    } else {
      resets_by_us_[next_reset_] = id;
      next_reset_ = (next_reset_ + 1) % kRememberedResets;
    }
    return;
  }
  if (ends_.size() < kRememberedEnds) {
    ends_.push_back({id, why});
  } else {
    ends_[next_end_] = {id, why};
    next_end_ = (next_end_ + 1) % kRememberedEnds;
  }
}

H2Engine::ClosedWhy H2Engine::closed_why(std::uint32_t id) const noexcept {
  for (const std::uint32_t reset : resets_by_us_) {
    if (reset == id) return ClosedWhy::kWeReset;
  }
  for (const Ended& ended : ends_) {
    if (ended.id == id) return ended.why;
  }
  return ClosedWhy::kUnknown;
}

}  // namespace ficus
