#include "facade/wire/grpc_frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ficus {
namespace {

struct Recorder : GrpcFrameReader::Sink {
  struct Message {
    bool compressed = false;
    std::uint32_t length = 0;
    std::string bytes;
    bool ended = false;
    bool operator==(const Message&) const = default;
  };
  void on_message_begin(bool compressed, std::uint32_t length) override { messages.push_back({compressed, length, "", false}); }
  void on_message_bytes(std::string_view piece) override {
    EXPECT_FALSE(piece.empty());
    messages.back().bytes += piece;
  }
  void on_message_end() override { messages.back().ended = true; }
  std::vector<Message> messages;
};

std::string frame(std::string_view bytes, bool compressed = false) {
  const auto n = static_cast<std::uint32_t>(bytes.size());
  std::string out{static_cast<char>(compressed), static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                  static_cast<char>(n >> 8), static_cast<char>(n)};
  return out.append(bytes);
}

struct Case {
  const char* name;
  std::string input;
  std::vector<Recorder::Message> want;
  bool accepted;
  bool at_boundary;
};

std::vector<Case> cases() {
  return {
      {"nothing", "", {}, true, true},
      {"an empty message", frame(""), {{false, 0, "", true}}, true, true},
      {"a compressed message", frame("zip", true), {{true, 3, "zip", true}}, true, true},
      {"two messages", frame("a") + frame("bc"), {{false, 1, "a", true}, {false, 2, "bc", true}}, true, true},
      {"a message longer than a byte can say", frame(std::string(70000, 'x')), {{false, 70000, std::string(70000, 'x'), true}}, true, true},
      {"half a prefix", frame("abc").substr(0, 3), {}, true, false},
      {"half a message", frame("abc").substr(0, 7), {{false, 3, "ab", false}}, true, false},
      {"a flag that is no flag", "\x02" + frame("abc").substr(1), {}, false, false},
      {"garbage behind a message", frame("a") + "GET / HTTP/1.1", {{false, 1, "a", true}}, false, false},
  };
}

TEST(GrpcFrameReaderTest, FindsMessagesWhole) {
  for (const Case& c : cases()) {
    Recorder seen;
    GrpcFrameReader reader;
    EXPECT_EQ(reader.feed(c.input, seen), c.accepted) << c.name;
    EXPECT_EQ(seen.messages, c.want) << c.name;
    EXPECT_EQ(reader.at_boundary(), c.at_boundary) << c.name;
    GrpcFrameReader skipping;
    EXPECT_EQ(skipping.skip(c.input), c.accepted) << c.name;
    EXPECT_EQ(skipping.at_boundary(), c.at_boundary) << c.name;
  }
}

TEST(GrpcFrameReaderTest, FindsTheSameMessagesOneByteAtATime) {
  for (const Case& c : cases()) {
    Recorder seen;
    GrpcFrameReader reader;
    bool accepted = true;
    for (const char byte : c.input) accepted = reader.feed({&byte, 1}, seen);
    EXPECT_EQ(accepted, c.accepted) << c.name;
    EXPECT_EQ(seen.messages, c.want) << c.name;
    EXPECT_EQ(reader.at_boundary(), c.at_boundary) << c.name;
  }
}

TEST(GrpcFrameReaderTest, StaysBrokenAfterGarbage) {
  Recorder seen;
  GrpcFrameReader reader;
  EXPECT_FALSE(reader.feed("\xff\xff\xff\xff\xff", seen));
  EXPECT_FALSE(reader.feed(frame("fine"), seen));
  EXPECT_TRUE(seen.messages.empty());
}

}  // namespace
}  // namespace ficus
