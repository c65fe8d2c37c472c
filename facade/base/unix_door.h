// A Unix socket that other processes of this machine come to: where it stands in the file system, who may have stood
// there before, and how it goes. At any moment at most one process listens at a path, and a name is replaced only by
// rename(2), so that it never leads nowhere in between. Mode 0600 from its first moment, whatever the umask is.
// The functions block for milliseconds (a directory's lock is waited for, 5 s at most). Any thread, one at a time.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "facade/base/unique_fd.h"
#include "routing/result.h"

namespace ficus {

// The longest path that a door can have: sun_path's bytes without the final zero, and without what its first name has
// behind it (".PID.new"), under which it is bound before it is renamed.
std::size_t longest_door_path();

// Whose process is at the other end (SO_PEERCRED). For a connected socket: as it was at connect() or listen().
struct PeerProcess {
  pid_t pid = 0;
  uid_t uid = static_cast<uid_t>(-1);
  // May it give us or take from us what serves, or look at it? Our own user's, or root's.
  bool trusted() const;
};
PeerProcess peer_process(int connection);

// A listening socket (mode 0600, non-blocking) and the name it has. Ends with close(), which removes the name if it is
// still ours: by then it may be a successor's.
class UnixDoor {
 public:
  UnixDoor() = default;
  UnixDoor(UnixDoor&&) = default;
  UnixDoor& operator=(UnixDoor&& that) noexcept;
  ~UnixDoor() { close(); }

  const UniqueFd& fd() const noexcept { return fd_; }
  const std::string& path() const noexcept { return path_; }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  // Whether the name still leads here.
  bool named() const;
  void close();

 private:
  friend Result<UnixDoor, std::string> put_door(const std::string& path, int type);
  UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Keeps two starting processes from replacing each other's socket between a look and a rename. The directory itself is
// locked: no further file is left behind, and the lock ends with the descriptor or its process. Error: a sentence.
Result<UniqueFd, std::string> lock_door_directory(const std::string& path);

// Who listens at the path: a connection to it, or none: nothing is there, or a socket that its process left behind.
// Under the lock. `type`: SOCK_STREAM or SOCK_SEQPACKET. Error, behind the path to be read: it is nothing that may be
// replaced ("is there already and is no socket; it is left alone"), or it is another user's.
Result<UniqueFd, std::string> look_at_door(const std::string& path, int type);

// Under the lock: binds beside the path, then renames over it. Nobody can connect before it is complete. Error, behind
// the path to be read: "is too long for a Unix socket (120 bytes; at most 97)", "cannot be made: No such file".
Result<UnixDoor, std::string> put_door(const std::string& path, int type);

}  // namespace ficus
