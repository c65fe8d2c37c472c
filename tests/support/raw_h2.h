// One HTTP/2 connection by hand, as client or as server: frames are written as the test says, right or wrong, and what
// comes back is kept frame by frame. HPACK is nghttp2's; everything else is written out here so that neither end of a
// relay test shares the relay's codec.
// Threads: a reader thread of its own; the test's threads may send and wait at the same time.
#pragma once

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/sockets.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

// RFC 9113 6 and 7.
enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum FrameFlag : std::uint8_t { kNoFlags = 0, kEndStream = 0x1, kAck = 0x1, kEndHeaders = 0x4, kPadded = 0x8 };
enum H2Error : std::uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kFlowControlError = 3,
  kSettingsTimeout = 4,
  kStreamClosed = 5,
  kFrameSizeError = 6,
  kRefusedStream = 7,
  kCancel = 8,
  kCompressionError = 9,
  kConnectError = 10,
  kEnhanceYourCalm = 11,
  kInadequateSecurity = 12,
  kHttp11Required = 13,
};
enum Setting : std::uint16_t {
  kHeaderTableSize = 1,
  kEnablePush = 2,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
  kMaxFrameSize = 5,
  kMaxHeaderListSize = 6,
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;
std::optional<std::string> find_header(const HeaderList& headers, const std::string& name);
std::vector<std::string> find_all(const HeaderList& headers, const std::string& name);

// A gRPC request's head (PROTOCOL-HTTP2.md, Requests), `extra` at its end.
HeaderList grpc_request(const std::string& path, HeaderList extra = {});
// A gRPC answer's head, and its end.
HeaderList grpc_response(HeaderList extra = {});
HeaderList grpc_trailers(int status = 0, HeaderList extra = {});
// Length-prefixed message: flag, four bytes of length, the bytes.
std::string grpc_frame(std::string_view message, std::uint8_t flag = 0);
struct GrpcFrame {
  std::uint8_t flag = 0;
  std::string message;
  bool operator==(const GrpcFrame&) const = default;
};
// The whole messages in `data`; what is left over of an unfinished one is not returned.
std::vector<GrpcFrame> grpc_frames(std::string_view data);
// Nine bytes of frame head and the payload.
std::string h2_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);

class RawH2 {
 public:
  enum class Role { kClient, kServer };
  struct Options {
    std::vector<std::pair<std::uint16_t, std::uint32_t>> settings;  // of our first SETTINGS
    bool preface = true;                                            // send it (and the first SETTINGS)
    bool give_window = true;                                        // give back flow control as DATA comes
    bool answer = true;                                             // acknowledge SETTINGS and PING
    bool keep_data = true;                                          // false: count the bytes only
    std::uint32_t connection_window = 65535;  // ours for the whole connection; raised with a first WINDOW_UPDATE
  };
  struct Stream {
    std::vector<HeaderList> blocks;  // header blocks in order: head, (informational,) trailers
    std::string data;                // payload of DATA, if kept
    std::uint64_t data_bytes = 0;
    bool ended = false;  // END_STREAM came
    std::optional<std::uint32_t> reset;
    // What the peer allows us to send, given and used.
    std::int64_t send_window = 0;
    bool over() const { return ended || reset.has_value(); }
  };
  struct Goaway {
    std::uint32_t last_stream = 0, code = 0;
    std::string debug;
  };
  struct State {
    std::map<std::uint32_t, Stream> streams;
    std::vector<std::uint32_t> opened;  // by the peer, in order
    std::vector<Goaway> goaways;
    std::map<std::uint16_t, std::uint32_t> peer_settings;
    std::size_t settings = 0, settings_acks = 0, pings = 0, ping_acks = 0, frames = 0;
    std::uint64_t data_bytes = 0;
    std::string last_ping;  // the payload of the peer's latest
    bool closed = false;    // the peer closed or reset the connection
  };

  // As a client. nullptr: refused.
  static std::shared_ptr<RawH2> connect(const std::string& address, Options options);
  static std::shared_ptr<RawH2> connect(const std::string& address) { return connect(address, Options{}); }
  RawH2(Socket socket, Role role, Options options);
  ~RawH2();
  RawH2(const RawH2&) = delete;
  RawH2& operator=(const RawH2&) = delete;

