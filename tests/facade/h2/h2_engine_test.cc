// The life of streams and of the connection, on either side.
#include <gtest/gtest.h>

#include "h2_engine_support.h"

namespace ficus::test {
namespace {

TEST(H2EngineTest, AServerAnswersAUnaryCall) {
  Side side(kServer);
  side.begin();
  ASSERT_TRUE(side.feed(head(1, kRequest) + data(1, "hello", true)));
  side.at(0).head(kResponse);
  side.at(0).send_data("world");
  side.at(0).send_trailers(header_block(kTrailers));
  const auto out = side.take();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].type, FrameType::kHeaders);
  EXPECT_EQ(out[1].payload, "world");
  EXPECT_EQ(out[2].flags, frame_flag::kEndHeaders | frame_flag::kEndStream);
  EXPECT_EQ(side.log, (Log{"1 head :method=POST :scheme=http :path=/a.B/C te=trailers", "1 data hello", "1 end",
                           "1 gone finished"}));
  EXPECT_EQ(side.engine.streams(), 0u);
}

TEST(H2EngineTest, AClientGetsAnAnswerWithTrailers) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  stream.send_data("hello");
  stream.send_end();
  const auto out = side.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].payload, "hello");
  EXPECT_EQ(out[1].flags, frame_flag::kEndStream);
  ASSERT_TRUE(side.feed(head(1, kResponse) + data(1, "world") + head(1, kTrailers, true)));
  EXPECT_EQ(side.log, (Log{"1 head :status=200 content-type=application/grpc", "1 data world", "1 end grpc-status=0",
                           "1 gone finished"}));
}

TEST(H2EngineTest, AnInterimResponseIsNotTheAnswer) {
  Side side(kClient);
  side.begin();
  side.open(kRequest, true);
  ASSERT_TRUE(side.feed(head(1, {{":status", "100"}}) + head(1, {{":status", "103"}}) + head(1, kResponse, true)));
  EXPECT_EQ(side.log, (Log{"1 head :status=200 content-type=application/grpc end", "1 gone finished"}));
}

TEST(H2EngineTest, AnInterimResponseThatEndsTheStreamOrWouldUpgradeItIsAnError) {
  for (const std::string& bytes : {head(1, {{":status", "100"}}, true), head(1, {{":status", "101"}})}) {
    Side side(kClient);
    side.begin();
    side.open(kRequest, true);
    ASSERT_TRUE(side.feed(bytes));
    EXPECT_EQ(side.log, (Log{"stream PROTOCOL_ERROR", "1 gone reset PROTOCOL_ERROR"}));
  }
}

TEST(H2EngineTest, AnAnswerBeforeTheRequestsEndStopsTheRequest) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest));
  side.at(0).head(kResponse, true);
  const auto out = side.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].type, FrameType::kRstStream);
  EXPECT_EQ(out[1].payload, u32(0));
  EXPECT_EQ(side.log.back(), "1 gone local");
  // What was on its way is no fault.
  EXPECT_TRUE(side.feed(data(1, "late", true)));
  EXPECT_TRUE(side.take().empty());
}

TEST(H2EngineTest, AResetByThePeerIsToldWithItsCode) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest) + rst(1, H2Error::kCancel));
  EXPECT_EQ(side.log.back(), "1 gone reset CANCEL");
  // Off the connection: nothing is written any more.
  side.at(0).head(kResponse);
  side.at(0).send_data("x");
  side.at(0).send_end();
  EXPECT_TRUE(side.take().empty());
}

TEST(H2EngineTest, NoHeadIsSentBetweenAPeersResetAndReap) {
  Side side(kServer);
  side.begin();
  side.engine.receive(head(1, kRequest) + rst(1, H2Error::kCancel), side.now);
  ASSERT_FALSE(side.at(0).gone_told);
  side.at(0).head(kResponse);
  side.at(0).send_end();
  EXPECT_TRUE(side.engine.out().empty());
}

TEST(H2EngineTest, RefusedIsNeverProcessed) {
  Side side(kClient);
  side.begin();
  side.open(kRequest, true);
  side.feed(rst(1, H2Error::kRefusedStream));
  EXPECT_EQ(side.log, (Log{"1 gone never processed REFUSED_STREAM"}));
}

TEST(H2EngineTest, ResetNoErrorAfterAWholeAnswerFinishesTheStream) {
  Side side(kClient);
  side.begin();
  side.open();
  side.feed(head(1, kResponse, true) + rst(1, H2Error::kNoError));
  EXPECT_EQ(side.log.back(), "1 gone finished");
}

