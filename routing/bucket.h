// Sticky shares: text -> digest -> bucket. POLICY "Shares"; vectors in routing/testdata/bucket.tsv. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "routing/vocabulary.h"

namespace ficus {

enum class DigestKind : std::uint8_t { kTenant, kConsumer, kKey };
enum class SharePurpose : std::uint8_t { kCanary, kShadow };

// XXH3-64(kind, 0x00, value). Not reversible in practice for random values, but guessable for short ones: it never
// leaves the process (traces carry an HMAC instead).
struct Digest {
  std::uint64_t value = 0;
  bool operator==(const Digest&) const = default;
};
using KeyDigest = Digest;

// Any thread; no allocation; cost grows with the value's length.
Digest digest_of(DigestKind kind, std::string_view value) noexcept;

// The seed of a capability's share: XXH3-64(salt, 0x00, purpose), computed once when a policy is compiled.
struct ShareSeed {
  std::uint64_t value = 0;
  bool operator==(const ShareSeed&) const = default;
};
ShareSeed share_seed_of(std::string_view salt, SharePurpose purpose) noexcept;

// 0..999'999: XXH3-64 with `seed` of the digest's eight little-endian bytes, mod 1'000'000.
std::uint32_t bucket_of(Digest digest, ShareSeed seed) noexcept;

// Whether a bucket (or draw mod 1'000'000) lies in the share. Raising a share never moves a bucket out of it.
constexpr bool in_share(std::uint32_t bucket, Percent percent) noexcept { return bucket < percent.millionths; }

}  // namespace ficus
