// The business key of one request message that was captured whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "routing/decision.h"
#include "routing/route_table.h"

namespace ficus {

// The key that `method` names in `message` (without its prefix; `encoding` is grpc-encoding where it is compressed), or
// why there is none. `limit_bytes` bounds the message, inflated too. Any thread.
Result<std::string, NoKey> key_of_message(std::string_view message, bool compressed, std::string_view encoding,
                                          const MethodEntry& method, std::size_t limit_bytes);

}  // namespace ficus
