// What a peer may cost us, and that it makes no difference how its bytes were cut up.
#include <gtest/gtest.h>

#include "h2_engine_support.h"

namespace ficus::test {
namespace {

bool told(const Side& side, std::string_view entry) {
  for (const std::string& line : side.log) {
    if (line == entry) return true;
  }
  return false;
}

// Feeds `bytes` again and again: how often they were taken, at most `most` times.
int taken(Side& side, std::string_view bytes, int most) {
  int times = 0;
  while (times < most && side.feed(bytes)) {
    side.take_bytes();
    ++times;
  }
  return times;
}

TEST(H2EngineLimitsTest, StreamsBeyondTheLimitAreRefused) {
  H2Limits limits;
  limits.max_concurrent_streams = 2;
  Side side(kServer, limits);
  side.begin();
  EXPECT_TRUE(side.feed(head(1, kRequest) + head(3, kRequest) + head(5, kRequest)));
  EXPECT_TRUE(told(side, "limit max_concurrent_streams"));
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].id, 5u);
  EXPECT_EQ(out[0].payload, u32(7));
  EXPECT_EQ(side.made.size(), 2u);
}

TEST(H2EngineLimitsTest, AHeaderListBeyondTheLimitIsItsStreamsMatterOnly) {
  H2Limits limits;
  limits.header_list_bytes = 300;
  Side side(kClient, limits);
  side.begin();
  side.open(kRequest, true);
  side.open(kRequest, true);
  List list = kResponse;
  list.emplace_back("x", std::string(500, 'x'));
  EXPECT_TRUE(side.feed(head(1, list) + head(3, kResponse, true)));
  EXPECT_EQ(side.log, (Log{"1 too large", "2 head :status=200 content-type=application/grpc end", "2 gone finished"}));
  EXPECT_TRUE(side.feed(head(1, list, true)));
  EXPECT_EQ(side.log[3], "1 too large");
  EXPECT_EQ(side.log[4], "1 gone finished");
}

TEST(H2EngineLimitsTest, AFrameLongerThanTheDefaultIsCountedAndCostsTheConnection) {
  for (const std::size_t bytes : {16384, 16385}) {
    Side side(kServer, H2Limits{});
    side.begin();
    EXPECT_EQ(side.feed(frame(static_cast<FrameType>(99), 0, 1, std::string(bytes, 'x'))), bytes == 16384) << bytes;
    EXPECT_EQ(told(side, "limit frame_bytes"), bytes != 16384) << bytes;
  }
}

