// The answering upstream as its peers see it. Frames are written out by hand here, and read back by a small reader that
// shares no code with the session.
#include "tests/bench/answer_session.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

// A namespace of its own: the frames below are written by hand, none of h2_frames.h.
namespace ficus::bench::test {
namespace {

using namespace std::string_literals;

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Frame {
  int type = 0;
  int flags = 0;
  std::uint32_t id = 0;
  std::string payload;
};
constexpr int kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoaway = 7, kWindowUpdate = 8,
              kContinuation = 9;

std::string u32(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::string frame(int type, int flags, std::uint32_t id, const std::string& payload = "") {
  std::string out = u32(static_cast<std::uint32_t>(payload.size()) << 8 | static_cast<std::uint32_t>(type));
  out.push_back(static_cast<char>(flags));
  return out + u32(id) + payload;
}

std::string setting(int name, std::uint32_t value) { return std::string{'\0', static_cast<char>(name)} + u32(value); }
std::string grpc_message(std::size_t bytes) {
  return "\0"s + u32(static_cast<std::uint32_t>(bytes)) + std::string(bytes, 'm');
}
std::string opening(const std::string& settings = "") { return kPreface + frame(kSettings, 0, 0, settings); }

// A call as a client sends it: HEADERS (any bytes, nobody decodes them), one DATA with END_STREAM.
std::string call(std::uint32_t id, std::size_t message_bytes) {
  return frame(kHeaders, 0x4, id, "\x83\x86"s) + frame(kData, 0x1, id, grpc_message(message_bytes));
}

// All frames in the output so far, which is consumed.
std::vector<Frame> take(AnswerSession& session) {
  const std::string out(session.output());
  session.consume_output(out.size());
  std::vector<Frame> frames;
  std::size_t at = 0;
  while (at < out.size()) {
    const auto byte = [&](std::size_t i) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(out.at(at + i)));
    };
    Frame next;
    const std::size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    next.type = static_cast<int>(byte(3));
    next.flags = static_cast<int>(byte(4));
    next.id = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    next.payload = out.substr(at + 9, length);
    EXPECT_EQ(next.payload.size(), length) << "a frame was cut";
    frames.push_back(next);
    at += 9 + length;
  }
  return frames;
}

std::string data_of(const std::vector<Frame>& frames, std::uint32_t id) {
  std::string out;
  for (const Frame& f : frames) {
    if (f.type == kData && f.id == id) out += f.payload;
  }
  return out;
}

bool answered(const std::vector<Frame>& frames, std::uint32_t id) {
  for (const Frame& f : frames) {
    if (f.type == kHeaders && f.id == id && (f.flags & 0x1) != 0) return true;
  }
  return false;
}

AnswerSession ready(const AnswerOptions& options = {}, const std::string& settings = "") {
  AnswerSession session(options);
  EXPECT_TRUE(session.on_bytes(opening(settings)));
  take(session);
  return session;
}

TEST(AnswerSessionTest, AnswersWithHeadMessageAndTrailersInThisOrder) {
  AnswerSession session = ready();
  ASSERT_TRUE(session.on_bytes(call(1, 100)));
  const auto frames = take(session);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].type, kHeaders);
  EXPECT_EQ(frames[0].flags, 0x4);
  EXPECT_NE(frames[0].payload.find("application/grpc"), std::string::npos);
  EXPECT_EQ(frames[1].type, kData);
  EXPECT_EQ(frames[1].payload.size(), 105u);
  EXPECT_EQ(frames[1].payload.substr(0, 5), "\0\0\0\0\x64"s);
  EXPECT_EQ(frames[2].type, kHeaders);
  EXPECT_EQ(frames[2].flags, 0x5);
  EXPECT_NE(frames[2].payload.find("grpc-status"), std::string::npos);
  EXPECT_EQ(session.calls(), 1u);
}

TEST(AnswerSessionTest, SecondAnswerNamesTheHeadersByTheirTableEntries) {
  AnswerSession session = ready();
  ASSERT_TRUE(session.on_bytes(call(1, 1) + call(3, 1)));
  const auto frames = take(session);
  ASSERT_EQ(frames.size(), 6u);
  EXPECT_EQ(frames[3].payload, "\x88\xbf");  // content-type was added before grpc-status, so it is entry 63
  EXPECT_EQ(frames[5].payload, "\xbe");
}

