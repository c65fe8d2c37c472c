// The gRPC frame reader: the same bytes give the same messages whole and one byte at a time, and never more bytes than
// went in.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "facade/wire/grpc_frame.h"

namespace {

struct Recorder : ficus::GrpcFrameReader::Sink {
  void on_message_begin(bool compressed, std::uint32_t length) override {
    seen += compressed ? "C" : "P";
    seen += std::to_string(length);
    left = length;
  }
  void on_message_bytes(std::string_view piece) override {
    if (piece.empty() || piece.size() > left) std::abort();
    left -= piece.size();
    total += piece.size();
    bytes += piece;
  }
  void on_message_end() override {
    if (left != 0) std::abort();
    seen += ".";
  }
  std::string seen, bytes;
  std::uint64_t left = 0, total = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Recorder whole, bytewise;
  ficus::GrpcFrameReader a, b;
  const bool accepted = a.feed(input, whole);
  bool accepted_bytewise = true;
  for (const char& byte : input) accepted_bytewise = b.feed({&byte, 1}, bytewise);
  if (accepted != accepted_bytewise || whole.seen != bytewise.seen || whole.bytes != bytewise.bytes) std::abort();
  if (a.at_boundary() != b.at_boundary() || whole.total > size) std::abort();
  // Skipped in two pieces, cut anywhere.
  ficus::GrpcFrameReader skipped;
  const std::size_t cut = size == 0 ? 0 : data[size - 1] % (size + 1);
  skipped.skip(input.substr(0, cut));
  if (skipped.skip(input.substr(cut)) != accepted || skipped.at_boundary() != a.at_boundary()) std::abort();
  return 0;
}