TEST(H2EngineLimitsTest, AHeaderBlockWithoutEndCostsTheConnection) {
  H2Limits limits;
  limits.header_block_bytes = 100'000;
  Side side(kServer, limits);
  side.begin();
  // One string of a megabyte that goes on and on.
  std::string first = std::string("\0\x01x\x7f\x81\xff\x3f", 7) + std::string(1000, 'y');
  ASSERT_TRUE(side.feed(frame(FrameType::kHeaders, 0, 1, first)));
  EXPECT_TRUE(side.engine.inside_head());
  EXPECT_EQ(taken(side, frame(FrameType::kContinuation, 0, 1, std::string(10'000, 'y')), 1000), 9);
  EXPECT_TRUE(told(side, "limit header_block_bytes"));
  EXPECT_EQ(side.log.back(), "connection ENHANCE_YOUR_CALM");
}

TEST(H2EngineLimitsTest, ContinuationFramesAreCountedForClientsOnly) {
  H2Limits limits;
  limits.continuation_frames = 3;
  const std::string list = block(kRequest);
  const auto outcome = [&](H2Engine::Role role, std::size_t frames) {
    Side side(role, limits);
    side.begin();
    if (role == kClient) side.open(kRequest, true);
    const std::string whole = role == kClient ? block(kResponse) : list;
    std::string bytes = frame(FrameType::kHeaders, 0, 1, whole.substr(0, 1));
    for (std::size_t i = 1; i < frames; ++i) bytes += frame(FrameType::kContinuation, 0, 1, whole.substr(i, 1));
    bytes += frame(FrameType::kContinuation, frame_flag::kEndHeaders, 1, whole.substr(frames));
    const bool ok = side.feed(bytes);
    EXPECT_EQ(told(side, "limit continuation_frames"), !ok);
    return ok;
  };
  EXPECT_TRUE(outcome(kServer, 3));
  EXPECT_FALSE(outcome(kServer, 4));
  EXPECT_TRUE(outcome(kClient, 10));
}

TEST(H2EngineLimitsTest, FloodsOfAClientEndItsConnectionAndSayWhichLimit) {
  H2Limits limits;
  limits.stream_resets = limits.control_frames = limits.empty_frames = limits.stream_errors =
      limits.window_updates = {20, 1};
  const struct {
    const char* name;
    std::string before, each;
  } cases[] = {
      {"stream_resets", head(1, kRequest), rst(1, H2Error::kCancel)},
      {"control_frames", "", frame(FrameType::kPing, 0, 0, "12345678")},
      {"control_frames", "", settings()},
      {"control_frames", "", frame(FrameType::kPriority, 0, 1, std::string(5, '\1'))},
      {"control_frames", "", frame(FrameType::kGoaway, 0, 0, std::string(8, '\0'))},
      {"control_frames", "", frame(static_cast<FrameType>(99), 0, 1, "x")},
      {"empty_frames", head(1, kRequest), data(1, "")},
      {"empty_frames", head(1, kRequest), frame(FrameType::kData, frame_flag::kPadded, 1, std::string("\2\0\0", 3))},
      {"window_updates", "", window_update(0, 1)},
      {"window_updates", head(1, kRequest), window_update(1, 1)},
      {"empty_frames", frame(FrameType::kHeaders, 0, 1, block(kRequest)), frame(FrameType::kContinuation, 0, 1)},
      {"stream_errors", head(1, kRequest) + rst(1, H2Error::kCancel), data(1, "x")},
  };
  for (const auto& one : cases) {
    Side side(kServer, limits);
    side.begin();
    side.now += std::chrono::hours(1);
    ASSERT_TRUE(side.feed(one.before));
    const int first = taken(side, one.each, 1000);
    EXPECT_LE(first, 20) << one.name;
    EXPECT_GE(first, 16) << one.name;
    EXPECT_TRUE(told(side, std::string("limit ") + one.name)) << one.name;
    EXPECT_EQ(side.log.back(), "connection ENHANCE_YOUR_CALM") << one.name;
  }
}

TEST(H2EngineLimitsTest, WindowUpdatesForWhatWeSentAreNotRationed) {
  H2Limits limits;
  limits.window_updates = {20, 0};
  Side side(kServer, limits);
  side.begin();
  Side::Stream* stream = nullptr;
  side.on_head = [&](Side::Stream& opened) { stream = &opened; };
  ASSERT_TRUE(side.feed(head(1, kRequest)));
  ASSERT_NE(stream, nullptr);
  stream->head(kResponse);
  for (int message = 0; message < 100; ++message) {
    stream->send_data("x");
    side.take_bytes();
    ASSERT_TRUE(side.feed(window_update(1, 1) + window_update(0, 1))) << "of message " << message;
  }
  EXPECT_EQ(taken(side, window_update(0, 1), 1000), 18) << "with the last message's two, that nothing was sent for";
}

TEST(H2EngineLimitsTest, WindowUpdatesThatAreWaitedForAreNotRationed) {
  H2Limits limits;
  limits.window_updates = {20, 0};
  Side side(kServer, limits);
  side.begin(setting(SettingId::kInitialWindowSize, 0));
  Side::Stream* stream = nullptr;
  side.on_head = [&](Side::Stream& opened) { stream = &opened; };
  ASSERT_TRUE(side.feed(head(1, kRequest)));
  ASSERT_NE(stream, nullptr);
  stream->head(kResponse);
  stream->send_data(std::string(100, 'x'));
  std::string byte_by_byte;
  for (int i = 0; i < 100; ++i) byte_by_byte += window_update(1, 1);
  EXPECT_TRUE(side.feed(byte_by_byte));
  side.take_bytes();
  EXPECT_EQ(stream->sent, 100u);
  EXPECT_LE(taken(side, window_update(1, 1), 1000), 20) << "nothing waits any more";
}

TEST(H2EngineLimitsTest, AnUpstreamIsNotRationed) {
  H2Limits limits;
  limits.control_frames = {20, 1};
  Side side(kClient, limits);
  side.begin();
  EXPECT_EQ(taken(side, frame(FrameType::kPing, 0, 0, "12345678"), 1000), 1000);
}

TEST(H2EngineLimitsTest, AnUpstreamThatSendsNothingOverAndOverLosesThatCallOnly) {
  H2Limits limits;
  limits.empty_frames_of_call = 20;
  const struct {
    std::string before, each;
  } cases[] = {
      {"", head(1, {{":status", "103"}})},
      {head(1, kResponse), data(1, "")},
      {head(1, kResponse), frame(FrameType::kData, frame_flag::kPadded, 1, std::string("\2\0\0", 3))},
  };
  for (const auto& one : cases) {
    Side side(kClient, limits);
    side.begin();
    side.open(kRequest, true);
    side.open(kRequest, true);
    ASSERT_TRUE(side.feed(one.before));
    int sent = 0;
    while (sent < 1000 && !told(side, "1 gone reset ENHANCE_YOUR_CALM")) {
      ASSERT_TRUE(side.feed(one.each)) << "the connection went with the call";
      ++sent;
    }
    EXPECT_EQ(sent, 21);
    EXPECT_TRUE(told(side, "limit empty_frames_of_call"));
    ASSERT_TRUE(side.feed(head(3, kResponse, true))) << "another call of the connection was touched";
    EXPECT_EQ(side.log.back(), "2 gone finished");
  }
}

TEST(H2EngineLimitsTest, EmptyFramesBetweenAnUpstreamsBytesAreNotCounted) {
  H2Limits limits;
  limits.empty_frames_of_call = 2;
  Side side(kClient, limits);
  side.begin();
  side.open(kRequest, true);
  ASSERT_TRUE(side.feed(head(1, {{":status", "103"}}) + head(1, kResponse)));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(side.feed(data(1, "") + data(1, "") + data(1, "x"))) << i;
  EXPECT_FALSE(told(side, "limit empty_frames_of_call"));
}

TEST(H2EngineLimitsTest, AnUpstreamThatAsksForAcknowledgementsAndTakesNoneIsCutOff) {
  H2Limits limits;
  limits.control_output_bytes = 1000;
  const std::string asks[] = {frame(FrameType::kPing, 0, 0, "12345678"), settings()};
  for (const std::string& ask : asks) {
    Side side(kClient, limits);
    side.begin();
    int times = 0;
    while (times < 1000 && side.feed(ask)) ++times;
    EXPECT_LE(times, 1000 / static_cast<int>(kFrameHeaderBytes));
    EXPECT_GE(times, 1000 / static_cast<int>(kFrameHeaderBytes + 8));
    EXPECT_TRUE(told(side, "limit control_output_bytes"));
  }
}

TEST(H2EngineLimitsTest, AcknowledgementsThatWereTakenDoNotCountHoweverBusyTheConnection) {
  H2Limits limits;
  limits.control_output_bytes = 1000;
  Side side(kClient, limits);
  side.begin();
  for (int turn = 0; turn < 1000; ++turn) {
    side.open();  // its head stands in the output when the PING comes
    ASSERT_TRUE(side.feed(frame(FrameType::kPing, 0, 0, "12345678"))) << "turn " << turn;
    side.take_bytes();
  }
}

TEST(H2EngineLimitsTest, HeadsThatWaitForAnUpstreamAreNoReasonToCutItOff) {
  H2Limits limits;
  limits.control_output_bytes = 1000;
  Side side(kClient, limits);
  side.begin();
  for (int i = 0; i < 100; ++i) side.open();
  EXPECT_GT(side.engine.out().size(), limits.control_output_bytes);
  EXPECT_TRUE(side.feed(frame(FrameType::kPing, 0, 0, "12345678")));
}

TEST(H2EngineLimitsTest, AnswersThatNobodyTakesEndAClientsConnection) {
  H2Limits limits;
  limits.control_output_bytes = 200;
  const std::string ping = frame(FrameType::kPing, 0, 0, "12345678");
  std::string pings;
  for (int i = 0; i < 50; ++i) pings += ping;
  Side side(kServer, limits);
  side.begin();
  EXPECT_FALSE(side.feed(pings));
  EXPECT_TRUE(told(side, "limit control_output_bytes"));
  EXPECT_LT(side.engine.out().size(), 300u) << "however many came at once";
}

TEST(FloodGaugeTest, ABurstIsOneBurstAndComesBackWithTime) {
  const FloodLimit limit{10, 4};
  FloodGauge gauge;
  std::chrono::steady_clock::time_point now{std::chrono::hours(5)};
  const auto takes = [&] {
    int times = 0;
    while (times < 100 && gauge.take(limit, now)) ++times;
    return times;
  };
  EXPECT_EQ(takes(), 10);
  now += std::chrono::milliseconds(249);
  EXPECT_EQ(takes(), 0);
  now += std::chrono::milliseconds(1);
  EXPECT_EQ(takes(), 1);
  // Asked often, as much comes back as asked seldom.
  int got = 0;
  for (int i = 0; i < 1000; ++i) {
    now += std::chrono::milliseconds(1);
    got += takes();
  }
  EXPECT_EQ(got, 4);
  now += std::chrono::hours(1);
  EXPECT_EQ(takes(), 10);
}

// ---------------------------------------------------------------- cut anywhere

std::string play(H2Engine::Role role, std::string_view bytes, std::size_t piece, Log& log) {
  Side side(role);
  if (role == kClient) {
    side.on_end = [](Side::Stream& stream) { stream.send_end(); };
  } else {
    side.on_head = [](Side::Stream& stream) { stream.head(kResponse); };
    side.on_end = [](Side::Stream& stream) {
      stream.send_data(stream.received);
      stream.send_trailers(header_block(kTrailers));
    };
  }
  side.engine.start();
  if (role == kClient) {
    for (int i = 0; i < 4; ++i) side.open();
  }
  while (!bytes.empty()) {
    const std::string part(bytes.substr(0, piece));  // of its own, so that a sanitizer sees its end
    bytes.remove_prefix(part.size());
    if (!side.feed(part)) break;
  }
  log = side.log;
  return side.take_bytes();
}

TEST(H2EngineLimitsTest, BytesCutAnywhereMeanTheSame) {
  const std::string list = block(kRequest);
  const std::string padded =
      frame(FrameType::kData, frame_flag::kPadded, 3, std::string("\x03") + "abc" + std::string(3, '\0'));
  const std::string good = std::string(kClientPreface) + settings(setting(SettingId::kInitialWindowSize, 20)) +
                           head(1, kRequest) + data(1, "hello") + frame(FrameType::kHeaders, 0, 3, list.substr(0, 9)) +
                           frame(FrameType::kContinuation, frame_flag::kEndHeaders, 3, list.substr(9)) + padded +
                           data(1, std::string(100, 'x'), true) + frame(FrameType::kPing, 0, 0, "12345678") +
                           head(3, kTrailers, true) + window_update(1, 40) + rst(1, H2Error::kCancel) +
                           frame(static_cast<FrameType>(77), 1, 5, "?") + head(5, {{":method", "x"}}, true) +
                           data(3, "late");
  const std::string answer = settings() + head(1, kResponse) + data(1, "one") + data(1, "two", true) +
                             head(3, {{":status", "100"}}) + head(3, kResponse, true) + rst(5, H2Error::kCancel) +
                             head(7, kResponse) + goaway(5, H2Error::kNoError) + data(1, "late") +
                             frame(FrameType::kPing, 0, 0, "1234567");
  for (const auto role : {kServer, kClient}) {
    const std::string& bytes = role == kServer ? good : answer;
    Log whole;
    const std::string out = play(role, bytes, bytes.size(), whole);
    EXPECT_GT(whole.size(), 6u);
    for (std::size_t piece = 1; piece < 40; ++piece) {
      Log log;
      EXPECT_EQ(play(role, bytes, piece, log), out) << piece;
      EXPECT_EQ(log, whole) << piece;
    }
  }
}

}  // namespace
}  // namespace ficus::test
