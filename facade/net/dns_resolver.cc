#include "facade/net/dns_resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "facade/base/check.h"
#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/listener.h"

namespace ficus {
namespace {

std::string_view outcome_of(int status) {
  switch (status) {
    case ARES_SUCCESS:
      return "ok";
    case ARES_ENOTFOUND:
      return "not_found";
    case ARES_ENODATA:
      return "no_addresses";
    // After SERVFAIL, REFUSED or an unreachable server c-ares asks the next one, and in the end tells them not apart.
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ECONNREFUSED:
      return "server_failure";
    case ARES_ETIMEOUT:
      return "timeout";
    case ARES_EBADRESP:
    case ARES_EFORMERR:
      return "malformed";
    default:
      return "other";
  }
}

std::vector<asio::ip::address> addresses_of(const ares_addrinfo* found) {
  std::vector<asio::ip::address> addresses;
  for (const ares_addrinfo_node* node = found == nullptr ? nullptr : found->nodes; node != nullptr;
       node = node->ai_next) {
    if (node->ai_family == AF_INET) {
      asio::ip::address_v4::bytes_type bytes;
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr, bytes.size());
      addresses.emplace_back(asio::ip::address_v4(bytes));
    } else if (node->ai_family == AF_INET6) {
      asio::ip::address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(node->ai_addr)->sin6_addr, bytes.size());
      addresses.emplace_back(asio::ip::address_v6(bytes));
    }
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// The shortest of the answer's times to live, aliases included; entries of the hosts file have none and count as 0.
std::chrono::milliseconds ttl_of(const ares_addrinfo* found) {
  std::int64_t seconds = DnsResolver::kMaxTtl.count() / 1000;
  for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    seconds = std::min<std::int64_t>(seconds, node->ai_ttl);
  }
  for (const auto* alias = found->cnames; alias != nullptr; alias = alias->next) {
    seconds = std::min<std::int64_t>(seconds, alias->ttl);
  }
  return std::clamp(std::chrono::milliseconds(seconds * 1000), DnsResolver::kMinTtl, DnsResolver::kMaxTtl);
}

}  // namespace

// A name while somebody watches it.
class DnsName : public std::enable_shared_from_this<DnsName> {
 public:
  DnsName(DnsResolver& resolver, std::string host)
      : resolver_(resolver), host_(std::move(host)), timer_(resolver.io_) {}
  ~DnsName() {
    // Nobody will say that it works again: should a policy name it again, that is a new event.
    if (failures_ != 0) resolver_.once_.end(event_name());
  }

  void on_answer(int status, const ares_addrinfo* found);
  std::shared_ptr<DnsWatch::Subscription> subscribe(std::function<void()> on_change) {
    auto made = std::make_shared<DnsWatch::Subscription>(DnsWatch::Subscription{std::move(on_change)});
    std::erase_if(watchers_, [](const auto& watcher) { return watcher.expired(); });
    watchers_.push_back(made);
    return made;
  }

  const DnsAnswer& answer() const noexcept { return answer_; }
  const std::string& host() const noexcept { return host_; }

 private:
  std::string event_name() const { return "dns " + host_; }
  void ask_after(std::chrono::milliseconds pause);
  void tell();

  DnsResolver& resolver_;
  const std::string host_;
  DnsAnswer answer_;
  asio::steady_timer timer_;
  unsigned failures_ = 0;  // in a row
  std::vector<std::weak_ptr<DnsWatch::Subscription>> watchers_;
};

const DnsAnswer& DnsWatch::answer() const noexcept { return name_->answer(); }
const std::string& DnsWatch::host() const noexcept { return name_->host(); }

void DnsName::tell() {
  const auto watchers = watchers_;  // one of them may bring others, or end the name's last watch
  for (const auto& watcher : watchers) {
    if (const auto subscription = watcher.lock()) subscription->on_change();
  }
}

void DnsName::ask_after(std::chrono::milliseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = weak.lock();
    if (!ec && self != nullptr) self->resolver_.ask(self);
  });
}

