// Names to addresses, by c-ares on one worker's loop: no thread, no blocking but for the hosts file. A name is looked
// up while somebody watches it, again and again as its answers run out. Thread: its worker's, but for construction and
// destruction, which are the main thread's while no worker runs (c-ares counts its initializations without a lock).
#pragma once

#include <ares.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "facade/metrics/metrics.h"
#include "facade/net/asio.h"
#include "facade/net/once_gate.h"
#include "routing/result.h"

namespace ficus {

struct DnsOptions {
  std::string server;  // "ADDRESS:PORT", asked instead of those of /etc/resolv.conf; empty: those
};

// What is known of a name.
struct DnsAnswer {
  enum class State : std::uint8_t {
    kAsking,    // the first look-up has not ended
    kKnown,     // `addresses` are of the last look-up that succeeded
    kNotFound,  // none ever succeeded
  };
  State state = State::kAsking;
  std::vector<asio::ip::address> addresses;  // sorted, each once; A and AAAA alike
};

class DnsName;
class DnsResolver;

// One party's interest in a name; ends with the object.
class DnsWatch {
 public:
  const DnsAnswer& answer() const noexcept;
  const std::string& host() const noexcept;

 private:
  friend class DnsResolver;
  friend class DnsName;
  struct Subscription {
    std::function<void()> on_change;
  };
  DnsWatch(std::shared_ptr<DnsName> name, std::shared_ptr<Subscription> subscription)
      : name_(std::move(name)), subscription_(std::move(subscription)) {}
  std::shared_ptr<DnsName> name_;
  std::shared_ptr<Subscription> subscription_;
};

class DnsResolver {
 public:
  // Look-ups in flight at once, each of at most two queries; further names wait their turn in order of asking. Far more
  // than a policy's names need, and few enough not to flood a resolver when a thousand names run out together. Limit
  // "dns_lookups".
  static constexpr std::size_t kMaxLookups = 64;
  // An answer's time to live is honoured between these: below, a zone with TTL 0 would be asked for ever; above, an
  // operator who moves a service waits too long.
  static constexpr std::chrono::milliseconds kMinTtl{1'000};
  static constexpr std::chrono::milliseconds kMaxTtl{300'000};
  // After a failed look-up: asked again so soon, and twice as late after each further one up to the second. Whoever
  // mends a zone must not wait long, and one name costs its resolver no more than a query every few seconds.
  static constexpr std::chrono::milliseconds kRetry{1'000};
  static constexpr std::chrono::milliseconds kRetryMax{5'000};
  // One query waits so long for its answer, the second one twice as long (c-ares doubles it).
  static constexpr std::chrono::milliseconds kQueryTimeout{1'000};
  static constexpr int kQueryTries = 2;

  // All outlive the resolver. Reads /etc/resolv.conf once. `options` must have passed check().
  DnsResolver(asio::io_context& io, MetricsShard& metrics, OnceGate& once, const DnsOptions& options);
  ~DnsResolver();
  DnsResolver(const DnsResolver&) = delete;
  DnsResolver& operator=(const DnsResolver&) = delete;

  // Error: what is wrong with the server, which must be an address with a port.
  static Result<void, std::string> check(const DnsOptions& options);

  // Follows the name. `on_change` is called when state or addresses change, never from inside watch(); it may drop this
  // and other watches. Watchers of one name share its look-ups. The hosts file is consulted first (its path can be
  // given in the environment as CARES_HOSTS), search domains are honoured. Drop every watch before the resolver.
  [[nodiscard]] std::unique_ptr<DnsWatch> watch(const std::string& host, std::function<void()> on_change);

 private:
  friend class DnsName;
  struct Socket;
  struct Lookup;
  static void on_socket_state(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* lookup, int status, int timeouts, ares_addrinfo* found);
  void want(const std::shared_ptr<Socket>& socket, bool readable, bool writable);
  void process(ares_socket_t readable, ares_socket_t writable);
  void arm_timer();
  void ask(const std::shared_ptr<DnsName>& name);
  void start(const std::shared_ptr<DnsName>& name);
  void start_queued();

  asio::io_context& io_;
  MetricsShard& metrics_;
  OnceGate& once_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ares_channel channel_ = nullptr;
  asio::steady_timer timer_;
  std::unordered_map<ares_socket_t, std::shared_ptr<Socket>> sockets_;
  std::map<std::string, std::weak_ptr<DnsName>> names_;
  std::deque<std::weak_ptr<DnsName>> queue_;  // waiting for one of kMaxLookups; at most one entry a name
  std::size_t in_flight_ = 0;
};

}  // namespace ficus
