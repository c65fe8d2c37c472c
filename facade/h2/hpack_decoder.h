// HPACK, receiving side: header block fragments in, a HeaderBlock out. Source: RFC 7541.
// Pure but for memory. One connection's, one thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "facade/h2/header_block.h"
#include "facade/h2/hpack_table.h"
#include "facade/h2/huffman.h"

namespace ficus {

class HpackDecoder {
 public:
  // What we announce as SETTINGS_HEADER_TABLE_SIZE: the RFC's own default, and the most that a peer can make us hold.
  static constexpr std::size_t kTableBytes = 4096;

  enum class Outcome : std::uint8_t {
    kOk,
    kBroken,  // COMPRESSION_ERROR: the connection cannot go on. Further calls give the same.
  };

  // Decodes the next fragment of one header block, split anywhere, and adds its fields to `into`. `last`: the block
  // ends with it; a representation that is cut off then is kBroken. Fields keep their order, are never merged, and
  // carry token and flaws; nothing is judged here but the compression itself.
  // Beyond `list_limit` (counted as SETTINGS_MAX_HEADER_LIST_SIZE) fields are decoded for the table's sake and dropped,
  // and too_large() holds until the block's end; a single string of any length is skipped in constant memory then, so
  // that one call's oversized head ends no other call. Memory held between fragments: at most kMaxHeldBytes.
  // Cost: about 10 ns for an indexed field, 3 ns a character of Huffman text.
  Outcome decode(std::string_view fragment, bool last, std::size_t list_limit, HeaderBlock& into);

  // Whether the block being decoded, or the one that just ended, went over its limit.
  bool too_large() const noexcept { return too_large_; }
  // A string literal whose encoded length is above this makes the block too large, whatever the limit says.
  static constexpr std::size_t kMaxStringBytes = 64 * 1024;
  // Rest of a representation that a fragment cut off.
  static constexpr std::size_t kMaxHeldBytes = 2 * (kMaxStringBytes + 16);
  // Bytes of texts that the dynamic table holds, as RFC 7541 4.1 counts.
  std::size_t table_bytes() const noexcept { return table_.bytes(); }

 private:
  enum class Step : std::uint8_t {
    kDone,
    kCutOff,  // `missing_` more bytes are needed at least
    kBroken,
  };
  enum class Skip : std::uint8_t {
    kNothing,
    kName,
    kValueLength,  // a value follows the name that was skipped
    kValue,
  };
  struct Encoded;  // a string as it was received
  struct Name;     // a literal's name and what is known of it

  bool take(const std::uint8_t* at, const std::uint8_t* end, std::size_t list_limit, HeaderBlock& into);
  Step step(const std::uint8_t*& at, const std::uint8_t* end, std::size_t list_limit, HeaderBlock& into);
  Step indexed(std::uint32_t index, std::size_t list_limit, HeaderBlock& into);
  Step resize(std::uint32_t bytes);
  Step literal(const std::uint8_t*& at, const std::uint8_t* end, std::size_t list_limit, HeaderBlock& into);
  Step finish_literal(Name& name, const Encoded& literal_name, const Encoded& value, std::uint8_t pattern,
                      std::size_t list_limit, HeaderBlock& into);
  Step read_string(const std::uint8_t*& at, const std::uint8_t* end, std::size_t after, Encoded& string);
  void begin_skip(Skip what, const Encoded& string, bool indexing);
  bool skip(const std::uint8_t*& at, const std::uint8_t* end);
  bool end_skipped_string();

  HpackTable table_{kTableBytes};
  bool in_block_ = false;
  bool field_seen_ = false;  // of this block: no size update may follow
  std::uint8_t updates_ = 0;
  bool too_large_ = false;
  bool broken_ = false;

  std::string held_;         // a representation that a fragment cut off
  std::size_t missing_ = 0;  // what it needs at least

  Skip skip_ = Skip::kNothing;
  bool skip_huffman_ = false;
  bool skip_indexing_ = false;
  std::size_t skip_left_ = 0;
  HuffmanDecoder skip_decoder_;  // a string that is skipped must be valid all the same
};

}  // namespace ficus
