#include "facade/control/policy_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace ficus {
namespace {

using Kind = FileError::Kind;

constexpr int kMaxLinks = 40;  // as the kernel's own limit, path_resolution(7)

FileError error_of(int number) {
  const Kind kind = number == ENOENT || number == ENOTDIR ? Kind::kMissing : Kind::kUnreadable;
  switch (number) {
    case ENOENT:
      return {kind, "no such file"};
    case ENOTDIR:
      return {kind, "no such file (a part of its path is not a directory)"};
    case EACCES:
    case EPERM:
      return {kind, "permission denied"};
    default:
      return {kind, std::generic_category().message(number)};
  }
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

FileStamp stamp_from(const struct stat& status) {
  return {true,
          static_cast<std::uint64_t>(status.st_dev),
          static_cast<std::uint64_t>(status.st_ino),
          static_cast<std::uint64_t>(status.st_size),
          nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)};
}

// A sentence where the file is not a regular one.
std::optional<FileError> refuse_irregular(mode_t mode) {
  if (S_ISREG(mode)) return std::nullopt;
  const char* what = "is not a regular file";
  if (S_ISDIR(mode)) what = "is a directory";
  if (S_ISFIFO(mode)) what = "is a named pipe, not a regular file";
  if (S_ISCHR(mode) || S_ISBLK(mode)) what = "is a device, not a regular file";
  if (S_ISSOCK(mode)) what = "is a socket, not a regular file";
  return FileError{Kind::kUnreadable, what};
}

// O_NONBLOCK: should the name have become a FIFO since it was looked at, opening it must not wait for a writer.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

Result<FileContent, FileError> read_open_file(const UniqueFd& file, std::size_t limit_bytes) {
  struct stat before {};
  if (::fstat(file.get(), &before) != 0) return fail(error_of(errno));
  if (auto refused = refuse_irregular(before.st_mode)) return fail(*std::move(refused));
  const auto too_large = [&] {
    return FileError{Kind::kTooLarge, "is larger than " + std::to_string(limit_bytes) + " bytes"};
  };
  if (static_cast<std::uint64_t>(before.st_size) > limit_bytes) return fail(too_large());

  FileContent content;
  content.bytes.reserve(static_cast<std::size_t>(before.st_size));
  std::array<char, 64 * 1024> chunk;
  for (;;) {
    const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(error_of(errno));
    if (n == 0) break;
    if (content.bytes.size() + static_cast<std::size_t>(n) > limit_bytes) return fail(too_large());
    content.bytes.append(chunk.data(), static_cast<std::size_t>(n));
  }
  struct stat after {};
  if (::fstat(file.get(), &after) != 0) return fail(error_of(errno));
  content.stamp = stamp_from(after);
  if (content.stamp != stamp_from(before) || content.stamp.size != content.bytes.size()) {
    return fail(FileError{Kind::kChanged, "changed while it was read"});
  }
  content.readable_by_others = (after.st_mode & S_IROTH) != 0;
  return content;
}

// Puts the parts of a relative path in front of `todo`. Empty parts and "." lead nowhere and are left out.
void prepend_parts(std::deque<std::string>& todo, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  todo.insert(todo.begin(), parts.begin(), parts.end());
}

FileError outside(std::string why) { return {Kind::kOutside, std::move(why)}; }

}  // namespace

FileStamp stamp_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? stamp_from(status) : FileStamp{};
}

PolicyDirectory::PolicyDirectory(const std::string& directory)
    : directory_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), open_error_(directory_ ? 0 : errno) {}

Result<FileContent, FileError> PolicyDirectory::read_policy(const std::string& name, std::size_t limit_bytes) {
  const auto beneath = open_beneath(name);
  if (beneath) return read_open_file(*beneath, limit_bytes);
  if (beneath.error().kind != Kind::kOutside) return fail(beneath.error());
  // Looked at before it is opened: opening a device or a FIFO can have effects of its own.
  struct stat status {};
  if (::fstatat(directory_.get(), name.c_str(), &status, 0) != 0) return fail(error_of(errno));
  if (auto refused = refuse_irregular(status.st_mode)) return fail(*std::move(refused));
  const UniqueFd file(::openat(directory_.get(), name.c_str(), kReadFlags));
  if (!file) return fail(error_of(errno));
  return read_open_file(file, limit_bytes);
}

