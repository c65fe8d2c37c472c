// A fuzz target's input as a script of bytes and counted strings. Any input is a whole one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ficus::fuzz {

// Takes a script apart; past its end everything is 0 and empty.
class ScriptReader {
 public:
  explicit ScriptReader(std::string_view script) : left_(script) {}
  bool done() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::string_view bytes(std::size_t count) {
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view counted() { return bytes(byte()); }

 private:
  std::string_view left_;
};

}  // namespace ficus::fuzz
