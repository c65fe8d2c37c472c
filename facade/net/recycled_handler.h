// Completion handlers whose operation lives in memory that the thread keeps: waiting for a socket again asks malloc for
// nothing. Asio's own cache holds one or two operations a thread, which is enough for one connection and not for two.
// Thread: any; the memory joins the list of the thread that completes the operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "facade/base/free_list.h"

namespace ficus {

template <class T>
struct RecyclingAllocator {
  using value_type = T;
  RecyclingAllocator() = default;
  template <class U>
  RecyclingAllocator(const RecyclingAllocator<U>&) noexcept {}  // implicit, as an allocator must be

  // As many waits as connections may come to a sudden end together; further memory goes back to malloc.
  static constexpr std::uint32_t kKeep = 4096;
  T* allocate(std::size_t count) {
    if (count != 1) return static_cast<T*>(::operator new(count * sizeof(T)));
    return static_cast<T*>(FreeList<RecyclingAllocator, sizeof(T), kKeep>::take());
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    if (count != 1) return ::operator delete(memory);
    FreeList<RecyclingAllocator, sizeof(T), kKeep>::give(memory);
  }
  bool operator==(const RecyclingAllocator&) const = default;
};

// `handler` as a handler with that allocator (Asio: Associated Allocators).
template <class F>
class RecycledHandler {
 public:
  using allocator_type = RecyclingAllocator<void>;
  explicit RecycledHandler(F handler) : handler_(std::move(handler)) {}
  allocator_type get_allocator() const noexcept { return {}; }
  template <class... Args>
  void operator()(Args&&... args) {
    handler_(std::forward<Args>(args)...);
  }

 private:
  F handler_;
};
template <class F>
RecycledHandler<F> recycled(F handler) {
  return RecycledHandler<F>(std::move(handler));
}

}  // namespace ficus
