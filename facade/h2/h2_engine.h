// One end of an HTTP/2 connection as a state machine: bytes in, events and bytes out. No socket, no clock, no thread of
// its own. Source: RFC 9113; what a comment does not say otherwise is as the RFC demands.
// Thread: one worker's. Invariants: frames are serialized the moment they are asked for, in that order, but DATA that
// the peer's windows or our own output limit hold back; a stream that is over leaves the map at once and its owner is
// told in reap(), never from inside one of the stream's own events.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "facade/h2/frame.h"
#include "facade/h2/h2_limits.h"
#include "facade/h2/h2_stream.h"
#include "facade/h2/head_rules.h"
#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"
#include "facade/h2/out_buffer.h"
#include "facade/h2/stream_map.h"

namespace ficus {

class H2Engine {
 public:
  enum class Role : std::uint8_t { kServer, kClient };
  using TimePoint = std::chrono::steady_clock::time_point;

  // Whoever holds the engine. Called from inside its functions; may call it back, but must not destroy it.
  class Owner {
   public:
    virtual ~Owner() = default;
    // Server: a request's head came, well-formed and within the limits. Gives a stream with events set. Never null.
    virtual H2StreamBase* on_new_stream() = 0;
    // A stream's last: it has left the connection. From reap() only.
    virtual void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) = 0;
    // The peer's SETTINGS are in force.
    virtual void on_settings() = 0;
    virtual void on_goaway(std::uint32_t error_code, std::string_view debug) = 0;
    virtual void on_ping_ack(std::uint64_t opaque) = 0;
    // The peer sent a PING; its answer follows, unless this fails the connection.
    virtual void on_ping() {}
    // A header list began and is not whole so far: see head_since(). Not called for lists that come in one piece.
    virtual void on_partial_head() {}
    // Server: a request's head was malformed; its stream was reset, no call came to be.
    virtual void on_malformed_head() = 0;
    // The peer broke HTTP/2 (or a limit) such that the connection cannot go on. GOAWAY is in the output.
    virtual void on_connection_error(H2Error error, std::string_view why) = 0;
    // The peer did so on one stream only.
    virtual void on_stream_error(H2Error error) = 0;
    // A limit of H2Limits was hit; `name` is the member's.
    virtual void on_limit(std::string_view name) = 0;
    // There is something to flush (or to reap). Once until flushed() is called.
    virtual void on_output() = 0;
  };

  // `limits`, `owner` and `pool` outlive the engine.
  H2Engine(Role role, const H2Limits& limits, Owner& owner, OutBlockPool& pool);
  ~H2Engine();
  H2Engine(const H2Engine&) = delete;
  H2Engine& operator=(const H2Engine&) = delete;

  // Our preface: SETTINGS, the connection's window.
  void start();
  // Takes all of `bytes`. False: the connection is over, what is in the output should be sent and nothing more be read.
  bool receive(std::string_view bytes, TimePoint now);
  // Moves queued DATA into the output as far as windows and H2Limits::output_bytes allow.
  void pump();
  // Tells the owner of every stream that is over.
  void reap();
  OutBuffer& out() noexcept { return out_; }
  // Output was taken care of: the next one is announced again.
  void flushed() noexcept { output_announced_ = false; }

  // ---- streams ----
  // Client: puts the stream on the connection and sends the request's head. False: ids are used up, or going away.
  bool open_stream(H2StreamBase& stream, const HeaderBlock& head, bool end_stream);
  // Server: the response's head.
  void send_head(H2StreamBase& stream, const HeaderBlock& head, bool end_stream);
  std::size_t streams() const noexcept { return streams_.size(); }
  // Takes every stream off the connection without telling the peer (the connection is lost); `visit` gets each. What
  // waits for reap() is reaped first.
  template <class F>
  void detach_all(F&& visit) {
    reap();
    while (H2StreamBase* stream = streams_.any()) {
      detach(*stream);
      visit(*stream);
    }
  }
  template <class F>
  void for_each_stream(F&& visit) const {
    streams_.for_each(visit);
  }
  // What the peer makes this process hold: what it does not take of its answers, and what it sent that nobody took yet.
  // Linear in the streams.
  std::size_t held_bytes() const;
  // Whether the head that we sent on it may have left this process.
  bool head_left(const H2StreamBase& stream) const noexcept { return stream.head_at_ < out_.frozen_offset(); }

