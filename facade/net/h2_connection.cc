#include "facade/net/h2_connection.h"

#include <algorithm>

#include "facade/base/check.h"
#include "facade/net/worker.h"

namespace ficus {

// ---------------------------------------------------------------- the sending half of a stream

void H2StreamBase::send_data(std::string_view bytes) {
  if (bytes.empty() || reset_sent_ || end_queued_) return;
  out_.append(bytes);
  resume();
}

void H2StreamBase::send_end() {
  if (end_queued_) return;
  end_queued_ = true;
  resume();
}

void H2StreamBase::send_trailers(HeaderBlock block) {
  if (end_queued_) return;
  out_trailers_ = std::move(block);
  has_trailers_ = true;
  send_end();
}

void H2StreamBase::resume() {
  if (!open()) return;
  if (deferred_) {
    deferred_ = false;
    nghttp2_session_resume_data(connection_->session_, id_);
  }
  connection_->schedule_flush();
}

void H2StreamBase::reset(std::uint32_t error_code) {
  if (!open() || reset_sent_) return;
  reset_sent_ = true;
  nghttp2_submit_rst_stream(connection_->session_, NGHTTP2_FLAG_NONE, id_, error_code);
  connection_->schedule_flush();
}

void H2StreamBase::consume(std::size_t bytes) {
  // A peer that has ended its half needs no more credit on this stream.
  if (bytes == 0 || !open() || peer_ended_ || reset_sent_) return;
  nghttp2_session_consume_stream(connection_->session_, id_, bytes);
  connection_->schedule_flush();
}

boost::container::small_vector<nghttp2_nv, 20> to_nv(const HeaderBlock& block) {
  boost::container::small_vector<nghttp2_nv, 20> fields;
  for (const HeaderBlock::Field& field : block.fields()) {
    if (field.hidden) continue;
    std::uint8_t flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    if (field.never_index) flags |= NGHTTP2_NV_FLAG_NO_INDEX;
    fields.push_back({const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(field.name.data())),
                      const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(field.value.data())),
                      field.name.size(), field.value.size(), flags});
  }
  return fields;
}

ssize_t H2StreamBase::read_source(std::size_t length, std::uint32_t* flags) {
  const std::size_t n = std::min(length, out_.size());
  if (n == 0 && !end_queued_) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  if (n != 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (end_queued_ && n == out_.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (has_trailers_) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto fields = to_nv(out_trailers_);
      nghttp2_submit_trailer(connection_->session_, id_, fields.data(), fields.size());
    }
  }
  return static_cast<ssize_t>(n);
}

nghttp2_data_provider H2StreamBase::provider() {
  nghttp2_data_provider provider;
  provider.source.ptr = this;
  provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length, std::uint32_t* flags,
                              nghttp2_data_source* source, void*) {
    return static_cast<H2StreamBase*>(source->ptr)->read_source(length, flags);
  };
  return provider;
}

// ---------------------------------------------------------------- nghttp2's callbacks

