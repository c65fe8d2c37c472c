// Whole relay sessions, bytes in at the sockets of both ends: relay_session.h says how an input is read and judged.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/relay_session.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static ficus::fuzz::RelaySessions sessions;
  sessions.play({reinterpret_cast<const char*>(data), size});
  return 0;
}
