// What goes wrong with the findings' database, in the classes that are told apart by what a person does about them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "routing/result.h"

namespace ficus {

enum class StoreFault : std::uint8_t {
  kFull,        // no space: the disk, a quota, a limit on file sizes, or the database's own hard limit
  kCorrupt,     // not a database, or a damaged one
  kBusy,        // somebody else holds its lock
  kReadOnly,    // the file or its directory may not be written
  kCannotOpen,  // not there, no permission, no directory
  kIo,          // the disk says no
  kNewer,       // written by a newer ficus
  kForeign,     // a database of another program
  kOther,
  kNotFound,   // a question's fault, as the rest: no such finding
  kAmbiguous,  // an id's beginning that several have
  kInvalid,    // an argument that makes no sense
};
// A metrics label: "disk_full", "corrupt", ...
std::string_view word_of(StoreFault fault);

struct StoreError {
  StoreFault fault = StoreFault::kOther;
  std::string text;  // a sentence, without the file's name
};

template <class T>
using StoreResult = Result<T, StoreError>;

}  // namespace ficus
