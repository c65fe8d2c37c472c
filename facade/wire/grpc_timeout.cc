#include "facade/wire/grpc_timeout.h"

#include <array>

namespace ficus {
namespace {

struct Unit {
  char name;
  std::chrono::nanoseconds length;
};
using namespace std::chrono_literals;
constexpr std::array<Unit, 6> kUnits = {{{'n', 1ns}, {'u', 1us}, {'m', 1ms}, {'S', 1s}, {'M', 1min}, {'H', 1h}}};
constexpr std::int64_t kMostDigits = 99'999'999;

}  // namespace

std::optional<std::chrono::nanoseconds> parse_grpc_timeout(std::string_view value) noexcept {
  if (value.size() < 2 || value.size() > 9) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : value.substr(0, value.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  for (const Unit& unit : kUnits) {
    if (unit.name != value.back()) continue;
    // 99,999,999 hours do not fit 64 bits of nanoseconds: 292 years are as good as that.
    if (number > std::chrono::nanoseconds::max() / unit.length) return std::chrono::nanoseconds::max();
    return number * unit.length;
  }
  return std::nullopt;
}

std::string format_grpc_timeout(std::chrono::nanoseconds left) {
  if (left <= 0ns) return "0n";
  for (const Unit& unit : kUnits) {
    const std::int64_t number = left / unit.length;
    if (number <= kMostDigits) return std::to_string(number) + unit.name;
  }
  return std::to_string(kMostDigits) + "H";
}

}  // namespace ficus
