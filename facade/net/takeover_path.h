// Where a successor finds the running facade: a Unix socket at a path of the file system. At any moment at most one
// process listens there, and a name is replaced only by rename(2), so that it never leads nowhere in between.
// Main or control thread; the functions block for milliseconds (a directory's lock is waited for, 5 s at most).
#pragma once

#include <sys/types.h>

#include <string>

#include "facade/base/unique_fd.h"
#include "facade/net/takeover_channel.h"
#include "routing/result.h"

namespace ficus {

// A listening socket (SOCK_SEQPACKET, mode 0600, non-blocking) and the name it has. Ends with close(), which removes
// the name if it is still ours.
class TakeoverDoor {
 public:
  TakeoverDoor() = default;
  TakeoverDoor(TakeoverDoor&&) = default;
  TakeoverDoor& operator=(TakeoverDoor&& that) noexcept;
  ~TakeoverDoor() { close(); }

  const UniqueFd& fd() const noexcept { return fd_; }
  const std::string& path() const noexcept { return path_; }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  // Whether the name still leads here.
  bool named() const;
  void close();

 private:
  friend class DoorMaker;
  UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// One of the two is set.
struct TakeoverPlace {
  UniqueFd predecessor;  // a connection to whoever listens at the path
  TakeoverDoor door;     // nobody did: the path is ours
};
// Looks who listens at `path` and, if nobody does (nothing is there, or a socket that its process left behind), takes
// it. Error: a sentence: the path is a link or a file (which is never removed), the directory is missing or not
// writable, another program's socket.
Result<TakeoverPlace, std::string> find_predecessor_or_claim(const std::string& path);

// Puts a door of ours at `path` in place of `other`'s (the facade that hands over, or a successor that failed).
// Error: a sentence; among others that a third process listens there.
Result<TakeoverDoor, std::string> claim_from(const std::string& path, const PeerProcess& other);

}  // namespace ficus
