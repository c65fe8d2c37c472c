// Reading UTF-8, strictly. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace ficus {

struct Utf8Char {
  char32_t code = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 at this place
};

// The character that begins at `text[at]` (precondition: at < size). Overlong forms, surrogates and anything above
// U+10FFFF are not UTF-8 (RFC 3629 section 3). Any thread; no allocation.
Utf8Char decode_utf8(std::string_view text, std::size_t at) noexcept;

// Control characters (C0 without any exception, DEL, C1), line and paragraph separators, byte order marks, and the
// marks that reorder what a reader sees (bidirectional embeddings, overrides, isolates): none has a place in a policy.
bool hides_or_reorders(char32_t code) noexcept;

// UTF-8 throughout, and none of those. Empty text is plain.
bool is_plain_text(std::string_view text) noexcept;

}  // namespace ficus
