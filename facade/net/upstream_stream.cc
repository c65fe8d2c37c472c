#include "facade/net/upstream_stream.h"

#include <utility>

#include "facade/metrics/families.h"
#include "facade/net/client_places.h"
#include "facade/net/upstream_connection.h"
#include "facade/net/upstream_pool.h"

namespace ficus {

UpstreamStream::UpstreamStream(std::shared_ptr<Upstream> upstream, StreamEvents* events, ClientPlaces* client,
                               ChunkPool& chunks)
    : H2StreamBase(chunks), client_(client), upstream_(std::move(upstream)) {
  events_ = events;
  body().keep(kRetryBufferBytes);
  ++upstream_->in_flight_;
  if (client_ != nullptr) client_->take(*upstream_);
}

UpstreamStream::~UpstreamStream() {
  end_waiting();
  set_endpoint(0);
  uncount();
}

void UpstreamStream::uncount() noexcept {
  if (!std::exchange(counted_, false)) return;
  --upstream_->in_flight_;
  if (client_ != nullptr) client_->release(*upstream_);
}

void UpstreamStream::set_endpoint(Balancer::EndpointId endpoint) {
  if (endpoint == endpoint_) return;
  if (endpoint_ != 0) upstream_->balancer_.end(endpoint_);
  endpoint_ = endpoint;
  if (endpoint_ != 0) upstream_->balancer_.begin(endpoint_);
}

bool UpstreamStream::begin_waiting(Worker& worker) {
  if (pending_) return true;
  if (upstream_->pending_ >= upstream_->target_.max_pending) {
    worker.metrics().counter(families::kUpstreamLimits, {upstream_->name_, upstream_->role_, "max_pending"}).add();
    finish(StreamEnd::kConnectFailed, kConnectError, "too many calls wait for a connection");
    return false;
  }
  pending_ = true;
  ++upstream_->pending_;
  return true;
}

void UpstreamStream::end_waiting() noexcept {
  if (std::exchange(pending_, false)) --upstream_->pending_;
}

void UpstreamStream::report(unsigned grpc_status) { upstream_->on_status(endpoint_, grpc_status); }

void UpstreamStream::send_headers(HeaderBlock head, bool end_stream) {
  head_ = std::move(head);
  if (end_stream) end_queued_ = true;
  upstream_->place(*this);
}

// Of what will be sent, field by field: asked only where the sum of all that was ever added is too large.
bool UpstreamStream::head_fits(std::size_t limit) const noexcept {
  std::size_t bytes = 0;
  for (const HeaderBlock::Field& field : head_.fields()) {
    if (!field.hidden) bytes += field.name.size() + field.value.size() + HeaderBlock::kFieldOverheadBytes;
  }
  return bytes <= limit;
}

bool UpstreamStream::attach(UpstreamConnection& connection) {
  // gRPC's servers close the whole connection, with everybody's calls, when two such heads come at a time.
  const std::size_t takes = connection.engine().peer_header_list_bytes();
  if (head_.list_bytes() > takes && !head_fits(takes)) {
    connection.on_limit("peer_header_list");
    finish(StreamEnd::kHeadTooLarge, static_cast<std::uint32_t>(H2Error::kRefusedStream),
           "header list larger than the upstream takes");
    return true;
  }
  const bool no_body = end_queued_ && body().empty() && !has_trailers_queued();
  if (!connection.engine().open_stream(*this, head_, no_body)) {
    connection.going_away_ = true;  // its stream ids are used up
    return false;
  }
  connection_ = &connection;
  ++attempts_;
  end_waiting();
  waiting_at_.reset();
  return true;
}

bool UpstreamStream::repeatable(StreamEnd end) const noexcept {
  if (events_ == nullptr || in_head_done_ || reset_sent_ || attempts_ >= kMaxAttempts || !body().complete())
    return false;
  return end == StreamEnd::kNeverProcessed || (end == StreamEnd::kConnectionLost && !head_left_);
}

void UpstreamStream::finish(StreamEnd end, std::uint32_t error_code, std::string_view detail) {
  StreamEvents* events = events_;
  events_ = nullptr;
  if (events != nullptr) events->on_closed(end, error_code, detail);
  delete this;
}

void UpstreamStream::time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since) {
  if (open() && queued() == 0) connection_->time_next_write(histogram, since);
}

void UpstreamStream::abandon() {
  events_ = nullptr;
  uncount();
  if (gone()) return;  // off its connection already, which will say so
  if (!open()) {
    // Still waiting for a connection. Unlinked before the queue it stands in may go with the last reference.
    if (is_linked()) unlink();
    delete this;
    return;
  }
  if (!(peer_ended_ && end_sent_)) reset(H2Error::kCancel);
}

}  // namespace ficus
