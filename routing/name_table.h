// A hash table from names to small numbers, made once and then only read: one probe sequence over 16-byte slots and
// one comparison of text, no allocation on lookup. Internal to routing/. Any number of threads may read.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

// The hash is inlined: for names of 10 to 30 bytes a call through the library costs more than the hashing.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace ficus {

class NameTable {
 public:
  static constexpr std::uint32_t kAbsent = 0xffffffff;

  // The value that `name` stands for: `value` if the name is new, else the one it got first.
  // Precondition: value != kAbsent; all names together under 4 GiB.
  std::uint32_t insert(std::string_view name, std::uint32_t value) {
    if ((count_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[probe(name, hash_of(name))];
    if (slot.value != kAbsent) return slot.value;
    slot = {hash_of(name), static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()), value};
    text_.append(name);
    ++count_;
    return value;
  }

  std::uint32_t find(std::string_view name) const noexcept {
    if (count_ == 0) return kAbsent;
    return slots_[probe(name, hash_of(name))].value;
  }

  std::size_t size() const noexcept { return count_; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t value = kAbsent;  // kAbsent: free
  };

  static std::uint32_t hash_of(std::string_view name) noexcept {
    return static_cast<std::uint32_t>(XXH3_64bits(name.data(), name.size()));
  }

  // The slot that holds `name`, or the free one where it would go. At least half of the slots are free.
  std::size_t probe(std::string_view name, std::uint32_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.value == kAbsent) return at;
      if (slot.hash == hash && std::string_view(text_).substr(slot.offset, slot.length) == name) return at;
    }
  }

  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.value == kAbsent) continue;
      std::size_t at = slot.hash & mask;
      while (slots_[at].value != kAbsent) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two of them
  std::string text_;
  std::size_t count_ = 0;
};

}  // namespace ficus