void DnsName::on_answer(int status, const ares_addrinfo* found) {
  auto addresses = status == ARES_SUCCESS ? addresses_of(found) : std::vector<asio::ip::address>{};
  if (status == ARES_SUCCESS && addresses.empty()) status = ARES_ENODATA;
  resolver_.metrics_.counter(families::kDnsLookups, {outcome_of(status)}).add();
  if (status != ARES_SUCCESS) {
    const auto pause = std::min(DnsResolver::kRetry * (1u << std::min(failures_, 8u)), DnsResolver::kRetryMax);
    ++failures_;
    if (resolver_.once_.begin(event_name())) {
      log_event(LogLevel::kWarn, "dns_lookup_failed",
                answer_.state == DnsAnswer::State::kKnown ? "cannot look the name up; its last addresses stay in use"
                                                          : "cannot look the name up; it has no addresses yet",
                {{"host", host_}, {"class", outcome_of(status)}, {"reason", ares_strerror(status)}});
    }
    ask_after(pause);
    if (answer_.state != DnsAnswer::State::kAsking) return;
    answer_.state = DnsAnswer::State::kNotFound;
    return tell();
  }
  if (std::exchange(failures_, 0) != 0 && resolver_.once_.end(event_name())) {
    log_event(LogLevel::kInfo, "dns_lookup_works", "the name can be looked up again", {{"host", host_}});
  }
  ask_after(ttl_of(found));
  if (answer_.state == DnsAnswer::State::kKnown && answer_.addresses == addresses) return;
  answer_ = {DnsAnswer::State::kKnown, std::move(addresses)};
  tell();
}

// ---------------------------------------------------------------- the channel

// A descriptor of c-ares, which closes it itself.
struct DnsResolver::Socket {
  Socket(asio::io_context& io, ares_socket_t fd) : descriptor(io, fd) {}
  asio::posix::stream_descriptor descriptor;
  bool closed = false;
  bool read_wanted = false, write_wanted = false;
  bool reading = false, writing = false;  // a wait is under way
};

struct DnsResolver::Lookup {
  DnsResolver& resolver;
  std::weak_ptr<DnsName> name;
};

Result<void, std::string> DnsResolver::check(const DnsOptions& options) {
  if (options.server.empty()) return {};
  const auto parsed = parse_host_port(options.server);
  if (!parsed) return fail(parsed.error());
  error_code not_numeric;
  asio::ip::make_address(parsed->host, not_numeric);
  if (not_numeric) return fail(std::string("it names a host, and there is nobody yet to look that up"));
  if (parsed->port == 0) return fail(std::string("port 0 is nobody's"));
  return {};
}

DnsResolver::DnsResolver(asio::io_context& io, MetricsShard& metrics, OnceGate& once, const DnsOptions& options)
    : io_(io), metrics_(metrics), once_(once), timer_(io) {
  FICUS_CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) << "c-ares cannot start";
  char lookups[] = "fb";  // the hosts file, then DNS
  ares_options settings{};
  settings.timeout = static_cast<int>(kQueryTimeout.count());
  settings.tries = kQueryTries;
  settings.lookups = lookups;
  settings.sock_state_cb = &DnsResolver::on_socket_state;
  settings.sock_state_cb_data = this;
  const int status = ares_init_options(&channel_, &settings,
                                       ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
  FICUS_CHECK(status == ARES_SUCCESS) << "c-ares: " << ares_strerror(status);
  if (!options.server.empty()) {
    const int set = ares_set_servers_ports_csv(channel_, options.server.c_str());
    FICUS_CHECK(set == ARES_SUCCESS) << "the DNS server was not checked: " << ares_strerror(set);
  }
}

DnsResolver::~DnsResolver() {
  *alive_ = false;
  ares_destroy(channel_);  // ends every look-up and closes every socket, by the two callbacks
  ares_library_cleanup();
}

