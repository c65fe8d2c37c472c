#include "facade/rpc/message_key.h"

#include "facade/wire/inflate.h"

namespace ficus {

Result<std::string, NoKey> key_of_message(std::string_view message, bool compressed, std::string_view encoding,
                                          const MethodEntry& method, std::size_t limit_bytes) {
  if (!method.key_path) return fail(NoKey::kNoSchema);
  if (message.size() > limit_bytes) return fail(NoKey::kTooLong);
  if (!compressed) return scan_key(message, *method.key_path);
  const auto plain = inflate_message(message, encoding, limit_bytes);
  if (!plain) {
    switch (plain.error()) {
      case InflateError::kUnknownEncoding:
        return fail(NoKey::kUnknownEncoding);
      case InflateError::kMalformed:
        return fail(NoKey::kMalformed);
      case InflateError::kTooLarge:
        return fail(NoKey::kTooLong);
    }
  }
  return scan_key(*plain, *method.key_path);
}

}  // namespace ficus
