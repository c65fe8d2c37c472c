// HPACK's tables: the static one, and a dynamic one as either end keeps it. Source: RFC 7541 2.3, 4, appendix A.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "facade/h2/header_text.h"

namespace ficus {

struct HpackStaticEntry {
  std::string_view name;
  std::string_view value;
  HeaderToken token;
};
inline constexpr std::size_t kHpackStaticEntries = 61;
extern const HpackStaticEntry kHpackStatic[kHpackStaticEntries];
// `index` 1..61. Constant time.
inline const HpackStaticEntry& hpack_static_entry(std::size_t index) noexcept { return kHpackStatic[index - 1]; }

// Where a token's names stand in the static table: entries first..first+count-1; 0, 0 where there are none, or where
// the token stands for several names.
struct HpackStaticRange {
  std::uint8_t first = 0;
  std::uint8_t count = 0;
};
HpackStaticRange hpack_static_range(HeaderToken token) noexcept;

// RFC 7541 4.1: what an entry counts beside its texts.
inline constexpr std::size_t kHpackEntryOverhead = 32;

// A FIFO of texts, newest first. Keeps a reference on each.
class HpackTable {
 public:
  explicit HpackTable(std::size_t limit_bytes) : limit_(limit_bytes) {}
  ~HpackTable() { clear(); }
  HpackTable(const HpackTable&) = delete;
  HpackTable& operator=(const HpackTable&) = delete;

  // Adds a reference. Evicts from the old end until it fits; a text larger than the limit leaves the table empty (4.4).
  void insert(HeaderText* text);
  // 0 is the newest; null beyond the oldest.
  HeaderText* at(std::size_t position) const noexcept {
    return position < size_ ? ring_[(newest_ - position) & (ring_.size() - 1)] : nullptr;
  }
  void set_limit(std::size_t bytes);
  std::size_t limit() const noexcept { return limit_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return size_; }
  // Texts ever inserted: a number that tells whether two readings saw the same table.
  std::uint64_t inserted() const noexcept { return inserted_; }
  void clear() noexcept;
  // Drops the oldest; there must be one. For an encoder that keeps an index of what is in the table.
  void evict_oldest() noexcept;

 private:
  void grow();
  std::vector<HeaderText*> ring_;  // a power of two of places; grows to what the table can hold, then stays
  std::size_t newest_ = 0;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::size_t limit_;
  std::uint64_t inserted_ = 0;
};

}  // namespace ficus
