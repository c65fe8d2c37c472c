// One of our connections to an upstream. Thread: its worker's.
#pragma once

#include <memory>

#include <boost/intrusive/list.hpp>

#include "facade/net/upstream_pool.h"

namespace ficus {

class UpstreamConnection : public H2Connection {
 public:
  UpstreamConnection(Worker& worker, tcp::socket socket, std::weak_ptr<EndpointPool> pool, std::string upstream_name);
  ~UpstreamConnection() override;
  // Begins to speak; closes ("connect timeout") if no SETTINGS came within `settle_within`.
  void start(std::chrono::nanoseconds settle_within);

  // How many more calls it may take now: 0 while it is going away.
  std::size_t spare() const noexcept;
  std::size_t streams() const noexcept { return count_; }
  // Takes no more calls, and closes when the last ended.
  void retire();
  // Whether the upstream's first SETTINGS came. Before, no call is put on the connection: how many at once the upstream
  // takes is not known yet, and some count one too many as a broken connection.
  bool settled() const noexcept { return settled_; }

 private:
  friend class EndpointPool;
  friend class UpstreamStream;
  H2StreamBase* on_begin_headers(std::int32_t, bool) override { return nullptr; }
  void on_stream_gone(H2StreamBase& stream, StreamEnd end, std::uint32_t error_code) override;
  void on_control_frame(const nghttp2_frame& frame) override;
  void on_closing(std::string_view detail) override;
  void on_protocol_error() override;
  bool may_close() const override { return true; }
  void end_or_repeat(UpstreamStream& stream, StreamEnd end, std::uint32_t error_code, std::string_view detail);

  // A connection whose ids run out (RFC 9113 5.1.1) is replaced in time.
  static constexpr std::uint32_t kLastStreamId = 0x7fffff00;

  std::weak_ptr<EndpointPool> pool_;
  const std::string upstream_name_;
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> streams_;
  std::size_t count_ = 0;
  std::uint32_t max_streams_ = 0;
  std::string goaway_;  // the class of a GOAWAY with an error, for the calls it ends
  bool settled_ = false;
  bool going_away_ = false;
  asio::steady_timer settle_timer_;
};

}  // namespace ficus
