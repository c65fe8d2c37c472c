// HPACK, sending side: header lists in, header blocks out. Source: RFC 7541.
// Pure but for memory. One connection's, one thread's.
// What goes into the table: a field that was seen before on this connection, is not over a quarter of the table, and is
// not one whose value differs from call to call by its nature (traceparent, grpc-timeout, content-length, grpc-message,
// grpc-status-details-bin). Once is not enough, so that ids and tokens never push out what repeats.
// Credentials (authorization, proxy-authorization, cookie, set-cookie) are sent as never-indexed literals whatever they
// came as: one connection carries many clients' calls, and a shared table tells by a block's length what is in it
// (7.1). Strings are sent as they are: Huffman coding costs both ends more time than the bytes it saves are worth on
// the networks a facade stands in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "facade/h2/header_block.h"
#include "facade/h2/hpack_index.h"
#include "facade/h2/hpack_table.h"
#include "facade/h2/out_buffer.h"

namespace ficus {

class HpackEncoder {
 public:
  // The most we use of what a peer offers: the RFC's own default.
  static constexpr std::size_t kMaxTableBytes = 4096;

  // The peer's SETTINGS_HEADER_TABLE_SIZE. The change is announced at the head of the next block, the smallest size in
  // between too (RFC 7541 4.2).
  void set_peer_table_limit(std::size_t bytes);

  // Appends the block of the visible fields to `out`. A never-indexed field stays one and enters no table (7.1.3);
  // names are written as they stand (lower case is the caller's). No allocation in the steady state; about 15 ns for a
  // field that the table knows.
  void encode(const HeaderBlock& block, OutBuffer& out);

 private:
  class Writer;

  void encode_field(const HeaderBlock::Field& field, Writer& writer);
  // Index of a field that the dynamic table holds; 0: it does not.
  std::uint32_t find(std::uint64_t hash, const HeaderText* text, std::string_view name, std::string_view value) const;
  void insert(HeaderText* text);
  bool seen_before(std::uint64_t hash) noexcept;
  void announce_limit(Writer& writer);
  void set_limit(std::size_t bytes);
  void evict_oldest();
  std::uint32_t number_of_next() const noexcept;

  HpackTable table_{kMaxTableBytes};
  HpackIndex index_;

  // Hashes of fields seen lately. Eight to a place, newest first: with one, two fields of every call that share a place
  // would push each other out for ever, and neither would enter the table.
  static constexpr std::size_t kSeenPlaces = 16;
  static constexpr std::size_t kSeenWays = 8;
  std::array<std::array<std::uint32_t, kSeenWays>, kSeenPlaces> seen_{};

  // A change of the table's limit that no block has announced yet.
  bool limit_changed_ = false;
  std::size_t smallest_limit_ = kMaxTableBytes;
  std::size_t next_limit_ = kMaxTableBytes;
};

}  // namespace ficus
