// Waiting for a condition with a limit, in place of sleeping. Every wait of the e2e tests goes through here or through
// a condition variable with the same limit, so that a hang is a failure with a line number and never a ctest timeout.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace ficus::e2e {

// Generous: sanitizer builds on two busy cores are slow, and a test that passes never waits this long.
inline constexpr std::chrono::milliseconds kPatience{15000};
// How long a test watches for something that must NOT happen. It can only miss a failure, never invent one.
inline constexpr std::chrono::milliseconds kQuiet{300};

// Asks again every two milliseconds until `condition` holds or `limit` has passed; gives its last answer. Any thread.
inline bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit = kPatience) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// True if `condition` held all the while. For what must not happen.
inline bool stays(const std::function<bool()>& condition, std::chrono::milliseconds how_long = kQuiet) {
  return !wait_until([&] { return !condition(); }, how_long);
}

}  // namespace ficus::e2e
