// Which insertion of an encoder's table has a given hash: open addressing over the at most 128 entries that 4096 bytes
// hold, with room to spare. Pure; no allocation. Holds hashes and numbers only; the caller compares the texts, so a
// peer's collisions cost time (the table's size at most), never correctness.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ficus {

class HpackIndex {
 public:
  static constexpr std::size_t kSlots = 256;  // a power of two, twice the entries at least

  // Calls `is_it(number)` for entries of that hash until one is; gives its number, or 0.
  template <class IsIt>
  std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
    const std::uint32_t tag = static_cast<std::uint32_t>(hash);
    for (std::size_t at = tag & kMask; slots_[at].number != 0; at = (at + 1) & kMask) {
      if (slots_[at].tag == tag && is_it(slots_[at].number)) return slots_[at].number;
    }
    return 0;
  }

  // `number` is not 0 and not there yet. There is room: see kSlots.
  void insert(std::uint64_t hash, std::uint32_t number) noexcept {
    const std::uint32_t tag = static_cast<std::uint32_t>(hash);
    std::size_t at = tag & kMask;
    while (slots_[at].number != 0) at = (at + 1) & kMask;
    slots_[at] = {tag, number};
  }

  void erase(std::uint64_t hash, std::uint32_t number) noexcept {
    std::size_t hole = static_cast<std::uint32_t>(hash) & kMask;
    while (slots_[hole].number != number) {
      if (slots_[hole].number == 0) return;
      hole = (hole + 1) & kMask;
    }
    // What was pushed on by the erased one moves back: no tombstones.
    for (std::size_t at = (hole + 1) & kMask; slots_[at].number != 0; at = (at + 1) & kMask) {
      const std::size_t wanted = slots_[at].tag & kMask;
      if (((at - wanted) & kMask) < ((at - hole) & kMask)) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = {};
  }

 private:
  static constexpr std::size_t kMask = kSlots - 1;
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t number = 0;  // 0: free
  };
  std::array<Slot, kSlots> slots_{};
};

}  // namespace ficus
