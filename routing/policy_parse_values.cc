// Numbers, durations, sizes, percentages, dates. Names stand in policy_parse_names.cc.
#include "routing/policy_parse_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "routing/spelling.h"

namespace ficus::parsing {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits_of(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  return n;
}

// The number that all of `digits` spell. Absent: none, a leading zero, or over 18 digits.
std::optional<std::uint64_t> to_number(std::string_view digits) {
  if (digits.empty() || digits.size() > 18 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::string range(const std::string& min, const std::string& max) { return "from " + min + " to " + max; }

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// A whole number and a unit. Absent: not of that form, or beyond 64 bits.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const Unit (&units)[N]) {
  const std::size_t digits = digits_of(text);
  const std::optional<std::uint64_t> number = to_number(text.substr(0, digits));
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (text.substr(digits) != unit.name) continue;
    if (*number > UINT64_MAX / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

constexpr Unit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}};
constexpr Unit kSizeUnits[] = {{"B", 1}, {"KiB", kKiB}, {"MiB", kMiB}};

// The largest unit that leaves no rest.
template <std::size_t N>
std::string print_with_unit(std::uint64_t number, const Unit (&units)[N]) {
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (number != 0 && number % unit.factor == 0) best = &unit;
  }
  return std::to_string(number / best->factor) + std::string(best->name);
}

std::string two_digits(unsigned number) {
  return {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
}

}  // namespace

Parsed<std::uint64_t> parse_count(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const std::optional<std::uint64_t> number = to_number(text);
  const std::string wanted = range(std::to_string(min), std::to_string(max));
  if (number && *number >= min && *number <= max) return *number;
  // All digits and too many of them is a number still.
  const bool whole = !text.empty() && digits_of(text) == text.size() && (text.size() == 1 || text[0] != '0');
  if (whole) return problem(codes::kOutOfRange, in_quotes(text) + " is out of range", "a whole number " + wanted);
  return problem(codes::kBadNumber, in_quotes(text) + " is not a whole number",
                 "digits only, without sign or leading zero, " + wanted);
}

Parsed<milliseconds> parse_duration(std::string_view text, milliseconds min, milliseconds max) {
  const std::optional<std::uint64_t> number = parse_with_unit(text, kTimeUnits);
  const std::string wanted = range(print_duration(min), print_duration(max));
  if (number && *number >= static_cast<std::uint64_t>(min.count()) &&
      *number <= static_cast<std::uint64_t>(max.count())) {
    return milliseconds(static_cast<std::int64_t>(*number));
  }
  if (number) return problem(codes::kOutOfRange, in_quotes(text) + " is out of range", wanted);
  std::string hint = "a whole number and a unit, like 200ms, 2s or 5m";
  if (!text.empty() && digits_of(text) == text.size())
    hint = "add a unit: " + std::string(text.substr(0, 18)) + "ms or " + std::string(text.substr(0, 18)) + "s";
  if (!text.empty() && text.back() == 'h') hint = "hours are written in minutes: 60m";
  if (text.find('.') != std::string_view::npos) hint = "write fractions in the smaller unit: 1500ms for 1.5 s";
  return problem(codes::kBadDuration, in_quotes(text) + " is not a duration", hint);
}

Parsed<std::uint64_t> parse_size(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const std::optional<std::uint64_t> number = parse_with_unit(text, kSizeUnits);
  if (number && *number >= min && *number <= max) return *number;
  if (number) {
    return problem(codes::kOutOfRange, in_quotes(text) + " is out of range", range(print_size(min), print_size(max)));
  }
  std::string hint = "a whole number and B, KiB or MiB, like 64KiB";
  if (!text.empty() && digits_of(text) == text.size()) hint = "add a unit: B, KiB or MiB";
  return problem(codes::kBadSize, in_quotes(text) + " is not a size", hint);
}

Parsed<Percent> parse_percent(std::string_view text) {
  const auto bad = [&](std::string hint) {
    return problem(codes::kBadPercent, in_quotes(text) + " is not a percentage", std::move(hint));
  };
  if (!text.empty() && text.back() == '%') return bad("write the number alone, without '%'");
  const std::size_t whole_digits = digits_of(text);
  const std::optional<std::uint64_t> whole = to_number(text.substr(0, whole_digits));
  std::string_view decimals;
  if (whole_digits < text.size()) {
    decimals = text.substr(whole_digits + 1);
    if (text[whole_digits] != '.' || decimals.empty() || digits_of(decimals) != decimals.size()) {
      return bad("0 to 100, like 5 or 0.25");
    }
  }
  if (!whole) return bad("0 to 100, like 5 or 0.25");
  if (decimals.size() > 4) return bad("at most four decimals");
  std::uint64_t millionths = *whole > 100 ? 2 * Percent::kFull : *whole * (Percent::kFull / 100);
  std::uint32_t place = Percent::kFull / 100 / 10;
  for (char digit : decimals) {
    millionths += static_cast<std::uint64_t>(digit - '0') * place;
    place /= 10;
  }
  if (millionths > Percent::kFull)
    return problem(codes::kOutOfRange, in_quotes(text) + " is over 100 percent", "0 to 100");
  return Percent{static_cast<std::uint32_t>(millionths)};
}

Parsed<double> parse_decimal(std::string_view text, double limit, Limit kind) {
  constexpr std::size_t kMostDecimals = 12;
  const std::string wanted =
      std::string("above 0 and ") + (kind == Limit::kInclusive ? "at most " : "below ") + print_decimal(limit);
  const std::size_t whole_digits = digits_of(text);
  const std::string_view decimals = text.substr(std::min(text.size(), whole_digits + 1));
  const bool has_point = whole_digits < text.size();
  const bool shaped = to_number(text.substr(0, whole_digits)).has_value() &&
                      (!has_point || (text[whole_digits] == '.' && !decimals.empty() &&
                                      digits_of(decimals) == decimals.size() && decimals.size() <= kMostDecimals));
  if (!shaped) {
    return problem(codes::kBadDecimal, in_quotes(text) + " is not a number",
                   "digits and at most twelve decimals, like 2 or 0.01, " + wanted);
  }
  double number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool within = number > 0 && (kind == Limit::kInclusive ? number <= limit : number < limit);
  if (read.ec == std::errc() && within) return number;
  return problem(codes::kOutOfRange, in_quotes(text) + " is out of range", wanted);
}

Parsed<Date> parse_date(std::string_view text) {
  const bool shaped = text.size() == 10 && text[4] == '-' && text[7] == '-' && digits_of(text) == 4 &&
                      digits_of(text.substr(5)) == 2 && digits_of(text.substr(8)) == 2;
  if (!shaped) return problem(codes::kBadDate, in_quotes(text) + " is not a date", "write YYYY-MM-DD, like 2027-03-31");
  const auto number = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const Date date{std::chrono::year(number(0, 4)), std::chrono::month(static_cast<unsigned>(number(5, 2))),
                  std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!date.ok()) return problem(codes::kBadDate, in_quotes(text) + " is a day that does not exist", "");
  return date;
}

Parsed<bool> parse_bool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return problem(codes::kBadBool, in_quotes(text) + " is neither true nor false", "write true or false");
}

std::string print_duration(milliseconds duration) {
  return print_with_unit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

std::string print_decimal(double number) {
  std::array<char, 400> text;  // the longest double in this form has 327 characters
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed).ptr;
  return std::string(text.data(), end);
}
std::string print_size(std::uint64_t bytes) { return print_with_unit(bytes, kSizeUnits); }

std::string print_date(const Date& date) {
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  return two_digits(year / 100 % 100) + two_digits(year % 100) + '-' + two_digits(static_cast<unsigned>(date.month())) +
         '-' + two_digits(static_cast<unsigned>(date.day()));
}

}  // namespace ficus::parsing
