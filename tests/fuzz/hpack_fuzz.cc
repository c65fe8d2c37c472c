// Header compression, receiving side, beside nghttp2's: both find a block broken, or both read the same fields from it;
// and ours gives the same whole and in pieces, and within any list limit. What was read is written again and read back.
//
// Input: blocks of one connection, each a length byte (255: the rest) and that many bytes. After a broken block the
// connection is over.
// Where the two differ rightly: nghttp2 takes any number of size updates at the head of a block; we take two, which is
// all that RFC 7541 4.2 lets an encoder send. (Strings over 64 kB, which nghttp2 breaks on and we skip, do not fit
// here.)
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "facade/h2/hpack_decoder.h"
#include "facade/h2/hpack_encoder.h"
#include "fuzz_check.h"

namespace {

using ficus::HeaderBlock;
using ficus::HpackDecoder;
using ficus::HpackEncoder;

constexpr std::size_t kNoLimit = std::size_t{1} << 40;
constexpr std::size_t kSmallLimit = 100;

struct Field {
  std::string name, value;
  bool never_index = false;
  bool operator==(const Field&) const = default;
};
using List = std::vector<Field>;

List plain(const HeaderBlock& block) {
  List list;
  for (const auto& field : block.fields()) {
    list.push_back({std::string(field.name), std::string(field.value), field.never_index});
  }
  return list;
}

bool inflate(nghttp2_hd_inflater* inflater, std::string_view block, List& list) {
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t n = nghttp2_hd_inflate_hd2(inflater, &field, &flags,
                                             reinterpret_cast<const std::uint8_t*>(block.data()), block.size(), 1);
    if (n < 0) return false;
    block.remove_prefix(static_cast<std::size_t>(n));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      list.push_back({std::string(reinterpret_cast<char*>(field.name), field.namelen),
                      std::string(reinterpret_cast<char*>(field.value), field.valuelen),
                      (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater);
  return true;
}

bool decode(HpackDecoder& decoder, std::string_view block, std::size_t piece, std::size_t limit, HeaderBlock& into) {
  bool ok = true;
  do {
    const std::string fragment(block.substr(0, piece));
    block.remove_prefix(fragment.size());
    ok = decoder.decode(fragment, block.empty(), limit, into) == HpackDecoder::Outcome::kOk;
  } while (!block.empty());
  return ok;
}

bool begins_with_three_updates(std::string_view block) {
  for (int i = 0; i < 3; ++i) {
    if (block.empty() || (block[0] & 0xe0) != 0x20) return false;
    const bool more = (block[0] & 0x1f) == 0x1f;
    block.remove_prefix(1);
    while (more && !block.empty() && (block[0] & 0x80) != 0) block.remove_prefix(1);
    if (more && !block.empty()) block.remove_prefix(1);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  nghttp2_hd_inflater* inflater = nullptr;
  FUZZ_CHECK(nghttp2_hd_inflate_new(&inflater) == 0);
  HpackDecoder whole, bytewise, limited, reader;
  HpackEncoder writer;
  while (!input.empty()) {
    const std::size_t length = static_cast<unsigned char>(input[0]);
    const std::string_view block = input.substr(1, length == 255 ? std::string_view::npos : length);
    input.remove_prefix(1 + block.size());

    List theirs;
    const bool they_accept = inflate(inflater, block, theirs);
    HeaderBlock ours, ours_bytewise, ours_limited;
    const bool accepted = decode(whole, block, block.size() + 1, kNoLimit, ours);
    FUZZ_CHECK(decode(bytewise, block, 1, kNoLimit, ours_bytewise) == accepted);
    FUZZ_CHECK(decode(limited, block, 3, kSmallLimit, ours_limited) == accepted);
    FUZZ_CHECK(plain(ours) == plain(ours_bytewise));
    FUZZ_CHECK(ours_limited.list_bytes() <= kSmallLimit);
    if (!accepted) {
      FUZZ_CHECK(!they_accept || begins_with_three_updates(block));
      break;
    }
    FUZZ_CHECK(they_accept);
    const List fields = plain(ours);
    FUZZ_CHECK(fields == theirs);
    FUZZ_CHECK(whole.table_bytes() == bytewise.table_bytes() && whole.table_bytes() == limited.table_bytes());
    FUZZ_CHECK(limited.too_large() == (ours.list_bytes() > kSmallLimit));
    const List few = plain(ours_limited);
    FUZZ_CHECK(few.size() <= fields.size() && std::equal(few.begin(), few.end(), fields.begin()));

    ficus::OutBlockPool pool;
    ficus::OutBuffer out(pool);
    writer.encode(ours, out);
    HeaderBlock again;
    FUZZ_CHECK(
        decode(reader, {reinterpret_cast<const char*>(out.data()), out.size()}, out.size() + 1, kNoLimit, again));
    List back = plain(again);
    FUZZ_CHECK(back.size() == fields.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
      // Credentials become never-indexed on their way.
      FUZZ_CHECK(back[i].never_index || !fields[i].never_index);
      back[i].never_index = fields[i].never_index;
    }
    FUZZ_CHECK(back == fields);
  }
  nghttp2_hd_inflate_del(inflater);
  return 0;
}