TEST(H2EngineTest, OurResetLeavesAtOnceAndIsToldInReap) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  side.take();
  stream.reset(H2Error::kCancel);
  EXPECT_FALSE(stream.open());
  EXPECT_FALSE(stream.gone_told);
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].payload, u32(8));
  EXPECT_EQ(side.log, (Log{"1 gone local CANCEL"}));
  stream.reset(H2Error::kCancel);
  EXPECT_TRUE(side.take().empty());
}

TEST(H2EngineTest, StreamsAreReapedInTheOrderInWhichTheyEnded) {
  Side side(kClient);
  side.begin();
  for (int i = 0; i < 3; ++i) side.open(kRequest, true);
  side.at(1).reset(H2Error::kCancel);
  side.at(2).reset(H2Error::kCancel);
  side.at(0).reset(H2Error::kCancel);
  side.engine.reap();
  EXPECT_EQ(side.log, (Log{"2 gone local CANCEL", "3 gone local CANCEL", "1 gone local CANCEL"}));
}

TEST(H2EngineTest, GoawayLeavesTheStreamsUpToItsLastId) {
  Side side(kClient);
  side.begin();
  for (int i = 0; i < 3; ++i) side.open(kRequest, true);
  side.feed(goaway(3, H2Error::kNoError));
  EXPECT_EQ(side.log, (Log{"goaway NO_ERROR", "3 gone never processed REFUSED_STREAM"}));
  EXPECT_EQ(side.engine.streams(), 2u);
  auto& late = side.make();
  EXPECT_FALSE(side.engine.open_stream(late, header_block(kRequest), true));
  side.feed(head(3, kResponse, true));
  EXPECT_EQ(side.log.back(), "2 gone finished");
}

TEST(H2EngineTest, StreamsBeyondOurGoawayAreIgnoredAndItsTablesKept) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest));
  side.engine.send_goaway_notice();
  side.feed(head(3, kRequest));
  EXPECT_EQ(side.made.size(), 2u) << "after the notice streams are still taken";
  side.engine.send_goaway(H2Error::kNoError, "");
  const auto out = side.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].payload.substr(0, 4), u32(0x7fff'ffff));
  EXPECT_EQ(out[1].payload.substr(0, 4), u32(3));
  EXPECT_TRUE(side.feed(head(5, kRequest) + data(5, "x") + rst(5, H2Error::kCancel)));
  EXPECT_EQ(side.made.size(), 2u);
  EXPECT_TRUE(side.take().empty());
}

TEST(H2EngineTest, TrailersWhoseStreamWentBeforeTheirEndOpenNoStream) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest));
  const std::string list = block(kRequest);  // what would pass for a request
  side.feed(frame(FrameType::kHeaders, frame_flag::kEndStream, 1, list.substr(0, 5)));
  side.at(0).reset(H2Error::kCancel);
  EXPECT_TRUE(side.feed(frame(FrameType::kContinuation, frame_flag::kEndHeaders, 1, list.substr(5))));
  EXPECT_EQ(side.made.size(), 1u);
  EXPECT_EQ(side.log.back(), "1 gone local CANCEL");
}

TEST(H2EngineTest, AFrameOnAStreamThatEndedEndsTheConnectionOfAClient) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest, true));
  side.at(0).head(kResponse, true);
  side.take();
  EXPECT_FALSE(side.feed(data(1, "x")));
  EXPECT_EQ(side.log.back(), "connection STREAM_CLOSED");
  EXPECT_TRUE(side.engine.over());
}

TEST(H2EngineTest, AFrameOnAStreamThatThePeerResetIsAnErrorOfThatStream) {
  Side side(kServer);
  side.begin();
  side.feed(head(1, kRequest) + rst(1, H2Error::kCancel));
  EXPECT_TRUE(side.feed(data(1, "x")));
  EXPECT_EQ(side.log.back(), "stream STREAM_CLOSED");
}

TEST(H2EngineTest, WhatAnUpstreamSaysOnAStreamThatIsNoMoreIsIgnored) {
  Side side(kClient);
  side.begin();
  side.open(kRequest, true);
  side.feed(head(1, kResponse, true));
  side.take();
  EXPECT_TRUE(side.feed(data(1, "x") + head(1, kTrailers, true) + window_update(1, 5) + rst(1, H2Error::kCancel)));
  EXPECT_TRUE(side.take().empty());
}

