#include "facade/wire/inflate.h"

#include <algorithm>
#include <limits>

#include <zlib.h>

namespace ficus {
namespace {

constexpr int kZlibWindow = 15;        // RFC 1950
constexpr int kGzipWindow = 15 + 16;   // RFC 1952 only
constexpr std::size_t kFirstChunkBytes = 4096;

class Inflater {
 public:
  explicit Inflater(int window_bits) { ok_ = inflateInit2(&stream_, window_bits) == Z_OK; }
  ~Inflater() {
    if (ok_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  bool ok() const { return ok_; }
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
  bool ok_ = false;
};

}  // namespace

Result<std::string, InflateError> inflate_message(std::string_view bytes, std::string_view encoding,
                                                  std::size_t limit_bytes) {
  const bool gzip = encoding == "gzip";
  if (!gzip && encoding != "deflate") {
    // "identity" with the compressed flag set is the sender's mistake: nothing says how to read the bytes.
    return fail(encoding.empty() || encoding == "identity" ? InflateError::kMalformed : InflateError::kUnknownEncoding);
  }
  if (bytes.size() > std::numeric_limits<uInt>::max()) return fail(InflateError::kTooLarge);
  Inflater inflater(gzip ? kGzipWindow : kZlibWindow);
  if (!inflater.ok()) return fail(InflateError::kTooLarge);  // out of memory
  z_stream& stream = inflater.stream();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());

  std::string out;
  std::size_t used = 0;
  for (;;) {
    if (used == out.size()) {
      // One byte beyond the limit tells "exactly the limit" from "more".
      if (used > limit_bytes) return fail(InflateError::kTooLarge);
      out.resize(std::min(limit_bytes + 1, std::max(kFirstChunkBytes, out.size() * 2)));
    }
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size() - used, std::numeric_limits<uInt>::max()));
    const uInt offered = stream.avail_out;
    const int status = inflate(&stream, Z_NO_FLUSH);
    used += offered - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      if (!gzip || inflateReset(&stream) != Z_OK) return fail(InflateError::kMalformed);  // another member, or garbage
      continue;
    }
    if (status == Z_MEM_ERROR) return fail(InflateError::kTooLarge);
    if (status != Z_OK && status != Z_BUF_ERROR) return fail(InflateError::kMalformed);
    if (stream.avail_out != 0 && stream.avail_in == 0) return fail(InflateError::kMalformed);  // cut off
  }
  if (used > limit_bytes) return fail(InflateError::kTooLarge);
  out.resize(used);
  return out;
}

}  // namespace ficus
