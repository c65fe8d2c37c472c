#include "facade/net/h2_session.h"

#include <algorithm>

#include "facade/base/log.h"
#include "facade/metrics/families.h"

namespace ficus {
namespace {

constexpr std::uint8_t kDrainPing[8] = {'f', 'i', 'c', 'u', 's', 'd', 'r', 'n'};

}  // namespace

H2Stream::H2Stream(Worker& worker, H2Connection& connection, std::int32_t id)
    : H2StreamBase(worker.chunks()), worker_(&worker) {
  connection_ = &connection;
  id_ = id;
  reset_when_ended_ = true;
}

void H2Stream::send_headers(HeaderBlock head, bool end_stream) {
  if (!open() || head_sent_ || reset_sent_) return;
  head_sent_ = true;
  out_head_ = std::move(head);
  if (end_stream) end_queued_ = true;
  const auto fields = to_nv(out_head_);
  nghttp2_data_provider body = provider();
  nghttp2_submit_response(connection_->session(), id_, fields.data(), fields.size(), end_stream ? nullptr : &body);
  connection_->schedule_flush();
}

H2Session::H2Session(Worker& worker, tcp::socket socket, const H2Limits& limits)
    : H2Connection(worker, std::move(socket), limits), drain_timer_(worker.io()) {
  error_code ec;
  const auto endpoint = socket_.remote_endpoint(ec);
  if (!ec) peer_ = endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

H2Session::~H2Session() = default;

void H2Session::start() {
  worker_.metrics().gauge(families::kConnections, {"client"}).add(1);
  worker_.metrics().counter(families::kConnectionsTotal, {"client"}).add();
  start_session(true, {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_concurrent_streams},
                       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window_bytes},
                       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list_bytes}});
  start_reading();
}

H2StreamBase* H2Session::on_begin_headers(std::int32_t stream_id, bool) {
  auto* stream = new H2Stream(worker_, *this, stream_id);
  streams_.push_back(*stream);
  stream->handler_ = worker_.make_events(*stream);
  stream->events_ = stream->handler_.get();
  return stream;
}

void H2Session::on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t error_code) {
  auto& stream = static_cast<H2Stream&>(base);
  streams_.erase(streams_.iterator_to(stream));
  stream.events_->on_closed(end, error_code, "");
  delete &stream;
  if (drain_ == Drain::kGoawaySent && streams_.empty()) schedule_flush();
}

void H2Session::on_control_frame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_PING && (frame.hd.flags & NGHTTP2_FLAG_ACK) != 0 && drain_ == Drain::kNoticeSent) {
    finish_drain();
  }
}

void H2Session::begin_drain() {
  if (drain_ != Drain::kNo || closed()) return;
  drain_ = Drain::kNoticeSent;
  nghttp2_submit_shutdown_notice(session_);
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kDrainPing);
  schedule_flush();
  drain_timer_.expires_after(kDrainNotice);
  drain_timer_.async_wait([self = std::static_pointer_cast<H2Session>(shared_from_this())](error_code ec) {
    if (!ec && !self->closed() && self->drain_ == Drain::kNoticeSent) self->finish_drain();
  });
}

void H2Session::finish_drain() {
  drain_ = Drain::kGoawaySent;
  drain_timer_.cancel();
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  schedule_flush();
}

std::size_t H2Session::open_streams() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(streams_.begin(), streams_.end(), [](const H2Stream& stream) { return stream.in_head_done_; }));
}

std::size_t H2Session::abort_streams() {
  const std::size_t open = open_streams();
  // on_shutdown answers the call; the stream itself goes when the answer is out.
  for (H2Stream& stream : streams_) stream.events_->on_shutdown();
  return open;
}

void H2Session::on_closing(std::string_view detail) {
  worker_.metrics().gauge(families::kConnections, {"client"}).add(-1);
  drain_timer_.cancel();
  while (!streams_.empty()) {
    H2Stream& stream = streams_.front();
    streams_.pop_front();
    stream.connection_ = nullptr;
    stream.events_->on_closed(StreamEnd::kConnectionLost, NGHTTP2_CANCEL, detail);
    delete &stream;
  }
  worker_.remove_session(std::static_pointer_cast<H2Session>(shared_from_this()));
}

void H2Session::on_protocol_error() {
  worker_.metrics().counter(families::kProtocolErrors, {"client"}).add();
}

}  // namespace ficus
