// Our stream to an upstream: one leg of one RPC. Exists before it has a connection, and is sent again on another one if
// it never reached an upstream.
// Thread: its worker's. Lifetime: owned by the pool; the pointer that UpstreamPool::open() gave is valid until
// StreamEvents::on_closed or abandon(), whichever comes first.
#pragma once

#include <chrono>
#include <memory>

#include <boost/intrusive/list.hpp>

#include "facade/base/pool.h"
#include "facade/h2/h2_stream.h"

namespace ficus {

class EndpointPool;
class Histogram;
class Upstream;
class UpstreamConnection;

class UpstreamStream
    : public H2StreamBase,
      public Pooled<UpstreamStream>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // What is kept of a request's body to send it again, if an upstream says that it never took the call up. Beyond, the
  // call cannot be repeated. Limit "retry_buffer_bytes".
  static constexpr std::size_t kRetryBufferBytes = 64 * 1024;
  // Connections one call is tried on. Three: the pooled one that was going away, a fresh one, and one of luck.
  static constexpr unsigned kMaxAttempts = 3;

  // The request's head. With `end_stream` it is the whole request. Once; before send_data().
  void send_headers(HeaderBlock head, bool end_stream);
  // See H2Connection; nothing while it has no connection, or earlier bytes wait for the peer's window.
  void time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since);
  // The caller is no longer interested: no event follows, the stream is reset with CANCEL if it is open. The pointer
  // must not be used afterwards.
  void abandon();

 private:
  friend class UpstreamConnection;
  friend class EndpointPool;
  friend class UpstreamPool;
  UpstreamStream(std::shared_ptr<Upstream> upstream, StreamEvents* events, ChunkPool& chunks);
  ~UpstreamStream() override;
  // Puts the stream on a connection. False: this connection can take no more.
  bool attach(UpstreamConnection& connection);
  // Whether it may go on another connection, given how it ended here.
  bool repeatable(StreamEnd end) const noexcept;
  // Makes room in the upstream's limit.
  void uncount() noexcept;
  // Tells the events and deletes the stream.
  void finish(StreamEnd end, std::uint32_t error_code, std::string_view detail);

  HeaderBlock head_;                          // for a repeat, and for those who borrowed its texts
  bool head_left_ = false;                    // it may have reached the upstream
  UpstreamConnection* connection_ = nullptr;  // valid while open()
  bool counted_ = true;                       // in upstream_->in_flight_
  std::shared_ptr<Upstream> upstream_;
  std::shared_ptr<EndpointPool> waiting_at_;  // while it waits for a connection: keeps the queue it stands in
  unsigned attempts_ = 0;
  std::uint64_t tried_endpoints_ = 0;  // bit i: the upstream's endpoint i failed to connect for this call
  std::size_t endpoint_ = 0;
};

}  // namespace ficus
