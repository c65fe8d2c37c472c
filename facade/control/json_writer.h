// Writes JSON text, one token after another: commas and escapes are its business, balance is the caller's. What is not
// UTF-8 becomes U+FFFD, so that the text is always valid (RFC 8259). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ficus {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& number(std::uint64_t value);
  JsonWriter& decimal(std::string_view digits);  // as given: "0.25"; precondition: a JSON number
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  std::string take() { return std::move(out_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  void append_quoted(std::string_view value);

  std::string out_;
  bool need_comma_ = false;
};

}  // namespace ficus