struct H2Connection::Callbacks {
  static H2Connection& self(void* user) { return *static_cast<H2Connection*>(user); }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    H2StreamBase* stream = self(user).stream_of(frame->hd.stream_id);
    if (request && stream == nullptr) {
      stream = self(user).on_begin_headers(frame->hd.stream_id, true);
      if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    }
    if (stream != nullptr) {
      stream->in_block_.clear();
      stream->too_large_ = false;
    }
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t flags, void* user) {
    H2StreamBase* stream = self(user).stream_of(frame->hd.stream_id);
    if (stream == nullptr || stream->too_large_) return 0;
    stream->in_block_.add_received(name, value, (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0);
    if (stream->in_block_.list_bytes() > self(user).limits_.header_list_bytes) {
      stream->too_large_ = true;
      stream->in_block_.clear();
    }
    return 0;
  }

  // A field that RFC 9113 8.2 forbids. nghttp2 would drop it silently; a message must not change on its way, so the
  // stream is refused instead.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*, std::uint8_t,
                               void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static void on_header_list(H2StreamBase& stream, bool end_stream) {
    if (stream.too_large_) {
      stream.peer_ended_ = stream.peer_ended_ || end_stream;
      stream.in_head_done_ = true;
      stream.events_->on_headers_too_large();
      return;
    }
    if (!stream.in_head_done_) {
      // An interim response (1xx) says nothing to a gRPC client; the final one follows.
      if (const auto status = stream.in_block_.find(":status"); status && status->starts_with('1')) {
        stream.in_block_.clear();
        return;
      }
      stream.in_head_done_ = true;
      stream.peer_ended_ = end_stream;
      stream.events_->on_headers(stream.in_block_, end_stream);
      return;
    }
    if (stream.peer_ended_) return;
    stream.peer_ended_ = end_stream;
    stream.events_->on_end(&stream.in_block_);
  }

  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    H2Connection& connection = self(user);
    const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (H2StreamBase* stream = connection.stream_of(frame->hd.stream_id);
            stream != nullptr && stream->events_ != nullptr && !stream->reset_sent_) {
          on_header_list(*stream, end_stream);
        }
        break;
      case NGHTTP2_DATA:
        if (!end_stream) break;
        if (H2StreamBase* stream = connection.stream_of(frame->hd.stream_id);
            stream != nullptr && stream->events_ != nullptr && !stream->reset_sent_ && !stream->peer_ended_) {
          stream->peer_ended_ = true;
          stream->events_->on_end(nullptr);
        }
        break;
      case NGHTTP2_SETTINGS:
      case NGHTTP2_GOAWAY:
      case NGHTTP2_PING:
        connection.on_control_frame(*frame);
        break;
      default:
        break;
    }
    return 0;
  }

  static int on_data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t stream_id, const std::uint8_t* data,
                           std::size_t length, void* user) {
    // The connection's window is given back at once, so that one stream that nobody reads stalls no other.
    nghttp2_session_consume_connection(session, length);
    H2StreamBase* stream = self(user).stream_of(stream_id);
    if (stream == nullptr || stream->events_ == nullptr || stream->reset_sent_) {
      nghttp2_session_consume_stream(session, stream_id, length);
      return 0;
    }
    stream->events_->on_data({reinterpret_cast<const char*>(data), length});
    return 0;
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t stream_id, std::uint32_t error_code, void* user) {
    H2Connection& connection = self(user);
    H2StreamBase* stream = connection.stream_of(stream_id);
    if (stream == nullptr) return 0;
    nghttp2_session_set_stream_user_data(session, stream_id, nullptr);
    connection.end_stream(*stream, error_code);
    return 0;
  }

  static int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    const bool request_head = frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (!end_stream && !request_head) return 0;
    H2StreamBase* stream = self(user).stream_of(frame->hd.stream_id);
    if (stream != nullptr && end_stream) stream->end_sent_ = true;
    if (request_head) {
      if (stream != nullptr) stream->head_sent_ = true;
      return 0;
    }
    if (stream != nullptr && stream->reset_when_ended_ && !stream->peer_ended_ && !stream->reset_sent_) {
      // RFC 9113 8.1: a complete response may be followed by RST_STREAM(NO_ERROR), "stop sending the request".
      stream->reset_sent_ = true;
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }

  static int on_frame_not_send(nghttp2_session* session, const nghttp2_frame* frame, int, void* user) {
    // A header list that could not be sent (too large for nghttp2): the peer must not wait for it.
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat == NGHTTP2_HCAT_REQUEST) return 0;
    if (H2StreamBase* stream = self(user).stream_of(frame->hd.stream_id); stream != nullptr && !stream->reset_sent_) {
      stream->reset_sent_ = true;
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
    }
    return 0;
  }

  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* framehd, std::size_t length,
                       nghttp2_data_source* source, void* user) {
    std::vector<std::uint8_t>& out = self(user).out_;
    constexpr std::size_t kFrameHeaderBytes = 9;  // RFC 9113 4.1
    out.insert(out.end(), framehd, framehd + kFrameHeaderBytes);
    H2StreamBase& stream = *static_cast<H2StreamBase*>(source->ptr);
    for (std::size_t left = length; left != 0;) {
      const std::string_view piece = stream.out_.front(left);
      // As bytes of the same type: a range of another type is copied one by one.
      const auto* first = reinterpret_cast<const std::uint8_t*>(piece.data());
      out.insert(out.end(), first, first + piece.size());
      stream.out_.pop(piece.size());
      left -= piece.size();
    }
    // Sent again after a repeat, bytes that were credited once are not credited again.
    stream.sent_ += length;
    if (stream.sent_ > stream.credited_) {
      const std::size_t fresh = stream.sent_ - stream.credited_;
      stream.credited_ = stream.sent_;
      if (stream.events_ != nullptr) stream.events_->on_sent(fresh);
    }
    return 0;
  }

  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    self(user).on_protocol_error();
    return 0;
  }
};

nghttp2_session_callbacks* H2Connection::callbacks() {
  static nghttp2_session_callbacks* const made = [] {
    nghttp2_session_callbacks* c = nullptr;
    FICUS_CHECK(nghttp2_session_callbacks_new(&c) == 0) << "out of memory";
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, Callbacks::on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, Callbacks::on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, Callbacks::on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, Callbacks::on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, Callbacks::on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, Callbacks::on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, Callbacks::on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(c, Callbacks::send_data);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, Callbacks::on_invalid_frame);
    return c;
  }();
  return made;
}

// ---------------------------------------------------------------- the connection

H2Connection::H2Connection(Worker& worker, tcp::socket socket, const H2Limits& limits)
    : worker_(worker), limits_(limits), socket_(std::move(socket)) {}

H2Connection::~H2Connection() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

