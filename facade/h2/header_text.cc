#include "facade/h2/header_text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "facade/base/free_list.h"

namespace ficus {
namespace {

// Sizes with the object's own 32 bytes: a short field, one with an id or a traceparent, a token, a large token. Kept
// per thread: twice what the tables of one connection hold at once, half a megabyte at most in all.
using Small = FreeList<HeaderText, 96, 1024>;
using Medium = FreeList<HeaderText, 192, 512>;
using Large = FreeList<HeaderText, 512, 256>;
using Huge = FreeList<HeaderText, 2048, 64>;

}  // namespace

HeaderText* HeaderText::make(std::string_view name, std::string_view value) {
  return make(name, value, header_token(name), field_flaws(name, value));
}

HeaderText* HeaderText::make(std::string_view name, std::string_view value, HeaderToken token, std::uint8_t flaws) {
  const std::size_t bytes = sizeof(HeaderText) + name.size() + value.size();
  void* memory = nullptr;
  if (bytes <= 96) {
    memory = Small::take();
  } else if (bytes <= 192) {
    memory = Medium::take();
  } else if (bytes <= 512) {
    memory = Large::take();
  } else if (bytes <= 2048) {
    memory = Huge::take();
  } else {
    memory = std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
  }
  HeaderText* text = new (memory) HeaderText();
  char* out = reinterpret_cast<char*>(text + 1);
  if (!name.empty()) std::memcpy(out, name.data(), name.size());
  if (!value.empty()) std::memcpy(out + name.size(), value.data(), value.size());
  text->hash_ = header_hash(name, value);
  text->name_bytes_ = static_cast<std::uint32_t>(name.size());
  text->value_bytes_ = static_cast<std::uint32_t>(value.size());
  text->token_ = token;
  text->flaws_ = flaws;
  return text;
}

void HeaderText::free_text(HeaderText* text) noexcept {
  const std::size_t bytes = sizeof(HeaderText) + text->name_bytes_ + text->value_bytes_;
  text->~HeaderText();
  if (bytes <= 96) {
    Small::give(text);
  } else if (bytes <= 192) {
    Medium::give(text);
  } else if (bytes <= 512) {
    Large::give(text);
  } else if (bytes <= 2048) {
    Huge::give(text);
  } else {
    std::free(text);
  }
}

std::uint64_t header_hash(std::string_view name, std::string_view value) noexcept {
  // The name's hash turned, so that (a, b) and (b, a) differ, and a name that runs on into the value does too.
  const std::uint64_t of_name = XXH3_64bits(name.data(), name.size());
  return (of_name << 17 | of_name >> 47) ^ XXH3_64bits(value.data(), value.size());
}

}  // namespace ficus