  // ---- the connection ----
  // GOAWAY: an announcement with the largest id; then, once the peer knows (ping), the last id taken.
  void send_goaway_notice();
  void send_goaway(H2Error error, std::string_view debug);
  void send_ping(std::uint64_t opaque);
  // Ends the connection for a reason that is none of HTTP/2's (a timeout, a limit of the owner's).
  void fail(H2Error error, std::string_view why);
  bool settings_received() const noexcept { return settings_received_; }
  // Server: the client's whole preface came.
  bool preface_received() const noexcept { return state_ != State::kPreface; }
  // A header list has begun and is not whole.
  bool inside_head() const noexcept { return continuing_ || (partial_head_ && !partial_.empty()); }
  // When the list began that is not whole. Precondition: inside_head().
  TimePoint head_since() const noexcept { return head_since_; }
  // HEADERS and DATA put into the output so far; it wraps around.
  std::uint32_t content_frames() const noexcept { return content_frames_; }
  std::uint32_t peer_max_streams() const noexcept { return peer_max_streams_; }
  // The largest header list that the peer said it takes (RFC 9113 6.5.2), counted as HeaderBlock::list_bytes() does.
  std::uint32_t peer_header_list_bytes() const noexcept { return peer_header_list_bytes_; }
  bool goaway_sent() const noexcept { return goaway_sent_; }
  bool over() const noexcept { return over_; }
  // Ids left to us, as a client.
  bool ids_used_up() const noexcept { return next_id_ > kLargestStreamId; }

 private:
  friend class H2StreamBase;
  enum class State : std::uint8_t { kPreface, kFrames, kData };
  enum class ClosedWhy : std::uint8_t { kUnknown, kEnded, kPeerReset, kWeReset };
  using ReadyList = boost::intrusive::list<
      H2StreamBase,
      boost::intrusive::member_hook<H2StreamBase, boost::intrusive::list_member_hook<>, &H2StreamBase::hook_>,
      boost::intrusive::constant_time_size<false>>;

  // ---- receiving (h2_engine_receive.cc, _heads.cc, _control.cc); each gives false when the connection is over ----
  bool on_frame(const FrameHeader& frame, const std::uint8_t* payload);
  void head_began();
  bool check_frame_header(const FrameHeader& frame);
  bool check_output();
  // So much of what must be said at once comes to the output now.
  void count_control(std::size_t bytes) noexcept;
  bool begin_data(const FrameHeader& frame);
  bool take_content(H2StreamBase& stream, std::uint32_t bytes);
  bool data_bytes(const std::uint8_t* bytes, std::size_t length);
  bool end_data();
  bool on_headers(const FrameHeader& frame, const std::uint8_t* payload);
  bool on_continuation(const FrameHeader& frame, const std::uint8_t* payload);
  bool header_fragment(std::string_view fragment, bool last);
  bool on_header_list();
  bool on_request(bool too_large);
  bool on_response(H2StreamBase& stream, bool too_large);
  bool on_trailers(H2StreamBase& stream, bool too_large);
  bool on_rst_stream(const FrameHeader& frame, const std::uint8_t* payload);
  bool on_settings(const FrameHeader& frame, const std::uint8_t* payload);
  bool set_peer_initial_window(std::int64_t bytes);
  bool on_window_update(const FrameHeader& frame, const std::uint8_t* payload);
  bool on_goaway(const FrameHeader& frame, const std::uint8_t* payload);
  bool flood(FloodGauge& gauge, const FloodLimit& limit, std::string_view name);
  bool carried_nothing(std::uint32_t id);
  // A frame for a stream that is no more.
  bool on_closed_stream(std::uint32_t id, bool header_list);
  bool idle(std::uint32_t id) const noexcept;
  bool local_id(std::uint32_t id) const noexcept { return (id & 1) == (role_ == Role::kClient ? 1u : 0u); }
  bool connection_error(H2Error error, std::string_view why);
  bool stream_error(std::uint32_t id, H2StreamBase* stream, H2Error error);
  void peer_ended(H2StreamBase& stream);
  ClosedWhy closed_why(std::uint32_t id) const noexcept;