TEST(AnswerSessionTest, PeerWithoutHeaderTableGetsASizeUpdateOnceAndLiteralsEver) {
  AnswerSession session = ready({}, setting(1, 0));
  ASSERT_TRUE(session.on_bytes(call(1, 1) + call(3, 1)));
  const auto frames = take(session);
  ASSERT_EQ(frames.size(), 6u);
  EXPECT_EQ(frames[0].payload,
            "\x20\x88\x0f\x10\x10"
            "application/grpc");
  EXPECT_EQ(frames[3].payload,
            "\x88\x0f\x10\x10"
            "application/grpc");
  EXPECT_EQ(frames[5].payload,
            "\0\x0b"
            "grpc-status\x01"
            "0"s);
}

TEST(AnswerSessionTest, AnswersTheSameWhetherBytesComeWholeOrOneByOne) {
  const std::string bytes = opening() + call(1, 300) + frame(kPing, 0, 0, "12345678") + call(3, 20) + call(5, 0);
  AnswerSession whole({});
  ASSERT_TRUE(whole.on_bytes(bytes));
  AnswerSession split({});
  for (const char byte : bytes) ASSERT_TRUE(split.on_bytes({&byte, 1}));
  EXPECT_EQ(whole.output(), split.output());
  EXPECT_EQ(whole.calls(), 3u);
}

TEST(AnswerSessionTest, AnswerHasTheConfiguredSizeOrTheRequests) {
  for (const std::size_t bytes : {0u, 1u, 2u, 3u, 127u, 129u, 130u, 131u, 10240u, 16385u}) {
    AnswerSession echo = ready();
    ASSERT_TRUE(echo.on_bytes(frame(kHeaders, 0x4, 1) + frame(kData, 0, 1, grpc_message(bytes).substr(0, 4)) +
                              frame(kData, 0, 1, std::string(bytes / 2 + 1, 'm')) +
                              frame(kData, 0x1, 1, std::string(bytes - bytes / 2, 'm'))));
    EXPECT_EQ(data_of(take(echo), 1).size(), bytes + 5) << bytes;
    AnswerSession fixed = ready({.message_bytes = static_cast<std::int64_t>(bytes)});
    ASSERT_TRUE(fixed.on_bytes(call(1, 7)));
    const std::string message = data_of(take(fixed), 1);
    EXPECT_EQ(message.substr(0, 5), "\0"s + u32(static_cast<std::uint32_t>(bytes))) << bytes;
    EXPECT_EQ(message.size(), bytes + 5) << bytes;
  }
}

TEST(AnswerSessionTest, MessageIsProtobufWithOneBytesFieldThatFillsIt) {
  for (const std::size_t bytes : {2u, 3u, 128u, 129u, 130u, 131u, 10240u, 16386u, 16387u}) {
    AnswerSession session = ready({.message_bytes = static_cast<std::int64_t>(bytes)});
    ASSERT_TRUE(session.on_bytes(call(1, 7)));
    const std::string body = data_of(take(session), 1).substr(5);
    ASSERT_EQ(body[0], '\x0a') << bytes;
    std::size_t length = 0, at = 1;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(body.at(at++));
      length |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    EXPECT_EQ(at + length, bytes);
  }
}

TEST(AnswerSessionTest, PaddingIsNoPartOfTheMessage) {
  AnswerSession session = ready();
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x4 | 0x8, 1, "\x02\x83\0\0"s) +
                               frame(kData, 0x1 | 0x8, 1, "\x03"s + grpc_message(6) + "\0\0\0"s)));
  EXPECT_EQ(data_of(take(session), 1).size(), 11u);
}

TEST(AnswerSessionTest, HeaderBlockMayGoOnInContinuation) {
  AnswerSession session = ready();
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x1, 1, "a") + frame(kContinuation, 0, 1, "b")));
  EXPECT_TRUE(take(session).empty()) << "answered before the header block ended";
  ASSERT_TRUE(session.on_bytes(frame(kContinuation, 0x4, 1, "c")));
  EXPECT_TRUE(answered(take(session), 1));
}

TEST(AnswerSessionTest, TrailersOfTheRequestEndIt) {
  AnswerSession session = ready();
  ASSERT_TRUE(
      session.on_bytes(frame(kHeaders, 0x4, 1) + frame(kData, 0, 1, grpc_message(9)) + frame(kHeaders, 0x5, 1)));
  const auto frames = take(session);
  EXPECT_TRUE(answered(frames, 1));
  EXPECT_EQ(data_of(frames, 1).size(), 14u);
}

