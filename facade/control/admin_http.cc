#include "facade/control/admin_http.h"

#include <array>
#include <exception>
#include <optional>
#include <set>
#include <utility>

#include "facade/base/log.h"
#include "facade/control/asio.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace ficus {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kDrainBytes = 256 * 1024;  // of a body that nobody reads, before the connection is cut
constexpr auto kDrainTime = std::chrono::seconds(2);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

struct Endpoint {
  std::string_view path, what;
};
constexpr Endpoint kEndpoints[] = {
    {"/metrics", "Prometheus metrics"},
    {"/policy", "the policy in force: hash, generation, files, warnings, and why the last reload was refused (JSON)"},
    {"/readyz", "200 while this facade takes calls, 503 with the reason otherwise"},
    {"/livez", "200 while the process answers"},
};

std::string index_page() {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
      "charset=\"utf-8\"><title>ficus</title></head><body>\n<h1>ficus</h1>\n<ul>\n";
  for (const auto& [path, what] : kEndpoints) {
    page.append("<li><a href=\"")
        .append(path)
        .append("\">")
        .append(path)
        .append("</a>: ")
        .append(what)
        .append("</li>\n");
  }
  return page + "</ul>\n</body></html>\n";
}

std::string endpoint_list() {
  std::string list;
  for (const auto& [path, what] : kEndpoints) list.append("  ").append(path).append("  ").append(what).append("\n");
  return list;
}

struct Answer {
  http::status status = http::status::ok;
  std::string_view type = kText;
  std::string body;
};

// The path of a request target: a query is cut off, and the absolute form is read as well (RFC 9112 3.2.2).
std::string_view path_of(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.substr(0, scheme.size()) != scheme) continue;
    const std::size_t slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
    break;
  }
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view as_view(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

struct AdminHttp::Impl : std::enable_shared_from_this<AdminHttp::Impl> {
  class Session;

  Impl(asio::io_context& io_context, AdminHandlers given, Timeouts limits)
      : io(io_context), handlers(std::move(given)), timeouts(limits), acceptor(io_context), accept_pause(io_context) {}

  asio::io_context& io;
  AdminHandlers handlers;
  const Timeouts timeouts;
  tcp::acceptor acceptor;
  asio::steady_timer accept_pause;
  std::set<Session*> sessions;  // each is kept alive by what it waits for
  bool closed = false;
  bool borrowed = false;   // the acceptor's descriptor is another's
  bool accepting = false;  // wants connections
  bool waiting = false;    // an accept or a pause is under way
  bool leaving = false;    // each connection ends with its answer
  std::uint64_t waits = 0;

  void count_limit(std::string_view limit) const {
    if (!closed && handlers.limit_hit) handlers.limit_hit(limit);
  }
  Answer answer(std::string_view path) const;
  void accept();
  // At the limit of connections: closes the one that has let us wait longest for a request. False: none does.
  bool make_room();
  void stop_accepting();
  void leave();
  void close();
};

class AdminHttp::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Impl> server, tcp::socket socket) : server_(std::move(server)), stream_(std::move(socket)) {
    server_->sessions.insert(this);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { server_->sessions.erase(this); }

  void start() { read_head(); }
  void close() {
    waiting_since_ = 0;
    stream_.close();
  }
  bool idle() const { return idle_; }
  // When it began to wait for (the rest of) a request, as a count of such beginnings; 0: it does not.
  std::uint64_t waiting_since() const { return waiting_since_; }

 private:
  // Between requests: waits for the first byte with the longer, idle timeout.
  void await_request() {
    if (buffer_.size() != 0) {  // pipelined
      read_head();
      return;
    }
    idle_ = true;
    waiting_since_ = ++server_->waits;
    stream_.expires_after(server_->timeouts.idle);
    stream_.async_read_some(buffer_.prepare(1024), [self = shared_from_this()](beast::error_code error, std::size_t n) {
      self->idle_ = false;
      if (error || self->server_->closed) return;
      self->buffer_.commit(n);
      self->read_head();
    });
  }

