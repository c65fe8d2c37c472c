#include "facade/net/takeover_path.h"

#include <sys/socket.h>

namespace ficus {

Result<TakeoverPlace, std::string> find_predecessor_or_claim(const std::string& path) {
  const std::string what = "--takeover " + path + " ";
  const auto lock = lock_door_directory(path);
  if (!lock) return fail("--takeover " + path + ": " + lock.error());
  auto seen = look_at_door(path, SOCK_SEQPACKET);
  if (!seen) return fail(what + seen.error());
  TakeoverPlace place;
  if (*seen) {
    place.predecessor = *std::move(seen);
    return place;
  }
  auto door = put_door(path, SOCK_SEQPACKET);
  if (!door) return fail(what + door.error());
  place.door = *std::move(door);
  return place;
}

Result<TakeoverDoor, std::string> claim_from(const std::string& path, const PeerProcess& other) {
  const auto lock = lock_door_directory(path);
  if (!lock) return fail(lock.error());
  const auto seen = look_at_door(path, SOCK_SEQPACKET);
  if (!seen) return fail(path + " " + seen.error());
  if (*seen && peer_process(seen->get()).pid != other.pid) {
    return fail("another process listens on " + path);
  }
  auto door = put_door(path, SOCK_SEQPACKET);
  if (!door) return fail(path + " " + door.error());
  return *std::move(door);
}

}  // namespace ficus
