// One HTTP/2 connection of the bench's answering upstream: bytes in, bytes out, no socket. It must cost far less than
// any proxy it stands behind, so it reads frame headers only: request header blocks are skipped, never decoded (which
// is sound because nothing of them is needed), and every call gets the same answer, by default once its END_STREAM has
// come: HEADERS(:status 200, content-type application/grpc), one gRPC message, trailers(grpc-status 0). What it does
// not do cheaply it does correctly: SETTINGS, PING, padding, CONTINUATION, resets, and flow control in both directions
// (RFC 9113 6). Bytes that are no HTTP/2 get a GOAWAY and an end, never a crash. Thread: one. Invariant: output() is
// always whole frames, in an order the peer may be sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/h2_frames.h"

namespace ficus::bench {

enum class AnswerWhen : std::uint8_t {
  kAtEnd,        // head, one message and trailers once the request's END_STREAM has come
  kEachMessage,  // the head at once, a message for each message (all of a stream of one size), trailers after
                 // END_STREAM
  kWhenReleased  // the head at once, the rest after release(): calls that stay in flight
};

struct AnswerOptions {
  AnswerWhen when = AnswerWhen::kAtEnd;
  // Bytes of the answer's message, without the 5 bytes of its gRPC prefix; negative: as many as the request's had.
  std::int64_t message_bytes = -1;
  std::uint32_t max_concurrent_streams = 1024;  // advertised, and enforced by closing
};

class AnswerSession {
 public:
  explicit AnswerSession(const AnswerOptions& options);

  // Takes the next bytes from the peer, split anywhere. False: the connection is over; send output() and close.
  bool on_bytes(std::string_view bytes);

  // What is to be sent; the caller removes what it sent with consume_output().
  std::string_view output() const { return std::string_view(output_).substr(output_sent_); }
  void consume_output(std::size_t bytes);

  // Answers the calls that kWhenReleased holds and whose END_STREAM has come. Later ones are held again.
  void release();

  std::uint64_t messages() const { return messages_; }  // of answers, begun or finished
  std::uint64_t calls() const { return calls_; }        // answered in full: trailers are in the output
  std::string_view error() const { return error_; }     // why on_bytes() returned false; empty while it has not

 private:
  struct Stream {
    std::uint32_t id = 0;  // 0: a free slot
    bool ended = false;    // END_STREAM came
    bool head_sent = false;
    bool waiting = false;             // in waiting_
    std::uint64_t request_bytes = 0;  // DATA payload so far, gRPC prefix included
    std::int64_t send_window = 0;     // RFC 9113 6.9; negative after a smaller SETTINGS_INITIAL_WINDOW_SIZE
    std::size_t answer_sent = 0;      // bytes of the present message already in output_
    std::size_t answer_bytes = 0;     // bytes of each message with its prefix; 0: none is due yet
    std::uint64_t messages_due = 0;   // kEachMessage: answers behind the present one
    MessageCounter messages;          // kEachMessage: of the request
  };

  bool on_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_data(std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_headers(std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_settings(std::uint8_t flags, std::uint32_t id, std::string_view payload);
  bool on_window_update(std::uint32_t id, std::string_view payload);
  bool fail(std::uint32_t h2_error, std::string_view why);

  Stream* find(std::uint32_t id);
  Stream* open(std::uint32_t id);  // nullptr: too many streams
  void close(Stream& stream);

  void on_head(Stream& stream, bool ends);
  bool on_stream_data(Stream& stream, std::string_view data, bool ends);
  void on_end(Stream& stream);
  void put_head(Stream& stream);
  void begin_answer(Stream& stream);
  void go_on_or_wait(Stream& stream);
  bool go_on_answering(Stream& stream);
  void answer_those_waiting();
  void put_header_block(std::uint32_t id, std::string_view indexed, std::string_view literal, bool end_stream);
  std::string_view message_of(std::size_t bytes);  // gRPC prefix and message, `bytes` in all

  const AnswerOptions options_;
  std::string input_;  // an incomplete frame, or an incomplete preface
  bool preface_seen_ = false;
  bool settings_seen_ = false;
  std::string output_;
  std::size_t output_sent_ = 0;

  std::vector<Stream> slots_;  // by (id / 2) modulo its size, a power of two: ids only grow, so neighbours never meet
  std::size_t open_streams_ = 0;
  std::uint32_t last_id_ = 0;
  std::uint32_t continued_id_ = 0;  // a header block is open on this stream: only its CONTINUATION may follow
  bool continued_ends_stream_ = false;

  std::deque<std::uint32_t> waiting_;  // streams whose answer waits for window, oldest first
  std::int64_t send_window_ = 65535;
  std::int64_t peer_initial_window_ = 65535;
  std::size_t peer_max_frame_bytes_ = 16384;
  std::uint64_t unacknowledged_bytes_ = 0;  // DATA received since the last connection WINDOW_UPDATE

  // Our HPACK encoder: two entries in the peer's dynamic table, if it grants the room, else literals for ever.
  enum class HeaderMode : std::uint8_t { kNotYet, kIndexed, kLiteral } header_mode_ = HeaderMode::kNotYet;
  bool table_size_update_due_ = false;

  std::string message_;
  std::uint64_t calls_ = 0;
  std::uint64_t messages_ = 0;
  std::string error_;
};

}  // namespace ficus::bench
