// Reading a policy and the files it names: bounded, regular files only, and never outside the policy's directory.
// Blocks on the disk. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "facade/base/unique_fd.h"
#include "routing/result.h"

namespace ficus {

// What stat(2) says of a path (links followed): equal stamps mean that the same bytes are there. The change time is
// part of it, since a copy may set the modification time as it likes.
struct FileStamp {
  bool present = false;
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_nanoseconds = 0, changed_nanoseconds = 0;
  bool operator==(const FileStamp&) const = default;
};
FileStamp stamp_of(const std::string& path);

struct FileContent {
  std::string bytes;
  FileStamp stamp;  // of the very file that was read
  bool readable_by_others = false;
};

struct FileError {
  enum class Kind {
    kMissing,
    kUnreadable,  // permission, an I/O error, not a regular file
    kOutside,     // leads out of the directory
    kTooLarge,
    kChanged,  // was written to or replaced while it was read: try again
  } kind = Kind::kUnreadable;
  std::string why;  // "is a directory", "permission denied"; names no content
};

// The directory of a policy, held open for one reading of the policy and all it names. A symbolic link is read once:
// whoever deploys by swapping one (`..data` of Kubernetes) cannot get files of two releases into one reading, however
// often it is swapped meanwhile. Not for a second reading, which would see old links. One thread.
class PolicyDirectory {
 public:
  // May itself be reached through links. Where it cannot be opened, every reading says why.
  explicit PolicyDirectory(const std::string& directory);

  // The whole of the file of that name, links followed wherever they lead. A FIFO or a device is refused without being
  // opened for reading, so nothing blocks. At most `limit_bytes`.
  Result<FileContent, FileError> read_policy(const std::string& name, std::size_t limit_bytes);

  // The same of a file that the policy names. Allowed: plain names, names below ("certs/ca.pem"), and symbolic links
  // that stay inside, step by step, so that Kubernetes' `ca.pem -> ..data/ca.pem`, `..data -> ..2024_x` works. Refused
  // (kOutside): absolute names, a name with "..", a link to an absolute path (also one that points inside), a link that
  // climbs above the directory. A mount below the directory is inside. Each step is opened relative to the one before,
  // so that a directory swapped meanwhile cannot lead outside.
  Result<FileContent, FileError> read_beneath(const std::string& name, std::size_t limit_bytes);

 private:
  using LinkPlace = std::tuple<dev_t, ino_t, std::string>;  // the directory it stands in, and its name there
  struct Step {
    mode_t mode = 0;
    std::optional<std::string> target;  // of a link
  };
  Result<UniqueFd, FileError> open_beneath(const std::string& name);
  Result<Step, FileError> read_link(int at, const std::string& part);

  UniqueFd directory_;
  int open_error_;
  std::map<LinkPlace, std::string> links_;
};

// The directory part of a path as given, without following links: "." for a bare name.
std::string directory_of(const std::string& path);
// What directory_of() leaves: "." where the path ends with a slash.
std::string name_of(const std::string& path);
// `path` below the working directory, unless it is absolute. Not normalized: "a/.." means something else where a is a
// link.
std::string absolute_path(const std::string& path);

}  // namespace ficus
