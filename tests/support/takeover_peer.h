// The two sides of a takeover by hand, word by word: what facade/net/takeover_channel.h describes, written out here so
// that no test of it shares its code. Threads: one at a time.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/sockets.h"
#include "tests/support/wait.h"

namespace ficus::e2e {

class TakeoverPeer {
 public:
  struct Heard {
    bool closed = false;     // the other side ended, or nothing came in time
    std::string head, body;  // "ficus-takeover 1 offer", and what follows the line
    std::vector<Socket> fds;
  };
  explicit TakeoverPeer(Socket socket) : socket_(std::move(socket)) {}
  // A successor: connects to the path; not connected() if nobody listens there.
  static TakeoverPeer to(const std::string& path);
  bool connected() const { return static_cast<bool>(socket_); }
  bool say(std::string_view text, const std::vector<int>& fds = {}) const;
  Heard hear(std::chrono::milliseconds limit = kPatience) const;
  void close() { socket_.close(); }

 private:
  Socket socket_;
};

// A running facade's door, or a stranger's. Listening, at the path, which must be free.
Socket listen_at_path(const std::string& path, int type);
// Somebody who came there; not connected() if nobody did.
TakeoverPeer accept_at_path(const Socket& door);

}  // namespace ficus::e2e
