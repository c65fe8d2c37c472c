#include "facade/cli/answer_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <istream>
#include <string_view>
#include <system_error>
#include <utility>

#include "facade/cli/output.h"
#include "facade/wire/grpc_frame.h"

namespace ficus {
namespace {

std::string size_text(std::uint64_t bytes) {
  if (bytes >= 1u << 20 && bytes % (1u << 20) == 0) return std::to_string(bytes >> 20) + " MiB";
  return std::to_string(bytes) + " bytes";
}

std::string too_large(const std::string& name, std::uint64_t limit_bytes) {
  return name + " holds more than " + size_text(limit_bytes) + ", which no answer that is compared does";
}

Result<std::string, std::string> read_all(std::istream& in, const std::string& name, std::uint64_t limit_bytes) {
  std::string bytes;
  std::array<char, 64 * 1024> piece;
  while (in.good()) {
    in.read(piece.data(), piece.size());
    bytes.append(piece.data(), static_cast<std::size_t>(in.gcount()));
    if (bytes.size() > limit_bytes) return fail(too_large(name, limit_bytes));
  }
  if (in.bad()) return fail("cannot read " + name);
  return bytes;
}

Result<std::string, std::string> read_file(const std::string& path, std::uint64_t limit_bytes) {
  const std::string name = printable(path);
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) return fail(name + " is a directory; give a file with one answer");
  if (!std::filesystem::exists(status)) return fail("cannot read " + name + ": " + error.message());
  // What is no regular file may be a pipe (`<(...)`), which has no size before it is read.
  if (std::filesystem::is_regular_file(status)) {
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (!error && size > limit_bytes) return fail(too_large(name, limit_bytes));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail("cannot read " + name + ": " + std::generic_category().message(errno));
  return read_all(file, name, limit_bytes);
}

class FrameCollector : public GrpcFrameReader::Sink {
 public:
  void on_message_begin(bool compressed, std::uint32_t length) override {
    messages.push_back({{}, compressed});
    announced = length;
    in_message = true;
  }
  void on_message_bytes(std::string_view piece) override { messages.back().bytes += piece; }
  void on_message_end() override { in_message = false; }

  std::vector<ObservedMessage> messages;
  std::uint32_t announced = 0;  // bytes of the last message, by its prefix
  bool in_message = false;
};

Result<std::vector<ObservedMessage>, std::string> take_frames(std::string_view bytes, const std::string& name) {
  GrpcFrameReader reader;
  FrameCollector frames;
  if (!reader.feed(bytes, frames)) {
    const std::string where =
        frames.messages.empty() ? "begins" : "goes on after message " + std::to_string(frames.messages.size());
    return fail(name + " " + where +
                " with a byte that no gRPC frame begins with; leave --framed out for one bare message");
  }
  if (frames.in_message) {
    return fail(name + " is cut off in message " + std::to_string(frames.messages.size()) + ": " +
                std::to_string(frames.messages.back().bytes.size()) + " of its " + std::to_string(frames.announced) +
                " bytes are there; leave --framed out if it is one bare message");
  }
  if (!reader.at_boundary()) {
    return fail(name + " is cut off in the " + std::to_string(kGrpcPrefixBytes) + " bytes before message " +
                std::to_string(frames.messages.size() + 1) + "; leave --framed out if it is one bare message");
  }
  return std::move(frames.messages);
}

}  // namespace

Result<std::vector<ObservedMessage>, std::string> read_answer_file(const std::string& path, AnswerFormat format,
                                                                   std::istream* in, std::uint64_t limit_bytes) {
  const bool from_stdin = path == "-";
  Result<std::string, std::string> bytes;
  if (!from_stdin) {
    bytes = read_file(path, limit_bytes);
  } else if (in != nullptr) {
    bytes = read_all(*in, "standard input", limit_bytes);
  }
  if (!bytes) return fail(std::move(bytes.error()));
  if (format == AnswerFormat::kFramed) return take_frames(*bytes, from_stdin ? "standard input" : printable(path));
  std::vector<ObservedMessage> messages;
  messages.push_back({*std::move(bytes), false});
  return messages;
}

}  // namespace ficus
