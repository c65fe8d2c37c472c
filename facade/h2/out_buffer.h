// Bytes that one connection has to send: appended by its engine, taken by its socket. Storage comes from a pool of the
// worker and goes back as soon as nothing is left, so that an idle connection holds none.
// Offsets count every byte ever appended, so that a frame can be found again while none of it has been taken.
// Thread: one worker's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace ficus {

// Blocks for OutBuffers, reused. Keeps at most kMaxKept of at most kMaxKeptBytes each.
class OutBlockPool {
 public:
  static constexpr std::size_t kFirstBytes = 16 * 1024;  // a turn's output of a busy connection, usually
  static constexpr std::size_t kMaxKept = 64;            // connections written to in one turn of the loop
  static constexpr std::size_t kMaxKeptBytes = 256 * 1024;

  struct Block {
    std::uint8_t* bytes = nullptr;
    std::size_t capacity = 0;
  };
  OutBlockPool() { kept_.reserve(kMaxKept); }
  ~OutBlockPool() {
    for (const Block& block : kept_) std::free(block.bytes);
  }
  OutBlockPool(const OutBlockPool&) = delete;
  OutBlockPool& operator=(const OutBlockPool&) = delete;

  Block take() {
    if (kept_.empty()) {
      auto* bytes = static_cast<std::uint8_t*>(std::malloc(kFirstBytes));
      if (bytes == nullptr) throw std::bad_alloc();
      return {bytes, kFirstBytes};
    }
    const Block block = kept_.back();
    kept_.pop_back();
    return block;
  }
  void give(Block block) noexcept {
    if (block.bytes == nullptr) return;
    if (kept_.size() == kMaxKept || block.capacity > kMaxKeptBytes) {
      std::free(block.bytes);
      return;
    }
    kept_.push_back(block);
  }

 private:
  std::vector<Block> kept_;
};

class OutBuffer {
 public:
  explicit OutBuffer(OutBlockPool& pool) noexcept : pool_(&pool) {}
  ~OutBuffer() { pool_->give(block_); }
  OutBuffer(const OutBuffer&) = delete;
  OutBuffer& operator=(const OutBuffer&) = delete;

  // Room for `bytes` more at the end, to be written by the caller at once.
  std::uint8_t* extend(std::size_t bytes) {
    if (block_.capacity - used_ < bytes) [[unlikely]]
      grow(bytes);
    std::uint8_t* at = block_.bytes + used_;
    used_ += bytes;
    return at;
  }
  void append(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
  }
  void append_byte(std::uint8_t byte) { *extend(1) = byte; }
  // Takes the last `bytes` appended back.
  void shrink(std::size_t bytes) noexcept { used_ -= bytes; }

  std::size_t size() const noexcept { return used_ - taken_; }
  bool empty() const noexcept { return used_ == taken_; }
  // What is to be sent, contiguous.
  const std::uint8_t* data() const noexcept { return block_.bytes + taken_; }
  // The socket took `bytes`.
  void pop(std::size_t bytes) noexcept {
    taken_ += bytes;
    if (taken_ == used_) {
      base_ += used_;
      used_ = taken_ = 0;
    }
  }
  // Gives the storage back if nothing is left.
  void release_if_empty() noexcept {
    if (used_ != 0 || block_.bytes == nullptr) return;
    pool_->give(std::exchange(block_, {}));
  }
  // Drops what is left.
  void clear() noexcept { pop(size()); }

  // Offset of the next byte that will be appended, and of the first that was not taken yet.
  std::uint64_t end_offset() const noexcept { return base_ + used_; }
  std::uint64_t taken_offset() const noexcept { return base_ + taken_; }
  // What was offered and not taken may be in a TLS record that is half sent: it must be offered again as it is. Freezes
  // everything appended so far.
  void freeze() noexcept { frozen_ = end_offset(); }
  // First byte that may still be changed.
  std::uint64_t frozen_offset() const noexcept { return std::max(frozen_, taken_offset()); }
  // Byte at an offset in [taken_offset(), end_offset()).
  std::uint8_t* at(std::uint64_t offset) noexcept { return block_.bytes + (offset - base_); }

 private:
  void grow(std::size_t bytes) {
    if (block_.bytes == nullptr) {
      block_ = pool_->take();
      if (block_.capacity >= bytes) return;
    }
    // What was taken makes room first.
    if (taken_ != 0) {
      std::memmove(block_.bytes, block_.bytes + taken_, used_ - taken_);
      base_ += taken_;
      used_ -= taken_;
      taken_ = 0;
    }
    std::size_t capacity = block_.capacity;
    while (capacity - used_ < bytes) capacity *= 2;
    if (capacity == block_.capacity) return;
    auto* moved = static_cast<std::uint8_t*>(std::realloc(block_.bytes, capacity));
    if (moved == nullptr) throw std::bad_alloc();
    block_ = {moved, capacity};
  }

  OutBlockPool* pool_;
  OutBlockPool::Block block_;
  std::size_t used_ = 0;
  std::size_t taken_ = 0;
  std::uint64_t base_ = 0;  // offset of block_.bytes[0]
  std::uint64_t frozen_ = 0;
};

}  // namespace ficus