void DnsResolver::on_socket_state(void* self_pointer, ares_socket_t fd, int readable, int writable) {
  auto& self = *static_cast<DnsResolver*>(self_pointer);
  auto found = self.sockets_.find(fd);
  if (readable == 0 && writable == 0) {
    if (found == self.sockets_.end()) return;
    found->second->closed = true;
    found->second->descriptor.release();  // ends the waits; c-ares closes the descriptor
    self.sockets_.erase(found);
    return;
  }
  if (found == self.sockets_.end()) found = self.sockets_.emplace(fd, std::make_shared<Socket>(self.io_, fd)).first;
  self.want(found->second, readable != 0, writable != 0);
}

void DnsResolver::want(const std::shared_ptr<Socket>& socket, bool readable, bool writable) {
  socket->read_wanted = readable;
  socket->write_wanted = writable;
  if (readable && !socket->reading) {
    socket->reading = true;
    socket->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [this, socket](error_code) {
      socket->reading = false;
      if (socket->closed) return;  // perhaps with the resolver
      if (socket->read_wanted) process(socket->descriptor.native_handle(), ARES_SOCKET_BAD);
      if (!socket->closed) want(socket, socket->read_wanted, socket->write_wanted);
    });
  }
  if (writable && !socket->writing) {
    socket->writing = true;
    socket->descriptor.async_wait(asio::posix::stream_descriptor::wait_write, [this, socket](error_code) {
      socket->writing = false;
      if (socket->closed) return;
      if (socket->write_wanted) process(ARES_SOCKET_BAD, socket->descriptor.native_handle());
      if (!socket->closed) want(socket, socket->read_wanted, socket->write_wanted);
    });
  }
}

void DnsResolver::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(channel_, readable, writable);
  arm_timer();
  start_queued();
}

void DnsResolver::arm_timer() {
  timeval next{};
  if (ares_timeout(channel_, nullptr, &next) == nullptr) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::seconds(next.tv_sec) + std::chrono::microseconds(next.tv_usec));
  timer_.async_wait([this, alive = alive_](error_code ec) {
    if (!ec && *alive) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

// ---------------------------------------------------------------- look-ups

std::unique_ptr<DnsWatch> DnsResolver::watch(const std::string& host, std::function<void()> on_change) {
  std::erase_if(names_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<DnsName>& known = names_[host];
  auto name = known.lock();
  if (name == nullptr) {
    name = std::make_shared<DnsName>(*this, host);
    known = name;
    // Not here: a name of the hosts file is answered at once.
    asio::post(io_, [this, alive = alive_, weak = std::weak_ptr(name)] {
      const auto still = weak.lock();
      if (*alive && still != nullptr) ask(still);
    });
  }
  auto subscription = name->subscribe(std::move(on_change));
  return std::unique_ptr<DnsWatch>(new DnsWatch(std::move(name), std::move(subscription)));
}

void DnsResolver::ask(const std::shared_ptr<DnsName>& name) {
  if (in_flight_ >= kMaxLookups) {
    metrics_.counter(families::kLimits, {"dns_lookups"}).add();
    queue_.push_back(name);
    return;
  }
  start(name);
  arm_timer();
}

void DnsResolver::start(const std::shared_ptr<DnsName>& name) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  // Balancing orders the addresses. Sorting would connect a socket to each of them (RFC 6724), and block.
  hints.ai_flags = ARES_AI_NOSORT | ARES_AI_ENVHOSTS;
  ++in_flight_;
  ares_getaddrinfo(channel_, name->host().c_str(), nullptr, &hints, &DnsResolver::on_answer, new Lookup{*this, name});
}

void DnsResolver::start_queued() {
  while (!queue_.empty() && in_flight_ < kMaxLookups) {
    const auto name = queue_.front().lock();
    queue_.pop_front();
    if (name == nullptr) continue;
    start(name);
    arm_timer();
  }
}

void DnsResolver::on_answer(void* lookup_pointer, int status, int, ares_addrinfo* found) {
  const std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(lookup_pointer));
  const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> answer(found, &ares_freeaddrinfo);
  --lookup->resolver.in_flight_;
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  if (const auto name = lookup->name.lock()) name->on_answer(status, answer.get());
}

}  // namespace ficus
