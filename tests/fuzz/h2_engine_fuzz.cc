// The HTTP/2 engine as whatever the first byte says: server (even) or client. The rest is what a peer sends; simple
// replies are made of what happens. Must hold: the same whole and in pieces; no stream is told anything once it is
// gone; every stream goes exactly once; what we send is frames within the peer's windows.
//
// The first byte's other bits: 2 bodies are consumed; 4 replies are long; 8 streams are reset now and then. As a server
// the client's preface is put in front, so that inputs begin with frames.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "facade/h2/h2_engine.h"
#include "fuzz_check.h"

namespace {

using namespace ficus;

HeaderBlock list_of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  HeaderBlock block;
  for (const auto& [name, value] : fields) block.add_copy(name, value);
  return block;
}

class Play : public H2Engine::Owner {
 public:
  class Stream : public H2StreamBase, public StreamEvents {
   public:
    Stream(Play& play, std::size_t number) : H2StreamBase(play.chunks_), play_(play), number_(number) {
      events_ = this;
    }
    void on_headers(HeaderBlock& block, bool end) override {
      note('H', block.list_bytes());
      if (end) answer();
    }
    void on_data(std::string_view bytes) override {
      note('D', 0);
      received_ += bytes;
      play_.bodies += bytes;
      if ((play_.options_ & 2) != 0) consume(bytes.size());
      if ((play_.options_ & 8) != 0 && received_.size() > 40) reset(H2Error::kCancel);
    }
    void on_end(HeaderBlock* trailers) override {
      note('E', trailers != nullptr ? trailers->list_bytes() : 0);
      answer();
    }
    void on_sent(std::size_t) override { FUZZ_CHECK(!gone); }
    void on_headers_too_large() override {
      note('L', 0);
      reset(H2Error::kCancel);
    }
    void on_closed(StreamEnd, std::uint32_t, std::string_view) override {}
    void on_shutdown(const ForcedEnd&) override {}
    std::uint32_t id() const { return id_; }
    std::size_t number() const { return number_; }
    bool gone = false;

   private:
    void note(char what, std::size_t bytes) {
      FUZZ_CHECK(!gone);
      if (what == 'D' && !play_.log.empty() && play_.log.back() == "D" + std::to_string(number_) + " 0") return;
      play_.log.push_back(what + std::to_string(number_) + " " + std::to_string(bytes));
    }
    void answer() {
      if (play_.server_) play_.engine.send_head(*this, list_of({{":status", "200"}, {"x", "y"}}), false);
      send_data(received_);
      if ((play_.options_ & 4) != 0) send_data(std::string(40'000, 'r'));
      send_trailers(list_of({{"grpc-status", "0"}}));
    }
    Play& play_;
    const std::size_t number_;
    std::string received_;
  };

  explicit Play(unsigned options)
      : options_(options),
        server_((options & 1) == 0),
        engine(server_ ? H2Engine::Role::kServer : H2Engine::Role::kClient, limits(), *this, blocks_) {
    engine.start();
    if (!server_) {
      for (int i = 0; i < 4; ++i) engine.open_stream(make(), list_of({{":method", "POST"}, {":path", "/a"}}), i == 3);
      streams_[0]->send_data("hello");
      streams_[1]->send_data("hello");
      streams_[1]->send_end();
    }
  }
  ~Play() override {
    engine.detach_all([](H2StreamBase& stream) { static_cast<Stream&>(stream).gone = true; });
    for (const auto& stream : streams_) FUZZ_CHECK(stream->gone);
  }

  void run(std::string_view bytes, std::size_t piece) {
    if (server_) engine.receive(kClientPreface, {});
    while (!bytes.empty()) {
      const std::string part(bytes.substr(0, piece));
      bytes.remove_prefix(part.size());
      const bool ok = engine.receive(part, {});
      engine.flushed();
      engine.reap();
      if (!ok) break;
    }
  }
  // All that may be sent now.
  std::string take() {
    std::string out;
    for (;;) {
      engine.pump();
      if (engine.out().empty()) break;
      out.append(reinterpret_cast<const char*>(engine.out().data()), engine.out().size());
      engine.out().pop(engine.out().size());
    }
    engine.reap();
    return out;
  }

  H2StreamBase* on_new_stream() override { return &make(); }
  void on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t code) override {
    auto& stream = static_cast<Stream&>(base);
    FUZZ_CHECK(!stream.gone && !stream.open());
    stream.gone = true;
    log.push_back("G" + std::to_string(stream.number()) + " " + std::to_string(static_cast<int>(end)) + " " +
                  std::to_string(code));
  }
  void on_settings() override { log.push_back("settings"); }
  void on_goaway(std::uint32_t code, std::string_view debug) override {
    log.push_back("goaway " + std::to_string(code) + std::string(debug));
  }
  void on_ping_ack(std::uint64_t opaque) override { log.push_back("pong " + std::to_string(opaque)); }
  void on_malformed_head() override { log.push_back("malformed"); }
  void on_connection_error(H2Error error, std::string_view why) override {
    FUZZ_CHECK(engine.over());
    log.push_back("over " + std::string(h2_error_name(error)) + std::string(why));
  }
  void on_stream_error(H2Error error) override { log.push_back("error " + std::string(h2_error_name(error))); }
  void on_limit(std::string_view name) override { log.push_back("limit " + std::string(name)); }
  void on_output() override {}

