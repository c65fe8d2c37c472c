#include "facade/cli/flag_values.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "facade/control/control_client.h"
#include "routing/rpc_path.h"
#include "routing/spelling.h"

namespace ficus {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostDigits = 18;  // more may not fit into 64 bits
constexpr std::size_t kDecimals = 3;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits_of(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  return static_cast<std::size_t>(end - text.begin());
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string did_you_mean_exactly(const std::string& text) { return "did you mean " + in_quotes(text) + "?"; }

// What is wrong with every kind of number; empty: nothing of that.
std::string wrong_with_number(std::string_view text) {
  if (text.empty()) return "it is empty; is a variable of your script unset?";
  if (text.find_first_of(" \t\n\r\v\f") != std::string_view::npos) return "it holds a blank";
  if (text.front() == '-' || text.front() == '+') return "it has a sign";
  const std::size_t digits = digits_of(text);
  // 010 is eight in other programs, ten in others again.
  if (digits > 1 && text.front() == '0') return "it begins with a zero";
  return {};
}

// The number that all of `digits` spell; absent: none, or too many of them.
std::optional<std::uint64_t> to_number(std::string_view digits) {
  std::uint64_t number = 0;
  if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr Unit kTimeUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit kSizeUnits[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}};

// In the largest unit that leaves no rest.
template <std::size_t N>
std::string shown(std::uint64_t number, const Unit (&units)[N]) {
  if (number == 0) return "0";
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (number % unit.factor == 0) best = &unit;
  }
  return std::to_string(number / best->factor) + std::string(best->name);
}

// How a unit of time may have been meant. Empty: no idea.
std::string_view time_unit_meant(std::string_view word) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"ms", "ms"},     {"msec", "ms"},   {"millis", "ms"}, {"milliseconds", "ms"},
      {"s", "s"},       {"sec", "s"},     {"secs", "s"},    {"second", "s"},
      {"seconds", "s"}, {"m", "m"},       {"min", "m"},     {"mins", "m"},
      {"minute", "m"},  {"minutes", "m"}, {"h", "h"},       {"hr", "h"},
      {"hour", "h"},    {"hours", "h"},   {"d", "d"},       {"day", "d"},
      {"days", "d"}};
  const std::string wanted = lower(word);
  for (const auto& [text, unit] : kWords) {
    if (wanted == text) return unit;
  }
  return {};
}

// "k", "kb", "ki" or "kib" and so on up to t; absent: no unit of size.
std::optional<std::uint64_t> size_factor(std::string_view word) {
  std::string unit = lower(word);
  if (unit.empty() || unit == "b") return 1;
  if (unit.size() > 1 && unit.back() == 'b') unit.pop_back();
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  if (unit.size() != 1 && !binary) return std::nullopt;
  const std::size_t power = std::string_view("kmgt").find(unit[0]);
  if (power == std::string_view::npos) return std::nullopt;
  std::uint64_t factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= binary ? 1024 : 1000;
  return factor;
}

std::string list_of(const std::vector<std::string_view>& words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) list += i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return list;
}

// An option that hands its text to `read`, which throws what is wrong with it.
CLI::Option* add_text_flag(CLI::App& command, const std::string& name, const std::string& what,
                           std::function<void(const std::string&)> read) {
  return command.add_option_function<std::string>(name, std::move(read), what);
}

// What the flag `name` was given, or the exception that ends the parsing.
template <class T>
T value_or_throw(FlagValue<T> value, const std::string& name, const std::string& text) {
  if (!value) throw_wrong_value(name, text, value.error());
  return *std::move(value);
}

}  // namespace

std::string wrong_value(std::string_view given, const WrongValue& wrong) {
  std::string text = in_quotes(given) + " is not allowed; give " + wrong.allowed;
  if (!wrong.hint.empty()) text += " (" + wrong.hint + ")";
  return text;
}