void H2Connection::start_session(bool server, const std::vector<nghttp2_settings_entry>& settings) {
  nghttp2_option* option = nullptr;
  FICUS_CHECK(nghttp2_option_new(&option) == 0) << "out of memory";
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // A value with blanks around it is passed on as sent; the sides decide what they make of it.
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  // Our own limit on header lists is header_list_bytes on the way in; what came in must be able to go out.
  nghttp2_option_set_max_send_header_block_length(option, 4 * std::size_t{limits_.header_list_bytes});
  // CVE-2023-44487: nghttp2 ends a connection that resets streams faster than this. Its own default, 33 a second, is
  // less than a busy caller that hedges its calls resets in good faith.
  nghttp2_option_set_stream_reset_rate_limit(option, limits_.stream_resets_burst, limits_.stream_resets_per_second);
  const int rc = server ? nghttp2_session_server_new2(&session_, callbacks(), this, option)
                        : nghttp2_session_client_new2(&session_, callbacks(), this, option);
  nghttp2_option_del(option);
  FICUS_CHECK(rc == 0) << nghttp2_strerror(rc);
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<std::int32_t>(limits_.connection_window_bytes));
  schedule_flush();
}

void H2Connection::start_reading() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  in_ = std::make_unique<std::array<std::uint8_t, kReadBytes>>();
  read_more();
}

void H2Connection::read_more() {
  socket_.async_read_some(asio::buffer(*in_), [self = shared_from_this()](error_code ec, std::size_t bytes) {
    if (self->closed_) return;
    if (ec) {
      self->last_error_ = ec;
      self->close(ec == asio::error::eof ? "connection closed" : "connection reset");
      return;
    }
    self->on_read(bytes);
  });
}

void H2Connection::on_read(std::size_t bytes) {
  const ssize_t rc = nghttp2_session_mem_recv(session_, in_->data(), bytes);
  if (closed_) return;
  if (rc < 0) {
    on_protocol_error();
    flush();  // nghttp2 may have queued a GOAWAY that says why
    close("protocol error");
    return;
  }
  if (nghttp2_session_want_read(session_) == 0 && may_close()) {
    // A GOAWAY of ours is on its way and nothing is in flight.
    flush();
    if (!closed_ && nghttp2_session_want_write(session_) == 0 && !writing_) close("protocol error");
    return;
  }
  schedule_flush();
  read_more();
}

void H2Connection::schedule_flush() {
  if (flush_scheduled_ || closed_ || writing_) return;
  flush_scheduled_ = true;
  worker_.flush_later(shared_from_this());
}

void H2Connection::flush() {
  flush_scheduled_ = false;
  if (closed_ || writing_) return;
  for (;;) {
    if (out_written_ == out_.size()) {
      out_.clear();
      out_written_ = 0;
      while (out_.size() < limits_.output_bytes) {
        const std::uint8_t* data = nullptr;
        const ssize_t n = nghttp2_session_mem_send(session_, &data);
        if (n < 0) {
          close("protocol error");
          return;
        }
        if (n == 0) break;
        out_.insert(out_.end(), data, data + n);
      }
      if (out_.empty()) break;
    }
    error_code ec;
    out_written_ += socket_.write_some(asio::buffer(out_.data() + out_written_, out_.size() - out_written_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
      write_more();
      return;
    }
    if (ec) {
      last_error_ = ec;
      close("connection reset");
      return;
    }
  }
  if (out_.capacity() > limits_.output_bytes * 2) std::vector<std::uint8_t>().swap(out_);
  if (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0 && may_close()) {
    close("connection closed");
  }
}

void H2Connection::write_more() {
  writing_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code ec) {
    self->writing_ = false;
    if (self->closed_) return;
    if (ec) {
      self->close("connection reset");
      return;
    }
    self->flush();
  });
}

void H2Connection::close(std::string_view detail) {
  if (closed_) return;
  closed_ = true;
  const auto keep = shared_from_this();
  error_code ignored;
  socket_.close(ignored);
  on_closing(detail);
}

H2StreamBase* H2Connection::stream_of(std::int32_t stream_id) {
  // Once closed, the streams are gone though nghttp2, in the middle of its input, still names them.
  if (closed_) return nullptr;
  return static_cast<H2StreamBase*>(nghttp2_session_get_stream_user_data(session_, stream_id));
}

void H2Connection::end_stream(H2StreamBase& stream, std::uint32_t error_code) {
  StreamEnd end = StreamEnd::kReset;
  if (stream.reset_sent_ && !(stream.peer_ended_ && stream.end_queued_)) {
    end = StreamEnd::kLocal;
  } else if (error_code == NGHTTP2_REFUSED_STREAM) {
    end = StreamEnd::kNeverProcessed;
  } else if (stream.peer_ended_ && error_code == NGHTTP2_NO_ERROR) {
    end = StreamEnd::kFinished;
  }
  stream.connection_ = nullptr;
  on_stream_gone(stream, end, error_code);
}

}  // namespace ficus
