// One HTTP/2 header list: ordered fields that share nghttp2's reference-counted buffers, so that passing a list on
// copies pointers and no text.
// Thread: the worker's that received or made it (the counts are not atomic).
// Invariant: names are lower case; pseudo-header fields come first, as received.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>

namespace ficus {

// Texts a header block owns, at stable addresses: usually one small allocation, none while nothing is owned.
class TextArena {
 public:
  std::string_view copy(std::string_view text);
  bool empty() const noexcept { return head_ == nullptr; }
  void clear() noexcept { head_.reset(); }

 private:
  static constexpr std::size_t kBlockBytes = 256;  // a traceparent, a timeout and a few policy-set values
  struct Block {
    std::unique_ptr<Block> next;
    std::size_t used = 0;
    std::unique_ptr<char[]> overflow;  // for a text larger than a block
    char bytes[kBlockBytes];
  };
  std::unique_ptr<Block> head_;
};

class HeaderBlock {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    bool never_index = false;  // RFC 7541 7.1.3: must stay a never-indexed literal on every hop
    bool hidden = false;       // removed; the text stays alive for those who borrowed it
    bool replaced = false;     // `value` is owned text; `value_buffer` is only kept for those who borrowed the old one
    nghttp2_rcbuf* name_buffer = nullptr;   // null: text owned by `owned_` or static
    nghttp2_rcbuf* value_buffer = nullptr;
  };
  using Fields = boost::container::small_vector<Field, 16>;

  HeaderBlock() = default;
  ~HeaderBlock();
  HeaderBlock(HeaderBlock&& that) noexcept;
  HeaderBlock& operator=(HeaderBlock&& that) noexcept;
  // Shares the buffers; hidden fields are left out. About 10 ns a field.
  HeaderBlock clone() const;

  // Adds a received field; takes a reference on both buffers.
  void add_received(nghttp2_rcbuf* name, nghttp2_rcbuf* value, bool never_index);
  // Adds a field whose texts outlive the block (literals).
  void add_static(std::string_view name, std::string_view value);
  // Adds a field with a value that is copied; the name outlives the block or is copied too.
  void add_copy(std::string_view name, std::string_view value, bool copy_name = false);

  // First visible field of that name. Linear: header lists are short.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  // Hides every visible field of that name; gives how many.
  std::size_t remove(std::string_view name) noexcept;
  // Replaces the value of the first visible field of that name where it stands, hides further ones, or adds one.
  void set(std::string_view static_name, std::string_view value_to_copy);

  const Fields& fields() const noexcept { return fields_; }
  Fields& fields() noexcept { return fields_; }
  bool empty() const noexcept { return fields_.empty(); }
  // As RFC 9113 6.5.2 counts SETTINGS_MAX_HEADER_LIST_SIZE: name + value + 32 a field, of what was added.
  std::size_t list_bytes() const noexcept { return list_bytes_; }
  void clear() noexcept;

 private:
  Fields fields_;
  TextArena owned_;
  std::size_t list_bytes_ = 0;
};

}  // namespace ficus
