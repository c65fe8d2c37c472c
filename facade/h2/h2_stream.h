// The sending half and the identity of one stream on one connection; the same on either side of the facade.
// Thread: the connection's worker's. Lifetime: its maker's; it outlives its place on the connection, which ends with
// H2Engine::Owner::on_stream_gone.
#pragma once

#include <cstdint>
#include <string_view>

#include <boost/intrusive/list.hpp>

#include "facade/h2/byte_queue.h"
#include "facade/h2/error_code.h"
#include "facade/h2/header_block.h"
#include "facade/h2/stream_events.h"

namespace ficus {

class H2Engine;

class H2StreamBase {
 public:
  virtual ~H2StreamBase() = default;
  H2StreamBase(const H2StreamBase&) = delete;
  H2StreamBase& operator=(const H2StreamBase&) = delete;

  // Bytes to send as DATA frames as the peer's windows allow. Copied: onto the connection, or into a queue.
  void send_data(std::string_view bytes);
  // Ends our half after what is queued: with trailers, or without.
  void send_end();
  void send_trailers(HeaderBlock block);
  // RST_STREAM at once; what is queued is dropped. on_closed follows.
  void reset(H2Error error);
  // Gives the peer `bytes` of this stream's window back.
  void consume(std::size_t bytes);
  // Queued and not yet put on the connection.
  std::size_t queued() const noexcept { return out_.size(); }
  bool open() const noexcept { return engine_ != nullptr; }
  // The peer has window left for more of its body.
  bool peer_may_send() const noexcept { return receive_window_ > 0; }

 protected:
  friend class H2Engine;
  explicit H2StreamBase(ChunkPool& pool) : out_(pool) {}
  // Back to how it was before it had a connection, with everything kept of the body unread again.
  void rewind();

  H2Engine* engine_ = nullptr;      // null: not on a connection
  StreamEvents* events_ = nullptr;  // null: nobody listens any more
  std::uint32_t id_ = 0;
  bool end_queued_ = false;  // nothing follows what is in out_ (but trailers, if any)
  bool has_trailers_ = false;
  bool end_sent_ = false;  // our END_STREAM is in the connection's output
  bool peer_ended_ = false;
  bool in_head_done_ = false;  // the peer's head came, a further header list is trailers
  bool reset_sent_ = false;

 private:
  bool gone_ = false;  // off the connection, on_stream_gone is still to come
  bool ready_listed_ = false;
  std::uint32_t nothings_ = 0;  // of the peer's frames in a row that carried nothing
  ByteQueue out_;
  std::int64_t send_window_ = 0;  // what the peer takes of this stream; negative after a shrunken SETTINGS
  std::int64_t receive_window_ = 0;
  std::uint32_t consumed_ = 0;  // given back by us, not announced yet
  std::uint32_t end_code_ = 0;
  StreamEnd end_ = StreamEnd::kFinished;
  std::int64_t content_left_ = -1;  // by the peer's content-length; negative: none was given
  std::size_t sent_ = 0;            // bytes of the body put on this connection
  std::size_t credited_ = 0;        // bytes that on_sent reported; not reset by rewind()
  std::uint64_t head_at_ = 0;       // offset in the connection's output of the head we sent
  std::uint64_t last_data_at_ = 0;  // offset of the last DATA frame we sent, if has_data_
  std::uint32_t last_data_bytes_ = 0;
  bool has_data_ = false;
  HeaderBlock out_trailers_;
  boost::intrusive::list_member_hook<> hook_;  // in the engine's list of ready or of gone streams

 protected:
  // For who sends a body again: see ByteQueue.
  ByteQueue& body() noexcept { return out_; }
  const ByteQueue& body() const noexcept { return out_; }
  bool has_trailers_queued() const noexcept { return has_trailers_; }
  bool gone() const noexcept { return gone_; }
};

}  // namespace ficus