  std::vector<std::string> log;
  std::string bodies;

 private:
  // Small ones, so that a short input meets them.
  static const H2Limits& limits() {
    static const H2Limits kLimits = [] {
      H2Limits small;
      small.stream_window_bytes = 70'000;
      small.max_concurrent_streams = 4;
      small.header_list_bytes = 300;
      small.header_block_bytes = 2'000;
      small.continuation_frames = 5;
      small.output_bytes = 5'000;
      small.control_output_bytes = 8'000;
      small.stream_resets = small.control_frames = small.empty_frames = small.stream_errors = small.window_updates = {30, 1};
      return small;
    }();
    return kLimits;
  }
  Stream& make() {
    streams_.push_back(std::make_unique<Stream>(*this, streams_.size()));
    return *streams_.back();
  }
  const unsigned options_;
  const bool server_;
  OutBlockPool blocks_;
  ChunkPool chunks_;
  std::vector<std::unique_ptr<Stream>> streams_;

 public:
  H2Engine engine;
};

// What a peer with these frames allows: the sum of its windows, however it spread them.
struct Allowed {
  std::int64_t connection = kDefaultWindowBytes;
  std::int64_t stream = kDefaultWindowBytes;  // the largest that any stream ever had at its beginning
  std::map<std::uint32_t, std::int64_t> updates;

  explicit Allowed(std::string_view bytes) {
    while (bytes.size() >= kFrameHeaderBytes) {
      const FrameHeader frame = read_frame_header(reinterpret_cast<const std::uint8_t*>(bytes.data()));
      if (bytes.size() < kFrameHeaderBytes + frame.length) break;
      const auto* payload = reinterpret_cast<const std::uint8_t*>(bytes.data()) + kFrameHeaderBytes;
      if (frame.is(FrameType::kWindowUpdate) && frame.length == 4) {
        const std::int64_t more = read_u32(payload) & kLargestStreamId;
        (frame.stream_id == 0 ? connection : updates[frame.stream_id]) += more;
      }
      for (std::size_t i = 0; frame.is(FrameType::kSettings) && i + 6 <= frame.length; i += 6) {
        if (read_u16(payload + i) == 4) stream = std::max<std::int64_t>(stream, read_u32(payload + i + 2));
      }
      bytes.remove_prefix(kFrameHeaderBytes + frame.length);
    }
  }
};

void check_output(std::string_view out, const Allowed& allowed, bool server) {
  if (!server) {
    FUZZ_CHECK(out.starts_with(kClientPreface));
    out.remove_prefix(kClientPreface.size());
  }
  std::int64_t connection = 0;
  std::map<std::uint32_t, std::int64_t> streams;
  std::map<std::uint32_t, bool> ended;
  while (!out.empty()) {
    FUZZ_CHECK(out.size() >= kFrameHeaderBytes);
    const FrameHeader frame = read_frame_header(reinterpret_cast<const std::uint8_t*>(out.data()));
    FUZZ_CHECK(frame.length <= kDefaultMaxFrameBytes && out.size() >= kFrameHeaderBytes + frame.length);
    FUZZ_CHECK(frame.type <= 9);
    const bool body = frame.is(FrameType::kData) || frame.is(FrameType::kHeaders);
    if (body) FUZZ_CHECK(!ended[frame.stream_id]);  // nothing follows END_STREAM or RST_STREAM
    if (frame.is(FrameType::kData)) {
      connection += frame.length;
      streams[frame.stream_id] += frame.length;
      FUZZ_CHECK(connection <= allowed.connection);
      const auto more = allowed.updates.find(frame.stream_id);
      FUZZ_CHECK(streams[frame.stream_id] <=
                 allowed.stream + (more != allowed.updates.end() ? more->second : std::int64_t{0}));
    }
    if ((body && frame.has(frame_flag::kEndStream)) || frame.is(FrameType::kRstStream)) ended[frame.stream_id] = true;
    out.remove_prefix(kFrameHeaderBytes + frame.length);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const unsigned options = bytes[0];
  const std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  Play whole(options);
  whole.run(input, input.size() + 1);
  const std::string out = whole.take();
  check_output(out, Allowed(input), (options & 1) == 0);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
    Play cut(options);
    cut.run(input, piece);
    FUZZ_CHECK(cut.take() == out);
    FUZZ_CHECK(cut.log == whole.log);
    if ((options & 8) == 0) FUZZ_CHECK(cut.bodies == whole.bodies);  // where it is reset depends on the pieces
  }
  return 0;
}