  void read_head() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(kMaxRequestBytes));
    parser_->body_limit(kDrainBytes);
    waiting_since_ = ++server_->waits;
    stream_.expires_after(server_->timeouts.request);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              self->waiting_since_ = 0;
                              if (!self->server_->closed) self->on_head(error);
                            });
  }

  void on_head(beast::error_code error) {
    if (error == beast::error::timeout) {
      server_->count_limit("admin_request_time");
      return;
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      server_->count_limit("admin_request_bytes");
      respond({http::status::request_header_fields_too_large, kText, "the request's head is too large\n"}, false);
      return;
    }
    if (error == http::error::bad_version) {
      respond({http::status::http_version_not_supported, kText,
               "this port speaks HTTP/1.1; gRPC calls go to the --listen address\n"},
              false);
      return;
    }
    if (error && error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      respond({http::status::bad_request, kText, "not an HTTP/1.1 request: " + error.message() + "\n"}, false);
      return;
    }
    if (error) return;  // gone
    const auto& request = parser_->get();
    if (request.version() >= 11 && request.find(http::field::host) == request.end()) {  // RFC 9112 3.2
      respond({http::status::bad_request, kText, "a request needs a Host header\n"}, false);
      return;
    }
    // An unread body would be taken for the next request: after such a request the connection ends.
    const bool keep = request.keep_alive() && parser_->is_done();
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      respond({http::status::method_not_allowed, kText, "this port is read-only: GET and HEAD\n"}, keep);
      return;
    }
    respond(server_->answer(path_of(as_view(request.target()))), keep);
  }

  void respond(Answer answer, bool keep) {
    keep = keep && !server_->leaving;
    response_ = {};
    response_.result(answer.status);
    response_.version(11);
    const auto set = [&](http::field field, std::string_view value) {
      response_.set(field, beast::string_view(value.data(), value.size()));
    };
    set(http::field::server, "ficus");
    set(http::field::content_type, answer.type);
    set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    if (answer.status == http::status::method_not_allowed) set(http::field::allow, "GET, HEAD");
    response_.content_length(answer.body.size());
    response_.keep_alive(keep);
    // RFC 9110 9.3.2: as for GET, content-length too, but without the body.
    if (parser_->get().method() != http::verb::head) response_.body() = std::move(answer.body);
    if (parser_->get().version() < 11 && keep) set(http::field::connection, "keep-alive");

    stream_.expires_after(server_->timeouts.request);
    serializer_.emplace(response_);
    http::async_write(stream_, *serializer_, [self = shared_from_this(), keep](beast::error_code error, std::size_t) {
      if (self->server_->closed) return;
      if (error == beast::error::timeout) self->server_->count_limit("admin_request_time");
      if (error) return;
      if (keep && !self->server_->leaving) {
        self->await_request();
      } else {
        self->finish();
      }
    });
  }

  // Ends the connection so that the answer arrives: closing with bytes unread would reset it (RFC 9112 9.6).
  void finish() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kDrainTime);
    drain();
  }

  void drain() {
    stream_.async_read_some(asio::buffer(drained_),
                            [self = shared_from_this()](beast::error_code error, std::size_t n) {
                              self->drained_bytes_ += n;
                              if (error || self->server_->closed || self->drained_bytes_ > kDrainBytes) return;
                              self->drain();
                            });
  }

  const std::shared_ptr<Impl> server_;
  beast::tcp_stream stream_;
  // The head and whatever was sent along with it.
  beast::flat_buffer buffer_{kMaxRequestBytes + 4096};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool idle_ = false;  // between two requests
  std::uint64_t waiting_since_ = 0;
  std::array<char, 4096> drained_;
  std::size_t drained_bytes_ = 0;
};

Answer AdminHttp::Impl::answer(std::string_view path) const {
  try {
    if (path == "/metrics") return {http::status::ok, kMetricsText, handlers.metrics()};
    if (path == "/policy") return {http::status::ok, "application/json", handlers.policy_json()};
    if (path == "/livez") return {http::status::ok, kText, "alive\n"};
    if (path == "/readyz") {
      if (handlers.ready()) return {http::status::ok, kText, "ready\n"};
      std::string why = handlers.not_ready_why();
      if (why.empty() || why.back() != '\n') why += '\n';
      return {http::status::service_unavailable, kText, std::move(why)};
    }
    if (path == "/") return {http::status::ok, "text/html; charset=utf-8", index_page()};
  } catch (const std::exception& error) {
    log_event(LogLevel::kError, "admin_request_failed", "a page of the admin address could not be made",
              {{"path", path}, {"why", error.what()}});
    return {http::status::internal_server_error, kText, "this page could not be made; the log says why\n"};
  }
  return {http::status::not_found, kText, "no such page; there are:\n" + endpoint_list()};
}

