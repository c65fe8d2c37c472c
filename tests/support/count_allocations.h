// What count_allocations.cc writes and a test reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace ficus::e2e {

inline constexpr int kCountedThreads = 64;

struct AllocationCounts {
  struct OfThread {
    std::atomic<int> thread;  // its id, as in /proc/PID/task
    std::atomic<std::uint64_t> allocations;
  };
  std::atomic<int> threads;
  OfThread of[kCountedThreads];
};
// Two programs share it through a mapped file of zeros.
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

}  // namespace ficus::e2e
