// The key scan: any bytes as a message, and a path of fields taken from the first of them. What must hold: nothing is
// read out of bounds; equal input gives an equal answer; a message written twice in a row is the message merged with
// itself, which has the same key (or the same lack of one).
//
// Input: one byte leaf, one byte depth, a byte for each field number, then the message.
#include <algorithm>
#include <string>
#include <string_view>

#include "routing/key_scan.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ficus;
  if (size < 2) return 0;
  KeyPath path;
  path.leaf = static_cast<KeyLeaf>(data[0] % 12);
  const std::size_t depth = std::min<std::size_t>(1 + data[1] % 4, size - 2);
  for (std::size_t i = 0; i < depth; ++i) path.field_numbers.push_back(1 + data[2 + i] % 32);
  if (path.field_numbers.empty()) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data) + 2 + depth, size - 2 - depth);

  const auto key = scan_key(message, path);
  FUZZ_CHECK(key == scan_key(message, path));
  if (!key) {
    FUZZ_CHECK(key.error() == NoKey::kUnset || key.error() == NoKey::kMalformed);
    if (key.error() == NoKey::kMalformed) return 0;
  } else {
    FUZZ_CHECK(!key->empty());
    FUZZ_CHECK(path.leaf == KeyLeaf::kBytes || *key != "0");
  }
  FUZZ_CHECK(scan_key(std::string(message) + std::string(message), path) == key);
  return 0;
}
