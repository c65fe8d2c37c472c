// Issue section 2, frame by frame, with raw HTTP/2 on both sides: what is in the messages and the metadata is not
// ficus's business and arrives as it was sent, in the same order.
#include <algorithm>

#include "tests/e2e/relay_fixture.h"
#include "tests/support/raw_h2.h"

namespace ficus::e2e {
namespace {

class RelayFramesTest : public ThroughFicus {
 protected:
  // A client whose request reached the upstream.
  void begin(HeaderList head = grpc_request(kPath), bool end_stream = false, RawH2::Options client_options = {}) {
    const std::string target = reach(upstream_.address());
    client_ = RawH2::connect(target, client_options);
    ASSERT_TRUE(client_);
    stream_ = client_->open(head, end_stream);
    const auto request = upstream_.next_request();
    ASSERT_TRUE(request) << "the request did not reach the upstream";
    server_ = request->connection;
    served_ = request->stream;
    head_ = request->head;
  }

  RawUpstream upstream_;
  std::shared_ptr<RawH2> client_, server_;
  std::uint32_t stream_ = 0, served_ = 0;
  HeaderList head_;
};
FICUS_DIRECT_AND_THROUGH(RelayFramesTest);

// The headers whose names begin so, in order.
HeaderList with_prefix(const HeaderList& headers, const std::string& prefix) {
  HeaderList found;
  std::copy_if(headers.begin(), headers.end(), std::back_inserter(found),
               [&](const auto& header) { return header.first.rfind(prefix, 0) == 0; });
  return found;
}

const HeaderList kMixed = {{"a-z", "1"}, {"a-b-bin", "AAEC"},     {"a-z", "2"}, {"a-a", ""}, {"a-b-bin", "AAED,AAEE"},
                           {"a-z", "1"}, {"a-spaces", "in  side"}};

TEST_P(RelayFramesTest, RequestMetadataKeepsItsOrderAndRepetitions) {
  ASSERT_NO_FATAL_FAILURE(begin(grpc_request(kPath, kMixed)));
  EXPECT_EQ(with_prefix(head_, "a-"), kMixed);
}

TEST_P(RelayFramesTest, ResponseMetadataAndTrailersKeepTheirOrderAndRepetitions) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_headers(served_, grpc_response(kMixed), false);
  ASSERT_TRUE(client_->wait_blocks(stream_, 1));
  server_->send_headers(served_, grpc_trailers(0, kMixed), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  const RawH2::Stream got = client_->stream(stream_);
  ASSERT_EQ(got.blocks.size(), 2u);
  EXPECT_EQ(with_prefix(got.blocks[0], "a-"), kMixed);
  EXPECT_EQ(with_prefix(got.blocks[1], "a-"), kMixed);
  EXPECT_EQ(find_header(got.blocks[0], ":status"), "200");
  EXPECT_EQ(find_header(got.blocks[1], "grpc-status"), "0");
}

TEST_P(RelayFramesTest, ATrailersOnlyAnswerStaysOne) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_headers(served_,
                        grpc_response({{"grpc-status", "5"}, {"grpc-message", "no%20such%C3%B6"}, {"x-t", "1"}}), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  const RawH2::Stream got = client_->stream(stream_);
  ASSERT_EQ(got.blocks.size(), 1u) << "one header block became several";
  EXPECT_TRUE(got.ended);
  EXPECT_EQ(got.data_bytes, 0u);
  EXPECT_EQ(find_header(got.blocks[0], "grpc-status"), "5");
  EXPECT_EQ(find_header(got.blocks[0], "grpc-message"), "no%20such%C3%B6") << "the message was decoded or re-encoded";
  EXPECT_EQ(find_header(got.blocks[0], "x-t"), "1");
}

TEST_P(RelayFramesTest, AuthorityContentTypeAndPathArriveAsSent) {
  HeaderList head = grpc_request("/a.B/C", {{"user-agent", "test/1 (x; y)"},
                                            {"grpc-encoding", "snappy"},
                                            {"grpc-accept-encoding", "identity,snappy"},
                                            {"x-n", "1"}});
  for (auto& [name, value] : head) {
    if (name == "content-type") value = "application/grpc+flatbuffers";
    if (name == ":authority") value = "Some-Host.example:1234";
  }
  ASSERT_NO_FATAL_FAILURE(begin(head));
  for (const char* name : {":authority", ":path", ":method", "content-type", "user-agent", "grpc-encoding",
                           "grpc-accept-encoding", "te", "x-n"}) {
    EXPECT_EQ(find_header(head_, name), find_header(head, name)) << name;
  }
  EXPECT_EQ(find_all(head_, "user-agent").size(), 1u);
}

TEST_P(RelayFramesTest, AHeaderLargerThanAFrameArrives) {
  const std::string large = std::string(20000, 'x');
  ASSERT_NO_FATAL_FAILURE(begin(grpc_request(kPath, {{"x-large", large}})));
  EXPECT_EQ(find_header(head_, "x-large"), large);
  server_->send_headers(served_, grpc_response({{"x-large", large}}), false);
  ASSERT_TRUE(client_->wait_blocks(stream_, 1));
  EXPECT_EQ(find_header(client_->stream(stream_).blocks[0], "x-large"), large);
}

// Flags and lengths of the gRPC framing, cut into DATA frames at odd places; neither is the relay's to understand.
std::string odd_messages() {
  return grpc_frame("plain") + grpc_frame("", 0) + grpc_frame(noise(300), 1) + grpc_frame("reserved flag", 7) +
         grpc_frame(noise(40000, 3), 1) + grpc_frame("", 1);
}

TEST_P(RelayFramesTest, FlagsAndBoundariesOfRequestMessagesArriveByteForByte) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const std::string bytes = odd_messages();
  // One byte at a time through the first messages, then odd pieces.
  ASSERT_EQ(client_->send_data(stream_, std::string_view(bytes).substr(0, 40), false, kPatience, 1), 40u);
  ASSERT_EQ(client_->send_data(stream_, std::string_view(bytes).substr(40), true, kPatience, 777), bytes.size() - 40);
  ASSERT_TRUE(server_->wait_over(served_));
  EXPECT_TRUE(server_->stream(served_).data == bytes);
  EXPECT_TRUE(server_->stream(served_).ended);
}

TEST_P(RelayFramesTest, FlagsAndBoundariesOfAnswersArriveByteForByte) {
  ASSERT_NO_FATAL_FAILURE(begin(grpc_request(kPath), true));
  const std::string bytes = odd_messages();
  server_->send_headers(served_, grpc_response(), false);
  ASSERT_EQ(server_->send_data(served_, std::string_view(bytes).substr(0, 40), false, kPatience, 1), 40u);
  ASSERT_EQ(server_->send_data(served_, std::string_view(bytes).substr(40), false, kPatience, 777), bytes.size() - 40);
  server_->send_headers(served_, grpc_trailers(), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  EXPECT_TRUE(client_->stream(stream_).data == bytes);
}

TEST_P(RelayFramesTest, PartOfAMessageIsPassedOnBeforeItsRest) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const std::string bytes = grpc_frame(std::string(1000, 'm'));
  client_->send_data(stream_, bytes.substr(0, 3), false);  // not even the whole length
  EXPECT_TRUE(server_->wait_data(served_, 3)) << "waits for a whole message";
  client_->send_data(stream_, bytes.substr(3, 500), false);
  EXPECT_TRUE(server_->wait_data(served_, 503));
  server_->send_headers(served_, grpc_response(), false);
  server_->send_data(served_, bytes.substr(0, 4), false);
  EXPECT_TRUE(client_->wait_data(stream_, 4));
}

TEST_P(RelayFramesTest, PaddingAndEmptyDataFramesDoNotHarm) {
  ASSERT_NO_FATAL_FAILURE(begin());
  const std::string message = grpc_frame("padded");
  client_->send_frame(kData, kNoFlags, stream_, {});
  client_->send_frame(kData, kPadded, stream_, std::string(1, 10) + message + std::string(10, '\0'));
  client_->send_frame(kData, kEndStream, stream_, {});
  ASSERT_TRUE(server_->wait_over(served_));
  EXPECT_EQ(server_->stream(served_).data, message);
}

TEST_P(RelayFramesTest, HalfCloseWithTheLastMessageAndAloneBothArrive) {
  ASSERT_NO_FATAL_FAILURE(begin());
  client_->send_data(stream_, grpc_frame("x"), false);
  ASSERT_TRUE(server_->wait_data(served_, 6));
  EXPECT_FALSE(server_->stream(served_).ended) << "half-closed before the client did";
  client_->send_data(stream_, {}, true);
  ASSERT_TRUE(server_->wait_over(served_));
  EXPECT_TRUE(server_->stream(served_).ended);
  server_->send_headers(served_, grpc_response(), false);
  server_->send_data(served_, grpc_frame("answer"), false);
  server_->send_headers(served_, grpc_trailers(), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  EXPECT_EQ(client_->stream(stream_).data, grpc_frame("answer"));
}

TEST_P(RelayFramesTest, AResetOfTheClientCrossesAtOnceAsCancel) {
  ASSERT_NO_FATAL_FAILURE(begin());
  client_->send_reset(stream_, kCancel);
  ASSERT_TRUE(server_->wait_over(served_));
  EXPECT_EQ(server_->stream(served_).reset, kCancel);
  EXPECT_FALSE(server_->state().closed) << "one cancelled call cost the connection";
}

TEST_P(RelayFramesTest, AResetAfterHalfCloseCrossesToo) {
  ASSERT_NO_FATAL_FAILURE(begin(grpc_request(kPath), true));
  server_->send_headers(served_, grpc_response(), false);
  ASSERT_TRUE(client_->wait_blocks(stream_, 1));
  client_->send_reset(stream_, kCancel);
  ASSERT_TRUE(server_->wait(
      [&](const RawH2::State& s) { return s.streams.count(served_) != 0 && s.streams.at(served_).reset.has_value(); }));
}

TEST_P(RelayFramesTest, AnAnswerThatEndsEarlyReachesTheClientAndFreesTheStream) {
  ASSERT_NO_FATAL_FAILURE(begin());
  client_->send_data(stream_, grpc_frame("first"), false);
  ASSERT_TRUE(server_->wait_data(served_, 10));
  server_->send_headers(served_, grpc_response({{"grpc-status", "9"}}), true);
  server_->send_reset(served_, kNoError);  // RFC 9113 8.1: the rest of the request is not needed
  ASSERT_TRUE(client_->wait_over(stream_));
  EXPECT_EQ(find_header(client_->stream(stream_).blocks.at(0), "grpc-status"), "9");
  // The connection goes on.
  const std::uint32_t next = client_->open(grpc_request(kPath), true);
  const auto request = upstream_.next_request();
  ASSERT_TRUE(request);
  request->connection->send_headers(request->stream, grpc_response({{"grpc-status", "0"}}), true);
  EXPECT_TRUE(client_->wait_over(next));
}

TEST_P(RelayFramesTest, TrailersOfARequestHalfCloseIt) {
  ASSERT_NO_FATAL_FAILURE(begin());
  client_->send_data(stream_, grpc_frame("x"), false);
  client_->send_headers(stream_, {{"x-request-trailer", "1"}}, true);
  ASSERT_TRUE(server_->wait_over(served_));
  EXPECT_TRUE(server_->stream(served_).ended);
  EXPECT_EQ(server_->stream(served_).data, grpc_frame("x"));
}

TEST_P(RelayFramesTest, InformationalAnswersDoNotHideTheRealOne) {
  ASSERT_NO_FATAL_FAILURE(begin());
  server_->send_headers(served_, {{":status", "103"}, {"link", "</a>"}}, false);
  server_->send_headers(served_, grpc_response({{"x-real", "1"}}), false);
  server_->send_data(served_, grpc_frame("answer"), false);
  server_->send_headers(served_, grpc_trailers(0, {{"x-last", "1"}}), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  RawH2::Stream got = client_->stream(stream_);
  if (find_header(got.blocks.at(0), ":status") == "103")
    got.blocks.erase(got.blocks.begin());  // may be passed on, or not
  ASSERT_EQ(got.blocks.size(), 2u);
  EXPECT_EQ(find_header(got.blocks[0], "x-real"), "1");
  EXPECT_EQ(find_header(got.blocks[1], "x-last"), "1");
  EXPECT_EQ(got.data, grpc_frame("answer"));
}

TEST_P(RelayFramesTest, AClientThatSaysGoawayStillGetsItsAnswers) {
  ASSERT_NO_FATAL_FAILURE(begin());
  client_->send_goaway(0, kNoError);
  client_->send_data(stream_, grpc_frame("x"), true);
  ASSERT_TRUE(server_->wait_over(served_));
  server_->send_headers(served_, grpc_response(), false);
  server_->send_data(served_, grpc_frame("answer"), false);
  server_->send_headers(served_, grpc_trailers(), true);
  ASSERT_TRUE(client_->wait_over(stream_));
  EXPECT_EQ(client_->stream(stream_).data, grpc_frame("answer"));
}

TEST_P(RelayFramesTest, ManyCallsOnOneConnectionKeepTheirAnswersApart) {
  const std::string target = reach(upstream_.address());
  client_ = RawH2::connect(target);
  ASSERT_TRUE(client_);
  constexpr std::uint32_t kCalls = 80;
  std::vector<std::uint32_t> streams;
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    streams.push_back(client_->open(grpc_request(kPath, {{"x-call", std::to_string(i)}}), true));
  }
  std::vector<RawUpstream::Request> requests;
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    auto request = upstream_.next_request();
    ASSERT_TRUE(request) << "call " << i;
    requests.push_back(*request);
  }
  std::reverse(requests.begin(), requests.end());  // answered last first
  for (const auto& request : requests) {
    request.connection->send_headers(request.stream, grpc_response(), false);
    request.connection->send_data(request.stream, grpc_frame(*find_header(request.head, "x-call")), false);
    request.connection->send_headers(request.stream, grpc_trailers(), true);
  }
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(client_->wait_over(streams[i]));
    EXPECT_EQ(client_->stream(streams[i]).data, grpc_frame(std::to_string(i)));
  }
}

}  // namespace
}  // namespace ficus::e2e
