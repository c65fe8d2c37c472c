// To be preloaded into a program under test: counts, thread by thread, how often memory is asked for. The counts stand in
// the file that FICUS_ALLOCATION_COUNTS names, mapped by this program and by the test that reads it while it runs.
#include "tests/support/count_allocations.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>

namespace {

using ficus::e2e::AllocationCounts;
using ficus::e2e::kCountedThreads;

AllocationCounts* counts = nullptr;
thread_local int slot = -1;

__attribute__((constructor)) void map_counts() {
  const char* path = std::getenv("FICUS_ALLOCATION_COUNTS");
  if (path == nullptr) return;
  const int file = ::open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void* mapped = ::mmap(nullptr, sizeof(AllocationCounts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (mapped != MAP_FAILED) counts = static_cast<AllocationCounts*>(mapped);
}

void count() noexcept {
  if (counts == nullptr) return;
  if (slot < 0) {
    // The last slot takes whoever finds none left.
    slot = static_cast<int>(counts->threads.fetch_add(1));
    if (slot >= kCountedThreads) slot = kCountedThreads - 1;
    counts->of[slot].thread.store(static_cast<int>(::syscall(SYS_gettid)));
  }
  counts->of[slot].allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

// glibc's own, under the names it keeps for this.
extern "C" {
void* __libc_malloc(std::size_t bytes) noexcept;
void* __libc_calloc(std::size_t count, std::size_t bytes) noexcept;
void* __libc_realloc(void* old, std::size_t bytes) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t bytes) noexcept;

void* malloc(std::size_t bytes) noexcept {
  count();
  return __libc_malloc(bytes);
}
void* calloc(std::size_t number, std::size_t bytes) noexcept {
  count();
  return __libc_calloc(number, bytes);
}
void* realloc(void* old, std::size_t bytes) noexcept {
  count();
  return __libc_realloc(old, bytes);
}
// What an aligned operator new asks for.
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) noexcept {
  count();
  *out = __libc_memalign(alignment, bytes);
  return *out == nullptr ? 12 : 0;  // ENOMEM
}
}
