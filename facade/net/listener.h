// The listening sockets: accepts on worker 0's loop and hands each descriptor to the worker with the fewest clients.
// One socket an address, without SO_REUSEPORT: a second process on the port must fail, not take half the calls. During
// a takeover the socket is shared with the successor (one open file description, one queue): nothing that the kernel
// has queued is lost, whichever process accepts it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "facade/net/asio.h"
#include "facade/net/client_socket.h"
#include "facade/net/listen_socket.h"
#include "facade/net/worker.h"
#include "routing/result.h"

namespace ficus {

struct ListenerOptions {
  // Clients of the whole facade; beyond, a connection is accepted and closed at once (left in the queue it would wait
  // without an answer). Limit "client_connections". Twice the ten thousand idle clients that are normal; at about
  // 10 KB each they cost 200 MB.
  std::size_t max_connections = 20'000;
};

class Listener {
 public:
  // `workers` outlive the listener; the first one's loop accepts.
  Listener(std::vector<Worker*> workers, ListenerOptions options);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Takes a listening socket; `kind` goes with each of its connections. Before start(). Error: a sentence.
  Result<void, std::string> add(ListenSocket socket, ClientSocketKind kind = {});
  // The sockets, for handing over; valid until stop() or leave(). Any thread, once all are added.
  std::vector<const ListenSocket*> sockets() const;

  // Begins to accept, also after pause(). Before the workers run, or on worker 0.
  void start();
  // Accepts no more; the sockets stay open, and the kernel goes on queueing. On worker 0.
  void pause();
  // Closes the sockets; what is queued in the kernel is accepted first, since closing resets it. On worker 0.
  void stop();
  // Closes our descriptors of sockets that a successor holds too: what is queued is the successor's. On worker 0.
  void leave();

 private:
  struct Door;
  void accept_more(Door& door);
  void hand_on(Door& door, tcp::socket socket);
  void on_accept_failed(Door& door, error_code ec);
  std::size_t clients() const;

  // Out of descriptors: wait this long before trying again, rather than spin. Limit "file_descriptors".
  static constexpr std::chrono::milliseconds kAcceptPause{100};
  // One line of the log a second at the most; the counters count every case.
  static constexpr std::chrono::seconds kLogPause{1};
  bool may_log(std::chrono::steady_clock::time_point& last) const;

  std::vector<Worker*> workers_;
  const ListenerOptions options_;
  std::vector<std::unique_ptr<Door>> doors_;
  bool accepting_ = false;
  std::chrono::steady_clock::time_point failure_logged_{}, full_logged_{};
};

}  // namespace ficus
