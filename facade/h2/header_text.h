// A header field's name and value as they stand in a compression table: immutable, reference-counted, with everything
// that is worth knowing about them worked out once. A header block that was decoded from a table refers to the table's
// text, and the other connection's encoder may put the very same text in its own table.
// Thread: the worker's that made it (the count is not atomic). Memory comes from a free list of that thread for usual
// sizes, so that the steady state allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "facade/h2/header_token.h"

namespace ficus {

class HeaderText {
 public:
  // Copies both. The new text has one reference, the caller's.
  static HeaderText* make(std::string_view name, std::string_view value);
  // The same with what is known of them already.
  static HeaderText* make(std::string_view name, std::string_view value, HeaderToken token, std::uint8_t flaws);

  void add_reference() noexcept { ++references_; }
  void drop_reference() noexcept {
    if (--references_ == 0) free_text(this);
  }

  std::string_view name() const noexcept { return {bytes(), name_bytes_}; }
  std::string_view value() const noexcept { return {bytes() + name_bytes_, value_bytes_}; }
  HeaderToken token() const noexcept { return token_; }
  std::uint8_t flaws() const noexcept { return flaws_; }
  // header_hash(name(), value()).
  std::uint64_t hash() const noexcept { return hash_; }
  // RFC 7541 4.1: name + value + 32.
  std::size_t table_bytes() const noexcept { return name_bytes_ + value_bytes_ + 32; }

 private:
  HeaderText() = default;
  static void free_text(HeaderText* text) noexcept;
  const char* bytes() const noexcept { return reinterpret_cast<const char*>(this + 1); }  // name, then value

  std::uint64_t hash_ = 0;
  std::uint32_t references_ = 1;
  std::uint32_t name_bytes_ = 0;
  std::uint32_t value_bytes_ = 0;
  HeaderToken token_ = HeaderToken::kOther;
  std::uint8_t flaws_ = 0;
};

// Hash of a whole field. XXH3-64; the same in every process (not keyed: tables are bounded, see HpackEncoder).
std::uint64_t header_hash(std::string_view name, std::string_view value) noexcept;

}  // namespace ficus