  // ---- sending (h2_engine_send.cc) ----
  void announce();
  void emit(FrameType type, std::uint8_t flags, std::uint32_t id, std::string_view payload);
  void emit_u32(FrameType type, std::uint32_t id, std::uint32_t value);
  void emit_head(std::uint32_t id, const HeaderBlock& block, bool end_stream);
  void emit_data(H2StreamBase& stream, std::string_view piece);
  void write_data(H2StreamBase& stream, std::string_view bytes);
  void write_end(H2StreamBase& stream);
  void end_local(H2StreamBase& stream);
  std::size_t sendable(const H2StreamBase& stream) const noexcept;
  void credit(H2StreamBase& stream, std::size_t bytes);
  // One frame of what is queued; whether more could follow now.
  void pump_one(H2StreamBase& stream);
  void make_ready(H2StreamBase& stream);
  void reset_stream(H2StreamBase& stream, H2Error error);
  void consume_stream(H2StreamBase& stream, std::size_t bytes);
  void attach(H2StreamBase& stream, std::uint32_t id);
  void detach(H2StreamBase& stream);
  void close_stream(H2StreamBase& stream, StreamEnd end, std::uint32_t code, ClosedWhy why);
  void remember_closed(std::uint32_t id, ClosedWhy why);

  const Role role_;
  const H2Limits& limits_;
  Owner& owner_;
  OutBuffer out_;
  HpackDecoder decoder_;
  HpackEncoder encoder_;
  StreamMap streams_;
  ReadyList ready_;  // streams with queued DATA (or an end) and window of their own, in turn
  ReadyList gone_;   // streams whose owner is to be told

  // ---- receiving ----
  State state_;
  std::string partial_;          // a frame (or preface) that did not come whole; its header included
  bool partial_head_ = false;    // the partial frame carries a header list
  FrameHeader data_;             // state kData: the frame
  std::uint32_t data_left_ = 0;  // of its payload, padding included
  std::uint32_t data_pad_ = 0;   // of it, padding at the end
  bool data_pad_known_ = true;
  bool continuing_ = false;  // CONTINUATION must follow
  bool head_end_stream_ = false;
  bool head_ignored_ = false;               // decoded for the table's sake only
  bool head_opens_ = false;                 // it is a request's: its stream is to be made
  H2Error head_error_ = H2Error::kNoError;  // the list is decoded, then its stream gets this
  std::uint32_t head_id_ = 0;
  std::uint32_t head_frames_ = 0;
  std::size_t head_bytes_ = 0;
  TimePoint head_since_{};
  HeaderBlock block_;                                // being decoded
  std::uint32_t last_peer_id_ = 0;                   // the largest id the peer opened
  std::uint32_t last_taken_id_ = 0;                  // of those, the largest that became a call
  std::uint32_t goaway_last_id_ = kLargestStreamId;  // what our GOAWAY promised
  std::int64_t connection_receive_window_ = kDefaultWindowBytes;
  std::uint32_t connection_consumed_ = 0;
  TimePoint now_{};
  FloodGauge resets_, controls_, empties_, errors_, window_updates_;

  // ---- sending ----
  std::int64_t connection_send_window_ = kDefaultWindowBytes;
  std::int64_t peer_initial_window_ = kDefaultWindowBytes;
  std::uint32_t peer_max_frame_ = kDefaultMaxFrameBytes;
  std::uint32_t peer_max_streams_ = 0xffff'ffff;
  std::uint32_t peer_header_list_bytes_ = 0xffff'ffff;
  std::size_t control_bytes_ = 0;  // of acknowledgements and resets, since the output was last empty
  std::uint32_t next_id_ = 1;
  std::uint32_t content_frames_ = 0;
  bool settings_received_ = false;
  bool settings_acknowledged_ = false;  // ours
  bool goaway_sent_ = false;
  bool goaway_received_ = false;
  bool over_ = false;
  bool output_announced_ = false;

  // Streams that are no more, as far as it matters what came of them: a frame that was on its way when we reset a
  // stream is no fault of the peer's (RFC 9113 5.1, "closed"). Two rings, so that ordinary ends do not push resets out.
  static constexpr std::size_t kRememberedEnds = 64;
  static constexpr std::size_t kRememberedResets =
      1024;  // four connections' worth of calls that ended within one round trip
  struct Ended {
    std::uint32_t id = 0;
    ClosedWhy why = ClosedWhy::kUnknown;
  };
  std::vector<Ended> ends_;
  std::vector<std::uint32_t> resets_by_us_;
  std::size_t next_end_ = 0, next_reset_ = 0;
};

}  // namespace ficus
