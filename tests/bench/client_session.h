// The client's end of one HTTP/2 connection that makes gRPC calls: bytes in, bytes out, no socket. For load that h2load
// cannot make (long streams both ways, calls kept in flight, a fixed number of calls a write). It must be cheap, and it
// is strict: a reset, a GOAWAY, a :status but 200, a grpc-status but 0, a message of another size than was promised end
// the connection with an error, so that what its listener heard of was answered as it should be.
// Head blocks are packed and read by nghttp2's HPACK (as a real client's: indexed from the second call on), frames by
// hand. Thread: one. Invariant: output() is always whole frames, in an order the peer may be sent.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/bench/h2_frames.h"

namespace ficus::bench {

struct ClientOptions {
  // In this order, pseudo-headers first: the head of every call.
  std::vector<std::pair<std::string, std::string>> head;
  std::size_t answer_bytes = 0;  // of each answer message, without prefix
};

class ClientSession {
 public:
  // Hears what became of the calls; may open calls and send from within.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_head(ClientSession&, std::uint32_t /*id*/) {}
    virtual void on_message(ClientSession&, std::uint32_t /*id*/) {}
    virtual void on_end(ClientSession&, std::uint32_t /*id*/) {}  // with grpc-status 0
  };

  // Both outlive the session.
  ClientSession(const ClientOptions& options, Listener& listener);

  bool on_bytes(std::string_view bytes);  // split anywhere; false: the connection is over, see error()

  // What is to be sent; the caller removes what it sent with consume_output().
  std::string_view output() const { return std::string_view(output_).substr(output_sent_); }
  void consume_output(std::size_t bytes);

  std::uint32_t open();  // a call's head; returns its stream
  // DATA of an open call; what no window allows yet goes as soon as one does. `end`: with END_STREAM.
  void send(std::uint32_t id, std::string_view data, bool end);
  void ping();  // settled() becomes false until its answer comes

  bool settled() const { return settings_seen_ && settings_acked_ && pings_open_ == 0; }
  std::size_t open_calls() const { return streams_.size(); }
  // As many calls are open as the peer allows (SETTINGS_MAX_CONCURRENT_STREAMS): one more would be refused.
  bool full() const { return streams_.size() >= peer_max_streams_; }
  std::string_view error() const { return error_; }

 private:
  struct Stream {
    bool head_seen = false;
    std::int64_t send_window = kDefaultWindow;
    std::string unsent;  // waits for window
    bool ends = false;   // END_STREAM follows `unsent`
    bool end_sent = false;
    MessageCounter messages;
  };
  struct FreeDeflater {
    void operator()(nghttp2_hd_deflater* d) const { nghttp2_hd_deflate_del(d); }
  };
  struct FreeInflater {
    void operator()(nghttp2_hd_inflater* i) const { nghttp2_hd_inflate_del(i); }
  };

  bool on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_data(std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_header_block(std::uint32_t id, bool ends);
  bool on_settings(std::uint8_t flags, std::string_view payload);
  bool on_window_update(std::uint32_t id, std::string_view payload);
  bool fail(std::string why);
  void flush(std::uint32_t id, Stream& stream);
  void flush_all();

  const ClientOptions& options_;
  Listener& listener_;
  std::vector<nghttp2_nv> head_;
  std::unique_ptr<nghttp2_hd_deflater, FreeDeflater> deflater_;
  std::unique_ptr<nghttp2_hd_inflater, FreeInflater> inflater_;
  std::string input_;  // an incomplete frame
  std::string output_;
  std::size_t output_sent_ = 0;

  std::unordered_map<std::uint32_t, Stream> streams_;
  std::uint32_t next_id_ = 1;
  std::string block_;  // a header block so far
  std::uint32_t block_id_ = 0;
  bool block_ends_ = false;

  std::int64_t send_window_ = kDefaultWindow;
  std::int64_t peer_initial_window_ = kDefaultWindow;
  std::uint32_t peer_max_streams_ = std::numeric_limits<std::uint32_t>::max();  // RFC 9113 6.5.2: no limit until told
  std::uint64_t unacknowledged_bytes_ = 0;  // DATA received since the last connection WINDOW_UPDATE
  bool settings_seen_ = false, settings_acked_ = false;
  std::size_t pings_open_ = 0;
  std::string error_;
};

// One uncompressed gRPC message of `bytes` bytes with its prefix.
std::string grpc_message(std::size_t bytes);

}  // namespace ficus::bench
