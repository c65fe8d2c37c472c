// Objects that come and go with every call, kept on a free list of their thread: the steady state allocates nothing.
// `class RpcCall : public Pooled<RpcCall>` is all it takes. Not under AddressSanitizer, which must see every free.
// Thread: an object freed on another thread than made it joins that thread's list (harmless; lists are bounded).
#pragma once

#include <cstddef>
#include <cstdint>

#include "facade/base/free_list.h"

namespace ficus {

// Objects of a kind kept a thread: a busy worker's calls in flight, a few megabytes of the largest kind.
inline constexpr std::uint32_t kPooledObjects = 4096;

template <class T>
class Pooled {
 public:
  // A class derived from T is not T's size: it is the program's own business.
  static void* operator new(std::size_t bytes) {
    return bytes == sizeof(T) ? FreeList<T, sizeof(T), kPooledObjects>::take() : ::operator new(bytes);
  }
  static void operator delete(void* object, std::size_t bytes) noexcept {
    if (bytes == sizeof(T)) {
      FreeList<T, sizeof(T), kPooledObjects>::give(object);
    } else {
      ::operator delete(object);
    }
  }

 protected:
  Pooled() = default;
  ~Pooled() = default;
};

}  // namespace ficus