void AdminHttp::Impl::accept() {
  accepting = true;
  if (waiting) return;
  waiting = true;
  acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
    self->waiting = false;
    if (self->closed) return;
    if (error == asio::error::operation_aborted) {
      if (self->accepting) self->accept();
      return;
    }
    if (error) {
      // Out of descriptors, most likely: accepting again at once would only spin.
      log_event(LogLevel::kWarn, "admin_accept_failed", "the admin address cannot take a connection",
                {{"why", error.message()}});
      self->waiting = true;
      self->accept_pause.expires_after(kAcceptPause);
      self->accept_pause.async_wait([self](error_code) {
        self->waiting = false;
        if (self->accepting && !self->closed) self->accept();
      });
      return;
    }
    if (self->sessions.size() >= kMaxConnections && !self->make_room()) {
      error_code ignored;
      socket.close(ignored);
    } else {
      std::make_shared<Session>(self, std::move(socket))->start();
    }
    if (self->accepting) self->accept();
  });
}

bool AdminHttp::Impl::make_room() {
  count_limit("admin_connections");
  Session* longest = nullptr;
  for (Session* session : sessions) {
    if (session->waiting_since() == 0) continue;
    if (longest == nullptr || session->waiting_since() < longest->waiting_since()) longest = session;
  }
  if (longest == nullptr) return false;
  longest->close();
  return true;
}

void AdminHttp::Impl::stop_accepting() {
  accepting = false;
  error_code ignored;
  acceptor.cancel(ignored);
  accept_pause.cancel();
}

void AdminHttp::Impl::leave() {
  stop_accepting();
  leaving = true;
  error_code ignored;
  if (borrowed && acceptor.is_open()) acceptor.release(ignored);
  for (Session* session : sessions) {
    if (session->idle()) session->close();
  }
}

void AdminHttp::Impl::close() {
  closed = true;
  accepting = false;
  error_code ignored;
  if (borrowed && acceptor.is_open()) {
    acceptor.release(ignored);
  } else {
    acceptor.close(ignored);
  }
  accept_pause.cancel();
  for (Session* session : sessions) session->close();
}

AdminHttp::AdminHttp(asio::io_context& control, AdminHandlers handlers)
    : AdminHttp(control, std::move(handlers), Timeouts{}) {}

AdminHttp::AdminHttp(asio::io_context& control, AdminHandlers handlers, Timeouts timeouts)
    : impl_(std::make_shared<Impl>(control, std::move(handlers), timeouts)) {}

AdminHttp::~AdminHttp() { close(); }

void AdminHttp::close() { impl_->close(); }
void AdminHttp::accept() { impl_->accept(); }
void AdminHttp::pause() { impl_->stop_accepting(); }
void AdminHttp::leave() { impl_->leave(); }

Result<void, std::string> AdminHttp::use(int descriptor, bool ipv6) {
  error_code error;
  impl_->acceptor.assign(ipv6 ? tcp::v6() : tcp::v4(), descriptor, error);
  if (!error) {
    impl_->borrowed = true;
    impl_->acceptor.non_blocking(true, error);
  }
  if (error) return fail(error.message());
  return {};
}

Result<std::uint16_t, std::string> AdminHttp::listen(const std::string& host, std::uint16_t port) {
  std::string bare = host;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  const std::string shown =
      (bare.find(':') != std::string::npos ? "[" + bare + "]" : bare) + ":" + std::to_string(port);
  const auto failed = [&](const error_code& error) { return fail(shown + ": " + error.message()); };

  error_code error;
  tcp::endpoint endpoint(asio::ip::make_address(bare, error), port);
  if (error) {
    tcp::resolver resolver(impl_->io);
    const auto found = resolver.resolve(bare, std::to_string(port), tcp::resolver::passive, error);
    if (error) return failed(error);
    endpoint = found.begin()->endpoint();
  }
  tcp::acceptor& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (error) return failed(error);
  const auto give_up = [&] {
    const error_code why = error;
    acceptor.close(error);
    return failed(why);
  };
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (error) return give_up();
  acceptor.bind(endpoint, error);
  if (error) return give_up();
  acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return give_up();
  const tcp::endpoint bound = acceptor.local_endpoint(error);
  if (error) return give_up();
  impl_->accept();
  return bound.port();
}

}  // namespace ficus
