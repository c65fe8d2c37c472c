// One HTTP/2 header list: ordered fields whose texts stand in a compression table (shared by reference), in the block's
// own arena, or in the program (literals). Moving a block moves one pointer; passing a list on copies no text.
// Thread: the worker's that received or made it (counts and free lists are not atomic).
// Invariant: names are lower case; pseudo-header fields come first, as received.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>

#include "facade/h2/header_text.h"
#include "facade/h2/header_token.h"

namespace ficus {

class HeaderBlock {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    HeaderText* text = nullptr;  // keeps name and value (or, replaced, the old value for those who borrowed it)
    HeaderToken token = HeaderToken::kOther;
    std::uint8_t flaws = 0;    // bits of field_flaw; 0 for fields we made
    bool never_index = false;  // RFC 7541 7.1.3: must stay a never-indexed literal on every hop
    bool hidden = false;       // removed; the text stays alive for those who borrowed it
    bool replaced = false;     // value (not name) is in the arena though `text` is set
  };
  using Fields = boost::container::small_vector<Field, 20>;

  HeaderBlock() noexcept = default;
  ~HeaderBlock() {
    if (body_ != nullptr) clear();
  }
  HeaderBlock(HeaderBlock&& that) noexcept : body_(that.body_) { that.body_ = nullptr; }
  HeaderBlock& operator=(HeaderBlock&& that) noexcept;
  // Shares texts, copies what the arena holds; hidden fields are left out. About 5 ns a field.
  HeaderBlock clone() const;

  // Adds a field that refers to a table's text; takes a reference.
  void add_text(HeaderText* text, bool never_index = false);
  // Adds a field whose texts outlive the block (literals, the static table), with what is known of it.
  void add_static(std::string_view name, std::string_view value);
  void add_static(std::string_view name, std::string_view value, HeaderToken token, std::uint8_t flaws);
  // Adds a field with a value that is copied; the name outlives the block or is copied too.
  void add_copy(std::string_view name, std::string_view value, bool copy_name = false);
  // Adds a field whose value is copied; the name is `name_holder`'s, which gains a reference. For a literal whose name
  // stands in a table.
  void add_copy(HeaderText* name_holder, std::string_view value, std::uint8_t flaws, bool never_index);
  // Adds a received literal with what is known of it: the value is copied, the name too or it outlives the block.
  void add_copy(std::string_view name, bool copy_name, std::string_view value, HeaderToken token, std::uint8_t flaws,
                bool never_index);
  // Room for a text in the block's arena, stable until clear().
  char* allocate(std::size_t bytes);

  // First visible field of that name. Linear: header lists are short.
  std::optional<std::string_view> find(std::string_view name) const noexcept;
  std::optional<std::string_view> find(HeaderToken token) const noexcept;
  // Hides every visible field of that name; gives how many.
  std::size_t remove(std::string_view name) noexcept;
  // Replaces the value of the first visible field of that name where it stands, hides further ones, or adds one.
  void set(std::string_view static_name, std::string_view value_to_copy);

  // Empty while nothing was added.
  const Fields& fields() const noexcept { return body_ != nullptr ? body_->fields : no_fields(); }
  Fields& fields();
  bool empty() const noexcept;
  // As RFC 9113 6.5.2 counts SETTINGS_MAX_HEADER_LIST_SIZE: name + value + 32 a field, of what was added.
  static constexpr std::size_t kFieldOverheadBytes = 32;
  std::size_t list_bytes() const noexcept;
  void clear() noexcept;

 private:
  // Rest of an arena that outgrew its body: chunks, newest first.
  struct Overflow;
  static constexpr std::size_t kInlineBytes = 512;  // a traceparent, a timeout, a path and a few values set by policy
  // Fields, and an arena whose first part stands in the body: usually one pooled object, no further allocation.
  struct Body {
    Fields fields;
    std::size_t list_bytes = 0;
    std::size_t used = 0;
    Overflow* overflow = nullptr;
    char bytes[kInlineBytes];
  };

  Body& body() { return body_ != nullptr ? *body_ : make_body(); }
  Body& make_body();
  static const Fields& no_fields() noexcept;
  void add(const Field& field) {
    Body& to = body();
    to.fields.push_back(field);
    to.list_bytes += field.name.size() + field.value.size() + kFieldOverheadBytes;
  }
  std::string_view copy(std::string_view text);
  bool owns(std::string_view text) const noexcept;

  Body* body_ = nullptr;
};

inline void HeaderBlock::add_text(HeaderText* text, bool never_index) {
  text->add_reference();
  add({text->name(), text->value(), text, text->token(), text->flaws(), never_index});
}

inline void HeaderBlock::add_static(std::string_view name, std::string_view value, HeaderToken token,
                                    std::uint8_t flaws) {
  add({name, value, nullptr, token, flaws});
}

inline bool HeaderBlock::empty() const noexcept { return body_ == nullptr || body_->fields.empty(); }
inline std::size_t HeaderBlock::list_bytes() const noexcept { return body_ == nullptr ? 0 : body_->list_bytes; }

}  // namespace ficus
