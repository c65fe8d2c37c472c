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
  void start();

  // How many more calls it may take now: 0 while it is going away.
  std::size_t spare() const noexcept;
  std::size_t streams() const noexcept { return count_; }
  // Takes no more calls, and closes when the last ended.
  void retire();

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

  // Before an upstream's SETTINGS arrive nothing is known; RFC 9113 6.5.2 advises peers to allow no fewer than 100.
  static constexpr std::uint32_t kStreamsBeforeSettings = 100;
  // A connection whose ids run out (RFC 9113 5.1.1) is replaced in time.
  static constexpr std::uint32_t kLastStreamId = 0x7fffff00;

  std::weak_ptr<EndpointPool> pool_;
  const std::string upstream_name_;
  boost::intrusive::list<UpstreamStream, boost::intrusive::constant_time_size<false>> streams_;
  std::size_t count_ = 0;
  std::uint32_t max_streams_ = kStreamsBeforeSettings;
  bool going_away_ = false;
};

}  // namespace ficus