TEST(AnswerSessionTest, StreamWindowHoldsTheAnswerUntilItOpens) {
  AnswerSession session = ready({}, setting(4, 1000));
  ASSERT_TRUE(session.on_bytes(call(1, 10240) + call(3, 10)));
  auto frames = take(session);
  EXPECT_EQ(data_of(frames, 1).size(), 1000u);
  EXPECT_FALSE(answered(frames, 1));
  EXPECT_TRUE(answered(frames, 3)) << "one stream's window held another's answer";
  ASSERT_TRUE(session.on_bytes(frame(kWindowUpdate, 0, 1, u32(5000))));
  frames = take(session);
  EXPECT_EQ(data_of(frames, 1).size(), 5000u);
  ASSERT_TRUE(session.on_bytes(frame(kSettings, 0, 0, setting(4, 65535))));
  frames = take(session);
  EXPECT_EQ(data_of(frames, 1).size(), 10245u - 6000);
  EXPECT_TRUE(answered(frames, 1));
}

TEST(AnswerSessionTest, ConnectionWindowHoldsAllAnswersTogether) {
  AnswerSession session = ready();
  std::string calls;
  for (std::uint32_t i = 0; i < 10; ++i) calls += call(2 * i + 1, 10000);
  ASSERT_TRUE(session.on_bytes(calls));
  std::size_t sent = 0;
  for (const Frame& f : take(session)) sent += f.type == kData ? f.payload.size() : 0;
  EXPECT_EQ(sent, 65535u);
  ASSERT_TRUE(session.on_bytes(frame(kWindowUpdate, 0, 0, u32(1 << 20))));
  for (const Frame& f : take(session)) sent += f.type == kData ? f.payload.size() : 0;
  EXPECT_EQ(sent, 10u * 10005);
  EXPECT_EQ(session.calls(), 10u);
}

TEST(AnswerSessionTest, SmallerInitialWindowMayTurnAStreamsWindowNegative) {
  AnswerSession session = ready({}, setting(4, 1000));
  ASSERT_TRUE(session.on_bytes(call(1, 3000)));
  take(session);
  ASSERT_TRUE(session.on_bytes(frame(kSettings, 0, 0, setting(4, 100)) + frame(kWindowUpdate, 0, 1, u32(900))));
  EXPECT_TRUE(data_of(take(session), 1).empty()) << "RFC 9113 6.9.2: the window was -900, so it is 0";
  ASSERT_TRUE(session.on_bytes(frame(kWindowUpdate, 0, 1, u32(1))));
  EXPECT_EQ(data_of(take(session), 1).size(), 1u);
}

TEST(AnswerSessionTest, DataFramesRespectThePeersMaximum) {
  AnswerSession session = ready({.message_bytes = 50000});
  ASSERT_TRUE(session.on_bytes(call(1, 1)));
  for (const Frame& f : take(session)) EXPECT_LE(f.payload.size(), 16384u);
}

TEST(AnswerSessionTest, ResetStreamGetsNoMoreFrames) {
  AnswerSession session = ready({}, setting(4, 10));
  ASSERT_TRUE(session.on_bytes(call(1, 100) + frame(kReset, 0, 1, u32(8))));
  take(session);
  ASSERT_TRUE(session.on_bytes(frame(kWindowUpdate, 0, 1, u32(1000)) + frame(kData, 0x1, 1, "late") +
                               frame(kWindowUpdate, 0, 0, u32(1000))));
  EXPECT_TRUE(take(session).empty());
  EXPECT_EQ(session.calls(), 0u);
}

TEST(AnswerSessionTest, SettingsAndPingAreAcknowledged) {
  AnswerSession session({});
  ASSERT_TRUE(session.on_bytes(opening() + frame(kPing, 0, 0, "abcdefgh") + frame(kPing, 0x1, 0, "abcdefgh")));
  const auto frames = take(session);
  ASSERT_EQ(frames.size(),
            4u);  // our SETTINGS and window, the acknowledgement, one PING (an acknowledgement gets none)
  EXPECT_EQ(frames[0].type, kSettings);
  EXPECT_EQ(frames[2].type, kSettings);
  EXPECT_EQ(frames[2].flags, 0x1);
  EXPECT_EQ(frames[3].type, kPing);
  EXPECT_EQ(frames[3].flags, 0x1);
  EXPECT_EQ(frames[3].payload, "abcdefgh");
}

TEST(AnswerSessionTest, LongLivedStreamBesideManyShortOnesKeepsItsPlace) {
  AnswerSession session = ready();
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x4, 1)));
  for (std::uint32_t id = 3; id < 2001; id += 2) ASSERT_TRUE(session.on_bytes(call(id, 1)));
  take(session);
  ASSERT_TRUE(session.on_bytes(frame(kData, 0x1, 1, grpc_message(3))));
  EXPECT_TRUE(answered(take(session), 1));
  EXPECT_EQ(session.calls(), 1000u);
}

