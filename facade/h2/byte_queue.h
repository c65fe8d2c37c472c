// Bytes on their way from one connection to another: a FIFO of pooled chunks. Can keep what was read, up to a limit,
// so that a request that was never delivered can be sent again.
// Thread: one worker's.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>

namespace ficus {

// Fixed-size chunks of one worker, reused. Keeps at most kMaxKept; more are freed.
class ChunkPool {
 public:
  static constexpr std::size_t kChunkBytes = 16 * 1024;  // HTTP/2's default frame size
  static constexpr std::size_t kMaxKept = 1024;          // 16 MiB a worker
  using Chunk = std::unique_ptr<char[]>;
  Chunk take();
  void give(Chunk chunk);
  // Of chunks that are taken: what calls make the worker hold.
  std::size_t taken_bytes() const noexcept { return taken_ * kChunkBytes; }

 private:
  std::size_t taken_ = 0;
  std::vector<Chunk> free_;
};

class ByteQueue {
 public:
  explicit ByteQueue(ChunkPool& pool) : pool_(&pool) {}
  ~ByteQueue() { clear(); }
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  void append(std::string_view bytes);
  // Unread bytes.
  std::size_t size() const noexcept { return end_ - read_; }
  // Memory of the chunks, kept bytes included.
  std::size_t chunk_bytes() const noexcept { return chunks_.size() * ChunkPool::kChunkBytes; }
  bool empty() const noexcept { return size() == 0; }
  // The next contiguous unread bytes, at most `limit`; empty when there are none.
  std::string_view front(std::size_t limit) const noexcept;
  // Moves on over `bytes` <= size(). What was read is dropped unless it is kept.
  void pop(std::size_t bytes) noexcept;

  // Keeps what is popped from now on, while all of it (kept and unread) is at most `limit` bytes; beyond, keeping ends.
  void keep(std::size_t limit) noexcept { keep_limit_ = limit; }
  bool keeping() const noexcept { return keep_limit_ != 0; }
  // Ends keeping and drops what was kept.
  void drop_kept() noexcept;
  // Whether everything ever appended is still here, so that rewind() gives it all again.
  bool complete() const noexcept { return base_ == 0; }
  // Makes everything kept unread again. Precondition: complete().
  void rewind() noexcept { read_ = 0; }
  void clear() noexcept;

 private:
  void trim() noexcept;

  ChunkPool* pool_;
  // Those holding [base_, end_); a few at most, so erase at the front is cheap. What a call may keep (64 KiB) needs no
  // memory but the chunks themselves.
  boost::container::small_vector<ChunkPool::Chunk, 4> chunks_;
  std::size_t base_ = 0;                  // offset (from the first byte ever appended) of chunks_.front()'s first byte
  std::size_t read_ = 0;
  std::size_t end_ = 0;
  std::size_t keep_limit_ = 0;
};

}  // namespace ficus
