// The far end of one of the facade's connections: sends what it is told to, right or wrong, and takes apart what comes,
// which must be right: frames and header blocks are held against RFC 9113 with nghttp2's HPACK, not ours.
// Thread: the caller's. Never waits.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "facade/base/unique_fd.h"
#include "facade/h2/frame.h"

namespace ficus::fuzz {

using Fields = std::vector<std::pair<std::string, std::string>>;
std::string_view find_field(const Fields& fields, std::string_view name);  // empty: not there

std::string h2_frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
// A header block of literals without indexing (RFC 7541 6.2.2), so that it reads the same on any connection.
std::string literals(const Fields& fields);
std::string grpc_message(std::string_view bytes, bool compressed);
std::string u32(std::uint32_t value);

class FarEnd {
 public:
  enum class Is { kClient, kUpstream };
  // What came on one stream.
  struct Stream {
    std::uint32_t id = 0;
    std::vector<Fields> blocks;  // head, then trailers
    std::size_t data_bytes = 0;
    bool ended = false, reset = false;
  };

  // A polite one says its preface and SETTINGS, and answers SETTINGS and PING.
  FarEnd(UniqueFd socket, Is is, bool polite);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  // As far as the socket takes it.
  void send(std::string_view bytes);
  // Says that no more comes; or closes at once, as a reset where the kind of socket knows one.
  void finish();
  void abort();
  // To be polled; -1: nothing is to be taken.
  int readable_from() const noexcept { return over_ || paused_ ? -1 : socket_.get(); }
  // Takes what has come.
  void take();
  void pause(bool paused) noexcept { paused_ = paused; }
  bool paused() const noexcept { return paused_; }

  // In the order in which they began.
  const std::vector<std::uint32_t>& order() const noexcept { return order_; }
  const Stream& stream(std::uint32_t id) const { return streams_.at(id); }
  // For who plays this end.
  std::size_t next = 0;           // of order(): the first that is not dealt with
  std::uint32_t last_opened = 0;  // a client's

 private:
  void judge_frames();
  void judge_frame(const FrameHeader& frame, std::string_view payload);
  void judge_block(std::uint32_t id, bool ends);

  UniqueFd socket_;
  bool paused_ = false;
  bool over_ = false;
  const bool polite_;
  bool preface_seen_;
  std::string unread_;
  std::string block_;
  std::uint32_t block_stream_ = 0;  // a header block that is not whole
  bool block_ends_ = false;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::map<std::uint32_t, Stream> streams_;
  std::vector<std::uint32_t> order_;
};

// Where an upstream's connections arrive: a listening socket on loopback.
class Door {
 public:
  Door();
  const std::string& address() const { return address_; }
  int readable_from() const { return socket_.get(); }
  // None: nobody is there.
  UniqueFd next() const;

 private:
  UniqueFd socket_;
  std::string address_;
};

}  // namespace ficus::fuzz
