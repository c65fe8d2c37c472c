// Memory of one size, kept by the thread that freed it: the steady state of a worker asks malloc for nothing.
// Under AddressSanitizer every piece comes from malloc and goes back to it, so that a use after free is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define FICUS_KEEPS_FREED_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FICUS_KEEPS_FREED_MEMORY 0
#endif
#endif
#ifndef FICUS_KEEPS_FREED_MEMORY
#define FICUS_KEEPS_FREED_MEMORY 1
#endif

namespace ficus {

// Pieces of kBytes, at most kKeep of them kept a thread; aligned as malloc aligns. `Tag` keeps lists of one size apart.
template <class Tag, std::size_t kBytes, std::uint32_t kKeep>
class FreeList {
  static_assert(kBytes >= sizeof(void*));

 public:
  // Never null: out of memory is std::bad_alloc, which nobody catches.
  static void* take() {
    Chain& chain = chain_;
    if (Piece* piece = chain.first) {
      chain.first = piece->next;
      --chain.kept;
      return piece;
    }
    return fresh();
  }

  static void give(void* memory) noexcept {
    Chain& chain = chain_;
    if (FICUS_KEEPS_FREED_MEMORY == 0 || chain.kept >= chain.limit) return give_slowly(memory);
    chain.first = new (memory) Piece{chain.first};
    ++chain.kept;
  }

 private:
  struct Piece {
    Piece* next;
  };
  struct Chain {
    Piece* first = nullptr;
    std::uint32_t kept = 0;
    std::uint32_t limit = 0;  // 0 before the first piece comes back, and again when the thread ends
    bool closed = false;
  };
  // Gives everything back when the thread ends. What comes back after that (from another thread_local's destructor)
  // goes to free() directly.
  struct Closer {
    ~Closer() {
      Chain& chain = chain_;
      chain.limit = 0;
      chain.closed = true;
      while (Piece* piece = chain.first) {
        chain.first = piece->next;
        std::free(piece);
      }
      chain.kept = 0;
    }
  };

  [[gnu::noinline]] static void* fresh() {
    if (void* memory = std::malloc(kBytes)) return memory;
    throw std::bad_alloc();
  }
  [[gnu::noinline]] static void give_slowly(void* memory) noexcept {
    Chain& chain = chain_;
    if (FICUS_KEEPS_FREED_MEMORY == 1 && chain.limit == 0 && !chain.closed) {
      thread_local Closer closer;
      static_cast<void>(closer);
      chain.limit = kKeep;
      chain.first = new (memory) Piece{chain.first};
      ++chain.kept;
      return;
    }
    std::free(memory);
  }

  // Constant initialisation and no destructor of its own: reading it costs no guard.
  static constinit thread_local Chain chain_;
};

template <class Tag, std::size_t kBytes, std::uint32_t kKeep>
constinit thread_local typename FreeList<Tag, kBytes, kKeep>::Chain FreeList<Tag, kBytes, kKeep>::chain_;

}  // namespace ficus
