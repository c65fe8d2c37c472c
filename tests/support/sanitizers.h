// Whether a sanitizer brings a malloc of its own: what replaces or measures glibc's has nothing to say then. g++ and
// clang tell it in ways of their own.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FICUS_SANITIZER_OWNS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FICUS_SANITIZER_OWNS_MALLOC 1
#endif
#endif
#ifndef FICUS_SANITIZER_OWNS_MALLOC
#define FICUS_SANITIZER_OWNS_MALLOC 0
#endif
