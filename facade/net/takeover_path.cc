#include "facade/net/takeover_path.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace ficus {
namespace {

constexpr std::chrono::milliseconds kLockPatience{5000};
constexpr std::chrono::milliseconds kLockPause{5};
constexpr int kDoorBacklog = 16;

std::string errno_text() { return std::strerror(errno); }

std::string directory_of_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Keeps two starting processes from replacing each other's socket between a look and a rename. The directory itself is
// locked: no further file is left behind, and the lock ends with its process.
Result<UniqueFd, std::string> lock_directory(const std::string& path) {
  const std::string directory = directory_of_path(path);
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    return fail("the directory " + directory + " cannot be opened: " + errno_text() +
                " (make it, mode 0700, of the user that runs ficus)");
  }
  const auto end = std::chrono::steady_clock::now() + kLockPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail("the directory cannot be locked: " + errno_text());
    if (std::chrono::steady_clock::now() > end) {
      return fail("another process keeps the directory " + directory + " locked (flock); use one of ficus's own");
    }
    std::this_thread::sleep_for(kLockPause);
  }
  return fd;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

struct Look {
  enum class What { kNobody, kSomebody } what = What::kNobody;
  UniqueFd connection;
};
// Who listens at the path? Error: it is nothing that may be replaced.
Result<Look, std::string> look(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Look{};
    return fail("cannot be looked at: " + errno_text());
  }
  if (S_ISLNK(info.st_mode)) return fail(std::string("is a symbolic link; name the socket itself"));
  if (!S_ISSOCK(info.st_mode)) return fail(std::string("is there already and is no socket; it is left alone"));
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("no socket can be made: " + errno_text());
  const sockaddr_un address = address_of(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return Look{Look::What::kSomebody, std::move(fd)};
  }
  switch (errno) {
    case ECONNREFUSED:  // its process is gone
    case ENOENT:
      return Look{};
    case EPROTOTYPE:
      return fail(std::string("is another program's socket; it is left alone"));
    case EAGAIN:
      return fail(std::string("is busy: too many processes want to take over; try again"));
    case EACCES:
    case EPERM:
      return fail(std::string("belongs to another user; start the successor as the user that runs ficus"));
    default:
      return fail("cannot be connected to: " + errno_text());
  }
}

}  // namespace

class DoorMaker {
 public:
  // Under the directory's lock: binds beside the path, then renames over it. Nobody can connect before it is complete.
  static Result<TakeoverDoor, std::string> put(const std::string& path) {
    const std::string beside = path + "." + std::to_string(::getpid()) + ".new";
    if (!fits(beside)) {
      return fail("is too long for a Unix socket (" + std::to_string(path.size()) + " bytes; at most " +
                  std::to_string(sizeof(sockaddr_un::sun_path) - 1 - (beside.size() - path.size())) + ")");
    }
    TakeoverDoor door;
    door.fd_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!door.fd_) return fail("no socket can be made: " + errno_text());
    struct stat info {};
    // Our number's, so left behind by a process that is no more.
    if (::lstat(beside.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(beside.c_str());
    const sockaddr_un address = address_of(beside);
    if (::bind(door.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      return fail("cannot be made: " + errno_text());
    }
    if (::chmod(beside.c_str(), 0600) != 0 || ::listen(door.fd_.get(), kDoorBacklog) != 0 ||
        ::lstat(beside.c_str(), &info) != 0 || ::rename(beside.c_str(), path.c_str()) != 0) {
      const std::string why = errno_text();
      ::unlink(beside.c_str());
      return fail("cannot be made: " + why);
    }
    door.path_ = path;
    door.device_ = info.st_dev;
    door.inode_ = info.st_ino;
    return door;
  }
};

TakeoverDoor& TakeoverDoor::operator=(TakeoverDoor&& that) noexcept {
  if (this != &that) {
    close();
    fd_ = std::move(that.fd_);
    path_ = std::move(that.path_);
    device_ = that.device_;
    inode_ = that.inode_;
  }
  return *this;
}

bool TakeoverDoor::named() const {
  struct stat info {};
  return fd_ && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void TakeoverDoor::close() {
  if (!fd_) return;
  if (path_.empty()) {  // never got its name
    fd_.reset();
    return;
  }
  // Without the lock (somebody else holds it, the directory is gone) the name stays: a socket that nobody listens on is
  // replaced by the next start, another's would be lost.
  if (const auto lock = lock_directory(path_); lock && named()) ::unlink(path_.c_str());
  fd_.reset();
}

Result<TakeoverPlace, std::string> find_predecessor_or_claim(const std::string& path) {
  if (!fits(path)) return fail("--takeover " + path + " is too long for a Unix socket");
  const std::string what = "--takeover " + path + " ";
  const auto lock = lock_directory(path);
  if (!lock) return fail("--takeover " + path + ": " + lock.error());
  auto seen = look(path);
  if (!seen) return fail(what + seen.error());
  TakeoverPlace place;
  if (seen->what == Look::What::kSomebody) {
    place.predecessor = std::move(seen->connection);
    return place;
  }
  auto door = DoorMaker::put(path);
  if (!door) return fail(what + door.error());
  place.door = *std::move(door);
  return place;
}

Result<TakeoverDoor, std::string> claim_from(const std::string& path, const PeerProcess& other) {
  const auto lock = lock_directory(path);
  if (!lock) return fail(lock.error());
  const auto seen = look(path);
  if (!seen) return fail(path + " " + seen.error());
  if (seen->what == Look::What::kSomebody && peer_process(seen->connection.get()).pid != other.pid) {
    return fail("another process listens on " + path);
  }
  auto door = DoorMaker::put(path);
  if (!door) return fail(path + " " + door.error());
  return *std::move(door);
}

}  // namespace ficus
