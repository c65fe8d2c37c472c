// Flow control, the order of what is sent, and heads of more than one frame.
#include <gtest/gtest.h>

#include "h2_engine_support.h"

namespace ficus::test {
namespace {

std::size_t data_bytes(const std::vector<Frame>& frames, std::uint32_t id) {
  std::size_t bytes = 0;
  for (const Frame& f : frames) {
    if (f.type == FrameType::kData && f.id == id) bytes += f.payload.size();
  }
  return bytes;
}

TEST(H2EngineFlowTest, AStreamStopsAtItsWindowAndGoesOnWithAnUpdate) {
  Side side(kClient);
  side.begin(setting(SettingId::kInitialWindowSize, 10));
  auto& stream = side.open();
  stream.send_data("0123456789abcde");
  stream.send_end();
  EXPECT_EQ(data_bytes(side.take(), 1), 10u);
  EXPECT_EQ(stream.queued(), 5u);
  EXPECT_EQ(stream.sent, 10u);
  side.feed(window_update(1, 3));
  EXPECT_EQ(data_bytes(side.take(), 1), 3u);
  side.feed(window_update(1, 100));
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, "de");
  EXPECT_EQ(out[0].flags, frame_flag::kEndStream);
}

TEST(H2EngineFlowTest, AWindowBelowZeroMustBeFilledFirst) {
  Side side(kClient);
  side.begin(setting(SettingId::kInitialWindowSize, 10));
  auto& stream = side.open();
  stream.send_data("0123456789abcde");
  side.take();
  side.feed(settings(setting(SettingId::kInitialWindowSize, 4)));  // now at -6
  side.feed(window_update(1, 6));
  EXPECT_EQ(data_bytes(side.take(), 1), 0u);
  side.feed(window_update(1, 2));
  EXPECT_EQ(data_bytes(side.take(), 1), 2u);
  side.feed(settings(setting(SettingId::kInitialWindowSize, 7)));
  EXPECT_EQ(data_bytes(side.take(), 1), 3u);
}

TEST(H2EngineFlowTest, TheConnectionsWindowIsSharedInTurns) {
  Side side(kClient);
  side.begin(setting(SettingId::kInitialWindowSize, 1'000'000));
  for (int i = 0; i < 3; ++i) side.open();
  const std::string body(200'000, 'x');
  for (int i = 0; i < 3; ++i) side.at(static_cast<std::size_t>(i)).send_data(body);
  EXPECT_EQ(data_bytes(side.take(), 1), 65'535u) << "the first took what the connection had";
  side.feed(window_update(0, 6 * 16'384));
  const auto out = side.take();
  EXPECT_EQ(data_bytes(out, 1), 2u * 16'384);
  EXPECT_EQ(data_bytes(out, 3), 2u * 16'384);
  EXPECT_EQ(data_bytes(out, 5), 2u * 16'384);
  ASSERT_GE(out.size(), 4u);
  EXPECT_NE(out[0].id, out[1].id);
  EXPECT_NE(out[1].id, out[2].id);
  EXPECT_EQ(out[0].id, out[3].id);
}

TEST(H2EngineFlowTest, TheOutputLimitHoldsDataBackNotHeads) {
  H2Limits limits;
  limits.output_bytes = 1000;
  Side side(kClient, limits);
  side.begin();
  auto& stream = side.open();
  stream.send_data(std::string(5000, 'x'));
  EXPECT_EQ(side.engine.out().size(), 1000u + kFrameHeaderBytes) << "the limit, and a frame's header";
  EXPECT_LT(stream.sent, 1000u);
  side.open(kRequest, true);
  EXPECT_GT(side.engine.out().size(), 1000u + kFrameHeaderBytes);
  EXPECT_EQ(data_bytes(side.take(), 1), 5000u);
  EXPECT_EQ(stream.sent, 5000u);
}

TEST(H2EngineFlowTest, DataOfOneStreamIsOneFrameWhileNoneOfItWasTaken) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  side.take();
  stream.send_data("ab");
  stream.send_data("cd");
  stream.send_end();
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, "abcd");
  EXPECT_EQ(out[0].flags, frame_flag::kEndStream);
}

TEST(H2EngineFlowTest, AFrameOfWhichPartWasTakenIsLeftAlone) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  side.take();
  stream.send_data("ab");
  std::string wire(reinterpret_cast<const char*>(side.engine.out().data()), 1);
  side.engine.out().pop(1);
  stream.send_data("cd");
  wire += std::string(reinterpret_cast<const char*>(side.engine.out().data()), side.engine.out().size() - 1);
  side.engine.out().pop(side.engine.out().size() - 1);
  stream.send_end();
  wire += side.take_bytes();
  const auto out = Side::frames(wire);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].payload, "ab");
  EXPECT_EQ(out[1].payload, "cd");
  EXPECT_EQ(out[1].flags, 0);
  EXPECT_EQ(out[2].payload, "");
  EXPECT_EQ(out[2].flags, frame_flag::kEndStream);
}

TEST(H2EngineFlowTest, AnotherStreamsFrameInBetweenEndsMerging) {
  Side side(kClient);
  side.begin();
  auto& one = side.open();
  auto& two = side.open();
  side.take();
  one.send_data("a");
  two.send_data("b");
  one.send_data("c");
  one.send_end();
  const auto out = side.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[2].payload, "c");
  EXPECT_EQ(out[2].flags, frame_flag::kEndStream);
  EXPECT_EQ(out[0].flags, 0);
}

TEST(H2EngineFlowTest, AMergedFrameStaysWithinTheFrameSize) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  side.take();
  for (int i = 0; i < 5; ++i) stream.send_data(std::string(5000, 'x'));
  for (const Frame& f : side.take()) EXPECT_LE(f.payload.size(), kDefaultMaxFrameBytes);
}

TEST(H2EngineFlowTest, CreditComesInHalvesOfTheWindow) {
  Side side(kServer);
  side.consume = false;
  side.begin();
  const std::uint32_t window = side.limits.stream_window_bytes;
  side.feed(head(1, kRequest));
  for (std::uint32_t i = 0; i < window / 16'384; ++i) ASSERT_TRUE(side.feed(data(1, std::string(16'384, 'x'))));
  EXPECT_TRUE(side.take().empty()) << "credit is the owner's to give";
  side.at(0).H2StreamBase::consume(window / 2 - 1);
  EXPECT_TRUE(side.take().empty());
  side.at(0).H2StreamBase::consume(1);
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].type, FrameType::kWindowUpdate);
  EXPECT_EQ(out[0].payload, u32(window / 2));
}

