// One structured line an event that a person must know: time, level, event name, key=value pairs. To stderr.
// Values are quoted where they hold spaces or quotes; control characters are escaped. Never a secret, never a value of
// a message, metadata or key (POLICY "Values are personal data"). Any thread; a line is written whole.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ficus {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
};

// `event` is a stable name in snake_case ("policy_reload_failed"); `message` a sentence with the reason and what to do.
void log_event(LogLevel level, std::string_view event, std::string_view message,
               std::initializer_list<LogField> fields = {});

// Below this level nothing is written. Default kInfo. At start only.
void set_log_level(LogLevel level);

}  // namespace ficus
