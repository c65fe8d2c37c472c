// Our stream to an upstream: one leg of one RPC. Exists before it has a connection, and is sent again on another one if
// it never reached an upstream.
// Thread: its worker's. Lifetime: owned by the pool; the pointer that UpstreamPool::open() gave is valid until
// StreamEvents::on_closed or abandon(), whichever comes first.
#pragma once

#include <chrono>
#include <memory>
#include <span>

#include <boost/container/small_vector.hpp>
#include <boost/intrusive/list.hpp>

#include "facade/base/pool.h"
#include "facade/h2/h2_stream.h"
#include "facade/net/balancer.h"
#include "facade/net/client_places.h"

namespace ficus {

class EndpointPool;
class Histogram;
class Upstream;
class UpstreamConnection;
class Worker;

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
  // How the call ended, for passive health: once, while the pointer is valid.
  void report(unsigned grpc_status);
  // Adds the endpoints it was sent to. For who asks again with another stream, which is to avoid() them. Valid in
  // on_closed too.
  void add_tried_to(boost::container::small_vector<Balancer::EndpointId, 4>& to) const {
    to.insert(to.end(), tried_.begin(), tried_.end());
    if (endpoint_ != 0) to.push_back(endpoint_);
  }
  // Endpoints to be taken only if there is no other. Before send_headers().
  void avoid(std::span<const Balancer::EndpointId> endpoints) {
    tried_.insert(tried_.end(), endpoints.begin(), endpoints.end());
  }

 private:
  friend class UpstreamConnection;
  friend class EndpointPool;
  friend class Upstream;
  friend class UpstreamPool;
  UpstreamStream(std::shared_ptr<Upstream> upstream, StreamEvents* events, ClientPlaces* client, ChunkPool& chunks);
  ~UpstreamStream() override;
  // Puts the stream on a connection. False: this connection can take no more.
  bool attach(UpstreamConnection& connection);
  // Whether it may go on another connection, given how it ended here.
  bool repeatable(StreamEnd end) const noexcept;
  bool head_fits(std::size_t limit) const noexcept;
  // Makes room in the upstream's limit.
  void uncount() noexcept;
  // Tells the events and deletes the stream.
  void finish(StreamEnd end, std::uint32_t error_code, std::string_view detail);

  HeaderBlock head_;                          // for a repeat, and for those who borrowed its texts
  bool head_left_ = false;                    // it may have reached the upstream
  UpstreamConnection* connection_ = nullptr;  // valid while open()
  bool counted_ = true;                       // in upstream_->in_flight_
  ClientPlaces* client_;                      // whose it is, while counted_; null: nobody's
  std::shared_ptr<Upstream> upstream_;
  std::shared_ptr<EndpointPool> waiting_at_;  // while it waits for a connection: keeps the queue it stands in
  unsigned attempts_ = 0;

  // ---- placing (upstream.cc)
  // Its endpoint from now on, for the balancer's count of calls in flight; 0 is none.
  void set_endpoint(Balancer::EndpointId endpoint);
  std::span<const Balancer::EndpointId> tried() const noexcept { return {tried_.data(), tried_.size()}; }
  void add_tried() { tried_.push_back(endpoint_); }
  // Counts it among the calls that wait for a connection, until it has one. False: too many do; the stream is gone.
  bool begin_waiting(Worker& worker);
  void end_waiting() noexcept;
  Balancer::EndpointId endpoint_ = 0;
  boost::container::small_vector<Balancer::EndpointId, 4> tried_;
  bool pending_ = false;
};

}  // namespace ficus