TEST(H2EngineFlowTest, DataBeyondAStreamsWindowResetsThatStreamOnly) {
  Side side(kServer);
  side.consume = false;
  side.begin();
  side.feed(head(1, kRequest) + head(3, kRequest));
  for (std::uint32_t i = 0; i < side.limits.stream_window_bytes / 16'384; ++i) {
    ASSERT_TRUE(side.feed(data(1, std::string(16'384, 'x'))));
  }
  EXPECT_TRUE(side.feed(data(1, "x")));
  EXPECT_EQ(side.log.back(), "1 gone reset FLOW_CONTROL_ERROR");
  EXPECT_TRUE(side.feed(data(3, "x", true)));
  EXPECT_EQ(side.log.back(), "2 end");
}

TEST(H2EngineFlowTest, BeforeOurSettingsAreAcknowledgedTheDefaultWindowHolds) {
  H2Limits limits;
  limits.stream_window_bytes = 100;
  Side side(kServer, limits);
  side.consume = false;
  side.engine.start();
  side.feed(std::string(kClientPreface) + settings());
  EXPECT_TRUE(side.feed(head(1, kRequest) + data(1, std::string(1000, 'x'))));
  EXPECT_EQ(side.at(0).received.size(), 1000u);
  side.feed(frame(FrameType::kSettings, frame_flag::kAck, 0) + data(1, "x"));
  EXPECT_EQ(side.log.back(), "1 gone reset FLOW_CONTROL_ERROR");
}

TEST(H2EngineFlowTest, WindowsBeyondTheLargestAreErrors) {
  Side side(kClient);
  side.begin();
  side.open();
  EXPECT_TRUE(side.feed(window_update(1, 0x7fff'ffff)));
  EXPECT_EQ(side.log.back(), "1 gone reset FLOW_CONTROL_ERROR");
  EXPECT_FALSE(side.feed(window_update(0, 0x7fff'ffff)));
  EXPECT_EQ(side.log.back(), "connection FLOW_CONTROL_ERROR");
}

TEST(H2EngineFlowTest, AWindowThatOverflowsBetweenTwoEntriesOfOneFrameIsAnError) {
  for (const std::uint32_t between : {0x7ffffffeu, 0x7fffffffu}) {
    Side side(kClient);
    side.begin();
    side.open();
    side.feed(window_update(1, 1) + settings(setting(SettingId::kInitialWindowSize, 100)));
    const std::string there_and_back =
        setting(SettingId::kInitialWindowSize, between) + setting(SettingId::kInitialWindowSize, 100);
    EXPECT_EQ(side.feed(settings(there_and_back)), between == 0x7ffffffeu) << between;
  }
}

TEST(H2EngineFlowTest, PaddingIsGivenBackAndNotTold) {
  H2Limits limits;
  limits.stream_window_bytes = 400;
  Side side(kServer, limits);
  side.consume = false;
  side.begin();
  side.feed(head(1, kRequest));
  side.feed(frame(FrameType::kData, frame_flag::kPadded, 1, "\xc8" + std::string("ab") + std::string(200, '\0')));
  EXPECT_EQ(side.log.back(), "1 data ab");
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, u32(201));
}

TEST(H2EngineFlowTest, AHeadOfMoreThanOneFrameGoesBothWays) {
  List list = kRequest;
  for (int i = 0; i < 50; ++i) list.emplace_back("x-" + std::to_string(i), std::string(1000, 'v'));
  Side client(kClient);
  client.begin();
  client.open(list, true);
  const std::string bytes = client.take_bytes();
  const auto frames = Side::frames(bytes);
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[0].flags, frame_flag::kEndStream);
  EXPECT_EQ(frames[1].type, FrameType::kContinuation);
  EXPECT_EQ(frames[2].flags, 0);
  EXPECT_EQ(frames[3].flags, frame_flag::kEndHeaders);
  Side server(kServer);
  server.begin();
  ASSERT_TRUE(server.feed(bytes));
  ASSERT_EQ(server.log.size(), 1u);
  EXPECT_EQ(server.log[0], "1 head " + text_of(header_block(list)) + " end");
}

}  // namespace
}  // namespace ficus::test
