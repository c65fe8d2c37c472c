#include "facade/compare/tolerance.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "facade/compare/scalar_visit.h"
#include "facade/compare/schema_paths.h"

namespace ficus {
namespace {

namespace pb = google::protobuf;

// Four units in the last place: two for the values as they were rounded, the rest for our own arithmetic.
constexpr double kRoundings = 4;

// |number|, for the least of a signed type too.
template <class T>
std::uint64_t magnitude(T number) {
  const auto bits = static_cast<std::uint64_t>(number);
  if constexpr (std::is_signed_v<T>) {
    if (number < 0) return 0 - bits;
  }
  return bits;
}

// Whether a whole distance is at most `bound`.
bool at_most(std::uint64_t distance, double bound) {
  // 2^64, the first double that no distance reaches.
  if (bound >= 18446744073709551616.0) return true;
  return distance <= static_cast<std::uint64_t>(bound);
}

template <class T>
bool within(T a, T b, const ToleranceRule& rule) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(a) || !std::isfinite(b)) return false;
    const double x = a, y = b;
    const double larger = std::max(std::fabs(x), std::fabs(y));
    const double slack = kRoundings * static_cast<double>(std::numeric_limits<T>::epsilon()) * larger;
    const double bound = rule.absolute ? rule.absolute->value : rule.relative->value * larger;
    return std::fabs(x - y) - bound <= slack;  // an infinite distance stays one
  } else {
    // Wraps to the distance whatever the signs are.
    const std::uint64_t distance = a < b ? static_cast<std::uint64_t>(b) - static_cast<std::uint64_t>(a)
                                         : static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
    if (rule.absolute) return at_most(distance, rule.absolute->value);
    const auto larger = static_cast<double>(std::max(magnitude(a), magnitude(b)));
    return at_most(distance, rule.relative->value * larger * (1 + kRoundings * std::numeric_limits<double>::epsilon()));
  }
}

struct Time {
  std::int64_t seconds;
  std::int32_t nanos;
};
Time time_of(const pb::Message& message) {
  const pb::Descriptor* type = message.GetDescriptor();
  const pb::Reflection& r = *message.GetReflection();
  return {r.GetInt64(message, type->FindFieldByNumber(1)), r.GetInt32(message, type->FindFieldByNumber(2))};
}

bool times_within(Time a, Time b, std::chrono::milliseconds window) {
  if (a.seconds > b.seconds) std::swap(a, b);
  const std::uint64_t seconds = static_cast<std::uint64_t>(b.seconds) - static_cast<std::uint64_t>(a.seconds);
  // Nanos that are no part of a second make up for no more than five.
  constexpr std::uint64_t kFarMore = std::chrono::seconds(kLongestToleranceWindow).count() + 5;
  if (seconds > kFarMore) return false;
  const std::int64_t nanos =
      static_cast<std::int64_t>(seconds) * 1'000'000'000 + (static_cast<std::int64_t>(b.nanos) - a.nanos);
  return (nanos < 0 ? -nanos : nanos) <= std::chrono::nanoseconds(window).count();
}

}  // namespace

const PathRule* tolerated_numbers(const pb::Message& a, int index_a, const pb::Message& b, int index_b,
                                  const pb::FieldDescriptor* field, const PathCursor& cursor, const PathRules& rules) {
  if (!rules.tolerates() || !is_measure(field, Measure::kNumber)) return nullptr;
  return rules.tolerated(cursor.path(), Measure::kNumber, [&](const ToleranceRule& rule) {
    return with_scalar(a, index_a, field, [&](const auto& value_a) {
      return with_scalar(b, index_b, field, [&](const auto& value_b) {
        using T = std::decay_t<decltype(value_a)>;
        if constexpr (std::is_arithmetic_v<T> && std::is_same_v<T, std::decay_t<decltype(value_b)>>) {
          return within<T>(value_a, value_b, rule);
        } else {
          return false;  // never: a number, and one field has one type
        }
      });
    });
  });
}

const PathRule* tolerated_times(const pb::Message& a, const pb::Message& b, const PathCursor& cursor,
                                const PathRules& rules) {
  if (!rules.tolerates() || !is_time(a.GetDescriptor())) return nullptr;
  return rules.tolerated(cursor.path(), Measure::kTime, [&](const ToleranceRule& rule) {
    return times_within(time_of(a), time_of(b), rule.window->value);
  });
}

bool times_equal(const pb::Message& a, const pb::Message& b) {
  const Time of_a = time_of(a), of_b = time_of(b);
  return of_a.seconds == of_b.seconds && of_a.nanos == of_b.nanos;
}

double place_of_number(const pb::Message& message, int index, const pb::FieldDescriptor* field) {
  return with_scalar(message, index, field, [](const auto& value) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>) {
      const auto place = static_cast<double>(value);
      return std::isnan(place) ? std::numeric_limits<double>::infinity() : place;
    } else {
      return 0.0;  // never: a number
    }
  });
}

double place_of_time(const pb::Message& message) {
  const Time time = time_of(message);
  return static_cast<double>(time.seconds) + static_cast<double>(time.nanos) * 1e-9;
}

}  // namespace ficus
