// An H2Engine with an owner that writes down what it is told, and frames as plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "facade/h2/h2_engine.h"

namespace ficus::test {

struct Frame {
  FrameType type = FrameType::kData;
  std::uint8_t flags = 0;
  std::uint32_t id = 0;
  std::string payload;
};

inline std::string u32(std::uint32_t value) {
  std::uint8_t bytes[4];
  write_u32(bytes, value);
  return {reinterpret_cast<const char*>(bytes), 4};
}

inline std::string frame(FrameType type, std::uint8_t flags, std::uint32_t id, std::string_view payload = {}) {
  std::uint8_t header[kFrameHeaderBytes];
  write_frame_header(header, static_cast<std::uint32_t>(payload.size()), type, flags, id);
  return std::string(reinterpret_cast<const char*>(header), sizeof header) + std::string(payload);
}
inline std::string setting(SettingId id, std::uint32_t value) {
  std::string text(2, '\0');
  text[1] = static_cast<char>(id);
  return text + u32(value);
}
inline std::string settings(std::string_view payload = {}) { return frame(FrameType::kSettings, 0, 0, payload); }
inline std::string window_update(std::uint32_t id, std::uint32_t bytes) {
  return frame(FrameType::kWindowUpdate, 0, id, u32(bytes));
}
inline std::string rst(std::uint32_t id, H2Error error) {
  return frame(FrameType::kRstStream, 0, id, u32(static_cast<std::uint32_t>(error)));
}
inline std::string goaway(std::uint32_t last, H2Error error) {
  return frame(FrameType::kGoaway, 0, 0, u32(last) + u32(static_cast<std::uint32_t>(error)));
}
inline std::string data(std::uint32_t id, std::string_view bytes, bool end = false) {
  return frame(FrameType::kData, end ? frame_flag::kEndStream : 0, id, bytes);
}

using List = std::vector<std::pair<std::string, std::string>>;
inline const List kRequest = {{":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {"te", "trailers"}};
inline const List kResponse = {{":status", "200"}, {"content-type", "application/grpc"}};
inline const List kTrailers = {{"grpc-status", "0"}};

// Literals that enter no table: a block that any decoder reads without state.
inline std::string block(const List& list) {
  std::string out;
  const auto put = [&out](std::string_view s) {
    if (s.size() < 127) {
      out += static_cast<char>(s.size());
    } else {
      out += '\x7f';
      std::size_t rest = s.size() - 127;
      for (; rest >= 128; rest >>= 7) out += static_cast<char>(0x80 | (rest & 0x7f));
      out += static_cast<char>(rest);
    }
    out += s;
  };
  for (const auto& [name, value] : list) {
    out += '\0';
    put(name);
    put(value);
  }
  return out;
}
inline std::string head(std::uint32_t id, const List& list, bool end = false) {
  return frame(FrameType::kHeaders, static_cast<std::uint8_t>(frame_flag::kEndHeaders | (end ? 1 : 0)), id,
               block(list));
}
inline HeaderBlock header_block(const List& list) {
  HeaderBlock out;
  for (const auto& [name, value] : list) out.add_copy(name, value, true);
  return out;
}
inline std::string text_of(const HeaderBlock& list) {
  std::string out;
  for (const auto& field : list.fields()) {
    if (field.hidden) continue;
    if (!out.empty()) out += ' ';
    out += std::string(field.name) + "=" + std::string(field.value);
  }
  return out;
}

// An engine, everything it needs, and a log of what it said. Body bytes that follow each other are one entry.
class Side : public H2Engine::Owner {
 public:
  class Stream : public H2StreamBase, public StreamEvents {
   public:
    Stream(Side& side, std::string name) : H2StreamBase(side.chunks), side_(side), name_(std::move(name)) {
      events_ = this;
    }
    std::uint32_t id() const { return id_; }
    H2Engine& engine() { return side_.engine; }
    void head(const List& list, bool end = false) { side_.engine.send_head(*this, header_block(list), end); }
    void keep(std::size_t bytes) { body().keep(bytes); }
    bool whole() const { return body().complete(); }
    void again() { rewind(); }

    void on_headers(HeaderBlock& list, bool end) override {
      side_.note(name_ + " head " + text_of(list) + (end ? " end" : ""));
      if (side_.on_head) side_.on_head(*this);
    }
    void on_data(std::string_view bytes) override {
      received += bytes;
      if (side_.consume) H2StreamBase::consume(bytes.size());
      const std::string entry = name_ + " data ";
      if (!side_.log.empty() && side_.log.back().starts_with(entry)) {
        side_.log.back() += bytes;
        return;
      }
      side_.note(entry + std::string(bytes));
    }
    void on_end(HeaderBlock* trailers) override {
      side_.note(name_ + " end" + (trailers != nullptr ? " " + text_of(*trailers) : ""));
      if (side_.on_end) side_.on_end(*this);
    }
    void on_sent(std::size_t bytes) override { sent += bytes; }
    void on_headers_too_large() override { side_.note(name_ + " too large"); }
    void on_closed(StreamEnd, std::uint32_t, std::string_view) override {}
    void on_shutdown(const ForcedEnd&) override {}

    std::string received;
    std::size_t sent = 0;
    bool gone_told = false;

   private:
    Side& side_;
    std::string name_;
  };

  explicit Side(H2Engine::Role role, H2Limits with = {}) : limits(with), role_(role) {}
  ~Side() override {
    engine.detach_all([](H2StreamBase&) {});
  }

  // Preface and SETTINGS of both ends exchanged; what we said is dropped.
  Side& begin(std::string_view their_settings = {}) {
    engine.start();
    if (role_ == H2Engine::Role::kServer) feed(kClientPreface);
    feed(settings(their_settings));
    feed(frame(FrameType::kSettings, frame_flag::kAck, 0));
    take();
    log.clear();
    return *this;
  }
  bool feed(std::string_view bytes) {
    const bool ok = engine.receive(bytes, now);
    engine.flushed();
    engine.reap();
    return ok;
  }
  // What is to be sent, as frames; the client's preface is left out.
  std::vector<Frame> take() {
    std::string bytes = take_bytes();
    if (bytes.starts_with(kClientPreface)) bytes.erase(0, kClientPreface.size());
    return frames(bytes);
  }
  std::string take_bytes() {
    engine.flushed();
    std::string bytes;
    for (;;) {
      engine.pump();
      OutBuffer& out = engine.out();
      if (out.empty()) break;
      bytes.append(reinterpret_cast<const char*>(out.data()), out.size());
      out.pop(out.size());
    }
    engine.reap();
    return bytes;
  }
  static std::vector<Frame> frames(std::string_view bytes) {
    std::vector<Frame> list;
    while (bytes.size() >= kFrameHeaderBytes) {
      const FrameHeader h = read_frame_header(reinterpret_cast<const std::uint8_t*>(bytes.data()));
      list.push_back({static_cast<FrameType>(h.type), h.flags, h.stream_id,
                      std::string(bytes.substr(kFrameHeaderBytes, h.length))});
      bytes.remove_prefix(kFrameHeaderBytes + h.length);
    }
    return list;
  }
  Stream& open(const List& list = kRequest, bool end = false) {
    Stream& stream = make();
    engine.open_stream(stream, header_block(list), end);
    return stream;
  }
  Stream& make() {
    made.push_back(std::make_unique<Stream>(*this, std::to_string(made.size() + 1)));
    return *made.back();
  }
  Stream& at(std::size_t index) { return *made.at(index); }
  void note(std::string entry) { log.push_back(std::move(entry)); }

  H2StreamBase* on_new_stream() override { return &make(); }
  void on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t code) override {
    static constexpr const char* kEnds[] = {"finished", "reset", "never processed", "lost", "failed", "too large", "local"};
    auto& stream = static_cast<Stream&>(base);
    stream.gone_told = true;
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (made[i].get() == &stream) {
        note(std::to_string(i + 1) + " gone " + kEnds[static_cast<int>(end)] +
             (code != 0 ? " " + std::string(h2_error_name(code)) : ""));
      }
    }
  }
  void on_settings() override { note("settings"); }
  void on_goaway(std::uint32_t code, std::string_view) override { note("goaway " + std::string(h2_error_name(code))); }
  void on_ping_ack(std::uint64_t opaque) override { note("pong " + std::to_string(opaque)); }
  void on_malformed_head() override { note("malformed"); }
  void on_connection_error(H2Error error, std::string_view) override {
    note("connection " + std::string(h2_error_name(error)));
  }
  void on_stream_error(H2Error error) override { note("stream " + std::string(h2_error_name(error))); }
  void on_limit(std::string_view name) override { note("limit " + std::string(name)); }
  void on_output() override { ++announced; }

  H2Limits limits;
  OutBlockPool blocks;
  ChunkPool chunks;
  std::vector<std::unique_ptr<Stream>> made;
  std::vector<std::string> log;
  std::function<void(Stream&)> on_head, on_end;
  bool consume = true;
  int announced = 0;
  H2Engine::TimePoint now{std::chrono::seconds(1000)};

 private:
  const H2Engine::Role role_;

 public:
  H2Engine engine{role_, limits, *this, blocks};
};

using Log = std::vector<std::string>;
constexpr auto kServer = H2Engine::Role::kServer;
constexpr auto kClient = H2Engine::Role::kClient;

}  // namespace ficus::test