TEST(AnswerSessionTest, WhatIsNoHttp2EndsTheConnectionWithAGoaway) {
  const std::string huge_frame = "\x00\x40\x01\x00\x00\x00\x00\x00\x01"s;
  const struct {
    std::string name, bytes, why;
  } cases[] = {
      {"HTTP/1.1", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "preface"},
      {"no SETTINGS first", kPreface + frame(kPing, 0, 0, "12345678"), "first frame"},
      {"a frame too large", opening() + huge_frame, "MAX_FRAME_SIZE"},
      {"an even stream", opening() + frame(kHeaders, 0x5, 2), "no client may open"},
      {"stream 0", opening() + frame(kHeaders, 0x5, 0), "no client may open"},
      {"DATA nowhere", opening() + frame(kData, 0x1, 1, "x"), "never opened"},
      {"padding over the frame", opening() + frame(kHeaders, 0x4, 1) + frame(kData, 0x9, 1, "\x09 abc"), "padding"},
      {"padding without length", opening() + frame(kHeaders, 0x4, 1) + frame(kData, 0x9, 1), "padding"},
      {"HEADERS without its priority", opening() + frame(kHeaders, 0x24, 1, "abc"), "too short"},
      {"HEADERS padding", opening() + frame(kHeaders, 0xc, 1, "\x09 abc"), "padding"},
      {"an open header block", opening() + frame(kHeaders, 0x1, 1) + frame(kPing, 0, 0, "12345678"), "left open"},
      {"CONTINUATION of another", opening() + frame(kHeaders, 0x1, 1) + frame(kContinuation, 0x4, 3), "left open"},
      {"CONTINUATION alone", opening() + frame(kContinuation, 0x4, 1), "without HEADERS"},
      {"SETTINGS on a stream", opening() + frame(kSettings, 0, 1), "on a stream"},
      {"SETTINGS cut", opening() + frame(kSettings, 0, 0, "abcde"), "SETTINGS"},
      {"SETTINGS ACK with payload", opening() + frame(kSettings, 1, 0, "abcdef"), "ACK"},
      {"window too large", opening() + frame(kSettings, 0, 0, setting(4, 0x80000000)), "2^31-1"},
      {"frame size too small", opening() + frame(kSettings, 0, 0, setting(5, 100)), "out of range"},
      {"WINDOW_UPDATE of 0", opening() + frame(kWindowUpdate, 0, 0, u32(0)), "of 0"},
      {"WINDOW_UPDATE cut", opening() + frame(kWindowUpdate, 0, 0, "abc"), "WINDOW_UPDATE"},
      {"WINDOW_UPDATE nowhere", opening() + frame(kWindowUpdate, 0, 7, u32(1)), "never opened"},
      {"window overflow", opening() + frame(kWindowUpdate, 0, 0, u32(0x7fffffff)), "2^31-1"},
      {"PING cut", opening() + frame(kPing, 0, 0, "1234567"), "PING"},
      {"RST_STREAM cut", opening() + frame(kReset, 0, 1, "abc"), "RST_STREAM"},
      {"RST_STREAM nowhere", opening() + frame(kReset, 0, 1, u32(8)), "never opened"},
      {"PUSH_PROMISE", opening() + frame(5, 0x4, 1, u32(2)), "PUSH_PROMISE"},
  };
  for (const auto& c : cases) {
    AnswerSession session({});
    EXPECT_FALSE(session.on_bytes(c.bytes)) << c.name;
    EXPECT_NE(session.error().find(c.why), std::string_view::npos) << c.name << ": " << session.error();
    const auto frames = take(session);
    ASSERT_FALSE(frames.empty()) << c.name;
    EXPECT_EQ(frames.back().type, kGoaway) << c.name;
    EXPECT_FALSE(session.on_bytes(call(99, 1))) << c.name << ": it went on after its end";
    EXPECT_TRUE(take(session).empty()) << c.name;
  }
}

TEST(AnswerSessionTest, MoreStreamsThanAdvertisedEndTheConnection) {
  AnswerSession session = ready({.max_concurrent_streams = 2});
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x4, 1) + frame(kHeaders, 0x4, 3)));
  EXPECT_FALSE(session.on_bytes(frame(kHeaders, 0x4, 5)));
}

TEST(AnswerSessionTest, AnyMutationOfAConversationEndsOrGoesOnButNeverCrashes) {
  const std::string good = opening(setting(4, 500)) + call(1, 700) + frame(kWindowUpdate, 0, 1, u32(300)) + call(3, 5) +
                           frame(kPing, 0, 0, "12345678") + frame(kReset, 0, 3, u32(8));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(value);
      AnswerSession session({});
      session.on_bytes(bad);
      take(session);
    }
  }
}

