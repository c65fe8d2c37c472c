#include "facade/net/listener.h"

#include <algorithm>
#include <charconv>

#include "facade/base/log.h"
#include "facade/metrics/families.h"

namespace ficus {

Result<HostPort, std::string> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  HostPort address;
  const std::string hint = " (write HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080)";
  if (colon == std::string_view::npos) return fail("\"" + std::string(text) + "\" has no port" + hint);
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return fail("\"" + std::string(text) + "\": an IPv6 address stands in brackets" + hint);
  }
  if (host.empty()) return fail("\"" + std::string(text) + "\" has no host" + hint);
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (ec != std::errc() || end != port.data() + port.size() || port.empty()) {
    return fail("\"" + std::string(port) + "\" is no port between 0 and 65535" + hint);
  }
  address.host = host;
  return address;
}

std::string to_string(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Listener::Listener(std::vector<Worker*> workers)
    : workers_(std::move(workers)), acceptor_(workers_.front()->io()), pause_(workers_.front()->io()) {}

Result<std::uint16_t, std::string> Listener::listen(const HostPort& address) {
  const std::string what = "cannot listen on " + to_string(address) + ": ";
  error_code ec;
  tcp::resolver resolver(workers_.front()->io());
  const auto found = resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, ec);
  if (ec || found.empty()) return fail(what + "no such host");
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), ec);
  // SO_REUSEADDR lets a restart take over a port whose old connections linger; on Linux it does not let two listen.
  if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(kBacklog, ec);
  if (!ec) acceptor_.non_blocking(true, ec);
  if (ec) {
    std::string why = ec.message();
    std::transform(why.begin(), why.begin() + 1, why.begin(), [](unsigned char c) { return std::tolower(c); });
    if (ec == asio::error::address_in_use) why += " (is another ficus, or another program, listening there?)";
    if (ec == asio::error::access_denied) why += " (ports below 1024 need the right to bind them)";
    return fail(what + why);
  }
  return acceptor_.local_endpoint().port();
}

void Listener::start() { accept_more(); }

void Listener::accept_more() {
  acceptor_.async_accept([this](error_code ec, tcp::socket socket) {
    if (ec == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (!ec) {
      Worker* least = *std::min_element(workers_.begin(), workers_.end(), [](const Worker* a, const Worker* b) {
        return a->client_connections() < b->client_connections();
      });
      error_code released;
      const bool ipv6 = socket.local_endpoint(released).protocol() == tcp::v6();
      const int descriptor = socket.release(released);
      if (!released) least->adopt_client(descriptor, ipv6);
    } else if (ec == asio::error::no_descriptors || ec == boost::system::errc::too_many_files_open_in_system ||
               ec == asio::error::no_memory || ec == asio::error::no_buffer_space) {
      workers_.front()->metrics().counter(families::kLimits, {"file_descriptors"}).add();
      log_event(LogLevel::kError, "accept_failed", "cannot accept clients; raise the limit of open files (ulimit -n)",
                {{"errno", ec.message()}});
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([this](error_code paused) {
        if (!paused) accept_more();
      });
      return;
    }
    accept_more();
  });
}

void Listener::stop() {
  error_code ec;
  pause_.cancel();
  // Closing a listener resets what is queued on it, so take that first.
  for (;;) {
    tcp::socket socket(workers_.front()->io());
    acceptor_.accept(socket, ec);
    if (ec) break;
    const bool ipv6 = socket.local_endpoint(ec).protocol() == tcp::v6();
    const int descriptor = socket.release(ec);
    if (!ec) workers_.front()->adopt_client(descriptor, ipv6);
  }
  acceptor_.close(ec);
}

}  // namespace ficus
