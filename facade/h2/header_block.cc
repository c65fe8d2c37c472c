#include "facade/h2/header_block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "facade/base/free_list.h"

namespace ficus {

struct HeaderBlock::Overflow {
  Overflow* next;
  std::size_t used;
  std::size_t capacity;
  char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
};

namespace {

// Kept per thread: some 2 kB each, as many as a busy worker has calls between head and answer.
constexpr std::uint32_t kKeptBodies = 256;
constexpr std::size_t kOverflowBytes = 4096;

template <class Body>
using BodyMemory = FreeList<Body, sizeof(Body), kKeptBodies>;

}  // namespace

HeaderBlock::Body& HeaderBlock::make_body() {
  // Not Body(): that would fill the arena with zeros.
  body_ = new (BodyMemory<Body>::take()) Body;
  return *body_;
}

HeaderBlock& HeaderBlock::operator=(HeaderBlock&& that) noexcept {
  if (this != &that) {
    clear();
    body_ = std::exchange(that.body_, nullptr);
  }
  return *this;
}

void HeaderBlock::clear() noexcept {
  if (body_ == nullptr) return;
  Body* body = std::exchange(body_, nullptr);
  for (const Field& field : body->fields) {
    if (field.text != nullptr) field.text->drop_reference();
  }
  while (Overflow* chunk = body->overflow) {
    body->overflow = chunk->next;
    std::free(chunk);
  }
  body->~Body();
  BodyMemory<Body>::give(body);
}

HeaderBlock HeaderBlock::clone() const {
  HeaderBlock result;
  if (body_ == nullptr) return result;
  result.body().fields.reserve(body_->fields.size());
  for (Field field : body_->fields) {
    if (field.hidden) continue;
    if (field.text != nullptr) {
      field.text->add_reference();
      if (field.replaced) field.value = result.copy(field.value);
    } else {
      if (owns(field.name)) field.name = result.copy(field.name);
      if (owns(field.value)) field.value = result.copy(field.value);
    }
    result.add(field);
  }
  return result;
}

void HeaderBlock::add_static(std::string_view name, std::string_view value) {
  add({name, value, nullptr, header_token(name)});
}

void HeaderBlock::add_copy(std::string_view name, std::string_view value, bool copy_name) {
  const std::string_view kept_name = copy_name ? copy(name) : name;
  add({kept_name, copy(value), nullptr, header_token(name)});
}

void HeaderBlock::add_copy(HeaderText* name_holder, std::string_view value, std::uint8_t flaws, bool never_index) {
  const std::string_view kept = copy(value);
  name_holder->add_reference();
  add({name_holder->name(), kept, name_holder, name_holder->token(), flaws, never_index, false, true});
}

void HeaderBlock::add_copy(std::string_view name, bool copy_name, std::string_view value, HeaderToken token,
                           std::uint8_t flaws, bool never_index) {
  const std::string_view kept_name = copy_name ? copy(name) : name;
  add({kept_name, copy(value), nullptr, token, flaws, never_index});
}

char* HeaderBlock::allocate(std::size_t bytes) {
  Body& in = body();
  if (kInlineBytes - in.used >= bytes) {
    char* result = in.bytes + in.used;
    in.used += bytes;
    return result;
  }
  if (in.overflow == nullptr || in.overflow->capacity - in.overflow->used < bytes) {
    const std::size_t capacity = std::max(bytes, kOverflowBytes);
    void* memory = std::malloc(sizeof(Overflow) + capacity);
    if (memory == nullptr) throw std::bad_alloc();
    in.overflow = new (memory) Overflow{in.overflow, 0, capacity};
  }
  char* result = in.overflow->bytes() + in.overflow->used;
  in.overflow->used += bytes;
  return result;
}

std::string_view HeaderBlock::copy(std::string_view text) {
  if (text.empty()) return {};
  char* bytes = allocate(text.size());
  std::memcpy(bytes, text.data(), text.size());
  return {bytes, text.size()};
}

bool HeaderBlock::owns(std::string_view text) const noexcept {
  const std::less_equal<const char*> not_after;
  const char* at = text.data();
  if (not_after(body_->bytes, at) && not_after(at, body_->bytes + kInlineBytes - 1)) return true;
  for (Overflow* chunk = body_->overflow; chunk != nullptr; chunk = chunk->next) {
    if (not_after(chunk->bytes(), at) && not_after(at, chunk->bytes() + chunk->capacity - 1)) return true;
  }
  return false;
}

std::optional<std::string_view> HeaderBlock::find(std::string_view name) const noexcept {
  if (body_ == nullptr) return std::nullopt;
  for (const Field& field : body_->fields) {
    if (!field.hidden && field.name == name) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> HeaderBlock::find(HeaderToken token) const noexcept {
  if (body_ == nullptr) return std::nullopt;
  for (const Field& field : body_->fields) {
    if (field.token == token && !field.hidden) return field.value;
  }
  return std::nullopt;
}

std::size_t HeaderBlock::remove(std::string_view name) noexcept {
  if (body_ == nullptr) return 0;
  std::size_t removed = 0;
  for (Field& field : body_->fields) {
    if (!field.hidden && field.name == name) {
      field.hidden = true;
      ++removed;
    }
  }
  return removed;
}

void HeaderBlock::set(std::string_view static_name, std::string_view value_to_copy) {
  bool done = false;
  for (Field& field : body().fields) {
    if (field.hidden || field.name != static_name) continue;
    if (done) {
      field.hidden = true;
      continue;
    }
    // The old text is kept until the block goes: somebody may have borrowed its value.
    field.value = copy(value_to_copy);
    field.replaced = field.text != nullptr;
    field.flaws &= static_cast<std::uint8_t>(~field_flaw::kValue);
    done = true;
  }
  if (!done) add_copy(static_name, value_to_copy);
}

const HeaderBlock::Fields& HeaderBlock::no_fields() noexcept {
  static const Fields kNone;
  return kNone;
}

HeaderBlock::Fields& HeaderBlock::fields() { return body().fields; }

}  // namespace ficus