Result<FileContent, FileError> PolicyDirectory::read_beneath(const std::string& name, std::size_t limit_bytes) {
  const auto file = open_beneath(name);
  if (!file) return fail(file.error());
  return read_open_file(*file, limit_bytes);
}

// Resolves `name` by hand: openat2(RESOLVE_BENEATH) would do, but it is missing before Linux 5.6 and filtered in many
// containers, and a second way of resolving is one more that can be wrong. Nor would it read each link only once.
Result<UniqueFd, FileError> PolicyDirectory::open_beneath(const std::string& name) {
  if (!directory_) return fail(error_of(open_error_));
  std::deque<std::string> todo;
  prepend_parts(todo, name);
  if (name.empty() || name.find('\0') != std::string::npos || todo.empty()) return fail(outside("is not a file name"));
  if (name.front() == '/') return fail(outside("is an absolute path; name files relative to the policy"));
  for (const std::string& part : todo) {
    if (part == "..") return fail(outside("leads above the policy's directory"));
  }

  std::vector<UniqueFd> inside;  // from the directory down; ".." in a link climbs along these, never the disk's own
  int links = 0;
  while (!todo.empty()) {
    const std::string part = std::move(todo.front());
    todo.pop_front();
    if (part == "..") {
      if (inside.empty()) return fail(outside("is a link that leads above the policy's directory"));
      inside.pop_back();
      continue;
    }
    const int at = inside.empty() ? directory_.get() : inside.back().get();
    auto link = read_link(at, part);
    if (!link) return fail(link.error());
    if (link->target) {
      if (++links > kMaxLinks) return fail(FileError{Kind::kUnreadable, "goes through too many symbolic links"});
      const std::string& leads_to = *link->target;
      if (!leads_to.empty() && leads_to.front() == '/') {
        return fail(outside("is a link to an absolute path; link relative to the policy's directory"));
      }
      prepend_parts(todo, leads_to);
      continue;
    }
    const bool last = todo.empty();
    if (last) {
      if (auto refused = refuse_irregular(link->mode)) return fail(*std::move(refused));
    }
    const int flags = last ? kReadFlags : O_PATH | O_DIRECTORY | O_CLOEXEC;
    UniqueFd next(::openat(at, part.c_str(), flags | O_NOFOLLOW));
    if (!next) {
      // ELOOP: it became a link after we looked.
      return fail(errno == ELOOP ? FileError{Kind::kChanged, "changed while it was read"} : error_of(errno));
    }
    if (last) return next;
    inside.push_back(std::move(next));
  }
  return fail(FileError{Kind::kUnreadable, "is a directory"});
}

Result<PolicyDirectory::Step, FileError> PolicyDirectory::read_link(int at, const std::string& part) {
  struct stat where {};
  if (::fstat(at, &where) != 0) return fail(error_of(errno));
  const LinkPlace place{where.st_dev, where.st_ino, part};
  if (const auto known = links_.find(place); known != links_.end()) return Step{S_IFLNK, known->second};
  struct stat status {};
  if (::fstatat(at, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return fail(error_of(errno));
  if (!S_ISLNK(status.st_mode)) return Step{status.st_mode, std::nullopt};
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlinkat(at, part.c_str(), target.data(), target.size());
  if (length < 0) {
    return fail(errno == EINVAL ? FileError{Kind::kChanged, "changed while it was read"} : error_of(errno));
  }
  const auto [added, is_new] = links_.emplace(place, std::string(target.data(), static_cast<std::size_t>(length)));
  return Step{S_IFLNK, added->second};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return path;
  return slash + 1 == path.size() ? "." : path.substr(slash + 1);
}

std::string absolute_path(const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  std::array<char, PATH_MAX> cwd;
  if (::getcwd(cwd.data(), cwd.size()) == nullptr) return path;
  const std::string base(cwd.data());
  return base == "/" ? base + path : base + "/" + path;
}

}  // namespace ficus
