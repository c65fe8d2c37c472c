#include "facade/net/h2_session.h"

#include <algorithm>
#include <vector>

#include "facade/base/log.h"
#include "facade/metrics/families.h"

namespace ficus {
namespace {

constexpr std::uint64_t kDrainPing = 0x66'69'63'75'73'64'72'6e;  // "ficusdrn"

}  // namespace

H2Stream::H2Stream(Worker& worker, H2Session& session)
    : H2StreamBase(worker.chunks()), worker_(&worker), session_(&session) {}

void H2Stream::send_headers(const HeaderBlock& head, bool end_stream) {
  if (!open() || head_sent_ || reset_sent_) return;
  head_sent_ = true;
  engine_->send_head(*this, head, end_stream);
}

void H2Stream::count_held(std::ptrdiff_t bytes) {
  session_->held_ += static_cast<std::size_t>(bytes);
  worker_->count_held(bytes);
}

void H2Stream::time_next_write(Histogram& histogram, std::chrono::steady_clock::time_point since) {
  if (open() && queued() == 0) session_->time_next_write(histogram, since);
}

H2Session::H2Session(Worker& worker, tcp::socket socket, const H2Limits& limits,
                     const std::shared_ptr<const TlsServerContext>& tls)
    : H2Connection(worker, std::move(socket), H2Engine::Role::kServer, limits),
      opened_(worker.touch_clock()),
      idle_since_(opened_),
      age_at_(TimePoint::max()),
      keepalive_(opened_) {
  error_code ec;
  const auto endpoint = socket_.remote_endpoint(ec);
  if (tls != nullptr) use_tls(std::make_unique<TlsStream>(*tls, socket_.native_handle()));
  if (!ec) peer_ = endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
}

H2Session::~H2Session() = default;

void H2Session::start() {
  worker_.metrics().gauge(families::kConnections, {"client"}).add(1);
  worker_.metrics().counter(families::kConnectionsTotal, {"client"}).add();
  start_session();
  begin_manners();
}

H2StreamBase* H2Session::on_new_stream() {
  auto* stream = new H2Stream(worker_, *this);
  stream->handler_ = worker_.make_events(*stream);
  stream->events_ = stream->handler_.get();
  return stream;
}

void H2Session::on_stream_gone(H2StreamBase& base, StreamEnd end, std::uint32_t error_code) {
  auto& stream = static_cast<H2Stream&>(base);
  stream.events_->on_closed(end, error_code, "");
  delete &stream;
  if (engine_.streams() == 0) idle_since_ = worker_.now();
  if (drain_ == Drain::kGoawaySent && engine_.streams() == 0) schedule_flush();
}

void H2Session::on_ping_ack(std::uint64_t opaque) {
  if (opaque != kDrainPing || drain_ != Drain::kNoticeSent) return;
  drain_ = Drain::kNoticeHeeded;
  schedule_flush();
}

// Not as soon as the acknowledgement is read: gRPC writes it ahead of the heads of calls that it began before it read
// our notice, and those are in the same read. Beyond the last id they would have to be sent again.
void H2Session::on_flush_going_away() {
  if (drain_ == Drain::kNoticeHeeded) finish_drain();
}

void H2Session::begin_drain() {
  if (drain_ != Drain::kNo || closed()) return;
  drain_ = Drain::kNoticeSent;
  // The PING first, in the same write: some clients (those on Python's h2) take no frame behind a GOAWAY.
  engine_.send_ping(kDrainPing);
  engine_.send_goaway_notice();
  drain_since_ = std::chrono::steady_clock::now();
  look_again(drain_since_ + kDrainNotice);
}

void H2Session::finish_drain() {
  drain_ = Drain::kGoawaySent;
  engine_.send_goaway(H2Error::kNoError, "");
}

std::size_t H2Session::abort_streams(const ForcedEnd& why) {
  std::vector<H2Stream*> open;
  engine_.for_each_stream([&](H2StreamBase& stream) { open.push_back(&static_cast<H2Stream&>(stream)); });
  // on_shutdown answers the call; the stream itself goes when the answer is out.
  for (H2Stream* stream : open) stream->events_->on_shutdown(why);
  return open.size();
}

void H2Session::break_off_for_held_bytes() {
  if (closed() || engine_.over()) return;
  break_off("held_bytes", H2Error::kEnhanceYourCalm, "held_bytes");
  close_politely("held bytes");
}

void H2Session::on_closing(std::string_view detail) {
  worker_.metrics().gauge(families::kConnections, {"client"}).add(-1);
  timer_.cancel();
  engine_.detach_all([&](H2StreamBase& base) {
    auto& stream = static_cast<H2Stream&>(base);
    stream.events_->on_closed(StreamEnd::kConnectionLost, static_cast<std::uint32_t>(H2Error::kCancel), detail);
    delete &stream;
  });
  worker_.remove_session(std::static_pointer_cast<H2Session>(shared_from_this()));
}

void H2Session::on_tls(std::string_view failed) {
  worker_.metrics().counter(families::kTlsHandshakes, {"client", failed.empty() ? "done" : failed}).add();
  if (failed.empty()) {
    tls_peer_ = tls()->peer();
    return;
  }
  log_event(LogLevel::kDebug, "client_handshake_failed", "a client's TLS handshake came to nothing",
            {{"peer", peer_}, {"why", failed}});
}

void H2Session::on_connection_error(H2Error error, std::string_view why) {
  log_event(LogLevel::kDebug, "client_broken_off", "a client's connection was ended for what it did, or did not do",
            {{"peer", peer_}, {"error", h2_error_name(error)}, {"why", why}});
  if (!broken_off_) worker_.metrics().counter(families::kProtocolErrors, {"client"}).add();
}

void H2Session::on_stream_error(H2Error error) {
  // Refused for want of room is no fault in speaking.
  if (error != H2Error::kRefusedStream) worker_.metrics().counter(families::kProtocolErrors, {"client"}).add();
}

}  // namespace ficus