void throw_wrong_value(const std::string& flag, std::string_view given, const WrongValue& wrong) {
  throw CLI::ValidationError(flag, wrong_value(given, wrong));
}

FlagValue<milliseconds> read_flag_time(std::string_view text, milliseconds max) {
  const auto most = static_cast<std::uint64_t>(max.count());
  const auto refuse = [&](std::string hint) {
    return fail(WrongValue{"a time from 0 to " + shown(most, kTimeUnits) + ", as 500ms, 30s or 2h", std::move(hint)});
  };
  if (std::string wrong = wrong_with_number(text); !wrong.empty()) return refuse(std::move(wrong));
  const std::size_t whole_digits = digits_of(text);
  std::string_view decimals, unit_text = text.substr(whole_digits);
  if (!unit_text.empty() && unit_text.front() == '.') {
    decimals = unit_text.substr(1, digits_of(unit_text.substr(1)));
    unit_text.remove_prefix(1 + decimals.size());
    if (decimals.empty()) return refuse("no digit follows the point");
    while (!decimals.empty() && decimals.back() == '0') decimals.remove_suffix(1);  // a script's 2.000000
  }
  if (whole_digits == 0) return refuse("it does not begin with a digit");
  if (unit_text.empty()) unit_text = "s";
  const auto unit = std::find_if(std::begin(kTimeUnits), std::end(kTimeUnits),
                                 [&](const Unit& known) { return known.name == unit_text; });
  if (unit == std::end(kTimeUnits)) {
    const std::string_view meant = time_unit_meant(unit_text);
    if (meant.empty()) return refuse("units are ms, s, m, h and d");
    return refuse(did_you_mean_exactly(std::string(text.substr(0, text.size() - unit_text.size())).append(meant)));
  }
  if (decimals.size() > kDecimals) return refuse("it has more than three decimals");
  const std::optional<std::uint64_t> whole = to_number(text.substr(0, whole_digits));
  if (!whole || *whole > most / unit->factor) return refuse("that is more");
  std::uint64_t thousandths = decimals.empty() ? 0 : *to_number(decimals);
  for (std::size_t i = decimals.size(); i < kDecimals; ++i) thousandths *= 10;
  if (thousandths * unit->factor % 1000 != 0) return refuse("that is no whole number of milliseconds");
  const std::uint64_t number = *whole * unit->factor + thousandths * unit->factor / 1000;
  if (number > most) return refuse("that is more");
  return milliseconds(static_cast<std::int64_t>(number));
}

FlagValue<std::uint64_t> read_flag_size(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto refuse = [&](std::string hint) {
    return fail(
        WrongValue{"a size from " + shown(min, kSizeUnits) + " to " + shown(max, kSizeUnits) + ", as 64MiB or 2GiB",
                   std::move(hint)});
  };
  if (std::string wrong = wrong_with_number(text); !wrong.empty()) return refuse(std::move(wrong));
  const std::size_t digits = digits_of(text);
  if (digits == 0) return refuse("it does not begin with a digit");
  const std::string_view unit_text = text.substr(digits);
  if (!unit_text.empty() && unit_text.front() == '.')
    return refuse("write fractions in the smaller unit: 1536MiB for 1.5 GiB");
  const std::optional<std::uint64_t> factor = size_factor(unit_text);
  if (!factor) {
    const std::string_view meant = closest_word(unit_text, {"KiB", "MiB", "GiB", "TiB"});
    if (meant.empty()) return refuse("units are KiB, MiB, GiB and TiB");
    return refuse(did_you_mean_exactly(std::string(text.substr(0, digits)).append(meant)));
  }
  const std::optional<std::uint64_t> number = to_number(text.substr(0, digits));
  if (!number || *number > max / *factor) return refuse("that is more");
  if (*number * *factor < min) return refuse("that is less");
  return *number * *factor;
}

