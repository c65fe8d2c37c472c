#include "facade/net/upstream_stream.h"

#include "facade/metrics/families.h"
#include "facade/net/upstream_connection.h"
#include "facade/net/upstream_pool.h"

namespace ficus {

UpstreamStream::UpstreamStream(std::shared_ptr<Upstream> upstream, StreamEvents* events, ChunkPool& chunks)
    : H2StreamBase(chunks), upstream_(std::move(upstream)) {
  events_ = events;
  out_.keep(kRetryBufferBytes);
  ++upstream_->in_flight_;
}

UpstreamStream::~UpstreamStream() { --upstream_->in_flight_; }

void UpstreamStream::send_headers(HeaderBlock head, bool end_stream) {
  out_head_ = std::move(head);
  if (end_stream) end_queued_ = true;
  const auto& endpoints = upstream_->endpoints_;
  endpoint_ = upstream_->next_endpoint_++ % endpoints.size();
  endpoints[endpoint_]->take(*this);
}

bool UpstreamStream::attach(UpstreamConnection& connection) {
  const auto fields = to_nv(out_head_);
  nghttp2_data_provider body = provider();
  const bool no_body = end_queued_ && out_.empty() && !has_trailers_;
  deferred_ = false;
  const std::int32_t id = nghttp2_submit_request(connection.session(), nullptr, fields.data(), fields.size(),
                                                 no_body ? nullptr : &body, static_cast<H2StreamBase*>(this));
  if (id < 0) {
    connection.going_away_ = true;  // its stream ids are used up
    return false;
  }
  ++attempts_;
  waiting_at_.reset();
  connection_ = &connection;
  id_ = id;
  connection.schedule_flush();
  return true;
}

bool UpstreamStream::repeatable(StreamEnd end) const noexcept {
  if (events_ == nullptr || in_head_done_ || reset_sent_ || attempts_ >= kMaxAttempts || !out_.complete()) return false;
  return end == StreamEnd::kNeverProcessed || (end == StreamEnd::kConnectionLost && !head_sent_);
}

void UpstreamStream::prepare_repeat() {
  out_.rewind();
  sent_ = 0;
  connection_ = nullptr;
  id_ = 0;
  deferred_ = false;
  head_sent_ = false;
  in_head_done_ = false;
  peer_ended_ = false;
  end_sent_ = false;
  in_block_.clear();
}

void UpstreamStream::finish(StreamEnd end, std::uint32_t error_code, std::string_view detail) {
  connection_ = nullptr;
  StreamEvents* events = events_;
  events_ = nullptr;
  if (events != nullptr) events->on_closed(end, error_code, detail);
  delete this;
}

void UpstreamStream::abandon() {
  events_ = nullptr;
  if (connection_ == nullptr) {
    // Still waiting for a connection. Unlinked before the queue it stands in may go with the last reference.
    if (is_linked()) unlink();
    delete this;
    return;
  }
  out_.clear();
  if (peer_ended_ && end_sent_) return;  // over on both sides: nghttp2 is about to close it
  reset(NGHTTP2_CANCEL);
}

}  // namespace ficus