TEST(AnswerSessionTest, StreamHasItsHeadAtOnceAndAMessageForEachMessageAsItComes) {
  AnswerSession session = ready({.when = AnswerWhen::kEachMessage});
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x4, 1, "\x83")));
  EXPECT_EQ(take(session).size(), 1u) << "the head waits for nothing";
  const std::string two = grpc_message(30) + grpc_message(30);
  ASSERT_TRUE(session.on_bytes(frame(kData, 0, 1, two.substr(0, 40))));
  EXPECT_EQ(data_of(take(session), 1).size(), 35u) << "one message is whole, the other is not";
  ASSERT_TRUE(session.on_bytes(frame(kData, 0, 1, two.substr(40))));
  const auto second = take(session);
  EXPECT_EQ(data_of(second, 1).size(), 35u);
  EXPECT_FALSE(answered(second, 1));
  ASSERT_TRUE(session.on_bytes(frame(kData, 0x1, 1)));
  EXPECT_TRUE(answered(take(session), 1));
  EXPECT_EQ(session.messages(), 2u);
  EXPECT_EQ(session.calls(), 1u);
}

TEST(AnswerSessionTest, StreamAnswersTheSameWhetherBytesComeWholeOrOneByOne) {
  const std::string bytes = opening() + frame(kHeaders, 0x4, 1) +
                            frame(kData, 0, 1, grpc_message(7) + grpc_message(7)) +
                            frame(kData, 0x9, 1, "\x02" + grpc_message(7) + "\0\0"s);
  AnswerSession whole({.when = AnswerWhen::kEachMessage}), split({.when = AnswerWhen::kEachMessage});
  ASSERT_TRUE(whole.on_bytes(bytes));
  for (const char byte : bytes) ASSERT_TRUE(split.on_bytes({&byte, 1}));
  EXPECT_EQ(whole.output(), split.output());
  EXPECT_EQ(whole.messages(), 3u);
}

TEST(AnswerSessionTest, StreamWaitsForWindowAndLosesNoMessage) {
  AnswerSession session = ready({.when = AnswerWhen::kEachMessage}, setting(4, 20));
  ASSERT_TRUE(session.on_bytes(frame(kHeaders, 0x4, 1) +
                               frame(kData, 0x1, 1, grpc_message(25) + grpc_message(25) + grpc_message(25))));
  auto frames = take(session);
  EXPECT_EQ(data_of(frames, 1).size(), 20u);
  EXPECT_FALSE(answered(frames, 1));
  std::string rest;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(session.on_bytes(frame(kWindowUpdate, 0, 1, u32(9))));
    frames = take(session);
    rest += data_of(frames, 1);
    if (answered(frames, 1)) break;
  }
  EXPECT_EQ(rest.size(), 70u);
  EXPECT_EQ(session.calls(), 1u);
}

TEST(AnswerSessionTest, StreamThatItCannotAnswerMessageByMessageEndsTheConnection) {
  const struct {
    const char* name;
    std::string data;
    int flags;
  } cases[] = {{"messages of different sizes", grpc_message(3) + grpc_message(4), 0},
               {"a compressed message", "\1\0\0\0\0"s, 0},
               {"an end inside a message", grpc_message(9).substr(0, 8), 1}};
  for (const auto& c : cases) {
    AnswerSession session = ready({.when = AnswerWhen::kEachMessage});
    EXPECT_FALSE(session.on_bytes(frame(kHeaders, 0x4, 1) + frame(kData, c.flags, 1, c.data))) << c.name;
    EXPECT_EQ(take(session).back().type, kGoaway) << c.name;
  }
}

TEST(AnswerSessionTest, HeldCallHasItsHeadAndTheRestOnlyWhenItIsReleased) {
  AnswerSession session = ready({.when = AnswerWhen::kWhenReleased});
  ASSERT_TRUE(session.on_bytes(call(1, 10) + frame(kHeaders, 0x4, 3)));
  EXPECT_EQ(take(session).size(), 2u);
  session.release();
  auto frames = take(session);
  EXPECT_EQ(data_of(frames, 1).size(), 15u);
  EXPECT_TRUE(answered(frames, 1));
  EXPECT_FALSE(answered(frames, 3)) << "its request has not ended";
  ASSERT_TRUE(session.on_bytes(frame(kData, 0x1, 3, grpc_message(10))));
  EXPECT_TRUE(take(session).empty()) << "it came after the release";
  session.release();
  EXPECT_TRUE(answered(take(session), 3));
  EXPECT_EQ(session.calls(), 2u);
}

}  // namespace
}  // namespace ficus::bench::test
