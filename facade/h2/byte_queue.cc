#include "facade/h2/byte_queue.h"

#include <algorithm>
#include <cstring>

namespace ficus {

ChunkPool::Chunk ChunkPool::take() {
  ++taken_;
  if (free_.empty()) return Chunk(new char[kChunkBytes]);
  Chunk chunk = std::move(free_.back());
  free_.pop_back();
  return chunk;
}

void ChunkPool::give(Chunk chunk) {
  --taken_;
  if (free_.size() < kMaxKept) free_.push_back(std::move(chunk));
}

void ByteQueue::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t used = end_ - base_;
    const std::size_t at = used % ChunkPool::kChunkBytes;
    if (used == chunks_.size() * ChunkPool::kChunkBytes) chunks_.push_back(pool_->take());
    const std::size_t n = std::min(bytes.size(), ChunkPool::kChunkBytes - at);
    std::memcpy(chunks_.back().get() + at, bytes.data(), n);
    end_ += n;
    bytes.remove_prefix(n);
  }
  if (keep_limit_ != 0 && end_ - base_ > keep_limit_) drop_kept();
}

std::string_view ByteQueue::front(std::size_t limit) const noexcept {
  if (empty()) return {};
  const std::size_t offset = read_ - base_;
  const std::size_t at = offset % ChunkPool::kChunkBytes;
  const std::size_t n = std::min({size(), limit, ChunkPool::kChunkBytes - at});
  return {chunks_[offset / ChunkPool::kChunkBytes].get() + at, n};
}

void ByteQueue::pop(std::size_t bytes) noexcept {
  read_ += bytes;
  if (keep_limit_ == 0) trim();
}

void ByteQueue::drop_kept() noexcept {
  keep_limit_ = 0;
  trim();
}

void ByteQueue::trim() noexcept {
  std::size_t whole = (read_ - base_) / ChunkPool::kChunkBytes;
  // An empty queue gives back its last, partly used chunk too: an idle stream holds none.
  if (read_ == end_) whole = chunks_.size();
  if (whole == 0) return;
  for (std::size_t i = 0; i < whole; ++i) pool_->give(std::move(chunks_[i]));
  chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(whole));
  base_ = chunks_.empty() ? end_ : base_ + whole * ChunkPool::kChunkBytes;
}

void ByteQueue::clear() noexcept {
  for (ChunkPool::Chunk& chunk : chunks_) pool_->give(std::move(chunk));
  chunks_.clear();
  base_ = read_ = end_ = 0;
  keep_limit_ = 0;
}

}  // namespace ficus
