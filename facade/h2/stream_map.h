// Streams of one connection by id: open addressing, linear probing. Ids are scattered (Fibonacci hashing: Knuth, The Art of
// Computer Programming 3, 6.4) although half of an id would be a hash without collisions: streams that live at the same
// time would then lie side by side, and each erasing would walk over all of them (14 % of a call at 256 in flight).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ficus {

class H2StreamBase;

class StreamMap {
 public:
  H2StreamBase* find(std::uint32_t id) const noexcept {
    if (slots_.empty()) return nullptr;
    for (std::size_t i = home(id);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].stream == nullptr) return nullptr;
      if (slots_[i].id == id) return slots_[i].stream;
    }
  }
  void insert(std::uint32_t id, H2StreamBase* stream) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    place(id, stream);
    ++size_;
  }
  void erase(std::uint32_t id) noexcept {
    if (slots_.empty()) return;
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = home(id);
    while (slots_[i].stream != nullptr && slots_[i].id != id) i = (i + 1) & mask;
    if (slots_[i].stream == nullptr) return;
    // Backward shift: whoever was pushed on by the erased one moves up.
    for (std::size_t next = (i + 1) & mask; slots_[next].stream != nullptr; next = (next + 1) & mask) {
      const std::size_t wants = home(slots_[next].id);
      if (((next - wants) & mask) >= ((next - i) & mask)) {
        slots_[i] = slots_[next];
        i = next;
      }
    }
    slots_[i] = {};
    --size_;
  }
  std::size_t size() const noexcept { return size_; }
  // Calls `visit(stream)`; the map must not change meanwhile.
  template <class F>
  void for_each(F&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.stream != nullptr) visit(*slot.stream);
    }
  }
  // Any one stream; null when there is none.
  H2StreamBase* any() const noexcept {
    if (size_ == 0) return nullptr;
    for (const Slot& slot : slots_) {
      if (slot.stream != nullptr) return slot.stream;
    }
    return nullptr;
  }
  // Gives the memory back. Precondition: empty.
  void release() noexcept {
    std::vector<Slot>().swap(slots_);
    shift_ = 0;
  }

 private:
  struct Slot {
    std::uint32_t id = 0;
    H2StreamBase* stream = nullptr;
  };
  static constexpr std::size_t kFirstSlots = 16;
  // The upper bits of id times 2^32 / golden ratio.
  std::size_t home(std::uint32_t id) const noexcept { return static_cast<std::uint32_t>(id * 2'654'435'769U) >> shift_; }
  void place(std::uint32_t id, H2StreamBase* stream) noexcept {
    std::size_t i = home(id);
    while (slots_[i].stream != nullptr) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {id, stream};
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? kFirstSlots : slots_.size() * 2);
    old.swap(slots_);
    shift_ = 32 - std::countr_zero(slots_.size());
    for (const Slot& slot : old) {
      if (slot.stream != nullptr) place(slot.id, slot.stream);
    }
  }
  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t size_ = 0;
  int shift_ = 0;  // 32 - log2 of the slots
};

}  // namespace ficus
