// Values of flags: what each kind may be, and the one form in which a wrong one is refused, by every command:
//   --log-level: "inof" is not allowed; give debug, info, warn or error (did you mean "info"?)
// which names the flag, what was given, what is allowed, and where it is known what is wrong or was meant. CLI11's own
// readers are not used: they take the number behind a word (--log-level 0), octal numbers and blanks.
// Reading is pure; main thread only for the rest.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/App.hpp>

#include "routing/result.h"

namespace ficus {

// Why a value is refused.
struct WrongValue {
  std::string allowed;  // "debug, info, warn or error"
  std::string hint;     // what is wrong with this one, or what may be meant; may be empty
};
template <class T>
using FlagValue = Result<T, WrongValue>;

// `"GIVEN" is not allowed; give ALLOWED (HINT)`, fit for a terminal whatever was given.
std::string wrong_value(std::string_view given, const WrongValue& wrong);
// The same, thrown as CLI11 wants it, with the flag before it. For values that are judged after all are parsed.
[[noreturn]] void throw_wrong_value(const std::string& flag, std::string_view given, const WrongValue& wrong);

// ---- reading ----
// Digits, up to three decimals (and zeros behind them), and ms, s, m, h or d right behind them; alone they are seconds.
// From 0 to `max`, in whole milliseconds: 0.1ms is refused, since 0 often means "never".
FlagValue<std::chrono::milliseconds> read_flag_time(std::string_view text, std::chrono::milliseconds max);
// Digits, and KiB, MiB, GiB or TiB (powers of 1024; kB, MB, ... of 1000; in any case, with or without the B) right
// behind them; alone they are bytes.
FlagValue<std::uint64_t> read_flag_size(std::string_view text, std::uint64_t min, std::uint64_t max);
// Digits only.
FlagValue<std::uint64_t> read_flag_count(std::string_view text, std::uint64_t min, std::uint64_t max);
// One of `words` as it is written there: its index. Precondition: there are words.
FlagValue<std::size_t> read_flag_word(std::string_view text, const std::vector<std::string_view>& words);

// Service and method, as grpcurl and Envoy's logs write them: with or without the leading slash.
FlagValue<std::pair<std::string, std::string>> read_flag_method(std::string_view text);

// ---- flags ----
// Each adds a flag whose default, shown in --help, is what stands in `to`. `to` outlives the parsing.
CLI::Option* add_time_flag(CLI::App& command, const std::string& name, std::chrono::milliseconds& to,
                           const std::string& what, std::chrono::milliseconds max);
CLI::Option* add_size_flag(CLI::App& command, const std::string& name, std::uint64_t& to, const std::string& what,
                           std::uint64_t min, std::uint64_t max);

CLI::Option* add_count_flag(CLI::App& command, const std::string& name, std::uint64_t now, const std::string& what,
                            std::uint64_t min, std::uint64_t max, std::function<void(std::uint64_t)> set);
template <class T>
CLI::Option* add_count_flag(CLI::App& command, const std::string& name, T& to, const std::string& what, T min, T max) {
  static_assert(std::numeric_limits<T>::is_integer && !std::numeric_limits<T>::is_signed);
  return add_count_flag(command, name, std::uint64_t{to}, what, std::uint64_t{min}, std::uint64_t{max},
                        [&to](std::uint64_t number) { to = static_cast<T>(number); });
}

CLI::Option* add_word_flag(CLI::App& command, const std::string& name, const std::string& what,
                           std::vector<std::string_view> words, std::size_t now, std::function<void(std::size_t)> set);
// `words`: static texts and what each stands for, the default among them.
template <class T>
CLI::Option* add_word_flag(CLI::App& command, const std::string& name, T& to, const std::string& what,
                           std::vector<std::pair<std::string_view, T>> words) {
  std::vector<std::string_view> texts;
  std::size_t now = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    texts.push_back(words[i].first);
    if (words[i].second == to) now = i;
  }
  return add_word_flag(command, name, what, std::move(texts), now,
                       [&to, words = std::move(words)](std::size_t index) { to = words[index].second; });
}

// A control socket: PATH or unix:PATH; `to` gets the path alone.
CLI::Option* add_control_flag(CLI::App& command, std::string& to, const std::string& what);

// A check for CLI11's Option::check(): refuses what `judge` has a hint about. For addresses, whose reader cli/ does not
// know. `judge` gives an empty text for what is right.
std::function<std::string(const std::string&)> flag_check(std::string allowed,
                                                          std::function<std::string(std::string_view)> judge);

}  // namespace ficus
