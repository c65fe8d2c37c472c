// What of a value may leave the process: `type:length:h`, h the first 64 bits of HMAC-SHA-256 under a key file.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "routing/result.h"

namespace ficus {

class Redactor {
 public:
  static constexpr std::size_t kKeyBytes = 32;
  using Key = std::array<unsigned char, kKeyBytes>;

  explicit Redactor(const Key& key);

  // Reads the key file (64 hex digits and a newline), or makes it with mode 0600 if it does not exist (O_EXCL; two
  // processes that start together agree on one). Error: a sentence: unreadable, wrong length, readable by others.
  static Result<Redactor, std::string> open_key_file(const std::string& path);
  // The same of a file that is there: whoever wants hashes that join with another process's must not get a new key.
  static Result<Redactor, std::string> read_key_file(const std::string& path);
  // A key of this process's life only: hashes cannot be joined across restarts; the log says so at start.
  static Redactor ephemeral();

  // "string:12:9f86d081884c7d65". The hash covers type and bytes. Any thread; about 1 us.
  std::string hashed(std::string_view type, std::string_view value) const;

 private:
  Key key_;
};

}  // namespace ficus