TEST(H2EngineTest, ContentLengthMustBeWhatComes) {
  const auto outcome = [](const char* length, const std::string& body) {
    Side side(kServer);
    side.begin();
    List list = kRequest;
    list.emplace_back("content-length", length);
    side.feed(head(1, list) + body);
    return side.log.back();
  };
  EXPECT_EQ(outcome("5", data(1, "hel") + data(1, "lo", true)), "1 end");
  EXPECT_EQ(outcome("4", data(1, "hello", true)), "1 gone reset PROTOCOL_ERROR");
  EXPECT_EQ(outcome("6", data(1, "hello", true)), "1 gone reset PROTOCOL_ERROR");
  EXPECT_EQ(outcome("6", data(1, "hello") + head(1, kTrailers, true)), "1 gone reset PROTOCOL_ERROR");
  EXPECT_EQ(outcome("five", data(1, "hello", true)), "stream PROTOCOL_ERROR") << "malformed; its DATA is ignored";
}

TEST(H2EngineTest, AMalformedHeadMakesNoStream) {
  for (const List& list : {List{{":method", "POST"}, {":scheme", "http"}}, List{{":status", "200"}},
                           List{{":method", "POST"}, {":scheme", "http"}, {":path", "a"}},
                           List{{":method", "POST"}, {":scheme", ""}, {":path", "/a"}},
                           List{{":method", "POST"}, {":scheme", "http"}, {":path", "/a b"}},
                           List{{":method", "POST"}, {":scheme", "http"}, {":path", "/a"}, {"connection", "close"}}}) {
    Side side(kServer);
    side.begin();
    EXPECT_TRUE(side.feed(head(1, list, true)));
    EXPECT_EQ(side.log, (Log{"malformed", "stream PROTOCOL_ERROR"}));
    EXPECT_EQ(side.made.size(), 0u);
  }
}

TEST(H2EngineTest, AClientsStreamIsSentAgainWhole) {
  Side side(kClient);
  side.begin();
  auto& stream = side.make();
  stream.keep(1000);
  ASSERT_TRUE(side.engine.open_stream(stream, header_block(kRequest), false));
  stream.send_data("one");
  stream.send_data("two");
  stream.send_end();
  EXPECT_EQ(side.take().back().payload, "onetwo");
  EXPECT_EQ(stream.sent, 6u);
  side.feed(rst(1, H2Error::kRefusedStream));
  ASSERT_TRUE(stream.whole());
  stream.again();
  ASSERT_TRUE(side.engine.open_stream(stream, header_block(kRequest), false));
  const auto out = side.take();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].id, 3u);
  EXPECT_EQ(out[1].payload, "onetwo");
  EXPECT_EQ(out[1].flags, frame_flag::kEndStream);
  EXPECT_EQ(stream.sent, 6u) << "bytes that were credited once are not credited again";
  side.feed(head(3, kResponse, true));
  EXPECT_EQ(side.log.back(), "1 gone finished");
}

TEST(H2EngineTest, DetachAllGivesEveryStreamOnceAndWritesNothing) {
  Side side(kClient);
  side.begin();
  for (int i = 0; i < 40; ++i) side.open();
  side.at(7).reset(H2Error::kCancel);
  side.take_bytes();
  int visited = 0;
  side.engine.detach_all([&](H2StreamBase& stream) {
    ++visited;
    EXPECT_FALSE(stream.open());
  });
  EXPECT_EQ(visited, 39);
  EXPECT_EQ(side.engine.streams(), 0u);
  side.at(0).send_data("x");
  side.at(0).reset(H2Error::kCancel);
  EXPECT_TRUE(side.engine.out().empty());
}

TEST(H2EngineTest, HeadLeftSaysWhetherTheHeadIsStillOurs) {
  Side side(kClient);
  side.begin();
  auto& stream = side.open();
  EXPECT_FALSE(side.engine.head_left(stream));
  side.engine.out().pop(1);
  EXPECT_TRUE(side.engine.head_left(stream));
}

TEST(H2EngineTest, PingsAreAnsweredAndAnswersTold) {
  Side side(kServer);
  side.begin();
  side.feed(frame(FrameType::kPing, 0, 0, "12345678"));
  const auto out = side.take();
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].flags, frame_flag::kAck);
  EXPECT_EQ(out[0].payload, "12345678");
  side.feed(frame(FrameType::kPing, frame_flag::kAck, 0, std::string("\0\0\0\0\0\0\1\0", 8)));
  EXPECT_EQ(side.log.back(), "pong 256");
}

}  // namespace
}  // namespace ficus::test
