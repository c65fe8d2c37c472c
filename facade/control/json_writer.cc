#include "facade/control/json_writer.h"

#include "routing/utf8.h"

namespace ficus {

void JsonWriter::separate() {
  if (need_comma_) out_.push_back(',');
  need_comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_.push_back(bracket);
  need_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  need_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_quoted(name);
  out_.push_back(':');
  need_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  append_quoted(value);
  return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) {
  separate();
  out_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::decimal(std::string_view digits) {
  separate();
  out_ += digits;
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  out_ += "null";
  return *this;
}

void JsonWriter::append_quoted(std::string_view value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out_.push_back('"');
  for (std::size_t at = 0; at < value.size();) {
    const char c = value[at];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_.push_back('\\');
      out_.push_back(c);
      ++at;
    } else if (c == '\n') {
      out_ += "\\n";
      ++at;
    } else if (byte < 0x20 || byte == 0x7f) {
      out_ += "\\u00";
      out_.push_back(kDigits[byte >> 4]);
      out_.push_back(kDigits[byte & 15]);
      ++at;
    } else {
      const std::size_t length = decode_utf8(value, at).bytes;
      out_.append(length == 0 ? std::string_view("\xEF\xBF\xBD") : value.substr(at, length));
      at += length == 0 ? 1 : length;
    }
  }
  out_.push_back('"');
}

}  // namespace ficus
