// Where a successor finds the running facade: a Unix socket at a path of the file system (base/unix_door.h says what
// holds of such sockets). Main or control thread; the functions block for milliseconds (a directory's lock is waited
// for, 5 s at most).
#pragma once

#include <string>

#include "facade/base/unix_door.h"
#include "routing/result.h"

namespace ficus {

// SOCK_SEQPACKET: the two sides speak in messages.
using TakeoverDoor = UnixDoor;

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
