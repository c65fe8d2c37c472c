#include "routing/bucket.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace ficus {
namespace {

// XXH3-64 of `head`, a zero byte, `tail`. Short texts, nearly all of them, are joined on the stack and hashed at once,
// which is several times faster than the streaming form; both give the same number.
std::uint64_t hash_joined(std::string_view head, std::string_view tail) noexcept {
  char joined[320];
  if (head.size() + 1 + tail.size() <= sizeof joined) {
    std::memcpy(joined, head.data(), head.size());
    joined[head.size()] = '\0';
    if (!tail.empty()) std::memcpy(joined + head.size() + 1, tail.data(), tail.size());
    return XXH3_64bits(joined, head.size() + 1 + tail.size());
  }
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, head.data(), head.size());
  XXH3_64bits_update(&state, "", 1);
  XXH3_64bits_update(&state, tail.data(), tail.size());
  return XXH3_64bits_digest(&state);
}

constexpr std::string_view text_of(DigestKind kind) noexcept {
  switch (kind) {
    case DigestKind::kTenant: return "tenant";
    case DigestKind::kConsumer: return "consumer";
    case DigestKind::kKey: return "key";
  }
  return {};
}

}  // namespace

Digest digest_of(DigestKind kind, std::string_view value) noexcept { return {hash_joined(text_of(kind), value)}; }

ShareSeed share_seed_of(std::string_view salt, SharePurpose purpose) noexcept {
  return {hash_joined(salt, purpose == SharePurpose::kCanary ? "canary" : "shadow")};
}

std::uint32_t bucket_of(Digest digest, ShareSeed seed) noexcept {
  unsigned char little_endian[8];
  for (int i = 0; i < 8; ++i) little_endian[i] = static_cast<unsigned char>(digest.value >> (8 * i));
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(little_endian, sizeof little_endian, seed.value) % Percent::kFull);
}

}  // namespace ficus