FlagValue<std::uint64_t> read_flag_count(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const auto refuse = [&](std::string hint) {
    return fail(
        WrongValue{"a whole number from " + std::to_string(min) + " to " + std::to_string(max), std::move(hint)});
  };
  if (std::string wrong = wrong_with_number(text); !wrong.empty()) return refuse(std::move(wrong));
  if (digits_of(text) != text.size()) return refuse("digits only");
  const std::optional<std::uint64_t> number = to_number(text);
  if (!number || *number > max) return refuse("that is more");
  if (*number < min) return refuse("that is less");
  return *number;
}

FlagValue<std::size_t> read_flag_word(std::string_view text, const std::vector<std::string_view>& words) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return fail(WrongValue{list_of(words), did_you_mean(lower(text), words)});
}

FlagValue<std::pair<std::string, std::string>> read_flag_method(std::string_view text) {
  const std::string path = text.starts_with('/') ? std::string(text) : '/' + std::string(text);
  const auto parsed = parse_rpc_path(path);
  if (!parsed) return fail(WrongValue{"pkg.Service/Method, with or without a leading slash", ""});
  return std::pair(std::string(parsed->service), std::string(parsed->method));
}

CLI::Option* add_time_flag(CLI::App& command, const std::string& name, milliseconds& to, const std::string& what,
                           milliseconds max) {
  const std::string now = shown(static_cast<std::uint64_t>(to.count()), kTimeUnits);
  return add_text_flag(
             command, name, what,
             [&to, name, max](const std::string& text) { to = value_or_throw(read_flag_time(text, max), name, text); })
      ->type_name("TIME")
      ->default_str(now);
}

CLI::Option* add_size_flag(CLI::App& command, const std::string& name, std::uint64_t& to, const std::string& what,
                           std::uint64_t min, std::uint64_t max) {
  return add_text_flag(command, name, what,
                       [&to, name, min, max](const std::string& text) {
                         to = value_or_throw(read_flag_size(text, min, max), name, text);
                       })
      ->type_name("SIZE")
      ->default_str(shown(to, kSizeUnits));
}

CLI::Option* add_count_flag(CLI::App& command, const std::string& name, std::uint64_t now, const std::string& what,
                            std::uint64_t min, std::uint64_t max, std::function<void(std::uint64_t)> set) {
  return add_text_flag(command, name, what,
                       [name, min, max, set = std::move(set)](const std::string& text) {
                         set(value_or_throw(read_flag_count(text, min, max), name, text));
                       })
      ->type_name(std::to_string(min) + ".." + std::to_string(max))
      ->default_str(std::to_string(now));
}

CLI::Option* add_word_flag(CLI::App& command, const std::string& name, const std::string& what,
                           std::vector<std::string_view> words, std::size_t now, std::function<void(std::size_t)> set) {
  std::string type;
  for (const std::string_view word : words) type.append(type.empty() ? "" : "|").append(word);
  const std::string default_word(words.at(now));
  return add_text_flag(command, name, what,
                       [name, words = std::move(words), set = std::move(set)](const std::string& text) {
                         set(value_or_throw(read_flag_word(text, words), name, text));
                       })
      ->type_name(type)
      ->default_str(default_word);
}

CLI::Option* add_control_flag(CLI::App& command, std::string& to, const std::string& what) {
  CLI::Option* option = add_text_flag(command, "--control", what, [&to](const std::string& text) {
    auto path = parse_control_path(text);
    if (!path) throw_wrong_value("--control", text, {"a Unix socket's path, as /run/ficus/control.sock", path.error()});
    to = *std::move(path);
  });
  option->type_name("PATH");
  return to.empty() ? option : option->default_str(to);
}

std::function<std::string(const std::string&)> flag_check(std::string allowed,
                                                          std::function<std::string(std::string_view)> judge) {
  return [allowed = std::move(allowed), judge = std::move(judge)](const std::string& text) {
    const std::string hint = judge(text);
    return hint.empty() ? std::string() : wrong_value(text, {allowed, hint});
  };
}

}  // namespace ficus
