// Reading a policy and the files it names: bounded, regular files only, and never outside the policy's directory.
// Blocks on the disk. Any thread; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

// The whole file, links followed wherever they lead. A FIFO or a device is refused without being opened for reading, so
// nothing blocks. At most `limit_bytes`.
Result<FileContent, FileError> read_regular_file(const std::string& path, std::size_t limit_bytes);

// The same for `name` relative to `directory`. Allowed: plain names, names below ("certs/ca.pem"), and symbolic links
// that stay inside, step by step, so that Kubernetes' `ca.pem -> ..data/ca.pem`, `..data -> ..2024_x` works. Refused
// (kOutside): absolute names, a name with "..", a link to an absolute path (also one that points inside), a link that
// climbs above `directory`. A mount below the directory is inside. `directory` itself may be reached through links.
// Each step is opened relative to the one before, so that a directory swapped meanwhile cannot lead outside.
Result<FileContent, FileError> read_file_beneath(const std::string& directory, const std::string& name,
                                                 std::size_t limit_bytes);

// The directory part of a path as given, without following links: "." for a bare name.
std::string directory_of(const std::string& path);
// `path` below the working directory, unless it is absolute. Not normalized: "a/.." means something else where a is a
// link.
std::string absolute_path(const std::string& path);

}  // namespace ficus
