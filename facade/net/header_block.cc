#include "facade/net/header_block.h"

#include <cstring>

namespace ficus {
namespace {

std::string_view view_of(nghttp2_rcbuf* buffer) {
  const nghttp2_vec vec = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(vec.base), vec.len};
}

constexpr std::size_t kFieldOverheadBytes = 32;  // RFC 9113 6.5.2

}  // namespace

std::string_view TextArena::copy(std::string_view text) {
  if (text.empty()) return {};
  if (head_ == nullptr || head_->overflow != nullptr || kBlockBytes - head_->used < text.size()) {
    auto block = std::make_unique<Block>();
    if (text.size() > kBlockBytes) {
      block->overflow.reset(new char[text.size()]);
      std::memcpy(block->overflow.get(), text.data(), text.size());
    }
    block->next = std::move(head_);
    head_ = std::move(block);
    if (head_->overflow != nullptr) return {head_->overflow.get(), text.size()};
  }
  char* at = head_->bytes + head_->used;
  std::memcpy(at, text.data(), text.size());
  head_->used += text.size();
  return {at, text.size()};
}

HeaderBlock::~HeaderBlock() { clear(); }

HeaderBlock::HeaderBlock(HeaderBlock&& that) noexcept
    : fields_(std::move(that.fields_)), owned_(std::move(that.owned_)), list_bytes_(that.list_bytes_) {
  that.fields_.clear();
  that.owned_.clear();
  that.list_bytes_ = 0;
}

HeaderBlock& HeaderBlock::operator=(HeaderBlock&& that) noexcept {
  if (this != &that) {
    clear();
    fields_ = std::move(that.fields_);
    owned_ = std::move(that.owned_);
    list_bytes_ = that.list_bytes_;
    that.fields_.clear();
    that.owned_.clear();
    that.list_bytes_ = 0;
  }
  return *this;
}

void HeaderBlock::clear() noexcept {
  for (Field& field : fields_) {
    if (field.name_buffer != nullptr) nghttp2_rcbuf_decref(field.name_buffer);
    if (field.value_buffer != nullptr) nghttp2_rcbuf_decref(field.value_buffer);
  }
  fields_.clear();
  owned_.clear();
  list_bytes_ = 0;
}

HeaderBlock HeaderBlock::clone() const {
  HeaderBlock copy;
  copy.fields_.reserve(fields_.size());
  for (const Field& field : fields_) {
    if (field.hidden) continue;
    Field& added = copy.fields_.emplace_back(field);
    // Text that this block owns itself is copied; shared buffers gain a reference.
    if (field.replaced) added.value_buffer = nullptr;
    if (added.name_buffer != nullptr) nghttp2_rcbuf_incref(added.name_buffer);
    if (added.value_buffer != nullptr) nghttp2_rcbuf_incref(added.value_buffer);
    if (!owned_.empty() && added.value_buffer == nullptr) {
      added.value = copy.owned_.copy(field.value);
      if (added.name_buffer == nullptr) added.name = copy.owned_.copy(field.name);
    }
    added.replaced = false;
    copy.list_bytes_ += field.name.size() + field.value.size() + kFieldOverheadBytes;
  }
  return copy;
}

void HeaderBlock::add_received(nghttp2_rcbuf* name, nghttp2_rcbuf* value, bool never_index) {
  nghttp2_rcbuf_incref(name);
  nghttp2_rcbuf_incref(value);
  Field& field = fields_.emplace_back();
  field.name = view_of(name);
  field.value = view_of(value);
  field.never_index = never_index;
  field.name_buffer = name;
  field.value_buffer = value;
  list_bytes_ += field.name.size() + field.value.size() + kFieldOverheadBytes;
}

void HeaderBlock::add_static(std::string_view name, std::string_view value) {
  Field& field = fields_.emplace_back();
  field.name = name;
  field.value = value;
  list_bytes_ += name.size() + value.size() + kFieldOverheadBytes;
}

void HeaderBlock::add_copy(std::string_view name, std::string_view value, bool copy_name) {
  add_static(copy_name ? owned_.copy(name) : name, owned_.copy(value));
}

std::optional<std::string_view> HeaderBlock::find(std::string_view name) const noexcept {
  for (const Field& field : fields_) {
    if (!field.hidden && field.name == name) return field.value;
  }
  return std::nullopt;
}

std::size_t HeaderBlock::remove(std::string_view name) noexcept {
  std::size_t removed = 0;
  for (Field& field : fields_) {
    if (!field.hidden && field.name == name) {
      field.hidden = true;
      ++removed;
    }
  }
  return removed;
}

void HeaderBlock::set(std::string_view static_name, std::string_view value_to_copy) {
  bool done = false;
  for (Field& field : fields_) {
    if (field.hidden || field.name != static_name) continue;
    if (done) {
      field.hidden = true;
      continue;
    }
    // The old value's buffer is kept until the block goes: somebody may have borrowed its text.
    field.value = owned_.copy(value_to_copy);
    field.replaced = true;
    done = true;
  }
  if (!done) add_copy(static_name, value_to_copy);
}

}  // namespace ficus
