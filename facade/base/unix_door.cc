#include "facade/base/unix_door.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace ficus {
namespace {

constexpr std::chrono::milliseconds kLockPatience{5000};
constexpr std::chrono::milliseconds kLockPause{5};
constexpr int kDoorBacklog = 16;
constexpr mode_t kDoorMode = 0600;

std::string errno_text() { return std::strerror(errno); }

std::string directory_of_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string first_name_suffix() { return "." + std::to_string(::getpid()) + ".new"; }

// Bound with its mode: Linux gives the name the mode of the socket's own inode, less the umask. What the umask took of
// our own user's is given back; for others there is never a moment.
bool bind_private(int fd, const std::string& path) {
  const sockaddr_un address = address_of(path);
  return ::fchmod(fd, kDoorMode) == 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::chmod(path.c_str(), kDoorMode) == 0;
}

}  // namespace

std::size_t longest_door_path() { return sizeof(sockaddr_un::sun_path) - 1 - first_name_suffix().size(); }

bool PeerProcess::trusted() const { return uid == ::geteuid() || uid == 0; }

PeerProcess peer_process(int connection) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return {};
  return {credentials.pid, credentials.uid};
}

Result<UniqueFd, std::string> lock_door_directory(const std::string& path) {
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

Result<UniqueFd, std::string> look_at_door(const std::string& path, int type) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return fail(std::string("is too long for a Unix socket"));
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return UniqueFd();
    return fail("cannot be looked at: " + errno_text());
  }
  if (S_ISLNK(info.st_mode)) return fail(std::string("is a symbolic link; name the socket itself"));
  if (!S_ISSOCK(info.st_mode)) return fail(std::string("is there already and is no socket; it is left alone"));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("no socket can be made: " + errno_text());
  const sockaddr_un address = address_of(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  switch (errno) {
    case ECONNREFUSED:  // its process is gone
    case ENOENT:
      return UniqueFd();
    case EPROTOTYPE:
      return fail(std::string("is another program's socket; it is left alone"));
    case EAGAIN:
      return fail(std::string("is busy: too many processes wait there; try again"));
    case EACCES:
    case EPERM:
      return fail(std::string("belongs to another user; start ficus as the user that runs there"));
    default:
      return fail("cannot be connected to: " + errno_text());
  }
}

Result<UnixDoor, std::string> put_door(const std::string& path, int type) {
  if (path.size() > longest_door_path()) {
    return fail("is too long for a Unix socket (" + std::to_string(path.size()) + " bytes; at most " +
                std::to_string(longest_door_path()) + ")");
  }
  const std::string beside = path + first_name_suffix();
  UnixDoor door;
  door.fd_ = UniqueFd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!door.fd_) return fail("no socket can be made: " + errno_text());
  struct stat info {};
  // Our number's, so left behind by a process that is no more.
  if (::lstat(beside.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(beside.c_str());
  if (!bind_private(door.fd_.get(), beside)) return fail("cannot be made: " + errno_text());
  if (::listen(door.fd_.get(), kDoorBacklog) != 0 || ::lstat(beside.c_str(), &info) != 0 ||
      ::rename(beside.c_str(), path.c_str()) != 0) {
    const std::string why = errno_text();
    ::unlink(beside.c_str());
    return fail("cannot be made: " + why);
  }
  door.path_ = path;
  door.device_ = info.st_dev;
  door.inode_ = info.st_ino;
  return door;
}

UnixDoor& UnixDoor::operator=(UnixDoor&& that) noexcept {
  if (this != &that) {
    close();
    fd_ = std::move(that.fd_);
    path_ = std::move(that.path_);
    device_ = that.device_;
    inode_ = that.inode_;
  }
  return *this;
}

bool UnixDoor::named() const {
  struct stat info {};
  return fd_ && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

void UnixDoor::close() {
  if (!fd_) return;
  if (path_.empty()) {  // never got its name
    fd_.reset();
    return;
  }
  // Without the lock (somebody else holds it, the directory is gone) the name stays: a socket that nobody listens on is
  // replaced by the next start, another's would be lost.
  if (const auto lock = lock_door_directory(path_); lock && named()) ::unlink(path_.c_str());
  fd_.reset();
}

}  // namespace ficus