  // ---- sending; false: the connection is gone
  bool send_bytes(std::string_view bytes);
  bool send_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
  bool send_headers(std::uint32_t stream, const HeaderList& headers, bool end_stream);
  // Within the peer's flow control; gives how many bytes went out before `limit` passed without window.
  std::size_t send_data(std::uint32_t stream, std::string_view bytes, bool end_stream,
                        std::chrono::milliseconds limit = kPatience, std::size_t max_frame = 16384);
  bool send_reset(std::uint32_t stream, std::uint32_t code);
  bool send_goaway(std::uint32_t last_stream, std::uint32_t code, std::string_view debug = {});
  bool send_window_update(std::uint32_t stream, std::uint32_t bytes);
  bool send_settings(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings);
  bool send_ping();
  // As a client: a new odd stream with this head; gives its number.
  std::uint32_t open(const HeaderList& headers, bool end_stream = false);
  // Closes the socket: with FIN, or with RST.
  void close();
  void abort();

  // ---- what came
  // Waits until `condition(state)` holds. Called with the lock held: it must not call back.
  template <class F>
  bool wait(F condition, std::chrono::milliseconds limit = kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return condition(std::as_const(state_)); });
  }
  State state() const;
  // A copy; an empty stream if nothing came on it.
  Stream stream(std::uint32_t id) const;
  bool wait_closed(std::chrono::milliseconds limit = kPatience);
  bool wait_blocks(std::uint32_t stream, std::size_t count, std::chrono::milliseconds limit = kPatience);
  bool wait_data(std::uint32_t stream, std::uint64_t bytes, std::chrono::milliseconds limit = kPatience);
  // Ended, reset, or the connection closed.
  bool wait_over(std::uint32_t stream, std::chrono::milliseconds limit = kPatience);
  // As a server: the number of the request that is the `index`th (from 0) on this connection; 0 if it did not come.
  std::uint32_t wait_request(std::size_t index = 0, std::chrono::milliseconds limit = kPatience);

 private:
  void read_loop();
  bool read_exactly(char* to, std::size_t bytes);
  void on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string payload);
  void on_header_block(std::uint32_t stream, bool end_stream);
  void on_settings(std::string_view payload);
  Stream& stream_locked(std::uint32_t id);

  Socket socket_;
  const Role role_;
  const Options options_;
  std::mutex send_mutex_;
  nghttp2_hd_deflater* deflater_ = nullptr;  // under send_mutex_
  nghttp2_hd_inflater* inflater_ = nullptr;  // the reader's
  std::string block_;                        // header block fragments so far; the reader's
  std::uint32_t block_stream_ = 0;
  bool block_ends_stream_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  State state_;
  std::int64_t send_window_ = 65535;  // of the connection, under mutex_
  std::int64_t initial_send_window_ = 65535;
  std::uint32_t next_stream_ = 1;
  std::thread reader_;
};

// A port whose connections are RawH2 servers, or bare sockets. One thread.
class RawUpstream {
 public:
  struct Request {
    std::shared_ptr<RawH2> connection;
    std::uint32_t stream = 0;
    HeaderList head;
  };
  RawUpstream() = default;
  explicit RawUpstream(RawH2::Options options) : options_(std::move(options)) {}
  std::string address() const { return listener_.address(); }
  // The next connection; nullptr when none came.
  std::shared_ptr<RawH2> accept(std::chrono::milliseconds limit = kPatience);
  Socket accept_socket(std::chrono::milliseconds limit = kPatience) { return listener_.accept(limit); }
  // The next request that no earlier call returned, on whichever connection it comes: a pool may keep several warm.
  std::optional<Request> next_request(std::chrono::milliseconds limit = kPatience);
  // Every connection next_request() and accept() took, oldest first.
  const std::vector<std::shared_ptr<RawH2>>& connections() const { return connections_; }
  // Refuses connections from now on; those there are stay.
  void close() { listener_.close(); }

 private:
  Listener listener_;
  RawH2::Options options_;
  std::vector<std::shared_ptr<RawH2>> connections_;
  std::vector<std::size_t> taken_;  // requests returned, by connection
};

}  // namespace ficus::e2e
